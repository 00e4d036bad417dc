"""Which classes appear in which phase of the stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray


class Schedule(Protocol):
    """Classes over the phases of a run; class ids are global.

    Attributes
    ----------
    groups : classes by the time at which they appear; `groups[0]` is known from the start.
    """

    groups: tuple[tuple[int, ...], ...]

    @property
    def n_phases(self) -> int:
        """Number of phases, all of the same length."""

    @property
    def update_phases(self) -> range:
        """Phases that an update may follow."""

    def classes_in(self, phase: int) -> tuple[int, ...]:
        """Give the classes whose samples arrive in a phase."""

    def new_in(self, phase: int) -> tuple[int, ...]:
        """Give those of them that arrive for the first time and are not in `groups[0]`."""


@runtime_checkable
class Mixing(Protocol):
    """What a schedule has besides when its classes do not arrive alike within a phase.

    Without it, each sample of the classes of a phase is as likely as any other.
    """

    def mix(self, phase: int, share: FloatArray) -> npt.NDArray[np.float64]:
        """Give the probability of each class at points of a phase.

        Parameters
        ----------
        share : the points, as shares of the phase that are over, (n,), in [0, 1].

        Returns
        -------
        (n, n_classes), each row summing to 1; zero for classes that `classes_in` does not name.
        """


def appearances(schedule: Schedule) -> list[tuple[int, tuple[int, ...]]]:
    """Give (phase, classes that arrive there for the first time), base classes left out.

    >>> appearances(ClassIncremental(ClassIncremental.Params(base_classes=4, increment=4), 10, 0))
    [(0, (1, 6, 7, 3)), (1, (0, 5))]
    """
    found = ((phase, schedule.new_in(phase)) for phase in range(schedule.n_phases))
    return [(phase, classes) for phase, classes in found if classes]


def class_order(n_classes: int, seed: int) -> tuple[int, ...]:
    """Give the classes in the order in which they appear.

    numpy's legacy generator on purpose: published class-incremental results use this very
    shuffle, so that the same seed gives their order.

    >>> class_order(10, 2025)
    (6, 1, 5, 9, 0, 4, 7, 3, 8, 2)
    """
    order = np.arange(n_classes)
    np.random.RandomState(seed).shuffle(order)
    return tuple(order.tolist())


def split_classes(
    n_classes: int, base: int, *, n_tasks: int | None = None, increment: int | None = None
) -> tuple[int, ...]:
    """Give the number of classes per task: B-u Inc-v, or a number of tasks.

    Parameters
    ----------
    base : classes of the first task; 0 divides all classes alike, the first task included.
    n_tasks : tasks in all; when the classes do not divide, the first tasks get one more each.
    increment : classes of each later task; the last one has fewer when they do not divide.

    Source: ECC-SNN, section 5.1; for the remainder its released splits.

    >>> split_classes(103, 40, n_tasks=5), split_classes(10, 4, increment=4)
    ((40, 16, 16, 16, 15), (4, 4, 2))
    """
    if (n_tasks is None) == (increment is None):
        raise ValueError("give either n_tasks or increment")
    if not 0 <= base <= n_classes:
        raise UserError(f"base_classes: expected at most {n_classes} classes, got {base}")
    first = (base,) if base else ()
    left = n_classes - base
    if increment is not None:
        if increment < 1:
            raise UserError(f"increment: expected at least 1 class, got {increment}")
        whole, rest = divmod(left, increment)
        return first + (increment,) * whole + ((rest,) if rest else ())
    assert n_tasks is not None
    n_later = n_tasks - len(first)
    if n_later < 0 or n_later > left or (n_later == 0 and left):
        raise UserError(f"{left} classes cannot be divided over {n_later} tasks")
    size, more = divmod(left, max(n_later, 1))
    return first + tuple(size + (task < more) for task in range(n_later))


def class_groups(
    n_classes: int, base_classes: int, increment: int, seed: int
) -> tuple[tuple[int, ...], ...]:
    """Give the classes in groups of u, v, v, …, in the order of the seed.

    Raises `UserError` when more base classes are asked for than there are, or none is left.
    """
    sizes = split_classes(n_classes, base_classes, increment=increment)
    if len(sizes) < 2:
        key = "base_classes" if base_classes else "increment"
        raise UserError(
            f"{key}: {sizes[0]} of {n_classes} classes at the start leave none to learn"
        )
    order, ends = class_order(n_classes, seed), np.cumsum(sizes).tolist()
    return tuple(order[end - size : end] for size, end in zip(sizes, ends, strict=True))


class ClassIncremental:
    """B-u Inc-v: u classes known at the start, then v new ones in each phase.

    With G groups after the base there are phases 0 … G. In phase p < G the classes known so far
    arrive together with group p + 1, and an update may follow; in phase G nothing is new.

    Parameters
    ----------
    n_classes : classes of the data set.
    seed : the `order` seed; it decides the order of the classes and nothing else.

    Raises
    ------
    UserError : when more base classes are asked for than there are, or none is left to learn.

    >>> schedule = ClassIncremental(ClassIncremental.Params(base_classes=4, increment=2), 10, 2025)
    >>> schedule.groups
    ((6, 1, 5, 9), (0, 4), (7, 3), (8, 2))
    >>> schedule.n_phases, schedule.new_in(0), schedule.new_in(3)
    (4, (0, 4), ())
    """

    @dataclass(frozen=True, kw_only=True)
    class Params:
        """Sizes of the groups and what a phase shows.

        Attributes
        ----------
        base_classes : classes known at the start (u); 0 means as many as `increment`.
        increment : new classes per phase (v); the last group has fewer when they do not divide.
        classes : `seen_and_new` shows the classes so far and the newly arriving group; `whole`
            shows all classes in every phase, as the paper's evaluation does.
        """

        base_classes: Annotated[int, Ge(0)]
        increment: Annotated[int, Ge(1)]
        classes: Literal["seen_and_new", "whole"] = "seen_and_new"

    def __init__(self, params: Params, n_classes: int, seed: int):
        self.params = params
        self.groups = class_groups(n_classes, params.base_classes, params.increment, seed)

    @property
    def n_phases(self) -> int:
        """G + 1, of equal length."""
        return len(self.groups)

    @property
    def update_phases(self) -> range:
        """Phases 0 … G - 1."""
        return range(self.n_phases - 1)

    def classes_in(self, phase: int) -> tuple[int, ...]:
        """Give the classes whose samples arrive in a phase, in their order of appearance."""
        whole = self.params.classes == "whole"
        last = self.n_phases if whole else min(self._checked(phase) + 2, self.n_phases)
        return sum(self.groups[:last], ())

    def new_in(self, phase: int) -> tuple[int, ...]:
        """Give those of them that arrive for the first time and are not base classes."""
        before = self.groups[0] if self._checked(phase) == 0 else self.classes_in(phase - 1)
        return self.classes_in(phase)[len(before) :]

    def _checked(self, phase: int) -> int:
        if not 0 <= phase < self.n_phases:
            raise IndexError(f"phase {phase} of {self.n_phases}")
        return phase
