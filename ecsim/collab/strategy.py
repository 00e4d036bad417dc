"""What a strategy is: a generator per task that returns the answer, and generators per device.

A strategy yields operations of the `Context` and gets their results back::

    class Mine(Strategy[MineParams]):
        Params = MineParams

        def serve(self, task, ctx):
            edge = yield ctx.infer(task.device, task)
            return Answer(edge.label, at=task.device, by=edge)
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from ecsim.core.types import Answer, BoolArray, IntArray, ModelRef, Prediction, Task

if TYPE_CHECKING:
    from ecsim.collab.context import Context
    from ecsim.collab.outline import Outline
    from ecsim.collab.validation import Validation

P = TypeVar("P")
Serving = Generator[Any, Any, Answer]
Background = Generator[Any, Any, None]


@dataclass(frozen=True, slots=True)
class Way:
    """The way of tasks whose steps follow from their own data, for `Strategy.way`.

    A task is inferred on its device if `asks_device`; it ends there unless ``chosen`` or, where
    that gives None, ``offloads`` says yes to the prediction. The others are uploaded to the nearest
    cloud node, inferred there, and answered with `reply_bytes`; None means that none ever is.
    """

    asks_device: bool
    reply_bytes: float | None = None


@dataclass(frozen=True)
class NoParams:
    """For strategies without parameters."""


class Strategy(Generic[P]):
    """Base of all strategies: override `serve`, and `background` where devices act on their own."""

    Params: ClassVar[type[Any]] = NoParams

    def __init__(self, params: P):
        self.params = params

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Yield operations and return the `Answer`; runs once per task, from its arrival on."""
        raise NotImplementedError(f"{type(self).__name__} does not override serve()")

    def offloads(self, edge: Prediction) -> bool | None:
        """Whether the strategy would upload a sample with this edge prediction.

        Used to probe deployed versions outside simulated time; None (the default) means that the
        strategy's rule does not follow from the prediction alone.
        """
        return None

    def offloads_sample(self, edge: Prediction, sample_id: int) -> bool | None:
        """Give the same for rules that must know which sample it is; by default `offloads`."""
        return self.offloads(edge)

    def score(self, edge: Prediction, sample_id: int) -> float | None:
        """Give how unsure the strategy finds a prediction, larger for less sure; None: it does not.

        Used like `offloads`, to tell how well the score orders the probe pool.
        """
        return None

    def threshold(self, model: ModelRef) -> float | None:
        """Give the score above which a version's predictions are uploaded; None: there is none."""
        return None

    def check(self, outline: Outline) -> None:
        """Raise `UserError` (``key: …``) for what does not fit the scenario; nothing is trained.

        `ecsim validate` calls it, and a run before anything else; the message is given the place
        of the key in the file.
        """
        return

    def prepare(self, validation: Validation) -> None:
        """Take what choices may be made on; called once, before anything happens."""
        return

    def way(self) -> Way | None:
        """Give the way of all tasks where it depends on nothing but themselves.

        Such tasks may be simulated at once instead of one after the other, with the same result.
        None (the default) promises nothing; `serve` must do exactly what is promised.
        """
        return None

    def chosen(self, device: str, phases: IntArray, ctx: Context) -> BoolArray | None:
        """Say which tasks of a device are uploaded, where that is not for ``offloads`` to say.

        For `way`: called once per device.

        Parameters
        ----------
        phases : phase of each task, shape (N,), in the order in which their inferences end.
        """
        return None

    def background(self, ctx: Context) -> Iterable[Background]:
        """Give long-lived generators that run beside the tasks; none by default."""
        return ()
