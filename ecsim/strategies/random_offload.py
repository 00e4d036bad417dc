"""Random offloading: the control that shows whether choosing *which* samples to upload matters.

With ``rate: match LABEL`` each device uploads, in each phase, exactly as many samples as the
strategy LABEL did, chosen uniformly at random; with a number, each sample with that probability.
With ``buffer: filtered`` it learns from what a filter would have uploaded instead.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Literal

import numpy as np
from annotated_types import Interval

from ecsim.collab.context import Context
from ecsim.collab.filters import Filter, Filtered
from ecsim.collab.matching import Matching
from ecsim.collab.routines import Asking
from ecsim.collab.strategy import Way
from ecsim.collab.validation import Validation
from ecsim.core.types import BoolArray, IntArray, Prediction, Task
from ecsim.strategies.offloading import Offloading

_STREAM = "random_offload"


@dataclass(frozen=True)
class RandomOffloadParams(Filtered, Asking):
    """Parameters of random offloading, and how it asks the cloud.

    Attributes
    ----------
    rate : probability of an upload, or ``match LABEL``.
    buffer : what devices learn from: what was routed to the cloud, or what the filter would have
        sent there (filtered), with an upload of its own where it was not; the filter's keys are
        for it alone.
    """

    rate: Annotated[float, Interval(ge=0.0, le=1.0)] | str = 0.5
    buffer: Literal["routed", "filtered"] = "routed"

    def __post_init__(self) -> None:
        Filtered.__post_init__(self)
        if isinstance(self.rate, str) and not self.rate.startswith("match "):
            raise ValueError(f"rate: expected a number or 'match LABEL', got {self.rate!r}")
        if self.buffer == "routed":
            for key in fields(Filtered):
                if getattr(self, key.name) != key.default:
                    raise ValueError(f"{key.name}: has no effect with buffer: routed")


class RandomOffload(Offloading[RandomOffloadParams]):
    """Infer at the edge, then upload or not by the toss of a coin; learn like ECC-SNN."""

    Params = RandomOffloadParams

    def __init__(self, params: RandomOffloadParams):
        super().__init__(params)
        self._filter = Filter(params)
        self._matching = Matching()

    def prepare(self, validation: Validation) -> None:
        """Let the filter look at the validation pool."""
        self._filter.prepare(validation)

    def routes(self, task: Task, edge: Prediction, ctx: Context) -> bool:
        """Whether the draw says so."""
        toss = ctx.random(_STREAM, task.device).random()
        return self._is_chosen(toss, task.device, task.phase, ctx)

    def keeps(self, task: Task, edge: Prediction, ctx: Context, is_routed: bool) -> bool:
        """Whether the device learns from the sample: where it was routed, or by the filter."""
        if self.params.buffer == "routed":
            return is_routed
        score = self._filter.score(edge, task.sample_id)
        return score > self._filter.threshold(edge.model)

    def way(self) -> Way | None:
        """Give the way of ECC-SNN; none where a time-out or a retry may change it."""
        if not self.params.is_plain or type(self).routes is not RandomOffload.routes:
            return None
        return Way(True, self.params.reply)

    def chosen(self, device: str, phases: IntArray, ctx: Context) -> BoolArray:
        """Toss the coins of a device's tasks, in their order."""
        tosses = ctx.random(_STREAM, device).random(len(phases))
        if not isinstance(self.params.rate, str):
            return tosses < self.params.rate
        pairs = zip(tosses.tolist(), np.asarray(phases).tolist(), strict=True)
        return np.array([self._is_chosen(toss, device, phase, ctx) for toss, phase in pairs], bool)

    def _is_chosen(self, toss: float, device: str, phase: int, ctx: Context) -> bool:
        if isinstance(self.params.rate, str):
            return self._matching.is_chosen(toss, device, phase, ctx)
        return toss < self.params.rate
