"""Random choices whose number is that of another arm's uploads, per device and phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecsim.collab.context import Context


class Matching:
    """Selection sampling (Knuth, TAOCP 2, algorithm 3.4.2 S), device by device, phase by phase.

    Each of the tasks to come is equally likely to be among the chosen, and their number comes out
    exactly as the reference arm had uploads.
    """

    def __init__(self) -> None:
        self._left: dict[tuple[str, int], tuple[int, int]] = {}  # (uploads, tasks) still to come

    def is_chosen(self, toss: float, device: str, phase: int, ctx: Context) -> bool:
        """Say whether the next task is chosen; `toss` is uniform on [0, 1)."""
        place = (device, phase)
        uploads, tasks = self._left.get(place) or ctx.reference_uploads(*place)
        chosen = toss * tasks < uploads
        self._left[place] = (uploads - chosen, tasks - 1)
        return chosen
