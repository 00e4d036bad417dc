"""Operations that know models: inference, training, and a transfer that carries a version.

They add to the kernel's operations what the learning plane has to say, and nothing to their time.
"""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

from ecsim.collab.place import Place
from ecsim.core.types import ModelRef, Task
from ecsim.kernel import Ledger, Train, Travel, Use
from ecsim.kernel.operations import Waiter


class Account(Ledger):
    """A task's ledger that also keeps what the kernel cannot know.

    Attributes
    ----------
    edge_entropy : how sure the device's own model was; NaN when it was not asked.
    uploaded : whether a message of the task was sent to a node of the cloud tier.
    """

    __slots__ = ("edge_entropy", "uploaded")

    def __init__(self, n_stages: int):
        Ledger.__init__(self, n_stages)  # a fifth quicker than `super()`
        self.edge_entropy = nan
        self.uploaded = False


class Infer(Use):
    """Run a model on a task's sample; gives the `Prediction`.

    The version is the one that the node holds when the request joins its queue.
    """

    __slots__ = ("model", "place", "task")

    def __init__(self, place: Place, task: Task, model: ModelRef | None):
        # the flat twin of `Use.__init__`; seconds, joules and value are known at the start
        self.eid = 0
        self.server = place.inference
        self.stage = place.stage
        self.place = place
        self.task = task
        self.model = model

    def start(self, waiter: Waiter) -> None:
        """Look up what the model answers and what that costs, then join the queue."""
        place = self.place
        prediction = place.predictor.predict(self.model or place.model, self.task.sample_id)
        self.value = prediction
        self.seconds, self.joules = place.price(prediction.work)
        ledger = waiter.ledger
        if not place.is_cloud and isinstance(ledger, Account):
            ledger.edge_entropy = prediction.normalized_entropy
        Use.start(self, waiter)


class Upload(Travel):
    """A transfer to the cloud tier: marks the task as uploaded."""

    __slots__ = ()

    def start(self, waiter: Waiter) -> None:
        """Reserve the first link; mark the account unless the link was down and took nothing."""
        Travel.start(self, waiter)
        ledger = waiter.ledger
        if self.eid and isinstance(ledger, Account):
            ledger.uploaded = True


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
