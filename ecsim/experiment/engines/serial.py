"""One cell after the other, in this process."""

from __future__ import annotations

from collections.abc import Generator, Iterable

from ecsim.experiment.engines import Work
from ecsim.experiment.job import Job, Outcome


class Serial:
    """Runs jobs in their order, here."""

    def __init__(self, retries: int = 2):
        self._retries = retries

    def run(self, jobs: Iterable[Job], work: Work) -> Generator[Outcome, None, None]:
        """Give the outcome of each job."""
        for job in jobs:
            for _ in range(self._retries + 1):
                outcome = work(job)
                if not (outcome.failed and outcome.may_pass):
                    break
            yield outcome
