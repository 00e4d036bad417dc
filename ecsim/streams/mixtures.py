"""Schedules in which classes overlap, come back, or come and go little by little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le, Lt

from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray
from ecsim.streams.schedule import class_groups


@dataclass(frozen=True, kw_only=True)
class _Sizes:
    """Sizes of the groups.

    Attributes
    ----------
    base_classes : classes known at the start (u); 0 means as many as `increment`.
    increment : classes of each later group (v); the last has fewer when they do not divide.
    """

    base_classes: Annotated[int, Ge(0)]
    increment: Annotated[int, Ge(1)]


class _Phases:
    """Phases that show sets of classes; an update may follow each but the last.

    Parameters
    ----------
    shown : the classes of each phase.
    """

    def __init__(self, groups: tuple[tuple[int, ...], ...], shown: tuple[tuple[int, ...], ...]):
        self.groups = groups
        self._shown = shown
        self._n_classes = sum(map(len, groups))

    @property
    def n_phases(self) -> int:
        """Number of phases, all of the same length."""
        return len(self._shown)

    @property
    def update_phases(self) -> range:
        """All phases but the last."""
        return range(self.n_phases - 1)

    def classes_in(self, phase: int) -> tuple[int, ...]:
        """Give the classes whose samples may arrive in a phase."""
        if not 0 <= phase < self.n_phases:
            raise IndexError(f"phase {phase} of {self.n_phases}")
        return self._shown[phase]

    def new_in(self, phase: int) -> tuple[int, ...]:
        """Give those of them that arrive for the first time and are not base classes."""
        known = {label for shown in (self.groups[0], *self._shown[:phase]) for label in shown}
        return tuple(label for label in self.classes_in(phase) if label not in known)

    def _alike(self, classes: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """Give the same probability to each of some classes, shape (n_classes,)."""
        probabilities = np.zeros(self._n_classes)
        probabilities[list(classes)] = 1 / len(classes)
        return probabilities


class Blurry(_Phases):
    """Phase p shows mostly group p, and a share of samples from all other classes.

    There are as many phases as groups. With `blur` 0 each phase shows its own group alone.

    Source: the "blurry" configuration of J. Bang et al., Rainbow Memory, CVPR 2021, in which minor
    classes have a share M of each task; H. Koh et al., ICLR 2022 (i-Blurry), add disjoint classes.

    >>> schedule = Blurry(Blurry.Params(base_classes=4, increment=3, blur=0.1), 10, 2025)
    >>> schedule.groups
    ((6, 1, 5, 9), (0, 4, 7), (3, 8, 2))
    >>> schedule.mix(1, np.zeros(1))[0, [0, 4, 7]].round(3).tolist()
    [0.3, 0.3, 0.3]
    """

    @dataclass(frozen=True, kw_only=True)
    class Params(_Sizes):
        """Sizes of the groups and how much they blur.

        Attributes
        ----------
        blur : share of samples that are of other classes than the phase's own.
        """

        blur: Annotated[float, Ge(0), Lt(1)] = 0.1

    def __init__(self, params: Params, n_classes: int, seed: int):
        groups = class_groups(n_classes, params.base_classes, params.increment, seed)
        everything: tuple[int, ...] = sum(groups, ())
        super().__init__(groups, (everything,) * len(groups) if params.blur else groups)
        self.params = params

    def mix(self, phase: int, share: FloatArray) -> npt.NDArray[np.float64]:
        """Give 1 - blur to the phase's group and blur to the others, alike within each."""
        own = self.groups[phase]
        others = tuple(label for group in self.groups if group != own for label in group)
        blur = self.params.blur
        row = (1 - blur) * self._alike(own) + blur * self._alike(others)
        return np.broadcast_to(row, (len(share), len(row)))


class Recurring(_Phases):
    """Groups that come back: each phase shows one group, and the cycle is repeated.

    Source: the setting of A. Cossu et al., Is class-incremental enough for continual learning?,
    Frontiers in Artificial Intelligence 2022 (class-incremental with repetition).

    >>> params = Recurring.Params(base_classes=4, increment=3, order=(0, 1, 0, 2), cycles=2)
    >>> schedule = Recurring(params, 10, 2025)
    >>> schedule.n_phases, schedule.classes_in(2) == schedule.classes_in(4) == schedule.groups[0]
    (8, True)
    """

    @dataclass(frozen=True, kw_only=True)
    class Params(_Sizes):
        """Sizes of the groups and the cycle in which they come.

        Attributes
        ----------
        cycles : how often the cycle is gone through.
        order : numbers of the groups in one cycle, 0 for the base classes; empty: all in turn.
        """

        cycles: Annotated[int, Ge(1)] = 2
        order: tuple[Annotated[int, Ge(0)], ...] = ()

    def __init__(self, params: Params, n_classes: int, seed: int):
        groups = class_groups(n_classes, params.base_classes, params.increment, seed)
        order = params.order or tuple(range(len(groups)))
        if max(order) >= len(groups):
            raise UserError(f"order: expected groups 0 to {len(groups) - 1}, got {max(order)}")
        super().__init__(groups, tuple(groups[i] for i in order) * params.cycles)
        self.params = params


class Gradual(_Phases):
    """The mix of classes moves linearly from the last phase's to this one's.

    The move fills the first part of each phase, or all of it; then the new mix stays. Phase 0
    begins with the base classes alone.

    >>> schedule = Gradual(Gradual.Params(base_classes=4, increment=3, classes="group"), 10, 2025)
    >>> schedule.mix(1, np.array([0.0, 0.5, 1.0]))[:, [6, 0]].round(3).tolist()
    [[0.25, 0.0], [0.125, 0.167], [0.0, 0.333]]
    """

    @dataclass(frozen=True, kw_only=True)
    class Params(_Sizes):
        """Sizes of the groups, what the phases lead to, and how fast.

        Attributes
        ----------
        over : share of a phase that the move takes.
        classes : `seen_and_new` leads to the classes so far and the next group,
            as in `class_incremental`; `group` leads to one group after the other.
        """

        over: Annotated[float, Gt(0), Le(1)] = 1.0
        classes: Literal["seen_and_new", "group"] = "seen_and_new"

    def __init__(self, params: Params, n_classes: int, seed: int):
        groups = class_groups(n_classes, params.base_classes, params.increment, seed)
        targets = groups
        if params.classes == "seen_and_new":
            targets = tuple(sum(groups[: i + 2], ()) for i in range(len(groups)))
        self._ways = tuple(zip((groups[0], *targets), targets, strict=False))
        shown = tuple(tuple(dict.fromkeys(start + end)) for start, end in self._ways)
        super().__init__(groups, shown)
        self.params = params

    def mix(self, phase: int, share: FloatArray) -> npt.NDArray[np.float64]:
        """Give the mix between the one at the beginning and the one that it leads to."""
        start, end = map(self._alike, self._ways[phase])
        done = np.clip(np.asarray(share, dtype=np.float64) / self.params.over, 0, 1)[:, None]
        return (1 - done) * start + done * end
