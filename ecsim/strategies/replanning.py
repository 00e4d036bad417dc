"""The base of strategies that cut one model over a route and change the cut while they run.

A device plans with what it has itself seen (`collab.seen`): its own messages and answers, and,
while nothing goes over the route, small probes. It plans anew when that has changed enough and the
last planning is long enough ago; it pays for the planning with work on its own engine; it moves the
cut only when the gain is large enough. When a message is lost, a node out or the time-out over, it
runs the rest itself. The first plan is made before anything happens, at no cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from annotated_types import Ge, Gt, Interval, MinLen

from ecsim.collab.context import Context
from ecsim.collab.outline import Outline
from ecsim.collab.partitioning import Observer, Split, problem_of, run_cut, send_along
from ecsim.collab.seen import Seen
from ecsim.collab.strategy import Background, Serving, Strategy
from ecsim.core import registry
from ecsim.core.errors import Down, FlowError, TimedOut, UserError
from ecsim.core.types import Answer, Cut, FloatArray, ModelRef, Part, Prediction, Task, Work
from ecsim.core.units import Bytes, Seconds
from ecsim.partition.graph import INPUT
from ecsim.partition.partitioners.prices import Objective, value
from ecsim.partition.problem import PartitionProblem, estimate, partitioner_named
from ecsim.scenario.messages import not_one_of


@dataclass(frozen=True)
class ReplanningParams:
    """What is split over which tiers, how eagerly the cut moves, and what a failure leads to.

    Attributes
    ----------
    via : tiers that the route goes over behind the device, each the nearest node of its tier.
    partitioner : says where each layer runs.
    settings : keys of the partitioner itself, such as `{objective: energy}`.
    model : which of the scenario's models is split.
    reply : size of the answer on its way back.
    weight : of the newest observation in what is known of links and waits.
    change : by how much a link's speed, or waits against the planned latency, must have changed
        since the last planning for a new one.
    hold : time that must have passed since the last planning.
    gain : share by which a new plan must be better than the present one to replace it.
    step_macs : multiply-accumulates that one step of the planner is charged as.
    probe : a task that comes when nothing was heard for so long lets its device send a probe over
        the route and back, beside the task; 0: never.
    probe_size : size of a probe, each way.
    timeout : time for which a task waits for parts that run elsewhere; without it as long as it
        takes.
    on_failure : what follows a time-out, a lost message or a node that is out: local (the device
        runs the rest itself), or drop (there is no answer).
    """

    via: Annotated[tuple[Literal["end", "edge", "cloud"], ...], MinLen(1)] = ("cloud",)
    partitioner: str = "neurosurgeon"
    settings: Mapping[str, Any] = field(default_factory=dict)
    model: Literal["cloud", "edge"] = "cloud"
    reply: Annotated[Bytes, Ge(0)] = 100.0
    weight: Annotated[float, Interval(gt=0.0, le=1.0)] = 0.5
    change: Annotated[float, Ge(0)] = 0.2
    hold: Annotated[Seconds, Ge(0)] = 1.0
    gain: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.1
    step_macs: Annotated[float, Ge(0)] = 1.0
    probe: Annotated[Seconds, Ge(0)] = 5.0
    probe_size: Annotated[Bytes, Gt(0)] = 1000.0
    timeout: Annotated[Seconds, Gt(0)] | None = None
    on_failure: Literal["local", "drop"] = "local"

    def __post_init__(self) -> None:
        known = registry.names("partitioner")
        if self.partitioner not in known:
            raise ValueError(f"partitioner: {not_one_of(self.partitioner, known, 'partitioner')}")
        try:
            partitioner_named(self.partitioner, self.settings)
        except UserError as error:
            raise ValueError(f"settings: {error}") from error


class Option(NamedTuple):
    """What a plan may be made for: the exit that answers, the codec, how right it is (or NaN)."""

    exit: int | None = None
    codec: str = "raw"
    accuracy: float = float("nan")


class Candidate(NamedTuple):
    """A plan: for which option, the node of each layer, what it comes to, the planner's steps."""

    option: Option
    node: tuple[int, ...]
    value: float
    steps: float


P = TypeVar("P", bound=ReplanningParams)


class Seat:
    """One device: its route, the problems it may solve, what it has seen, and its present cut."""

    def __init__(
        self, route: tuple[str, ...], model: ModelRef, problems: Mapping[Option, PartitionProblem]
    ):
        self.route = route
        self.model = model
        self.problems = problems
        self.present: Candidate
        self.split: Split
        self.seen: Seen
        self.basis: tuple[FloatArray, FloatArray]
        self.planned_s = self.tried_s = 0.0
        self.is_planning = self.is_probing = False

    @property
    def heard_s(self) -> float:
        """When a message came through, or a probe was given up, for the last time."""
        return max(self.tried_s, self.seen.heard_s)


class Progress(Observer):
    """Notes what a device sees of the route while it serves a task, and how far that has come.

    Attributes
    ----------
    done : the layers that the device itself has run.
    hop, node : what it is waiting for, if anything: a message, or a part.
    since_s : when that began.
    """

    def __init__(self, seat: Seat, ctx: Context) -> None:
        self._seat = seat
        self._ctx = ctx
        self.done: tuple[str, ...] = ()
        self.hop: int | None = None
        self.node: int | None = None
        self.since_s = 0.0

    def sending(self, hop: int) -> None:
        """Wait for a message."""
        self.hop, self.since_s = hop, self._ctx.now

    def sent(self, hop: int, is_up: bool, size_bytes: float) -> None:
        """Note how fast it went."""
        now = self._ctx.now
        self._seat.seen.sent(hop, is_up, size_bytes, now - self.since_s, now)
        self.hop = None

    def running(self, node: int) -> None:
        """Wait for a part."""
        self.node, self.since_s = node, self._ctx.now

    def ran(self, node: int, part: tuple[str, ...], prediction: Prediction) -> None:
        """Note how long it waited in the queue, and what need not be run again."""
        took_s = self._ctx.now - self.since_s
        service_s, _ = self._ctx.price(self._seat.route[node], prediction.work)
        self._seat.seen.waited(node, took_s - service_s)
        self.node = None
        if node == 0:
            self.done += part


class Replanning(Strategy[P]):
    """Override `options` for more than one plan to choose from, `best` and `is_better`."""

    def __init__(self, params: P):
        super().__init__(params)
        self._seats: dict[str, Seat] = {}
        self._partitioner = partitioner_named(params.partitioner, params.settings)

    # What a strategy decides --------------------------------------------------------------------

    def options(self, ctx: Context, route: Sequence[str]) -> list[Option]:
        """Give what plans may be made for."""
        return [Option()]

    def best(self, candidates: Sequence[Candidate], task: Task | None) -> Candidate:
        """Choose among the plans of all options."""
        return min(candidates, key=lambda each: each.value)

    def is_better(self, new: Candidate, present: Candidate, task: Task | None) -> bool:
        """Whether a plan is worth moving to."""
        return new.value < present.value * (1.0 - self.params.gain)

    def candidates(self, seat: Seat) -> list[Candidate]:
        """Plan for every option, with what the device has seen."""
        found = []
        for option, problem in seat.problems.items():
            plan = self._partitioner.plan(seat.seen.applied(problem))
            found.append(Candidate(option, plan.node, plan.value, plan.steps))
        return found

    def worth(self, seat: Seat, candidate: Candidate) -> float:
        """Give what a plan comes to by now, in the partitioner's own measure."""
        problem = seat.seen.applied(seat.problems[candidate.option])
        params = getattr(self._partitioner, "params", None)
        goal: Any = getattr(params, "objective", "latency")
        if goal == "throughput":
            return estimate(problem, candidate.node).bottleneck_s
        whose: Any = getattr(params, "whose", "all")
        idle = bool(getattr(params, "idle", False))
        return value(problem, candidate.node, Objective(goal, whose, idle))

    def check(self, outline: Outline) -> None:
        """See that the route can be gone, and that there are layers to split."""
        outline.check_route(self.params.via)
        outline.layer_names(self.params.model)

    # What happens -------------------------------------------------------------------------------

    def background(self, ctx: Context) -> Iterable[Background]:
        """Plan for every device, then wait for probes to be asked for."""
        for device in ctx.devices:
            self._seats[device] = self._seat(device, ctx)
        if self.params.probe <= 0.0:
            return ()
        return [self._probe(self._seats[device], ctx) for device in ctx.devices]

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Plan anew if it is time; run the parts; on a failure run the rest on the device."""
        seat = self._seats[task.device]
        if 0.0 < self.params.probe <= ctx.now - seat.heard_s and not seat.is_probing:
            seat.is_probing = True
            ctx.mailbox(_mailbox(task.device)).put(None)
        yield from self._plan(seat, task, ctx)
        option, progress = seat.present.option, Progress(seat, ctx)
        parts = run_cut(task, ctx, seat.split, self.params.reply, option.exit, progress)
        try:
            if self.params.timeout is None:
                return (yield from parts)
            winner, answer = yield ctx.first(parts, ctx.after(self.params.timeout))
            if winner == 0:
                found: Answer = answer
                return found
            self._note_failure(seat, progress, ctx)
            raise TimedOut(f"no answer within {self.params.timeout} s")
        except FlowError as error:
            is_own = isinstance(error, Down) and error.node == task.device
            if is_own or self.params.on_failure == "drop":
                raise
            if not isinstance(error, TimedOut):
                self._note_failure(seat, progress, ctx)
        return (yield from self._finish(task, ctx, seat, option, progress))

    def _seat(self, device: str, ctx: Context) -> Seat:
        params = self.params
        route = [device]
        for tier in params.via:
            route.append(ctx.near(route[-1], tier))
        if len(set(route)) < len(route):
            raise UserError(f"via: the route {' - '.join(route)} passes a node twice")
        model = ctx.model(device if params.model == "edge" else ctx.near(device, "cloud"))
        for node in route:
            ctx.install(node, model)
        problems = {
            option: problem_of(
                ctx, route, model, reply_bytes=params.reply, codec=option.codec, exit=option.exit
            )
            for option in self.options(ctx, route)
        }
        seat = Seat(tuple(route), model, problems)
        seat.seen = Seen(next(iter(problems.values())).hops, len(route), params.weight)
        self._adopt(seat, self.best(self.candidates(seat), None), ctx)
        return seat

    def _adopt(self, seat: Seat, chosen: Candidate, ctx: Context) -> None:
        problem = seat.problems[chosen.option]
        cut = estimate(problem, chosen.node).cut
        seat.present = chosen
        seat.split = Split.of(seat.route, seat.model, cut, problem.graph)
        seat.basis, seat.planned_s = seat.seen.snapshot(), ctx.now
        here = sum(1 for name in _of_device(cut) if name != INPUT)
        ctx.record("layers_on_device", float(here))
        ctx.record("planned_value", chosen.value)
        if chosen.option.exit is not None:
            ctx.record("planned_exit", float(chosen.option.exit))

    def _plan(self, seat: Seat, task: Task, ctx: Context) -> Background:
        """Plan anew if enough has changed; the device's engine serves the planner's steps."""
        params = self.params
        if seat.is_planning or ctx.now - seat.planned_s < params.hold:
            return
        if seat.seen.change(seat.basis, seat.present.value) <= params.change:
            return
        seat.is_planning = True
        try:
            found = self.candidates(seat)
            steps = sum(each.steps for each in found)
            ctx.record("planning_steps", steps)
            yield ctx.compute(seat.route[0], Work(macs=steps * params.step_macs))
            new = self.best(found, task)
            present = seat.present._replace(value=self.worth(seat, seat.present))
            if self.is_better(new, present, task):
                self._adopt(seat, new, ctx)
            else:
                seat.present = present
                seat.basis, seat.planned_s = seat.seen.snapshot(), ctx.now
        finally:
            seat.is_planning = False

    def _note_failure(self, seat: Seat, progress: Progress, ctx: Context) -> None:
        """Take the hop that failed, or whose message is late, for lost; a node for slow."""
        if progress.hop is not None:
            seat.seen.lost(progress.hop)
        elif progress.node:
            late_s = self.params.timeout or ctx.now - progress.since_s
            seat.seen.waited(progress.node, late_s)
            seat.seen.lost(progress.node - 1)
        ctx.record("fell_back", 1.0)

    def _finish(
        self, task: Task, ctx: Context, seat: Seat, option: Option, progress: Progress
    ) -> Serving:
        """Run on the device what it has not run yet."""
        needed = seat.problems[option].graph.needed(option.exit)
        rest = tuple(name for name in needed if name not in progress.done)
        parts = (progress.done, rest) if progress.done else (rest,)
        cut = Cut(parts, (0,) * len(parts), option.codec)
        part = Part(cut, len(parts) - 1, option.exit)
        prediction = yield ctx.infer(task.device, task, seat.model, part)
        return Answer(prediction.label, at=task.device, by=prediction)

    def _probe(self, seat: Seat, ctx: Context) -> Background:
        """Send a probe over the route and back whenever a task asks for one."""
        route, size_bytes = seat.route, self.params.probe_size
        last = len(route) - 1
        while True:
            yield ctx.mailbox(_mailbox(route[0])).get()
            progress = Progress(seat, ctx)
            try:
                for node in range(1, last + 1):
                    yield from send_along(ctx, route, node - 1, node, size_bytes, progress)
                    seat.seen.waited(node, ctx.inference_wait_s(route[node]))
                yield from send_along(ctx, route, last, 0, size_bytes, progress)
            except FlowError:
                if progress.hop is not None:
                    seat.seen.lost(progress.hop)
            seat.tried_s, seat.is_probing = ctx.now, False


def _mailbox(device: str) -> str:
    return f"probe {device}"


def _of_device(cut: Cut) -> tuple[str, ...]:
    """Give the vertices that run at the first node of the route."""
    pairs = zip(cut.parts, cut.nodes, strict=True)
    return tuple(name for part, at in pairs if at == 0 for name in part)
