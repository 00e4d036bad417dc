"""Random offloading: the control that shows whether choosing *which* samples to upload matters.

With ``rate: match LABEL`` each device uploads, in each phase, exactly as many samples as the
strategy LABEL did, chosen uniformly at random; with a number, each sample with that probability.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from ecsim.collab.context import Context
from ecsim.collab.routines import Asking, ask, learn_on_device
from ecsim.collab.strategy import Background, Serving, Strategy, Way
from ecsim.core.types import Answer, BoolArray, IntArray, Task

_STREAM = "random_offload"


@dataclass(frozen=True)
class RandomOffloadParams(Asking):
    """Parameters of random offloading, and how it asks the cloud.

    Attributes
    ----------
    rate : probability of an upload, or ``match LABEL``.
    """

    rate: Annotated[float, Interval(ge=0.0, le=1.0)] | str = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.rate, str) and not self.rate.startswith("match "):
            raise ValueError(f"rate: expected a number or 'match LABEL', got {self.rate!r}")


class RandomOffload(Strategy[RandomOffloadParams]):
    """Infer at the edge, then upload or not by the toss of a coin; learn like ECC-SNN."""

    Params = RandomOffloadParams

    def __init__(self, params: RandomOffloadParams):
        super().__init__(params)
        self._left: dict[tuple[str, int], tuple[int, int]] = {}  # (uploads, tasks) still to come

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Infer on the device; upload if the draw says so."""
        edge = yield ctx.infer(task.device, task)
        toss = ctx.random(_STREAM, task.device).random()
        if not self._is_chosen(toss, task.device, task.phase, ctx):
            return Answer(edge.label, at=task.device, by=edge)
        answer = yield from ask(task, ctx, self.params, edge)
        if answer.by is not edge:
            ctx.buffer(task.device).put(task.sample_id, answer.by)
        return answer

    def background(self, ctx: Context) -> Iterable[Background]:
        """One learner per device, as in ECC-SNN."""
        return (learn_on_device(device, ctx) for device in ctx.devices if ctx.learns)

    def way(self) -> Way | None:
        """Give the way of ECC-SNN; none where a time-out or a retry may change it."""
        return Way(True, self.params.reply) if self.params.is_plain else None

    def chosen(self, device: str, phases: IntArray, ctx: Context) -> BoolArray:
        """Toss the coins of a device's tasks, in their order."""
        tosses = ctx.random(_STREAM, device).random(len(phases))
        if not isinstance(self.params.rate, str):
            return tosses < self.params.rate
        pairs = zip(tosses.tolist(), np.asarray(phases).tolist(), strict=True)
        return np.array([self._is_chosen(toss, device, phase, ctx) for toss, phase in pairs], bool)

    def _is_chosen(self, toss: float, device: str, phase: int, ctx: Context) -> bool:
        if not isinstance(self.params.rate, str):
            return toss < self.params.rate
        # Selection sampling: each of the tasks to come is equally likely to be among the uploads,
        # and their number comes out exactly.
        place = (device, phase)
        uploads, tasks = self._left.get(place) or ctx.reference_uploads(*place)
        chosen = toss * tasks < uploads
        self._left[place] = (uploads - chosen, tasks - 1)
        return chosen
