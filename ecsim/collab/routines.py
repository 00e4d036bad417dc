"""Steps that several strategies share, to be used with ``yield from``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecsim.collab.strategy import Background, Serving
from ecsim.core.types import Answer, Task

if TYPE_CHECKING:
    from ecsim.collab.context import Context


def ask_cloud(task: Task, ctx: Context, reply_bytes: float) -> Serving:
    """Upload the sample, infer in the nearest cloud node, and bring the answer back.

    The answer and the cloud's logits come with the reply; the device keeps them in its buffer
    when the strategy learns from them.
    """
    cloud = ctx.near(task.device, "cloud")
    yield ctx.send(task.device, cloud, task.payload_bytes)
    prediction = yield ctx.infer(cloud, task)
    yield ctx.send(cloud, task.device, reply_bytes)
    return Answer(prediction.label, at=cloud, by=prediction)


def learn_on_device(device: str, ctx: Context) -> Background:
    """Train on the device whenever the scenario's update condition holds, then deploy.

    The buffer is flushed by each update (ECC-SNN, section 4.3); an update that finds nothing to
    learn from is skipped.
    """
    while True:
        yield ctx.until(ctx.update_when, device)
        result = yield ctx.train(device, ctx.learner, ctx.model(device), ctx.buffer(device).flush())
        if result is not None:
            ctx.deploy(device, result.model)
