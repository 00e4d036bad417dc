"""Edgent: choose the exit and the cut together, so that the answer keeps to a deadline.

Of all exits the most accurate one whose best cut is predicted to keep to the deadline answers;
where none does, the fastest. How right each exit is, is measured on the validation pool.

Source: Li et al., IEEE TWC 19 (2020) 447 (Edgent); Zeng et al., IEEE Network 33 (2019) 96
(Boomerang). Rates and waits are measured, and the plan is made anew, as in `replanning`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt

from ecsim.collab.context import Context
from ecsim.collab.outline import Outline
from ecsim.collab.validation import Validation
from ecsim.core.errors import UserError
from ecsim.core.types import Task
from ecsim.core.units import Seconds
from ecsim.strategies.replanning import Candidate, Option, Replanning, ReplanningParams


@dataclass(frozen=True)
class EdgentParams(ReplanningParams):
    """What is split and how eagerly, and by when the answer is due.

    Attributes
    ----------
    deadline : for tasks that bring none of their own.
    """

    deadline: Annotated[Seconds, Gt(0)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.settings.get("objective", "latency") != "latency":
            raise ValueError("settings: edgent compares latencies with a deadline: no objective")


class Edgent(Replanning[EdgentParams]):
    """The most accurate exit that keeps to the deadline, cut where that is fastest."""

    Params = EdgentParams

    def __init__(self, params: EdgentParams):
        super().__init__(params)
        self._validation: Validation | None = None
        self._known: dict[str, list[Option]] = {}

    def prepare(self, validation: Validation) -> None:
        """Keep the validation pool, to measure the exits on."""
        self._validation = validation

    def check(self, outline: Outline) -> None:
        """See that there are exits to choose from."""
        super().check(outline)
        if len(outline.exits(self.params.model)) < 2:
            raise UserError(
                f"edgent: expected a {self.params.model} model with early exits, such as "
                "multi_exit_vgg; this one has none"
            )

    def options(self, ctx: Context, route: Sequence[str]) -> list[Option]:
        """Give one option per exit, with its accuracy on the validation pool."""
        assert self._validation is not None
        node = route[0] if self.params.model == "edge" else ctx.near(route[0], "cloud")
        model = ctx.model(node)
        if model.key not in self._known:
            found = self._validation.exits_of(model)
            self._known[model.key] = [
                Option(k, accuracy=float(each.is_right.mean())) for k, each in enumerate(found)
            ]
            for option in self._known[model.key]:
                ctx.record("exit_accuracy", option.accuracy)
        return self._known[model.key]

    def best(self, candidates: Sequence[Candidate], task: Task | None) -> Candidate:
        """Give the most accurate that keeps to the deadline, of equal ones the fastest."""
        due_s = self._due_s(task)
        timely = [each for each in candidates if each.value <= due_s]
        if not timely:
            return min(candidates, key=lambda each: each.value)
        return max(timely, key=lambda each: (each.option.accuracy, -each.value))

    def is_better(self, new: Candidate, present: Candidate, task: Task | None) -> bool:
        """Whether it keeps to the deadline alone, or more surely and more accurately, or faster."""
        due_s, gain = self._due_s(task), self.params.gain
        if present.value > due_s >= new.value:
            return True
        if new.value <= due_s and new.option.accuracy > present.option.accuracy:
            return new.value <= due_s * (1.0 - gain)
        return new.value < present.value * (1.0 - gain)

    def _due_s(self, task: Task | None) -> float:
        own = None if task is None else task.deadline_s
        due_s = self.params.deadline if own is None else own
        return float("inf") if due_s is None else due_s
