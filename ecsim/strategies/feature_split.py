"""Feature-map splitting: clusters compute blocks of rows of one network side by side.

Every cluster owns a block of each feature map, fetches the halo that its next layer needs from the
others, and the cluster of the first device puts the blocks together and classifies. The answers
are those of the whole network, which split inference equals (`ecsim.partition.spatial.execution`
shows it on real tensors); here the parts' counted work and the halos' bytes take their time.

Source: AFLKD, section 5 and Algorithm 3, with erratum 7; MoDNN and DeepThings as the survey
describes them in section III.B.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval, MinLen

from ecsim.collab.context import Context
from ecsim.collab.outline import Outline
from ecsim.collab.strategy import Background, Serving, Strategy
from ecsim.core.errors import Down, FlowError, UserError
from ecsim.core.types import Answer, Cut, Part, Task, Work
from ecsim.core.units import Bytes
from ecsim.partition.spatial.chains import leading_chain
from ecsim.partition.spatial.layouts import Inside, Layout, Scheme, lay_out
from ecsim.partition.spatial.plans import Fetch
from ecsim.partition.spatial.presets import aflkd_stack
from ecsim.partition.spatial.stacks import Stack
from ecsim.scenario.messages import not_one_of

Flow = Generator[Any, Any, None]


@dataclass(frozen=True)
class TimedAs:
    """A network whose time is taken instead of that of the scenario's model.

    Attributes
    ----------
    blocks : of AFLKD's network: 1, 2 and 3 are its edge networks.
    side : height and width of the pictures, in pixels.
    channels : of the pictures.
    """

    blocks: Annotated[int, Interval(ge=1, le=4)]
    side: Annotated[int, Ge(16)] = 224
    channels: Annotated[int, Ge(1)] = 3


@dataclass(frozen=True)
class Replan:
    """When shares follow what the clusters' rows really take, waits included.

    Attributes
    ----------
    change : relative change of a cluster's share that makes it worth while.
    weight : of the latest task in the mean that is followed.
    """

    change: Annotated[float, Gt(0)] = 0.1
    weight: Annotated[float, Interval(gt=0, le=1)] = 0.3


@dataclass(frozen=True)
class FeatureSplitParams:
    """How a network's feature maps are shared out.

    Attributes
    ----------
    clusters : devices of each cluster, its master first; a name of a group stands for all its
        members, as clusters of one if it stands alone.
    scheme : aflkd (halos before every layer), modnn (before convolutions and poolings), blocks
        (once per block of convolutions, what overlaps is computed twice) or deepthings (never;
        every cluster is given all of the picture that it needs).
    shares : rows of each cluster: equal, speed (proportional to the devices' speeds), or weights.
    grid : rows and columns of tiles instead of blocks of rows; as many as clusters.
    inside : what a cluster's devices do: master (the first computes all layers), chain (layers are
        placed for the least time of one task) or pipeline (for most tasks per second).
    replan : `{change, weight}`, to follow the clusters' speeds; without it shares stay.
    value_bytes : size of one value of a feature map on a link.
    reply : size of the answer.
    on_failure : what the device does when a part fails: drop (no answer), or local (it runs the
        whole network itself).
    calls : what a device's card charges per call is paid once per task (task), or for each stretch
        of layers between two exchanges (segment).
    timed_as : `{blocks, side, channels}`: timing of AFLKD's network on pictures of this size,
        while the answers are the scenario's model's; its classifier is not timed.
    layer_times : whether each layer's time is kept as a mark.
    """

    clusters: Annotated[tuple[tuple[str, ...] | str, ...], MinLen(1)]
    scheme: Scheme = "aflkd"
    shares: Literal["equal", "speed"] | tuple[float, ...] = "equal"
    grid: tuple[int, int] | None = None
    inside: Inside = "master"
    replan: Replan | None = None
    value_bytes: Annotated[Bytes, Gt(0)] = 4.0
    reply: Annotated[Bytes, Ge(0)] = 100.0
    on_failure: Literal["drop", "local"] = "drop"
    calls: Literal["task", "segment"] = "task"
    timed_as: TimedAs | None = None
    layer_times: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.shares, tuple) and (not self.shares or min(self.shares) <= 0.0):
            raise ValueError(f"shares: expected weights above 0, got {list(self.shares)}")
        if self.grid is not None and (min(self.grid) < 1 or self.shares != "equal" or self.replan):
            raise ValueError(
                "grid: expected positive numbers, equal shares and no replan beside it"
            )
        if self.layer_times and self.scheme != "aflkd":
            raise ValueError("layer_times: expected scheme: aflkd, which ends each layer together")


class _Job:
    """One task on its way through the clusters."""

    __slots__ = ("arrived", "boxes", "ended", "head", "layout", "ready_s", "spent_s", "task")

    def __init__(self, task: Task, head: str, layout: Layout, ctx: Context):
        n_parts, n_segments = layout.plan.n_parts, len(layout.plan.segments)
        self.task = task
        self.head = head
        self.layout = layout
        self.boxes = [ctx.mailbox() for _ in range(n_parts)]
        self.arrived = [[0] * n_parts for _ in range(n_segments)]  # halos, by segment and part
        self.ready_s = task.t_arrive_s  # when the last part had its share of the picture
        self.ended = [task.t_arrive_s] * n_segments  # when the last part had computed it
        self.spent_s = [0.0] * n_parts


class FeatureSplit(Strategy[FeatureSplitParams]):
    """Compute blocks of rows side by side, exchange halos, put together and classify."""

    Params = FeatureSplitParams

    def __init__(self, params: FeatureSplitParams):
        super().__init__(params)
        self._clusters: tuple[tuple[str, ...], ...] = ()
        self._cluster_of: dict[str, int] = {}
        self._speeds: list[float] = []
        self._layout: Layout | None = None

    def check(self, outline: Outline) -> None:
        """See that the clusters are there, and as many as there are shares and tiles."""
        if outline.learns:
            raise UserError("feature_split serves one version; expected learning.update: none")
        clusters = tuple(self._expanded([*outline.tiers]))
        self._check(clusters)
        if self.params.timed_as is None:
            outline.layer_names("cloud" if outline.tiers[clusters[0][0]] == "cloud" else "edge")

    def background(self, ctx: Context) -> Iterable[Background]:
        """Find the clusters and lay the network out, before the first task; nothing goes on."""
        known = [name for tier in ("end", "edge", "cloud") for name in ctx.nodes(tier)]
        self._clusters = tuple(self._expanded(known))
        self._cluster_of = {name: i for i, names in enumerate(self._clusters) for name in names}
        self._model = ctx.model(self._clusters[0][0])
        self._stack, self._rest = self._network(ctx)
        self._lay_out(self._weights(ctx), ctx)
        return ()

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Scatter the picture, let the clusters compute, gather, classify, and answer."""
        assert self._layout is not None
        head = self._clusters[self._cluster_of.get(task.device, 0)][0]
        job = _Job(task, head, self._layout, ctx)
        try:
            yield ctx.all(*(self._begin(job, i, ctx) for i in range(self._layout.plan.n_parts)))
            by = yield ctx.infer(head, task, self._model if self._rest else None, self._rest)
            if head != task.device:
                yield ctx.send(head, task.device, self.params.reply)
        except FlowError as error:
            is_own = isinstance(error, Down) and error.node == task.device
            if is_own or self.params.on_failure == "drop":
                raise
            by = yield ctx.infer(task.device, task)
            return Answer(by.label, at=task.device, by=by)
        self._measure(job, ctx)
        return Answer(by.label, at=head, by=by)

    # One part of one task -------------------------------------------------------------------

    def _begin(self, job: _Job, part: int, ctx: Context) -> Flow:
        """Bring a part its share of the picture, and go on with its first segment."""
        plan, host = job.layout.plan, job.layout.hosts[part][0]
        if not any(segment.outputs[part].pixels for segment in plan.segments):
            return  # its share has rounded to nothing
        _, height, width = plan.stack.shapes[0]
        share = plan.scatter[part].pixels / (height * width)
        if host != job.task.device and share:
            yield ctx.send(job.task.device, host, share * job.task.payload_bytes)
        yield from self._call(job, host, ctx)
        job.ready_s = max(job.ready_s, ctx.now)
        yield from self._run(job, part, 0, ctx)

    def _run(self, job: _Job, part: int, at: int, ctx: Context) -> Flow:
        """Send the halos that others need for a segment, and meanwhile compute it and the rest."""
        leaving = job.layout.leaving[at][part]
        rest = self._compute(job, part, at, ctx)
        if not leaving:
            yield from rest
            return
        yield ctx.all(rest, *(self._deliver(job, fetch, at, ctx) for fetch in leaving))

    def _compute(self, job: _Job, part: int, at: int, ctx: Context) -> Flow:
        layout = job.layout
        host, work = layout.hosts[part][at], layout.works[part][at]
        if at and host != (before := layout.hosts[part][at - 1]):
            if layout.sizes[at - 1][part]:
                yield ctx.send(before, host, layout.sizes[at - 1][part])
            yield from self._call(job, host, ctx)
        while job.arrived[at][part] < layout.awaited[at][part]:
            segment = yield job.boxes[part].get()  # a neighbour may be one segment ahead
            job.arrived[segment][part] += 1
        if layout.plan.segments[at].outputs[part].pixels:
            if self.params.calls == "segment":
                work = replace(work, steps=1)
            start_s = ctx.now
            yield ctx.compute(host, work)
            job.spent_s[part] += ctx.now - start_s
            job.ended[at] = max(job.ended[at], ctx.now)
        if at + 1 < len(layout.plan.segments):
            yield from self._run(job, part, at + 1, ctx)
        elif host != job.head and layout.sizes[at][part]:
            yield ctx.send(host, job.head, layout.sizes[at][part])

    def _deliver(self, job: _Job, fetch: Fetch, at: int, ctx: Context) -> Flow:
        hosts = job.layout.hosts
        source, target = hosts[fetch.source][max(0, at - 1)], hosts[fetch.part][at]
        if source != target:
            yield ctx.send(source, target, fetch.elements * self.params.value_bytes)
        job.boxes[fetch.part].put(at)

    def _call(self, job: _Job, host: str, ctx: Context) -> Flow:
        """Pay what a device charges per call; the head pays it when it classifies."""
        if self.params.calls == "task" and host != job.head:
            yield ctx.compute(host, Work())

    # Shares ---------------------------------------------------------------------------------

    def _weights(self, ctx: Context) -> list[float]:
        """Give the first share of each cluster."""
        shares = self.params.shares
        if isinstance(shares, tuple):
            return list(shares)
        if shares == "equal":
            return [1.0] * len(self._clusters)
        whole = [self._laid_out((names,), [1.0], ctx) for names in self._clusters]
        return [1.0 / self._time_s(layout, ctx) for layout in whole]

    def _time_s(self, layout: Layout, ctx: Context) -> float:
        """Give what a cluster alone takes for the whole network, per task."""
        spent: dict[str, float] = {}
        for host, work in zip(layout.hosts[0], layout.works[0], strict=True):
            spent[host] = spent.get(host, 0.0) + ctx.price(host, work)[0]
        return max(spent.values()) if self.params.inside == "pipeline" else sum(spent.values())

    def _measure(self, job: _Job, ctx: Context) -> None:
        """Keep what the layers and the clusters took, and share out anew if it pays."""
        plan = job.layout.plan
        if self.params.layer_times:
            before = job.ready_s
            for segment, ended_s in zip(plan.segments, job.ended, strict=True):
                layer = plan.stack.layers[segment.start]
                name = f"layer {segment.start:03d} {layer.kind} {layer.name}"
                ctx.record(name, ended_s - before)
                before = ended_s
        again = self.params.replan
        if again is None or job.layout is not self._layout:
            return
        for part, spent_s in enumerate(job.spent_s):
            macs = sum(segment.macs[part] for segment in plan.segments)
            if spent_s > 0.0:
                old, new = self._speeds[part], macs / spent_s
                self._speeds[part] = new if old == 0.0 else old + again.weight * (new - old)
        self._share_anew(again, ctx)

    def _share_anew(self, again: Replan, ctx: Context) -> None:
        assert self._layout is not None
        height = self._stack.shapes[-1].height
        least = max(self._speeds) / height  # a cluster without rows would never be measured again
        total = sum(max(speed, least) for speed in self._speeds)
        shares = [max(speed, least) / total for speed in self._speeds]
        changes = [abs(n - o) / o for n, o in zip(shares, self._shares, strict=True)]
        if max(changes) > again.change:
            self._lay_out(shares, ctx)

    def _lay_out(self, weights: list[float], ctx: Context) -> None:
        self._layout = self._laid_out(self._clusters, weights, ctx)
        self._shares = [weight / sum(weights) for weight in weights]
        plan = self._layout.plan
        self._speeds = self._speeds or [0.0] * plan.n_parts
        ctx.record("halo_bytes", plan.halo_elements * self.params.value_bytes)
        ctx.record("redundant_macs", plan.redundant_macs)
        for names, share in zip(self._clusters, self._shares, strict=True):
            ctx.record(f"share {names[0]}", share)

    def _laid_out(
        self, clusters: Sequence[Sequence[str]], weights: Sequence[float], ctx: Context
    ) -> Layout:
        params = self.params
        try:
            return lay_out(
                self._stack, clusters, weights, params.scheme, params.value_bytes,
                params.grid if len(clusters) > 1 else None, params.inside,
                lambda node, work: ctx.price(node, work)[0],
                lambda a, b, size: ctx.transfer_s(a, b, size)
                + sum(hop.propagation_s for hop in ctx.route(a, b)),
            )  # fmt: skip
        except ValueError as error:  # tiles that would be empty
            raise UserError(f"grid: {error}") from None

    # The scenario ---------------------------------------------------------------------------

    def _network(self, ctx: Context) -> tuple[Stack, Part | None]:
        """Give what is split, and the part of the model that the head runs as a whole."""
        timed = self.params.timed_as
        if timed is not None:
            return aflkd_stack(timed.blocks, (timed.channels, timed.side, timed.side)), None
        graph = ctx.layers(self._model)
        stack, chain, rest = leading_chain(graph)
        for name in self._cluster_of:
            if ctx.model(name).key != self._model.key:
                ctx.install(name, self._model)
        return stack, Part(Cut((chain, rest), (0, 1)), 1)

    def _expanded(self, known: Sequence[str]) -> Iterable[tuple[str, ...]]:
        for entry in self.params.clusters:
            names = [entry] if isinstance(entry, str) else entry
            found = [n for name in names for n in known if n == name or n.startswith(f"{name}[")]
            missing = [n for n in names if not any(k == n or k.startswith(f"{n}[") for k in known)]
            if missing:
                raise UserError("clusters: " + not_one_of(missing[0], known, "node"))
            if isinstance(entry, str):
                yield from ((name,) for name in found)
            else:
                yield tuple(found)

    def _check(self, clusters: Sequence[Sequence[str]]) -> None:
        params, n = self.params, len(clusters)
        names = [name for cluster in clusters for name in cluster]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise UserError(f"clusters: {twice[0]} stands in them twice")
        if isinstance(params.shares, tuple) and len(params.shares) != n:
            raise UserError(f"shares: expected {n}, one per cluster, got {len(params.shares)}")
        if params.grid is not None and params.grid[0] * params.grid[1] != n:
            raise UserError(f"grid: expected tiles for {n} clusters, got {list(params.grid)}")
