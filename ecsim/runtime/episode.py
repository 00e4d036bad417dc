"""One arm whose decisions are made from outside, one after the other, as its world goes on.

The world runs until a task has to be decided, and stands still until that is done: a decision takes
no simulated time. Tasks of several devices interleave, so what a decision leads to is known only
later; `take_outcomes` gives the tasks that have ended since it was last called.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import Any, cast

from ecsim.collab.operations import Account
from ecsim.collab.strategy import Strategy
from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray, Task
from ecsim.kernel import Flow, Mailbox
from ecsim.records.recorder import Recorder
from ecsim.records.tables import STATUSES
from ecsim.runtime.arm import Arm
from ecsim.runtime.progress import Progress
from ecsim.runtime.rows import NOWHERE, TaskRows
from ecsim.runtime.system import System
from ecsim.scenario.strategy import StrategyEntry
from ecsim.strategies.learned import Learned, LearnedParams
from ecsim.streams.blocks import TaskBlock


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A task that waits for a decision, and what the policy sees of it."""

    task: Task
    features: FloatArray
    mailbox: Mailbox


@dataclass(frozen=True, slots=True)
class Outcome:
    """A task that has ended; `latency_s` is the time until then, also without an answer.

    `offloaded` is None for a task that ended before it was decided.
    """

    task_id: int
    device: str
    status: str
    offloaded: bool | None
    correct: bool
    deadline_met: bool
    latency_s: float
    energy_j: float
    reward: float


class Episode:
    """One run of a strategy entry of kind `learned`, decision by decision.

    Parameters
    ----------
    system : of the scenario.
    entry : which strategy is decided from outside.
    world_seed : seed of arrivals, other tenants and channels; the same seed, the same world.

    Raises
    ------
    UserError : the entry's strategy is not `learned`, or refers to another arm.
    """

    def __init__(self, system: System, entry: StrategyEntry, world_seed: int):
        if not isinstance(entry.params, LearnedParams):
            raise UserError(f"{entry.label}: expected a strategy learned, got {entry.name}")
        if entry.versions != "own":
            raise UserError(f"{entry.label}: expected versions: own, got {entry.versions}")
        seeds = system.scenario.seeds.model_copy(update={"world": world_seed})
        run = system.scenario.run.model_copy(update={"trace": 0})
        scenario = system.scenario.model_copy(update={"seeds": seeds, "run": run})
        self._log = _Log(entry.params)
        self._arm = _DecidedArm(replace(system, scenario=scenario), entry, self._log)

    @property
    def now(self) -> float:
        """Simulated time in s."""
        return self._arm.now

    def advance(self) -> Request | None:
        """Run until a decision is due, and give it; None when all tasks have ended."""
        return self._arm.advance()

    def decide(self, request: Request, offload: bool) -> None:
        """Answer a request; the world goes on with the next `advance`."""
        self._log.decisions[request.task.id] = offload
        self._arm.pending.remove(request)
        request.mailbox.put(offload)

    def take_outcomes(self) -> list[Outcome]:
        """Give the tasks that have ended since the last call."""
        found, self._log.outcomes = self._log.outcomes, []
        return found


class _Decided(Learned):
    """Parks each task until somebody has decided."""

    def __init__(self, params: LearnedParams, pending: deque[Request], arm: _DecidedArm):
        super().__init__(params)
        self._pending = pending
        self._arm = arm

    def choose(self, task: Task, features: FloatArray) -> Generator[Any, Any, bool]:
        request = Request(task, features, self._arm.mailbox())
        self._pending.append(request)
        decision: bool = yield request.mailbox.get()
        return decision


class _OutcomeRows(TaskRows):
    """Makes outcomes of the tasks that end, and no rows."""

    def blocks(self) -> Iterator[TaskBlock]:
        return self._system.task_blocks()

    def write(
        self, task_id: int, now_s: float, account: Account, status: int, source: int, predicted: int
    ) -> None:
        account.is_closed = True
        is_late = source != NOWHERE and now_s >= self._system.horizon_s
        name = "late" if is_late else STATUSES[status]
        log = cast(_Log, self._recorder)
        task = log.tasks.pop(task_id)
        label = int(self._system.labels[task.sample_id])
        log.end(task, name, now_s, account, source != NOWHERE, predicted == label)


class _DecidedArm(Arm):
    """An arm that is driven entry by entry and writes no tables."""

    rows_class = _OutcomeRows

    def __init__(self, system: System, entry: StrategyEntry, log: _Log):
        self._log = log
        super().__init__(system, entry, {}, cast(Recorder, log), Progress())
        self.pending: deque[Request] = deque()
        self._strategy = cast(Strategy[object], _Decided(entry.params, self.pending, self))
        drain_s = system.scenario.run.drain
        self._end_s = inf if drain_s is None else system.horizon_s + drain_s
        self._start()

    @property
    def now(self) -> float:
        return float(self._world.now)

    def mailbox(self) -> Mailbox:
        return Mailbox(self._world)

    def advance(self) -> Request | None:
        while True:
            while self.pending and self.pending[0].task.id not in self._open:
                self.pending.popleft()  # it died with its device
            if self.pending:
                return self.pending[0]
            if not self._world.peek() < self._end_s:
                break
            self._world.step()
        for task_id, account in self._open.items():
            self._end(task_id, account, "in_flight")
        self._open.clear()
        return None

    def _arrive(self, task: Task) -> Flow:
        self._log.tasks[task.id] = task
        return super()._arrive(task)

    def _die(self, task: Task) -> None:
        self._log.tasks[task.id] = task
        super()._die(task)


class _Log:
    """Stands where an arm has its recorder, and keeps what the reward is made of."""

    def __init__(self, params: LearnedParams):
        self._reward = params.reward
        self.tasks: dict[int, Task] = {}  # that have not ended
        self.decisions: dict[int, bool] = {}
        self.outcomes: list[Outcome] = []

    def end(
        self,
        task: Task,
        status: str,
        now_s: float,
        account: Account,
        has_answer: bool,
        is_right: bool,
    ) -> None:
        """Keep what has become of a task."""
        latency_s = now_s - task.t_arrive_s
        deadline_s = task.deadline_s
        met = has_answer and deadline_s is not None and latency_s <= deadline_s
        correct = has_answer and is_right
        energy_j = float(account.total_j)
        reward = self._reward.of(correct, met, latency_s, energy_j)
        offloaded = self.decisions.pop(task.id, None)
        self.outcomes.append(
            Outcome(
                task.id, task.device, status, offloaded, correct, met, latency_s, energy_j, reward
            )
        )
