"""Every sample goes to the cloud; the reference in accuracy, network load and latency."""

from __future__ import annotations

from dataclasses import dataclass

from ecsim.collab.context import Context
from ecsim.collab.routines import Asking, ask
from ecsim.collab.strategy import Serving, Strategy, Way
from ecsim.core.types import Prediction, Task


@dataclass(frozen=True)
class CloudOnlyParams(Asking):
    """How it asks the cloud; a fall-back to the edge takes an inference there."""


class CloudOnly(Strategy[CloudOnlyParams]):
    """Answer in the cloud, without an inference on the device unless that is the fall-back."""

    Params = CloudOnlyParams

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Upload, infer in the cloud, return its answer."""
        return (yield from ask(task, ctx, self.params))

    def way(self) -> Way | None:
        """Give the way over the cloud; none where a time-out or a retry may change it."""
        return Way(False, self.params.reply) if self.params.is_plain else None

    def offloads(self, edge: Prediction) -> bool:
        """Say yes, always."""
        return True
