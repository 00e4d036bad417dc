"""A stream in which nothing is ever new: all classes are known from the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge


class Stationary:
    """All classes arrive alike in every phase, and every model knows them.

    Parameters
    ----------
    n_classes : classes of the data set.
    seed : the `order` seed, which decides nothing here.

    >>> schedule = Stationary(Stationary.Params(), 3, 0)
    >>> schedule.groups, schedule.n_phases, schedule.classes_in(0), schedule.new_in(0)
    (((0, 1, 2),), 1, (0, 1, 2), ())
    """

    @dataclass(frozen=True, kw_only=True)
    class Params:
        """Length of the run.

        Attributes
        ----------
        phases : number of phases, all alike; an update may follow each but the last.
        """

        phases: Annotated[int, Ge(1)] = 1

    def __init__(self, params: Params, n_classes: int, seed: int):
        self.groups: tuple[tuple[int, ...], ...] = (tuple(range(n_classes)),)
        self.n_phases = params.phases

    @property
    def update_phases(self) -> range:
        """All phases but the last."""
        return range(self.n_phases - 1)

    def classes_in(self, phase: int) -> tuple[int, ...]:
        """Give all classes; raise `ValueError` for a phase that there is not."""
        if not 0 <= phase < self.n_phases:
            raise ValueError(f"there are phases 0 to {self.n_phases - 1}, not {phase}")
        return self.groups[0]

    def new_in(self, phase: int) -> tuple[int, ...]:
        """Give none."""
        return ()
