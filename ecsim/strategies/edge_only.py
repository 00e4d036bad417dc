"""Every device answers by itself; the lower reference.

With ``versions: LABEL`` it serves the model versions that another strategy trained, at the times
at which that strategy deployed them.
"""

from __future__ import annotations

from ecsim.collab.context import Context
from ecsim.collab.strategy import NoParams, Serving, Strategy, Way
from ecsim.core.types import Answer, Prediction, Task


class EdgeOnly(Strategy[NoParams]):
    """Answer at the edge, always."""

    Params = NoParams

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Infer on the device and return its answer."""
        edge = yield ctx.infer(task.device, task)
        return Answer(edge.label, at=task.device, by=edge)

    def way(self) -> Way:
        """Give the device's inference, and no more."""
        return Way(asks_device=True)

    def offloads(self, edge: Prediction) -> bool:
        """Say no, always."""
        return False
