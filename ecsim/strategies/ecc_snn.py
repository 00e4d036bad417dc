"""ECC-SNN: answer at the edge when confident, else ask the cloud and learn from its answer.

Source: Yu et al., "ECC-SNN: Cost-Effective Edge-Cloud Collaboration for Spiking Neural Networks",
IJCAI 2025, Algorithm 1 and section 4.3. Erratum: Eq. 4 uploads for s > delta, Algorithm 1 for
s >= delta; here s > delta.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Interval

from ecsim.collab.context import Context
from ecsim.collab.routines import ask_cloud, learn_on_device
from ecsim.collab.strategy import Background, Serving, Strategy
from ecsim.core.types import Answer, Prediction, Task
from ecsim.core.units import Bytes


@dataclass(frozen=True)
class EccSnnParams:
    """Parameters of ECC-SNN.

    Attributes
    ----------
    threshold : delta of Eq. 4; a normalised entropy above it sends the sample to the cloud.
    reply : size of the cloud's answer, label and logits.
    """

    threshold: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.3
    reply: Annotated[Bytes, Ge(0)] = 100.0


class EccSnn(Strategy[EccSnnParams]):
    """Answer at the edge when confident, else ask the cloud (Algorithm 1)."""

    Params = EccSnnParams

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Infer on the device; upload when its normalised entropy exceeds the threshold."""
        edge = yield ctx.infer(task.device, task)
        if not self.offloads(edge):
            return Answer(edge.label, at=task.device, by=edge)
        answer = yield from ask_cloud(task, ctx, self.params.reply)
        ctx.buffer(task.device).put(task.sample_id, answer.by)
        return answer

    def offloads(self, edge: Prediction) -> bool:
        """Whether the sample is ambiguous to the device (Eq. 4 and 13)."""
        return edge.normalized_entropy > self.params.threshold

    def background(self, ctx: Context) -> Iterable[Background]:
        """One learner per device: the Update stage."""
        return (learn_on_device(device, ctx) for device in ctx.devices if ctx.learns)
