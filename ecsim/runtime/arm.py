"""One strategy in its own copy of the world: tasks arrive, are served, and become rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ecsim.collab.context import Context
from ecsim.collab.operations import Account
from ecsim.collab.place import Place
from ecsim.collab.probe import probe
from ecsim.collab.strategy import Strategy
from ecsim.collab.updates import Deployment
from ecsim.core import registry
from ecsim.core.errors import ConservationError, StrategyError
from ecsim.core.randomness import Streams
from ecsim.core.types import Answer, Prediction, Task
from ecsim.kernel import (
    After,
    Background,
    Engine,
    Flow,
    Ledger,
    Link,
    MeterWindow,
    Node,
    Topology,
    World,
    check_energy,
)
from ecsim.records.recorder import Recorder
from ecsim.records.tables import STAGES
from ecsim.runtime.progress import Progress
from ecsim.runtime.system import NodePlan, System
from ecsim.scenario.strategy import StrategyEntry

_SLICES = 50  # how often an arm tells its progress; the cuts change nothing

Uploads = dict[tuple[str, int], tuple[int, int]]


@dataclass
class ArmResult:
    """What other arms may refer to.

    Attributes
    ----------
    uploads : (uploads, tasks) by device and phase, for ``rate: match``.
    deployments : versions and when they began to serve, for ``versions:``.
    """

    uploads: Uploads = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)


class Arm:
    """Builds the world of one strategy entry, runs it, and hands everything to the recorder.

    Parameters
    ----------
    results : of the arms that ran before, by label.
    """

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
        self._labels = system.data.labels.tolist()
        self._new_in = [
            frozenset(system.schedule.new_in(phase)) for phase in range(system.schedule.n_phases)
        ]
        strategy: Strategy[object] = registry.resolve("strategy", entry.name)(entry.params)
        self._strategy = strategy
        self._places = {plan.name: self._place(plan) for plan in system.nodes}
        topology = self._topology()
        reference = results[entry.matches].uploads if entry.matches else {}
        self._context = Context(
            self._world, topology, self._places, system.devices, self._streams, system.update,
            reference,
        )  # fmt: skip
        replayed = None if entry.versions == "own" else results[entry.versions].deployments
        self._replayed = replayed
        self._open: dict[int, tuple[Task, Account, bool]] = {}
        self._n_generated = 0
        self._charged_j = 0.0
        self._asks_edge = False
        self._uploads: Counter[tuple[str, int]] = Counter()
        self._tasks: Counter[tuple[str, int]] = Counter()

    def run(self) -> ArmResult:
        """Simulate to the horizon, let what is under way finish, check the books, write rows."""
        world, system = self._world, self._system
        self._start_background()
        world.feed(((task.t_arrive_s, task) for task in system.tasks()), self._arrive)
        window = MeterWindow(world)
        warmup_s, horizon_s = system.scenario.run.warmup, float(system.phase_ends[-1])
        world.run_until(warmup_s)
        window.open()
        for piece in range(1, _SLICES + 1):
            world.run_until(warmup_s + (horizon_s - warmup_s) * piece / _SLICES)
            self._progress.arm(self._label, piece / _SLICES)
        window.close()
        world.run()
        for task, account, seen in list(self._open.values()):
            self._write(task, account, seen, "in_flight", None)
        self._check_books()
        self._write_energy(window)
        self._write_deployments()
        for t_s, name, value in self._context.marks:
            self._recorder.add("marks", strategy=self._label, t_s=t_s, name=name, value=value)
        uploads = {place: (self._uploads[place], n) for place, n in self._tasks.items()}
        return ArmResult(uploads, self._context.deployments)

    # Building -------------------------------------------------------------------------------

    def _place(self, plan: NodePlan) -> Place:
        world = self._world
        role = "cloud" if plan.tier == "cloud" else "edge"
        inference = Engine(
            world, plan.name, "inference", idle_w=plan.inference.idle_w,
            can_train=plan.inference.can_train,
        )  # fmt: skip
        engines = {"inference": inference}
        if plan.host is not None:
            engines["host"] = Engine(
                world, plan.name, "host", idle_w=plan.host.idle_w, can_train=plan.host.can_train
            )
        if plan.background is not None:
            rate, service_s = plan.background
            rng = self._streams("background", plan.name)
            Background(inference, rate, service_s, plan.inference.busy_w, rng)
        first = self._system.first[role]
        return Place(
            Node(world, plan.name, plan.tier, engines),
            STAGES.index(plan.tier),
            plan.inference.price,
            (plan.host or plan.inference).price,
            self._system.predictors[role],
            first,
            {first.key},
        )

    def _topology(self) -> Topology:
        topology = Topology(self._world, self._system.payload_bytes)
        for place in self._places.values():
            topology.add_node(place.node)
        for number, plan in enumerate(self._system.links):
            rates = plan.rates
            link = Link(
                f"link {number}", rates.up_bit_per_s, rates.down_bit_per_s, rates.latency_s,
                near_tx_w=rates.tx_w, near_rx_w=rates.rx_w, shared=plan.shared,
            )  # fmt: skip
            topology.connect(plan.near, plan.far, link)
        return topology

    def _start_background(self) -> None:
        context = self._context
        flows = (
            self._strategy.background(context)
            if self._replayed is None
            else context.replay(self._replayed)
        )
        self._ledgers = []
        for generator in flows:
            self._ledgers.append(ledger := Ledger(len(STAGES)))
            self._world.spawn(generator, ledger)
        for phase in self._system.schedule.update_phases:
            self._world.spawn(self._end_of_phase(float(self._system.phase_ends[phase])))

    def _end_of_phase(self, end_s: float) -> Generator[After, None, None]:
        yield After(end_s)  # from 0: sums of phases would drift from the stream's own borders
        for device in self._system.devices:
            self._context.condition("end_of_phase", device).fire()

    # Tasks ----------------------------------------------------------------------------------

    def _arrive(self, task: Task) -> None:
        self._n_generated += 1
        account = Account(len(STAGES))
        seen = self._labels[task.sample_id] in self._places[task.device].model.classes
        self._open[task.id] = (task, account, seen)
        self._tasks[task.device, task.phase] += 1
        self._world.spawn(self._strategy.serve(task, self._context), account, self._answered, task)

    def _answered(self, flow: Flow) -> None:
        task, account, seen = self._open.pop(flow.item.id)
        answer = flow.value
        self._check_answer(answer)
        now = self._world.now
        status = "late" if now >= self._system.horizon_s else "answered"
        if account.n_loose:  # a message that nobody waits for still travels at its expense
            account.on_settled = partial(self._write, task, account, seen, status, answer, now)
            self._open[task.id] = (task, account, seen)
        else:
            self._write(task, account, seen, status, answer, now)

    def _check_answer(self, answer: object) -> None:
        """Refuse an answer that no model on the named node can have given."""
        name = type(self._strategy).__name__
        if not isinstance(answer, Answer):
            raise StrategyError(f"{name}.serve() must return an Answer, it returned {answer!r}")
        place = self._places.get(answer.at)
        if place is None or not isinstance(answer.by, Prediction):
            raise StrategyError(
                f"{name}.serve() returned an Answer at {answer.at!r} by {answer.by!r}; expected "
                f"one of the nodes {', '.join(self._places)} and a Prediction"
            )
        is_cloud = place.node.tier == "cloud"
        if (
            is_cloud != (answer.by.model.role == "cloud")
            or answer.label not in answer.by.model.classes
        ):
            raise StrategyError(
                f"{name}.serve() returned label {answer.label!r} at {answer.at!r}, which the "
                f"{answer.by.model.role} model with classes {answer.by.model.classes} cannot give"
            )

    def _write(
        self,
        task: Task,
        account: Account,
        seen: bool,
        status: str,
        answer: Answer | None,
        t_answer_s: float = math.nan,
    ) -> None:
        self._open.pop(task.id, None)
        label = self._labels[task.sample_id]
        uploaded = account.uploaded
        if uploaded:
            self._uploads[task.device, task.phase] += 1
        self._charged_j += account.total_j
        self._asks_edge |= not math.isnan(account.edge_entropy)
        model = answer.by.model if answer else None
        self._recorder.task_row(
            self._label,
            task,
            status,
            t_answer_s,
            account,
            self._places[answer.at].node.tier if answer else "",
            uploaded,
            label,
            answer.label if answer else -1,
            seen,
            label in self._new_in[task.phase],
            account.edge_entropy,
            model.version if model else -1,
            model.key if model else "",
        )

    # The end --------------------------------------------------------------------------------

    def _check_books(self) -> None:
        counts = self._recorder.status_counts().get(self._label, {})
        if sum(counts.values()) != self._n_generated:
            raise ConservationError(
                f"{self._label}: {self._n_generated} tasks arrived, rows say {counts}"
            )
        background_j = sum(ledger.total_j for ledger in self._ledgers)
        check_energy(self._world, self._charged_j + background_j)

    def _write_energy(self, window: MeterWindow) -> None:
        for row in window.rows():
            self._recorder.add(
                "energy",
                strategy=self._label,
                node=row.node,
                tier=self._places[row.node].node.tier,
                component=row.component,
                state=row.state,
                seconds=row.seconds,
                joules=row.joules,
                marginal_j=row.marginal_j,
            )

    def _write_deployments(self) -> None:
        edge = self._system.first["edge"]
        source = self._entry.versions
        is_own = source == "own"
        for device in self._system.devices if self._asks_edge else ():
            self._probe(device, Deployment(device, edge, 0.0, 0.0))
        for deployment in self._context.deployments:
            model = deployment.model
            self._probe(deployment.device, deployment)
            self._recorder.add(
                "updates",
                strategy=self._label,
                device=deployment.device,
                version=model.version,
                parent_key=deployment.parent_key,
                key=model.key,
                phase=self._phase_at(deployment.t_start_s),
                n_samples=deployment.n_samples,
                n_classes=len(model.classes),
                new_classes=" ".join(map(str, deployment.new_classes)),
                t_start_s=deployment.t_start_s,
                t_deploy_s=deployment.t_deploy_s,
                seconds=deployment.seconds if is_own else None,
                joules=deployment.joules if is_own else None,
                macs=deployment.macs if is_own else None,
                source=source,
                train_loss=self._system.train_loss(model),
            )

    def _probe(self, device: str, deployment: Deployment) -> None:
        system = self._system
        scores = probe(
            deployment.model,
            system.first["cloud"],
            system.predictors["edge"],
            system.predictors["cloud"],
            system.pools.probe,
            system.data.labels,
            self._strategy.offloads,
        )
        self._recorder.add(
            "probe",
            strategy=self._label,
            device=device,
            version=deployment.model.version,
            key=deployment.model.key,
            phase=self._phase_at(deployment.t_deploy_s),
            t_s=deployment.t_deploy_s,
            n=scores.n,
            accuracy=scores.accuracy,
            accuracy_known=scores.accuracy_known,
            system_accuracy=scores.system_accuracy,
            cur=scores.cur,
        )

    def _phase_at(self, t_s: float) -> int:
        phase = int(np.searchsorted(self._system.phase_ends, t_s, side="right"))
        return min(phase, self._system.schedule.n_phases - 1)
