"""Workers of a dask scheduler, on this machine or on many that share a file system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import ExitStack
from itertools import islice
from typing import Any

from ecsim.core.errors import UserError
from ecsim.experiment.engines import Work
from ecsim.experiment.job import THREADS, Job, Outcome


class Cluster:
    """Runs jobs on a dask cluster; without a scheduler's address on one of its own, here.

    Every machine must see the sweep's files, its result folder and the cache under the same paths.
    How often a cell may kill its worker is a running scheduler's own setting.
    """

    def __init__(self, n_workers: int, retries: int = 2, scheduler: str | None = None):
        try:
            import distributed
        except ImportError:
            raise UserError("the engine dask needs: pip install 'ecsim[cluster]'") from None
        self._distributed: Any = distributed
        self._n_workers = n_workers
        self._retries = retries
        self._scheduler = scheduler

    def run(self, jobs: Iterable[Job], work: Work) -> Generator[Outcome, None, None]:
        """Give outcomes as they come; at most two jobs per worker are under way.

        Dask runs a job again when its worker dies, and gives up after the retries.

        Raises
        ------
        UserError : the scheduler does not answer, or has no workers.
        """
        new = iter(jobs)
        tries: Counter[str] = Counter()
        with ExitStack() as stack:
            client = self._connect(stack)
            coming = self._distributed.as_completed(with_results=False)
            under_way: dict[Any, Job] = {}

            def submit(job: Job) -> None:
                key = f"{job.id}-{tries[job.id]}-{id(under_way)}"
                future = client.submit(work, job, key=key, pure=False)
                under_way[future] = job
                coming.add(future)

            for job in islice(new, self._room(client, 0)):
                submit(job)
            for future in coming:
                job = under_way.pop(future)
                outcome = self._outcome(future, job)
                future.release()
                if outcome.may_pass and tries[job.id] < self._retries:
                    tries[job.id] += 1
                    submit(job)
                    continue
                for following in islice(new, self._room(client, len(under_way))):
                    submit(following)
                yield outcome

    def _connect(self, stack: ExitStack) -> Any:
        d = self._distributed
        if self._scheduler is None:
            import dask

            allowed = {"distributed.scheduler.allowed-failures": self._retries}
            stack.enter_context(dask.config.set(allowed))
            cluster = d.LocalCluster(
                n_workers=self._n_workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                env=dict.fromkeys(THREADS, "1"),
            )
            stack.enter_context(cluster)
            return stack.enter_context(d.Client(cluster))
        try:
            client = stack.enter_context(d.Client(self._scheduler, timeout="10 s"))
        except (OSError, ValueError, d.comm.core.CommClosedError) as error:
            raise UserError(
                f"no dask scheduler answers at {self._scheduler}: {error or type(error).__name__}"
            ) from None
        if not client.nthreads():
            raise UserError(f"the dask scheduler at {self._scheduler} has no workers")
        return client

    def _room(self, client: Any, n_under_way: int) -> int:
        """Give how many jobs more may be under way; fewer workers may be there than before."""
        return max(0, 2 * max(1, len(client.nthreads())) - n_under_way)

    def _outcome(self, future: Any, job: Job) -> Outcome:
        error = future.exception()
        if error is None:
            outcome: Outcome = future.result()
            return outcome
        if isinstance(error, self._distributed.KilledWorker):
            return Outcome(job.id, error=f"its worker process died: {error}")
        return Outcome(job.id, error=f"{type(error).__name__}: {error}")
