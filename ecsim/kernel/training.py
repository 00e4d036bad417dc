"""A training on an engine: equal mini-batch steps that share it with inference."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from ecsim.core.errors import StrategyError
from ecsim.kernel.ledger import Ledger
from ecsim.kernel.meter import TRAINING, Unserved
from ecsim.kernel.node import Engine
from ecsim.kernel.operations import NOBODY, Operation, Waiter, part_after, require_amount
from ecsim.kernel.world import World

Mode: TypeAlias = Literal["share", "offline", "idle_only"]


class Train(Operation):
    """Serve a training; resumes when its last step is over. One heap entry per step.

    Modes (what inference does meanwhile):

    - ``share``: a step joins the engine's queue when the former ends; a request that comes
      meanwhile waits for one step at most.
    - ``idle_only``: a step starts only when the engine is free and nothing waits for it.
    - ``offline``: the whole training is one reservation, and the device's inference engine starts
      nothing until it is over. The blocked engine is not busy: it spends idle power, no joules.

    A training whose flow loses a race ends after its present step; all of it is wasted.

    Parameters
    ----------
    engine : serves it; must be able to train.
    seconds, joules : of the whole training, >= 0.
    steps : equal steps it is cut into, >= 1.
    mode : see above.
    inference_engine : the engine that ``offline`` blocks; None or `engine` itself: no other.
    stage : index of the ledger's stage that it is charged to.
    value : what the flow gets back.

    Raises
    ------
    StrategyError
        When the engine cannot train or there is no step; at the ``yield``, when seconds or joules
        are negative or not finite.
    """

    __slots__ = (
        "_n_left", "_seconds_charged", "_step_end_s", "engine", "inference_engine",
        "joules", "joules_charged", "ledger", "mode", "owner", "seconds", "stage", "steps",
        "wait_s", "world",
    )  # fmt: skip

    world: World
    ledger: Ledger | None

    def __init__(
        self,
        engine: Engine,
        seconds: float,
        joules: float = 0.0,
        steps: int = 1,
        mode: Mode = "share",
        inference_engine: Engine | None = None,
        stage: int = 0,
        value: Any = None,
    ) -> None:
        super().__init__(value)
        if steps < 1:
            raise StrategyError(f"a training needs at least one step, got {steps}")
        if not engine.can_train:
            raise StrategyError(f"engine {engine.name!r} cannot train")
        if mode not in ("share", "offline", "idle_only"):
            raise StrategyError(f"unknown mode of training {mode!r}")
        self.engine = engine
        self.steps = 1 if mode == "offline" else steps
        self.seconds = seconds / self.steps
        self.joules = joules / self.steps
        self.mode = mode
        self.inference_engine = inference_engine
        self.stage = stage

    def start(self, waiter: Waiter) -> None:
        """Reserve the first step, or wait until the engine is free."""
        self._require_fresh()
        require_amount(f"seconds of a training on {self.engine.name}", self.seconds)
        require_amount(f"joules of a training on {self.engine.name}", self.joules)
        self.owner = waiter
        self.ledger = waiter.ledger
        self.world = waiter.world
        self._n_left = self.steps
        self._step_end_s = self._seconds_charged = self.joules_charged = self.wait_s = 0.0
        if self.mode == "offline" and self.inference_engine not in (None, self.engine):
            self._block_inference()
        self.wake(self)

    def _block_inference(self) -> None:
        assert self.inference_engine is not None
        begin = max(self.engine.free_at(), self.inference_engine.all_free_at())
        self.engine.block_until(begin)
        self.inference_engine.block_until(begin + self.seconds)

    def wake(self, operation: Any) -> None:
        """Reserve the next step, in the way of the mode."""
        engine = self.engine
        world = self.world
        if self.mode == "idle_only":
            free_s = engine.free_at()
            if free_s > world._now:
                self.waiter = self
                self._push(world, free_s)
                return
        now = world._now
        begin, end = engine.reserve(self.seconds, self.joules, TRAINING)
        self._n_left -= 1
        self._step_end_s = end
        ledger = self.ledger
        if ledger is None:
            world.unowned_j += self.joules
        else:
            ledger.wait_s[self.stage] += begin - now
            ledger.service_s[self.stage] += self.seconds
            ledger.joules[self.stage] += self.joules
            self.wait_s += begin - now
            self._seconds_charged += self.seconds
            self.joules_charged += self.joules
        self.waiter = self if self._n_left else self.owner
        self._push(world, end)

    def abandon(self) -> None:
        """Stop after the present step; what was done is wasted."""
        self.waiter = NOBODY
        if self.ledger is not None:
            self.ledger.waste(self.stage, self.wait_s, self._seconds_charged, self.joules_charged)

    def unserved(self, now: float) -> list[Unserved]:
        """Give the part of the present step that lies after `now`."""
        left, share = part_after(now, self._step_end_s, self.seconds)
        return [(self.engine.meter, TRAINING, left, share * self.joules)] if share else []

    def __repr__(self) -> str:
        return f"<Train on {self.engine.name}, {self.steps} steps of {self.seconds} s, {self.mode}>"
