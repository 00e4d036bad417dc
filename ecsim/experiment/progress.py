"""What a sweep tells while it goes on. Every method has a default that says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecsim.experiment.job import Outcome


class SweepProgress:
    """Told about cells; override what you want to show."""

    def begin(self, n_cells: int, n_done: int) -> None:
        """Tell how many cells there are, and how many of them are done already."""

    def end_of_cell(self, outcome: Outcome) -> None:
        """Tell how a cell ended."""
