"""The base of strategies that ask one exit after the other, each further from the device or deeper.

Source: the survey, section IV.B ("progressive co-inference": criteria, budgets, fusion of several
ends); DDNN for exits on end, edge and cloud; DeepAdapter for the choice between edge and cloud.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, cast

import numpy as np
from annotated_types import Ge, Gt

from ecsim.collab.context import Context
from ecsim.collab.exiting import Asked, Exiting, Leaving
from ecsim.collab.fusion import FusionName
from ecsim.collab.outline import Outline
from ecsim.collab.strategy import Background, Serving, Strategy
from ecsim.collab.validation import Validation
from ecsim.core.entropy import normalized_entropy
from ecsim.core.errors import Down, FlowError, UserError
from ecsim.core.types import Answer, ModelRef, Part, Prediction, Task, Work
from ecsim.core.units import Bytes, Joules, Seconds

TierName: TypeAlias = Literal["end", "edge", "cloud", "edge_or_cloud"]
_RANK = {"end": 0, "edge": 1, "edge_or_cloud": 1, "cloud": 2}
_MEASURED = 32  # samples whose mean work tells what an exit will take


@dataclass(frozen=True)
class Progress(Leaving):
    """When an exit answers, what going on may cost, and what several devices do together.

    Attributes
    ----------
    reply : size of an answer that is sent back to the device.
    time_budget : time since the arrival within which an exit answers, however unsure, rather than
        go on; `deadline` takes the task's own.
    energy_budget : the same for the marginal energy of a task.
    on_failure : what follows when going on fails (a message is lost, a node is out): answer (with
        what the exit before said) or drop.
    views : own, or all: every device looks at the scene, and what their exits say is fused.
    fusion : average or max (of the logits), vote, weights (average by accuracy on the validation
        pool) or concatenation (a linear layer fitted there).
    hub : tier whose nearest node fuses what is said on the devices.
    """

    reply: Annotated[Bytes, Ge(0)] = 100.0
    time_budget: Annotated[Seconds, Gt(0)] | Literal["deadline"] | None = None
    energy_budget: Annotated[Joules, Gt(0)] | None = None
    on_failure: Literal["answer", "drop"] = "answer"
    views: Literal["own", "all"] = "own"
    fusion: FusionName = "average"
    hub: Literal["edge", "cloud"] = "edge"

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, default in (("fusion", "average"), ("hub", "edge")):
            if self.views == "own" and getattr(self, key) != default:
                raise ValueError(f"{key}: has no effect with views: own")


@dataclass(frozen=True, slots=True)
class Step:
    """An exit on a task's way.

    Attributes
    ----------
    tier : where it is asked; the device's own tier is the device itself.
    exit : its number in the model.
    after : the exit whose tensor it goes on from, where that can be; None: from the sample.
    crossing_bytes : size of that tensor on a link; None: the sample is sent instead.
    """

    model: ModelRef
    tier: TierName
    exit: int
    after: int | None = None
    crossing_bytes: float | None = None


P = TypeVar("P", bound=Progress)
Going = Generator[Any, Any, Prediction]


class Progressive(Strategy[P]):
    """Asks exits one after the other until one is sure, or going on would take too much."""

    def __init__(self, params: P):
        super().__init__(params)
        self._validation: Validation | None = None
        self._steps: list[Step] | None = None
        self._exiting: dict[tuple[int, ...], Exiting] = {}
        self._works: dict[tuple[str, Part], Work] = {}

    def steps(self, ctx: Context) -> list[Step]:
        """Give the exits in the order in which they are asked; called once, at the start."""
        raise NotImplementedError(f"{type(self).__name__} does not override steps()")

    def places(self, outline: Outline) -> list[str]:
        """Give the tier of each step, for `check`; the devices' own may be given as edge."""
        return []

    def check(self, outline: Outline) -> None:
        """See that exits, tiers, thresholds and deadlines are there."""
        params, places = self.params, self.places(outline)
        for place in places:
            for tier in _tiers(cast(TierName, place)):
                outline.check_tier("at", tier)
        given, n = params.threshold, len(places) - 1
        if places and isinstance(given, tuple) and len(given) != n:
            raise UserError(
                f"threshold: expected {n} numbers, one per exit but the last, got {len(given)}"
            )
        if params.time_budget == "deadline" and not outline.has_deadlines:
            raise UserError("time_budget: expected tasks with a deadline (stream.deadline)")

    def prepare(self, validation: Validation) -> None:
        """Keep the validation pool, for thresholds, gates and fusions."""
        self._validation = validation

    def background(self, ctx: Context) -> Iterable[Background]:
        """Let every node have the models that it is asked for; no flow runs beside the tasks."""
        self._steps = steps = self.steps(ctx)
        hubs = ctx.nodes(self.params.hub) if self.params.views == "all" else []
        for step in steps:
            for node in [n for tier in _tiers(step.tier) for n in ctx.nodes(tier)] + hubs:
                if ctx.model(node).key != step.model.key:
                    ctx.install(node, step.model)
        return ()

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Ask exits until one answers; bring its answer to the device."""
        steps = self._steps
        assert steps is not None
        everybody = ctx.devices if self.params.views == "all" else (task.device,)
        views = [task] if len(everybody) == 1 else [ctx.view(task, name) for name in everybody]
        exiting = self._exiting_of(views)
        here = [view.device for view in views]
        answer: Answer | None = None
        for k, step in enumerate(steps):
            if answer is not None and (yield from self._is_over(task, here, step, ctx)):
                break
            there = [self._node(view, at, step, ctx) for view, at in zip(views, here, strict=True)]
            try:
                node, said = yield from self._ask(views, here, there, step, ctx)
            except FlowError as error:
                is_own = isinstance(error, Down) and error.node == task.device
                if is_own or answer is None or self.params.on_failure == "drop":
                    raise
                break
            prediction = _fused(exiting.fused(k, [one.logits for one in said]), said)
            answer, here = Answer(prediction.label, at=node, by=prediction), there
            if k + 1 == len(steps) or exiting.is_sure(k, prediction):
                break
        assert answer is not None
        if answer.at != task.device:
            yield ctx.send(answer.at, task.device, self.params.reply)
        return answer

    def _ask(
        self, views: Sequence[Task], here: list[str], there: list[str], step: Step, ctx: Context
    ) -> Generator[Any, Any, tuple[str, list[Prediction]]]:
        """Ask one exit about all views; give the node that knows the answers, and the answers."""
        pairs = zip(views, here, there, strict=True)
        if len(views) == 1:
            ((view, a, b),) = pairs
            return b, [(yield from self._go(view, a, b, None, step, ctx))]
        hub = there[0] if len({*there}) == 1 else ctx.near(views[0].device, self.params.hub)
        branches = [self._go(view, a, b, hub, step, ctx) for view, a, b in pairs]
        said: list[Prediction] = yield ctx.all(*branches)
        return hub, said

    def _go(
        self, view: Task, here: str, there: str, hub: str | None, step: Step, ctx: Context
    ) -> Going:
        """Take one view to where it is asked next, ask, and take the logits to the hub."""
        if here != there:
            size = step.crossing_bytes
            yield ctx.send(here, there, view.payload_bytes if size is None else size)
        part = _part(step, here != there)
        said: Prediction = yield ctx.infer(there, view, step.model, part)
        if hub is not None and hub != there:
            yield ctx.send(there, hub, 4.0 * len(said.logits))  # float32
        return said

    def _is_over(
        self, task: Task, here: list[str], step: Step, ctx: Context
    ) -> Generator[Any, Any, bool]:
        """Whether going on to a step would exceed a budget; what is behind counts as it was."""
        params = self.params
        limit_s = task.deadline_s if params.time_budget == "deadline" else params.time_budget
        assert not isinstance(limit_s, str)
        if limit_s is not None:
            node = self._node(task, here[0], step, ctx)
            more_s = self._expected_s(task, here[0], node, step, ctx)
            if ctx.now - task.t_arrive_s + more_s > limit_s:
                return True
        if params.energy_budget is None:
            return False
        node = self._node(task, here[0], step, ctx)
        _, joules = ctx.price(node, self._work(step, node != here[0]))
        spent_j: float = yield ctx.spent()
        return spent_j + len(here) * joules > params.energy_budget

    def _node(self, view: Task, here: str, step: Step, ctx: Context) -> str:
        """Give the node at which a view is asked next."""
        near = [_nearest(view.device, tier, ctx) for tier in _tiers(step.tier)]
        if len(near) == 1 or here in near:  # what has arrived somewhere stays there
            return here if here in near else near[0]
        times = [self._expected_s(view, here, node, step, ctx) for node in near]
        return near[int(np.argmin(times))]

    def _expected_s(self, task: Task, here: str, node: str, step: Step, ctx: Context) -> float:
        """Give how long an exit and its answer would take, by what is known and waits now."""
        seconds, _ = ctx.price(node, self._work(step, node != here))
        total_s = ctx.inference_wait_s(node) + seconds
        if here != node:
            size = step.crossing_bytes
            total_s += _trip_s(here, node, task.payload_bytes if size is None else size, ctx)
        if node != task.device:
            total_s += _trip_s(node, task.device, self.params.reply, ctx)
        return total_s

    def _work(self, step: Step, is_elsewhere: bool) -> Work:
        """Give the mean work of an exit on some samples of the validation pool."""
        part = _part(step, is_elsewhere)
        found = self._works.get((step.model.key, part))
        if found is None:
            assert self._validation is not None
            works = self._validation.works(step.model, part, _MEASURED)
            rows = [(w.macs, w.sops, w.neuron_updates, w.bytes_moved) for w in works]
            macs, sops, updates, moved = np.mean(rows, axis=0).tolist()
            found = Work(macs, sops, updates, moved, operations=works[0].operations)
            self._works[step.model.key, part] = found
        return found

    def _exiting_of(self, views: Sequence[Task]) -> Exiting:
        assert self._validation is not None and self._steps is not None
        variants = tuple(view.sample_id // self._validation.n_samples for view in views)
        key = variants if len(views) > 1 else ()
        found = self._exiting.get(key)
        if found is None:
            asked = [Asked(step.model, Part(exit=step.exit)) for step in self._steps]
            found = self._exiting[key] = Exiting(
                self.params, self.params.fusion, self._validation, asked, key or (0,)
            )
        return found


def _part(step: Step, is_elsewhere: bool) -> Part:
    """Give what is run: on the same node on what is there, elsewhere on what can be sent."""
    restarts = is_elsewhere and step.crossing_bytes is None
    return Part(exit=step.exit, after=None if restarts else step.after)


def _fused(logits: Any, said: Sequence[Prediction]) -> Prediction:
    """Give the prediction of fused logits; a single one is itself."""
    if len(said) == 1:
        return said[0]
    label = said[0].model.classes[int(np.argmax(logits))]
    entropy = float(normalized_entropy(logits[None])[0])
    return replace(said[0], label=label, logits=logits, normalized_entropy=entropy)


def _tiers(tier: TierName) -> tuple[str, ...]:
    return ("edge", "cloud") if tier == "edge_or_cloud" else (tier,)


def _nearest(device: str, tier: str, ctx: Context) -> str:
    return device if device in ctx.nodes(tier) else ctx.near(device, tier)


def _trip_s(a: str, b: str, size_bytes: float, ctx: Context) -> float:
    wait_s = ctx.sending_wait_s(a, b) + ctx.transfer_s(a, b, size_bytes)
    return wait_s + sum(hop.propagation_s for hop in ctx.route(a, b))


def in_order(at: Sequence[str]) -> bool:
    """Whether tiers never go down towards the device."""
    ranks = [_RANK[tier] for tier in at if tier in _RANK]
    return bool(ranks) and ranks == sorted(ranks)
