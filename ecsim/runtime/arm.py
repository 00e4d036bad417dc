"""One strategy in its own copy of the world: tasks arrive, are served, and become rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

from ecsim import compiled
from ecsim.collab.context import Context
from ecsim.collab.drift import DriftWatch
from ecsim.collab.operations import Account
from ecsim.collab.place import Answers, Place, Price
from ecsim.collab.strategy import Strategy
from ecsim.collab.updates import Deployment
from ecsim.core import registry
from ecsim.core.errors import ConservationError, Down, FlowError, StrategyError, UserError
from ecsim.core.randomness import Streams
from ecsim.core.types import Answer, ModelRef, Prediction, Task
from ecsim.kernel import (
    After,
    Background,
    Flow,
    Ledger,
    MeterWindow,
    Node,
    Topology,
    World,
    check_energy,
)
from ecsim.records.recorder import Recorder
from ecsim.records.tables import STAGES, STATUSES
from ecsim.runtime.arm_tables import ArmTables
from ecsim.runtime.engines import make_engine, make_host, make_memory, memory_warnings
from ecsim.runtime.faults import Mortals, charging_begins, install_faults
from ecsim.runtime.progress import Progress
from ecsim.runtime.rows import NOWHERE, TaskRows
from ecsim.runtime.system import NodePlan, System
from ecsim.runtime.tracing import Tracing
from ecsim.runtime.vectorised import UnsuitedError, Vectorised
from ecsim.runtime.watch import Watch
from ecsim.scenario.strategy import StrategyEntry

Uploads = dict[tuple[str, int], tuple[int, int]]


@dataclass
class ArmResult:
    """What other arms may refer to.

    Attributes
    ----------
    uploads : (uploads, tasks) by device and phase, for ``rate: match``.
    deployments : versions and when they began to serve, for ``versions:``.
    engine : how it was simulated, "event" or "vectorised".
    warnings : what a reader of the figures should know.
    """

    uploads: Uploads = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)
    engine: str = "event"
    warnings: list[str] = field(default_factory=list)


class Arm:
    """Builds the world of one strategy entry, runs it, and hands everything to the recorder.

    Parameters
    ----------
    results : of the arms that ran before, by label.
    """

    rows_class = TaskRows

    def __init__(
        self,
        system: System,
        entry: StrategyEntry,
        results: Mapping[str, ArmResult],
        recorder: Recorder,
        progress: Progress,
    ):
        self._system = system
        self._entry = entry
        self._label = entry.label
        self._recorder = recorder
        self._progress = progress
        self._world = World()
        self._streams = Streams(system.scenario.seeds.world)
        strategy: Strategy[object] = registry.resolve("strategy", entry.name)(entry.params)
        self._validation = system.validation()
        strategy.prepare(self._validation)
        self._strategy = strategy
        self._shelves: dict[str, dict[tuple[Price, str], Answers]] = {"edge": {}, "cloud": {}}
        self._places = {plan.name: self._place(plan) for plan in system.nodes}
        topology = self._topology()
        self._faults = install_faults(
            system.scenario, self._world, topology, self._streams, system.horizon_s
        )
        for name, battery in self._faults.batteries.items():
            if battery.charger.power_w:
                self._places[name].charger = battery.charger
        self._mortals = Mortals(self._faults.switches, self._die)
        self._topology_of_arm = topology
        self._channels = topology.channels
        reference = results[entry.matches].uploads if entry.matches else {}
        self._context = Context(
            self._world, topology, self._places, system.devices, self._streams, system.update,
            reference,
        )  # fmt: skip
        self._context.corruptions = system.corruptions
        replayed = None if entry.versions == "own" else results[entry.versions].deployments
        self._replayed = replayed
        n_traced = system.scenario.run.trace
        self._tracing = Tracing(n_traced, self._context) if n_traced else None
        self._open: dict[int, Account] = {}
        self._ledgers: list[Ledger] = []  # of background flows
        first = {name: place.model for name, place in self._places.items()}
        self._rows = self.rows_class(system, recorder, entry.label, first, self._open)
        self._context.on_deploy = self._rows.deployed
        self._sources: dict[tuple[str, str, int], int] = {}  # by node, key of the version, exit
        self._on_done = self._answered  # bound once
        self._horizon_s = system.horizon_s
        self._has_mortals = bool(self._mortals)
        self._drifts: dict[str, DriftWatch] = {}

    def run(self) -> ArmResult:
        """Simulate to the horizon, let what is under way finish, check the books, write rows."""
        world, system = self._world, self._system
        vectorised = self._vectorised()
        if vectorised is None:
            self._start()
        else:
            vectorised.serve()
        window = MeterWindow(world)
        nodes = [place.node for place in self._places.values()]
        watch = Watch(world, nodes, self._channels, system.scenario.run.probe)
        watch.run(
            system.scenario.run.warmup,
            system.horizon_s,
            window.open,
            lambda share: self._progress.arm(self._label, share),
        )
        window.close()
        for drift_watch in self._drifts.values():
            drift_watch.end(system.horizon_s)
        tables = ArmTables(system, self._recorder, self._label, self._entry.versions)
        tables.batteries(self._faults.batteries)
        self._drain()
        for task_id, account in self._open.items():
            self._end(task_id, account, "in_flight")
        rows = self._rows
        rows.flush()
        n_arrived, asks_edge = rows.n_arrived, rows.asks_edge
        uploads = {place: (rows.uploads[place], n) for place, n in rows.tasks.items()}
        if vectorised is not None:
            vectorised.write(self._recorder, self._label)
            asks_edge = vectorised.asks_edge
            n_arrived, uploads = vectorised.counts()
        self._check_books(n_arrived)
        tiers = {name: place.node.tier for name, place in self._places.items()}
        tables.energy(window.rows(), tiers)
        watch.write(self._recorder, self._label)
        if self._tracing is not None:
            self._tracing.write(self._recorder, self._label)
        tables.versions(self._context.deployments, asks_edge, self._strategy)
        for t_s, name, value in self._context.marks:
            self._recorder.add("marks", strategy=self._label, t_s=t_s, name=name, value=value)
        engine = "event" if vectorised is None else "vectorised"
        memories = {name: place.memory for name, place in self._places.items()}
        warnings = [f"{self._label}: {text}" for text in memory_warnings(memories)]
        return ArmResult(uploads, self._context.deployments, engine, warnings)

    # Building -------------------------------------------------------------------------------

    def _vectorised(self) -> Vectorised | None:
        """Give the tasks as columns, None where they must be simulated event by event.

        Raises `UserError` where the scenario insists on the former and it cannot be.
        """
        chosen = self._system.scenario.run.engine
        if chosen == "event":
            return None
        try:
            if self._replayed is not None:
                raise UnsuitedError("it serves versions that another strategy deploys")
            return Vectorised(
                self._system, self._strategy, self._places, self._topology_of_arm, self._context,
                self._world,
            )  # fmt: skip
        except UnsuitedError as reason:
            if chosen == "vectorised":
                raise UserError(f"{self._label} cannot run vectorised: {reason}") from None
            return None

    def _place(self, plan: NodePlan) -> Place:
        world = self._world
        role = "cloud" if plan.tier == "cloud" else "edge"
        serving, needs_events = plan.serving, plan.needs_events
        inference = make_engine(world, plan.name, plan.inference, serving, needs_events)
        engines = {"inference": inference}
        if plan.host is not None:
            engines["host"] = make_host(world, plan.name, plan.host, serving, needs_events)
        if plan.background is not None:
            rate, service_s = plan.background
            rng = self._streams("background", plan.name)
            Background(inference, rate, service_s, plan.inference.busy_w, rng)
        first = self._system.first[role]
        place = Place(
            Node(world, plan.name, plan.tier, engines),
            STAGES.index(plan.tier),
            plan.inference.price,
            (plan.host or plan.inference).price,
            self._system.predictors[role],
            first,
            {first.key},
            levels={
                name: (level.speed, level.power, level.transition)
                for name, level in serving.levels.items()
            },
            shelf=self._shelves[role],
            memory=make_memory(plan.name, plan.inference, serving, plan.memory_bytes, first),
        )
        if serving.start_level is not None:
            place.start_at(serving.start_level)
        return place

    def _topology(self) -> Topology:
        routing = self._system.scenario.topology.routing
        topology = Topology(self._world, self._system.payload_bytes, routing, self._streams)
        for place in self._places.values():
            topology.add_node(place.node)
        for plan in self._system.links:
            topology.connect(plan.near, plan.far, plan.link)
        return topology

    def _start(self) -> None:
        """Let background flows begin and tasks arrive."""
        self._start_background()
        arrive = self._arrive if self._tracing is None else self._arrive_traced
        tasks = self._system.timed_tasks(self._rows.blocks())
        self._world.feed(tasks, self._mortals.guard(arrive))

    def _start_background(self) -> None:
        context = self._context if self._tracing is None else self._tracing.context
        flows = (
            self._strategy.background(context)
            if self._replayed is None
            else context.replay(self._replayed)
        )
        for generator in flows:
            ledger = Account() if self._tracing is None else self._tracing.account()
            self._ledgers.append(ledger)
            self._world.spawn(generator, ledger, _end_of_background)
        for end_s, devices in self._ends_of_phases().items():
            if end_s < self._system.horizon_s:
                self._world.spawn(self._end_of_phase(end_s, devices))
        for t_s, model in self._system.later_clouds:
            self._world.spawn(self._renew_cloud(t_s, model))
        self._start_triggers()
        for name, battery in self._faults.batteries.items():
            if battery.charger.power_w:
                fire = self._context.condition("charging", name).fire
                self._world.spawn(charging_begins(battery.charger, fire, self._horizon_s))

    def _start_triggers(self) -> None:
        """Let what starts updates besides phases and chargers begin."""
        policy, context = self._system.update, self._context
        if policy is None or self._replayed is not None:
            return
        for device in self._system.devices:
            if policy.when == "periodic" and policy.every_s is not None:
                fire = context.condition("periodic", device).fire
                self._world.spawn(_periodic(policy.every_s, self._horizon_s, fire))
            elif policy.when == "drift_detected" and policy.drift_test is not None:
                self._on_done = self._answered_and_watched
                fire = context.condition("drift_detected", device).fire
                self._drifts[device] = DriftWatch(
                    policy.drift_test(), self._system.phase_ends(device)[:-1].tolist(), fire,
                    context.record,
                )  # fmt: skip

    def _drain(self) -> None:
        drain_s = self._system.scenario.run.drain
        if drain_s is None:
            self._world.run()
        else:
            self._world.run_until(self._system.horizon_s + drain_s)

    def _ends_of_phases(self) -> dict[float, list[str]]:
        """Give the devices of which a phase ends that an update may follow, by that time."""
        found: dict[float, list[str]] = {}
        ends = {device: self._system.phase_ends(device) for device in self._system.devices}
        for phase in self._system.schedule.update_phases:
            for device, ends_s in ends.items():
                found.setdefault(float(ends_s[phase]), []).append(device)
        return found

    def _end_of_phase(self, end_s: float, devices: list[str]) -> Generator[After, None, None]:
        yield After(end_s)  # from 0: sums of phases would drift from the stream's own borders
        for device in devices:
            self._context.condition("end_of_phase", device).fire()

    def _renew_cloud(self, t_s: float, model: ModelRef) -> Generator[After, None, None]:
        """Let all cloud nodes serve a version from a time on; it was trained elsewhere."""
        yield After(t_s)
        for place in self._places.values():
            if place.is_cloud:
                place.held.add(model.key)
                place.model = model
        self._validation.cloud_model = model
        self._context.record("cloud_classes", len(model.classes))

    # Tasks ----------------------------------------------------------------------------------

    def _arrive(self, task: Task) -> Flow:
        self._rows.n_arrived += 1
        self._open[task[0]] = account = Account()
        serving = self._strategy.serve(task, self._context)
        return self._world.spawn(serving, account, self._on_done, task)

    def _arrive_traced(self, task: Task) -> Flow:
        """Let a task arrive in a run that traces its first tasks."""
        tracing = self._tracing
        if tracing is None or task.id >= tracing.n_tasks:
            return self._arrive(task)
        self._rows.n_arrived += 1
        self._open[task.id] = account = tracing.account(task)
        serving = self._strategy.serve(task, tracing.context)
        return self._world.spawn(serving, account, self._on_done, task)

    def _die(self, task: Task) -> None:
        """End a task whose device is out: one that it held, or one that arrives meanwhile."""
        account = self._open.pop(task.id, None)
        if account is None:
            self._rows.n_arrived += 1
            account = Account()
        self._end(task.id, account, "died")

    def _answered(self, flow: Flow) -> None:
        """Write the row of a task whose generator has returned, or was ended by a `FlowError`."""
        task_id: int = flow.item[0]  # by its place, as here and below: a name takes longer
        account = self._open.pop(task_id)
        if self._has_mortals:
            self._mortals.forget(flow.item)
        answer = flow.value
        source = None
        if answer.__class__ is Answer:
            label, at, by = answer
            # the label is nearly always the prediction's own, which saves a search
            if by.__class__ is Prediction and label == by.label:
                source = self._sources.get((at, by.model.key, by.exit))
        elif isinstance(answer, FlowError):
            is_dead = isinstance(answer, Down) and answer.node == flow.item.device
            self._end(task_id, account, "died" if is_dead else "dropped")
            return
        if source is None:
            source = self._checked_source(answer)
            label = answer.label
        if self._tracing is not None:
            status = "late" if self._world._now >= self._horizon_s else "answered"
            self._tracing.end(account, status, self._world._now)
        self._rows.write(task_id, self._world._now, account, 0, source, label)

    def _answered_and_watched(self, flow: Flow) -> None:
        """Do the same, and let the device's drift detector see how sure its model was."""
        task = flow.item
        entropy = self._open[task.id].edge_entropy
        self._answered(flow)
        if entropy == entropy:  # NaN: it was not asked
            self._drifts[task.device].see(entropy, self._world.now)

    def _checked_source(self, answer: object) -> int:
        """Give what the answer comes from; refuse one that no model on the node can have given."""
        name = type(self._strategy).__name__
        if not isinstance(answer, Answer):
            raise StrategyError(f"{name}.serve() must return an Answer, it returned {answer!r}")
        place = self._places.get(answer.at)
        if place is None or not isinstance(answer.by, Prediction):
            raise StrategyError(
                f"{name}.serve() returned an Answer at {answer.at!r} by {answer.by!r}; expected "
                f"one of the nodes {', '.join(self._places)} and a Prediction"
            )
        model = answer.by.model
        if model.key not in place.held or answer.label not in model.classes:
            raise StrategyError(
                f"{name}.serve() returned label {answer.label!r} at {answer.at!r}, which the "
                f"{model.role} model with classes {model.classes} cannot give"
            )
        exit = answer.by.exit
        source = self._sources.get((answer.at, model.key, exit))
        if source is None:
            source = self._rows.source(place.node.tier, model, exit)
            self._sources[answer.at, model.key, exit] = source
        return source

    def _end(self, task_id: int, account: Account, status: str) -> None:
        """Write the row of a task without an answer."""
        if self._tracing is not None:
            self._tracing.end(account, status, self._world.now)
        code = STATUSES.index(status)
        self._rows.write(task_id, self._world._now, account, code, NOWHERE, -1)

    # The end --------------------------------------------------------------------------------

    def _check_books(self, n_arrived: int) -> None:
        counts = self._recorder.status_counts().get(self._label, {})
        if sum(counts.values()) != n_arrived:
            raise ConservationError(f"{self._label}: {n_arrived} tasks arrived, rows say {counts}")
        background_j = sum(ledger.total_j for ledger in self._ledgers)
        tasks_j = self._recorder.charged_j(self._label)
        check_energy(self._world, tasks_j + background_j)


def _periodic(
    every_s: float, horizon_s: float, fire: Callable[[], None]
) -> Generator[After, None, None]:
    for _ in range(1, math.ceil(horizon_s / every_s)):
        yield After(every_s)
        fire()


def _end_of_background(flow: Flow) -> None:
    """Let a background generator end; one that did not catch a `FlowError` does no more."""


compiled.bind(Arm, Answer, Prediction)
