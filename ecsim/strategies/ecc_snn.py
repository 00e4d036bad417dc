"""ECC-SNN: answer at the edge when confident, else ask the cloud and learn from its answer.

Source: Yu et al., "ECC-SNN: Cost-Effective Edge-Cloud Collaboration for Spiking Neural Networks",
IJCAI 2025, Algorithm 1 and section 4.3. Erratum: Eq. 4 uploads for s > delta, Algorithm 1 for
s >= delta; here s > delta.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from ecsim.collab.context import Context
from ecsim.collab.routines import Asking, ask, learn_on_device
from ecsim.collab.strategy import Background, Serving, Strategy, Way
from ecsim.core.types import Answer, Prediction, Task


@dataclass(frozen=True)
class EccSnnParams(Asking):
    """Parameters of ECC-SNN, and how it asks the cloud.

    Attributes
    ----------
    threshold : delta of Eq. 4; a normalised entropy above it sends the sample to the cloud.
    """

    threshold: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.3


class EccSnn(Strategy[EccSnnParams]):
    """Answer at the edge when confident, else ask the cloud (Algorithm 1)."""

    Params = EccSnnParams

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Infer on the device; upload when its normalised entropy exceeds the threshold."""
        edge = yield ctx.infer(task.device, task)
        if not self.offloads(edge):
            return Answer(edge.label, at=task.device, by=edge)
        answer = yield from ask(task, ctx, self.params, edge)
        if answer.by is not edge:
            ctx.buffer(task.device).put(task.sample_id, answer.by)
        return answer

    def way(self) -> Way | None:
        """Give Algorithm 1's way; none where a time-out or a retry may change it."""
        return Way(True, self.params.reply) if self.params.is_plain else None

    def offloads(self, edge: Prediction) -> bool:
        """Whether the sample is ambiguous to the device (Eq. 4 and 13)."""
        return edge.normalized_entropy > self.params.threshold

    def background(self, ctx: Context) -> Iterable[Background]:
        """One learner per device: the Update stage."""
        return (learn_on_device(device, ctx) for device in ctx.devices if ctx.learns)
