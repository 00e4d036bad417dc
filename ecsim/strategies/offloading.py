"""The base of strategies that infer at the edge, upload some samples, and learn from some.

Which samples are uploaded for their answer and which are kept to learn from are two choices. They
coincide by default (`buffer: routed`). Otherwise what is kept may not have been uploaded: its label
then costs an upload of its own, after the answer and beside the tasks, marked `label_upload`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ecsim.collab.context import Context
from ecsim.collab.routines import Asking, ask, ask_cloud, learn
from ecsim.collab.strategy import Background, Serving, Strategy
from ecsim.core.errors import FlowError
from ecsim.core.types import Answer, Prediction, Task
from ecsim.records.tables import LABEL_UPLOAD

P = TypeVar("P", bound=Asking)


class Offloading(Strategy[P]):
    """Infer on the device, upload what `routes` says, keep for learning what `keeps` says."""

    def routes(self, task: Task, edge: Prediction, ctx: Context) -> bool:
        """Whether the sample is uploaded for its answer."""
        raise NotImplementedError(f"{type(self).__name__} does not override routes()")

    def keeps(self, task: Task, edge: Prediction, ctx: Context, is_routed: bool) -> bool:
        """Whether the device keeps the sample and the cloud's answer to learn from."""
        return is_routed

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Infer on the device; upload if the rule says so."""
        edge = yield ctx.infer(task.device, task)
        is_routed = self.routes(task, edge, ctx)
        is_kept = self.keeps(task, edge, ctx, is_routed)
        if not is_routed:
            if is_kept and ctx.learns:
                ctx.mailbox(_mailbox(task.device)).put(task)
            return Answer(edge.label, at=task.device, by=edge)
        answer = yield from ask(task, ctx, self.params, edge)
        if is_kept and answer.by is not edge:
            ctx.buffer(task.device).put(task.sample_id, answer.by)
        return answer

    def background(self, ctx: Context) -> Iterable[Background]:
        """One learner per device, and one that fetches labels where they need their own uploads."""
        if not ctx.learns:
            return
        for device in ctx.devices:
            yield learn(device, ctx)
            if getattr(self.params, "buffer", "routed") != "routed":
                yield self._fetch_labels(device, ctx)

    def _fetch_labels(self, device: str, ctx: Context) -> Background:
        """Upload samples for the buffer alone, one after the other."""
        while True:
            task: Task = yield ctx.mailbox(_mailbox(device)).get()
            ctx.record(LABEL_UPLOAD, task.payload_bytes)
            try:
                answer = yield from ask_cloud(task, ctx, self.params.reply)
            except FlowError:
                continue
            ctx.buffer(device).put(task.sample_id, answer.by)


def _mailbox(device: str) -> str:
    return f"labels {device}"
