"""Steps that several strategies share, to be used with ``yield from``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Interval

from ecsim.collab.strategy import Background, Serving
from ecsim.core.errors import Down, FlowError, TimedOut
from ecsim.core.types import Answer, Prediction, Task
from ecsim.core.units import Bytes, Seconds

if TYPE_CHECKING:
    from ecsim.collab.context import Context


@dataclass(frozen=True)
class Asking:
    """How a device asks the cloud, and what it does when no answer comes.

    Attributes
    ----------
    reply : size of the cloud's answer, label and logits.
    timeout : time for which it waits for an answer; without it as long as it takes.
    retries : how often it asks again after a time-out or a failure.
    backoff : pause before the first retry; it doubles with each further one.
    on_timeout : what it does when the last attempt has failed: edge (answer with its own
        prediction), drop (give no answer), or wait (give the last attempt all the time it takes).
    """

    reply: Annotated[Bytes, Ge(0)] = 100.0
    timeout: Annotated[Seconds, Gt(0)] | None = None
    retries: Annotated[int, Interval(ge=0, le=100)] = 0
    backoff: Annotated[Seconds, Ge(0)] = 1.0
    on_timeout: Literal["edge", "drop", "wait"] = "drop"

    @property
    def is_plain(self) -> bool:
        """Whether it asks once, waits for as long as it takes, and has no way out of a failure."""
        return self.timeout is None and not self.retries and self.on_timeout != "edge"


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


def ask(task: Task, ctx: Context, asking: Asking, edge: Prediction | None = None) -> Serving:
    """Ask the cloud as `asking` says; `edge` is the device's own prediction, if it has one.

    Without one, a fall-back infers on the device first. When the device itself goes out there is
    neither a retry nor a fall-back.

    Raises
    ------
    TimedOut, Lost, Down, Refused
        At the end of the last attempt, unless ``on_timeout`` is ``edge``.
    """
    if asking.is_plain:
        return ask_cloud(task, ctx, asking.reply)
    return _ask_again(task, ctx, asking, edge)


def _ask_again(task: Task, ctx: Context, asking: Asking, edge: Prediction | None) -> Serving:
    pause_s = asking.backoff
    for attempt in range(asking.retries + 1):
        is_last = attempt == asking.retries
        timeout_s = None if is_last and asking.on_timeout == "wait" else asking.timeout
        try:
            return (yield from _ask_within(task, ctx, asking.reply, timeout_s))
        except FlowError as error:
            is_own = isinstance(error, Down) and error.node == task.device
            if is_own or (is_last and asking.on_timeout != "edge"):
                raise
        if not is_last:
            yield ctx.after(pause_s)
            pause_s *= 2.0
    if edge is None:
        edge = yield ctx.infer(task.device, task)
    return Answer(edge.label, at=task.device, by=edge)


def _ask_within(task: Task, ctx: Context, reply_bytes: float, timeout_s: float | None) -> Serving:
    asked = ask_cloud(task, ctx, reply_bytes)
    if timeout_s is None:
        return (yield from asked)
    winner, answer = yield ctx.first(asked, ctx.after(timeout_s))
    if winner == 1:
        raise TimedOut(f"no answer within {timeout_s} s")
    found: Answer = answer
    return found


def learn(device: str, ctx: Context) -> Background:
    """Train where the scenario says, whenever its update condition holds, then deploy."""
    return learn_in_cloud(device, ctx) if ctx.updates_in_cloud else learn_on_device(device, ctx)


def learn_on_device(device: str, ctx: Context) -> Background:
    """Train on the device whenever the scenario's update condition holds, then deploy.

    An update takes what it learns from out of the buffer (ECC-SNN, section 4.3: it is flushed);
    samples of classes with too little support stay for a later one. With nothing to learn from
    there is no update. A training that is lost, because the device goes out, is tried again with
    the same samples and newer ones when the condition holds next.
    """
    buffer = ctx.buffer(device)
    while True:
        yield ctx.until(ctx.update_when, device)
        while not ctx.may_update(device):
            yield ctx.until("charging", device)
        try:
            result = yield ctx.train(device, ctx.learner, ctx.model(device), buffer.batch())
        except FlowError:
            buffer.restore()
            continue
        if result is not None:
            ctx.deploy(device, result.model)


def learn_in_cloud(device: str, ctx: Context) -> Background:
    """Upload the buffer, train in the nearest cloud node, bring the weights back, then deploy.

    The practice that ECC-SNN argues against (its introduction). Updates of devices that ask at the
    same time share links and the cloud's engine with the tasks and with each other. The whole
    buffer is uploaded; an update that fails on its way is tried again when the condition holds
    next.
    """
    buffer = ctx.buffer(device)
    while True:
        yield ctx.until(ctx.update_when, device)
        while not ctx.may_update(device):
            yield ctx.until("charging", device)
        batch, parent = buffer.batch(), ctx.model(device)
        if batch is None:
            continue
        cloud = ctx.near(device, "cloud")
        up_bytes = len(batch.sample_ids) * ctx.sample_bytes
        try:
            yield ctx.send(device, cloud, up_bytes)
        except FlowError:
            continue  # nothing was taken out of the buffer yet
        try:
            result = yield ctx.train(
                cloud, ctx.learner, parent, batch, of=device, sent_bytes=up_bytes
            )
            if result is None:
                continue
            weights = result.model
            yield ctx.send(cloud, device, weights.param_bytes, carries=weights)
        except FlowError:
            buffer.restore()
            continue
        ctx.deploy(device, weights)
