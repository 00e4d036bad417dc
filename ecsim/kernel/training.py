"""A training on an engine: equal mini-batch steps that share it with inference."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from ecsim.core.errors import FlowError, StrategyError
from ecsim.kernel.disciplines import EventEngine
from ecsim.kernel.jobs import WHEN_IDLE, Step
from ecsim.kernel.ledger import Ledger
from ecsim.kernel.meter import TRAINING, Draw, Unserved
from ecsim.kernel.node import Engine
from ecsim.kernel.operations import (
    NOBODY,
    PARKED,
    WASTED,
    Operation,
    Waiter,
    correct,
    part_after,
    require_amount,
)
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
        "_n_left", "_seconds_charged", "_slowness", "_step", "_step_end_s", "_step_j", "_step_s",
        "engine",
        "inference_engine", "joules", "joules_charged", "ledger", "mode", "owner", "seconds",
        "stage", "steps", "wait_s", "world",
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
        if self.engine.down_error is not None:
            raise self.engine.down_error()
        require_amount(f"seconds of a training on {self.engine.name}", self.seconds)
        require_amount(f"joules of a training on {self.engine.name}", self.joules)
        self.owner = waiter
        self.ledger = waiter.ledger
        self.world = waiter.world
        self._n_left = self.steps
        self._step: Step | None = None
        self._slowness = 1.0
        self._step_s = self._step_j = self._step_end_s = 0.0
        self._seconds_charged = self.joules_charged = self.wait_s = 0.0
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
        if isinstance(engine, EventEngine):
            self._next_step(engine)
            return
        if self.mode == "idle_only":
            free_s = engine.free_at()
            if free_s > world._now:
                self.waiter = self
                self._push(world, free_s)
                return
        now = world._now
        slowness = self.engine.slowness
        if slowness != self._slowness:
            self.seconds *= slowness / self._slowness
            self.joules *= slowness / self._slowness
            self._slowness = slowness
        begin, end = engine.reserve(self.seconds, self.joules, TRAINING)
        self._step_s, self._step_j = self.seconds, self.joules
        self._n_left -= 1
        self._step_end_s = end
        ledger = self.ledger
        if ledger is None:
            world.unowned_j += self.joules
        else:
            ledger.charge(self.stage, begin - now, self.seconds, self.joules)
            self.wait_s += begin - now
            self._seconds_charged += self.seconds
            self.joules_charged += self.joules
        self.waiter = self if self._n_left else self.owner
        self._push(world, end)
        if engine.touched is not None:
            engine.touched(self)

    def _next_step(self, engine: EventEngine) -> None:
        """Let the next step join an event-driven engine, which wakes or fails this training."""
        done = self._step
        if done is not None:
            self._add(done.wait_s, done.seconds, done.joules)
        if not self._n_left:
            self._step = None
            self.waiter.wake(self)
            return
        self._n_left -= 1
        self.waiter = self.owner
        self.eid = PARKED
        rank = {"share": 0, "idle_only": WHEN_IDLE, "offline": -engine.ranks.training}[self.mode]
        self._step = Step(engine, self.seconds, self.joules, self.stage, rank)
        try:
            self._step.start(self)
        except FlowError as error:  # the engine went out as the last step ended
            self._step.wait_s = self._step.seconds = self._step.joules = 0.0
            self.fail(self._step, error)

    def _add(self, wait_s: float, seconds: float, joules: float) -> None:
        self.wait_s += wait_s
        self._seconds_charged += seconds
        self.joules_charged += joules

    def fail(self, operation: Any, error: Exception) -> None:
        """Lose the training at the step that failed: all of it is wasted."""
        self._add(operation.wait_s, operation.seconds, operation.joules)
        self._step = None
        self.eid = 0
        if self.ledger is not None:
            self.ledger.waste(self.stage, self.wait_s, self._seconds_charged, self.joules_charged)
        self.owner.fail(self, error)

    def abandon(self) -> None:
        """Stop after the present step; what was done is wasted."""
        if self._step is not None:
            self._step.abandon()
            self.eid = 0
        self.waiter = NOBODY
        if self.ledger is not None:
            self.ledger.waste(self.stage, self.wait_s, self._seconds_charged, self.joules_charged)

    def draws(self) -> list[Draw]:
        """Give what the present step draws."""
        end_s = self._step_end_s
        return [(self.engine.meter, end_s - self._step_s, end_s, self._step_j)]

    def uses(self, part: Any) -> bool:
        """Whether it runs, or waits for a free moment, on this engine."""
        return self.engine is part

    def cut(self, error: FlowError) -> None:
        """Lose the training: what was done is wasted, and the error is raised in the flow."""
        left, share = part_after(self.world._now, self._step_end_s, self._step_s)
        late = max(0.0, self._step_end_s - self._step_s - self.world._now)
        joules = share * self._step_j
        meter = self.engine.meter
        meter.seconds[TRAINING] -= left
        meter.joules[TRAINING] -= joules
        self.engine.wait_s -= late
        self.eid = 0
        if self.waiter is NOBODY:  # abandoned before: already wasted
            correct(self.world, self, WASTED, 0.0, -left, -joules)
            return
        correct(self.world, self, self.stage, -late, -left, -joules)
        if self.ledger is not None:
            self.ledger.waste(
                self.stage,
                self.wait_s - late,
                self._seconds_charged - left,
                self.joules_charged - joules,
            )
        self.owner.fail(self, error)

    def put_off(self, delay_s: float, factor: float) -> None:
        """Move the present step; the steps to come see the engine's slowness themselves."""
        now = max(self.world._now, self.engine.halted_until_s)
        end_s = self._step_end_s
        if end_s > now:
            left = min(self._step_s, end_s - now)
            wait = delay_s + max(0.0, end_s - self._step_s - now) * (factor - 1.0)
            service = left * (factor - 1.0)
            joules = self._step_j * service / self._step_s if self._step_s else 0.0
            self._step_s += service
            self._step_j += joules
            meter = self.engine.meter
            meter.seconds[TRAINING] += service
            meter.joules[TRAINING] += joules
            self.engine.wait_s += wait
            self.wait_s += wait
            self._seconds_charged += service
            self.joules_charged += joules
            self._step_end_s = now + delay_s + (end_s - now) * factor
            stage = WASTED if self.waiter is NOBODY else self.stage
            correct(self.world, self, stage, wait, service, joules)
        self._push(self.world, now + delay_s + (self.t - now) * factor)

    def unserved(self, now: float) -> list[Unserved]:
        """Give the part of the present step that lies after `now`."""
        now = max(now, self.engine.halted_until_s)
        left, share = part_after(now, self._step_end_s, self._step_s)
        return [(self.engine.meter, TRAINING, left, share * self._step_j)] if share else []

    def __repr__(self) -> str:
        return f"<Train on {self.engine.name}, {self.steps} steps of {self.seconds} s, {self.mode}>"
