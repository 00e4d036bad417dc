"""Operations that know models: inference, training, and a transfer that carries a version.

They add to the kernel's operations what the learning plane has to say, and nothing to their time.
"""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

from ecsim.collab.place import Place
from ecsim.core.errors import FlowError
from ecsim.core.types import ModelRef, Part, Task
from ecsim.kernel import After, Ledger, Operation, Train, Travel, Use
from ecsim.kernel.ledger import HEAD, WIDTH
from ecsim.kernel.operations import Waiter
from ecsim.records.tables import STAGES


class Account(Ledger):
    """A task's ledger that also keeps how sure the device's own model was, in its last cell."""

    __slots__ = ()

    def __init__(self) -> None:
        self.cells = _NOTHING.copy()
        self.is_closed = False

    @property
    def edge_entropy(self) -> float:
        """Normalised entropy of the device's own prediction; NaN when it was not asked."""
        return self.cells[ENTROPY]

    @property
    def uploaded(self) -> bool:
        """Whether a message of the task was sent to a node of the cloud tier."""
        return self.is_marked


ENTROPY = HEAD + WIDTH * len(STAGES)
_NOTHING = [0.0] * ENTROPY + [nan]


class Infer(Use):
    """Run a model on a task's sample; gives the `Prediction`.

    The version is the one that the node holds when the request joins its queue.
    """

    __slots__ = ("model", "place", "task")

    place: Place
    task: Task
    model: ModelRef | None

    __init__ = object.__init__  # blank: `Context.infer` fills it

    def start(self, waiter: Waiter) -> None:
        """Look up what the model answers and what that costs, then join the queue."""
        place = self.place
        answers = place.answers if self.model is None else place.answers_of(self.model)
        self.value, self.seconds, self.joules = answers[self.task.sample_id]
        if not place.is_cloud:
            ledger = waiter.ledger
            if isinstance(ledger, Account):
                ledger.cells[ENTROPY] = self.value.normalized_entropy
        Use.start(self, waiter)


class InferPart(Use):
    """Run a part of a model on a task's sample; gives the `Prediction` of the part."""

    __slots__ = ("model", "part", "place", "task")

    def __init__(self, place: Place, task: Task, model: ModelRef | None, part: Part):
        super().__init__(place.inference, 0.0, 0.0, place.stage)
        self.place = place
        self.task = task
        self.model = model
        self.part = part

    def start(self, waiter: Waiter) -> None:
        """Look up what the part gives and what that costs, then join the queue."""
        place = self.place
        model = place.model if self.model is None else self.model
        answers = place.answers_of(model, self.part)
        self.value, self.seconds, self.joules = answers[self.task.sample_id]
        ledger = waiter.ledger
        is_own = not place.is_cloud and model.key == place.model.key
        if is_own and isinstance(ledger, Account):
            ledger.cells[ENTROPY] = self.value.normalized_entropy
        Use.start(self, waiter)


class Message(Travel):
    """A message between two nodes."""

    __slots__ = ()

    __init__ = object.__init__  # blank: `Context.send` fills it


class Learn(Train):
    """A training on a node's host engine; when it ends, the node holds the new version.

    `taken` is called when it starts: the samples it learns from leave the buffer.
    """

    __slots__ = ("place", "taken")

    def __init__(self, place: Place, taken: Callable[[], None], **training: Any):
        super().__init__(place.host, inference_engine=place.inference, **training)
        self.place = place
        self.taken = taken

    def start(self, waiter: Waiter) -> None:
        """Take the samples and reserve the first step; note the new version at the end."""
        self.taken()
        super().start(_Holding(waiter, self.place, self.value.model))


class Carry(Travel):
    """A transfer whose bytes are a model version; when it arrives, the receiver holds it."""

    __slots__ = ("model", "place")

    def __init__(self, place: Place, model: ModelRef, *route: Any):
        super().__init__(*route)
        self.place = place
        self.model = model

    def start(self, waiter: Waiter) -> None:
        """Reserve the first link; note the version on arrival."""
        super().start(_Holding(waiter, self.place, self.model))


class Fail(Operation):
    """What cannot be done: its error is raised at the ``yield``."""

    __slots__ = ("error",)

    def __init__(self, error: FlowError):
        super().__init__()
        self.error = error

    def start(self, waiter: Waiter) -> None:
        """Raise the error."""
        raise self.error


class Spent(After):
    """Give the marginal energy that the task has been charged so far, wasted included, in J."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0.0)

    def start(self, waiter: Waiter) -> None:
        """Read the ledger and wake in the same moment."""
        self.value = waiter.ledger.total_j if waiter.ledger is not None else 0.0
        super().start(waiter)


class _Holding:
    """Stands before the waiter of an operation and notes that a version is now at hand."""

    __slots__ = ("_model", "_place", "_waiter", "ledger", "world")

    def __init__(self, waiter: Waiter, place: Place, model: ModelRef):
        self.world = waiter.world
        self.ledger = waiter.ledger
        self._waiter = waiter
        self._place = place
        self._model = model

    def wake(self, operation: Any) -> None:
        self._place.held.add(self._model.key)
        self._waiter.wake(operation)

    def fail(self, operation: Any, error: Exception) -> None:
        self._waiter.fail(operation, error)
