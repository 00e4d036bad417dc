"""What engines with events serve: jobs, their kinds and their ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ecsim.kernel.meter import TRAINING
from ecsim.kernel.operations import Use

if TYPE_CHECKING:
    from ecsim.kernel.node import Engine

WHEN_IDLE = 1 << 30  # the rank of jobs that only fill gaps


class Ranks(NamedTuple):
    """Order of service by kind of job; less is earlier, equal ranks are served as they come."""

    inference: int = 0
    training: int = 0
    background: int = 0


class RankedUse(Use):
    """A use of its own class of priority: `rank` is added to that of its kind."""

    __slots__ = ("rank",)

    def __init__(self, server: Engine, seconds: float, joules: float = 0.0, rank: int = 0):
        super().__init__(server, seconds, joules)
        self.rank = rank


class Step(Use):
    """One step of a training."""

    __slots__ = ("rank",)

    state = TRAINING

    def __init__(self, server: Engine, seconds: float, joules: float, stage: int, rank: int):
        super().__init__(server, seconds, joules, stage)
        self.rank = rank


class Job:
    """What is left of a use, or of a background job, and what it was charged so far.

    Attributes
    ----------
    use : the parked operation; None: a job of other tenants.
    state : state of the meter that its service is booked to.
    rank, serial : its place among those that wait.
    left_s, left_j : service and energy that are left, at normal speed.
    since_s : begin of the present wait or service.
    wait_s, service_s, joules : charged so far.
    """

    __slots__ = (
        "joules", "left_j", "left_s", "rank", "serial", "service_s", "since_s", "state", "use",
        "wait_s",
    )  # fmt: skip

    def __init__(
        self, use: Use | None, state: int, rank: int, serial: int, seconds: float, joules: float
    ) -> None:
        self.use = use
        self.state = state
        self.rank = rank
        self.serial = serial
        self.left_s = seconds
        self.left_j = joules
        self.since_s = 0.0
        self.wait_s = self.service_s = self.joules = 0.0
