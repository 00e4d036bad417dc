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

    An update takes what it learns from out of the buffer (ECC-SNN, section 4.3: it is flushed);
    samples of classes with too little support stay for a later one. With nothing to learn from
    there is no update.
    """
    while True:
        yield ctx.until(ctx.update_when, device)
        batch = ctx.buffer(device).batch()
        result = yield ctx.train(device, ctx.learner, ctx.model(device), batch)
        if result is not None:
            ctx.deploy(device, result.model)
