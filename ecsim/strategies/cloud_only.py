"""Every sample goes to the cloud; the reference in accuracy, network load and latency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from ecsim.collab.context import Context
from ecsim.collab.routines import ask_cloud
from ecsim.collab.strategy import Serving, Strategy
from ecsim.core.types import Prediction, Task
from ecsim.core.units import Bytes


@dataclass(frozen=True)
class CloudOnlyParams:
    """`reply` is the size of the cloud's answer."""

    reply: Annotated[Bytes, Ge(0)] = 100.0


class CloudOnly(Strategy[CloudOnlyParams]):
    """Answer in the cloud, always, without an inference on the device."""

    Params = CloudOnlyParams

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Upload, infer in the cloud, return its answer."""
        return (yield from ask_cloud(task, ctx, self.params.reply))

    def offloads(self, edge: Prediction) -> bool:
        """Say yes, always."""
        return True
