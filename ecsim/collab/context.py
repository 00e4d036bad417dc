"""What a strategy can ask for: the operations it yields and the few things that are immediate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ecsim import compiled
from ecsim.collab import conditions
from ecsim.collab.buffer import Buffer
from ecsim.collab.operations import (
    Account,
    Carry,
    Fail,
    Infer,
    InferPart,
    Learn,
    Message,
    Spent,
)
from ecsim.collab.place import Answers, Place
from ecsim.collab.updates import Condition, Deployment, UpdatePolicy
from ecsim.core.errors import StrategyError
from ecsim.core.randomness import Streams
from ecsim.core.types import Batch, ExitPoint, ModelRef, Part, Task, UpdateResult, Work
from ecsim.kernel import (
    After,
    All,
    First,
    Hop,
    Mailbox,
    Operation,
    Signal,
    Topology,
    Use,
    World,
)
from ecsim.records.tables import STAGES

if TYPE_CHECKING:
    from ecsim.learning.update import Learner
    from ecsim.partition.graph import LayerGraph
    from ecsim.streams.corruptions import Corruptions

_UP, _DOWN = STAGES.index("up"), STAGES.index("down")
_RANK = {"end": 0, "edge": 1, "cloud": 2}
_NO_REFERENCE: Mapping[tuple[str, int], tuple[int, int]] = {}


class Context:
    """The world as one strategy sees it.

    What is marked *operation* is inert until it is yielded and takes simulated time; everything
    else is immediate and takes none.

    Parameters
    ----------
    places : nodes by name.
    devices : names of the nodes at which tasks arrive.
    streams : the family of named random streams of the world.
    update : the scenario's update policy; None when devices do not learn.
    reference : uploads and tasks of the arm that this one matches, by device and phase.

    Attributes
    ----------
    corruptions : what devices see of a scene when; None: all see the clean sample.
    on_deploy : called with the node and the version when one begins to serve; None: nobody asks.
    """

    def __init__(
        self,
        world: World,
        topology: Topology,
        places: Mapping[str, Place],
        devices: tuple[str, ...],
        streams: Streams,
        update: UpdatePolicy | None = None,
        reference: Mapping[tuple[str, int], tuple[int, int]] = _NO_REFERENCE,
    ):
        self.devices = devices
        self.deployments: list[Deployment] = []
        self.marks: list[tuple[float, str, float]] = []
        self.corruptions: Corruptions | None = None
        self.on_deploy: Callable[[str, ModelRef], None] | None = None
        self._world = world
        self._topology = topology
        self._places = places
        self._streams = streams
        self._update = update
        self._reference = reference
        self._randoms: dict[tuple[str, ...], np.random.Generator] = {}
        self._conditions: dict[tuple[str, str], conditions.Condition] = {}
        self._signals: dict[str, Signal] = {}
        self._mailboxes: dict[str, Mailbox] = {}
        self._buffers: dict[str, Buffer] = {}
        self._nearest: dict[tuple[str, str], str] = {}
        self._ways: dict[tuple[str, str], tuple[tuple[Hop, ...], int, bool]] = {}
        topology.on_change.append(self._forget_ways)
        self._trained: dict[tuple[str, str], Deployment] = {}

    # Operations -----------------------------------------------------------------------------

    def infer(
        self, node: str, task: Task, model: ModelRef | None = None, part: Part | None = None
    ) -> Operation:
        """Operation: run the node's model (or a version it holds) on the sample; a `Prediction`.

        With `part` only those layers run, on what the parts before them gave; what that was is
        computed for real, codec included, and its bytes are for the strategy to send.
        """
        place = self._places[node]
        if model is not None and model.key not in place.held:
            raise StrategyError(f"{node} does not hold version {model.version} of {model.role}")
        if part is not None:
            return InferPart(place, task, model, part)
        operation: Infer = Infer()  # the flat twin of `Use.__init__`
        operation.eid = 0
        operation.server = place.inference
        operation.stage = place.stage
        operation.place = place
        operation.task = task
        operation.model = model
        return operation

    def compute(self, node: str, work: Work) -> Operation:
        """Operation: serve counted work on the node's inference engine; gives None."""
        place = self._places[node]
        seconds, joules = place.price(work)
        return Use(place.inference, seconds, joules, place.stage)

    def send(self, a: str, b: str, size_bytes: float, carries: ModelRef | None = None) -> Operation:
        """Operation: send bytes from node `a` to node `b`; gives None on arrival.

        With `carries` the receiver holds that version from the arrival on.
        """
        try:
            route, stage, is_upload = self._ways[a, b]
        except KeyError:
            route, stage, is_upload = self._find_way(a, b)
        if carries is not None:
            return Carry(self._places[b], carries, route, size_bytes, stage)
        operation: Message = Message()  # the flat twin of `Travel.__init__`
        operation.eid = 0
        operation.hops = route
        operation.size_bytes = size_bytes
        operation.stage = stage
        operation.value = None
        operation.marks = is_upload
        return operation

    def after(self, seconds: float) -> Operation:
        """Operation: wait."""
        return After(seconds)

    def spent(self) -> Operation:
        """Operation: give the marginal energy in J charged to the task so far; takes no time."""
        return Spent()

    def train(
        self,
        node: str,
        learner: Learner,
        model: ModelRef,
        batch: Batch | None,
        of: str | None = None,
        sent_bytes: float = 0.0,
    ) -> Operation:
        """Operation: update a model on the node's training engine; gives an `UpdateResult`.

        Gives None at once when there is nothing to learn. When it starts, what it learns from
        leaves the buffer of the device `of`, which is the node itself unless it trains for another
        one. The work is counted before it starts; the training itself is executed when somebody
        reads its result. `sent_bytes` was uploaded for it; with the weights that go back it is
        noted in the table of updates.

        Where what it takes and the version that the node serves exceed the memory of a node that
        trains itself, `Refused` is raised at the ``yield``, and a mark `training_refused` notes
        the bytes.
        """
        policy = self._require_update()
        batch = policy.labelled(batch)
        plan = learner.plan(model, batch) if batch is not None else None
        if plan is None or batch is None:
            return After(0.0)
        device = node if of is None else of
        place = self._places[node]
        need_bytes = place.model.param_bytes + plan.memory_bytes
        memory = place.memory if place.host is place.inference else None
        if memory is not None and not memory.fits(need_bytes):
            self.record("training_refused", need_bytes)
            what = f"a training of version {plan.child.version} of {plan.child.role}"
            return Fail(memory.refuse(what, need_bytes))
        policy.add(learner, model, plan, batch, device)
        seconds, joules = place.host_price(plan.work)
        self._trained[device, plan.child.key] = Deployment(
            device,
            plan.child,
            t_start_s=self.now,
            parent_key=model.key,
            n_samples=len(plan.rows),
            new_classes=plan.new_classes,
            seconds=seconds,
            joules=joules,
            macs=plan.work.macs,
            memory_bytes=plan.memory_bytes,
            at=node,
            sent_bytes=sent_bytes + (plan.child.param_bytes if device != node else 0.0),
        )
        return Learn(
            place,
            partial(self.buffer(device).discard, batch.sample_ids[plan.rows].tolist()),
            seconds=seconds,
            joules=joules,
            steps=plan.work.steps,
            mode=policy.mode,
            stage=place.stage,
            value=UpdateResult(plan.child, plan.work, len(plan.rows)),
        )

    def all(self, *branches: Any) -> Operation:
        """Operation: run branches (operations or generators) side by side; a list of values."""
        return All(*branches)

    def first(self, *branches: Any) -> Operation:
        """Operation: the first branch to end; (index, value). The others are abandoned."""
        return First(*branches)

    def until(self, condition: Condition, node: str) -> Operation:
        """Operation: wait until the condition holds for the node.

        A condition that came true while the node was busy (training, say) is not missed.
        """
        return self.condition(condition, node).wait()

    # Immediate ------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Simulated time in s."""
        return float(self._world.now)

    @property
    def update_when(self) -> Condition:
        """The condition that starts an update; raises `StrategyError` without updates."""
        return self._require_update().when

    @property
    def updates_in_cloud(self) -> bool:
        """Whether the scenario wants updates to be trained in the cloud."""
        return self._require_update().in_cloud

    @property
    def sample_bytes(self) -> float:
        """Size of a sample that a device uploads for an update."""
        return self._require_update().sample_bytes

    @property
    def payload_bytes(self) -> float:
        """Size of a sample that a task uploads."""
        return self._topology.reference_bytes

    def may_update(self, node: str) -> bool:
        """Whether an update may begin on the node now, as far as its battery is concerned."""
        if not self._require_update().only_while_charging:
            return True
        charger = self._places[node].charger
        return charger is not None and charger.is_on(self.now)

    @property
    def learner(self) -> Learner:
        """The scenario's update method; raises `StrategyError` without updates."""
        return self._require_update().learner

    @property
    def learns(self) -> bool:
        """Whether the scenario has updates."""
        return self._update is not None

    def view(self, task: Task, device: str) -> Task:
        """Give the task as another device sees its scene now: the sample, corrupted in its way."""
        if self.corruptions is None:
            return task._replace(device=device)
        clean = np.array([task.sample_id % self.corruptions.n_samples])
        (seen,) = self.corruptions.seen(device, np.array([self.now]), clean).tolist()
        return task._replace(device=device, sample_id=seen)

    def nodes(self, tier: str) -> list[str]:
        """Give the names of the nodes of a tier."""
        return [name for name, place in self._places.items() if place.node.tier == tier]

    def near(self, node: str, tier: str) -> str:
        """Give the node of the tier that a message reaches soonest; the node itself if it fits.

        Nodes that no way leads to at present come last.
        """
        try:
            return self._nearest[node, tier]
        except KeyError:
            found = self._nearest[node, tier] = self._find_nearest(node, tier)
            return found

    def model(self, node: str) -> ModelRef:
        """Give the version that the node serves."""
        return self._places[node].model

    def layers(self, model: ModelRef, codec: str = "raw") -> LayerGraph:
        """Give the layer graph of a version that some node has.

        Its `out_bytes` are what the codec makes of the layers' outputs, on average. Raises
        `UserError` for a version that is known by its predictions alone, or cannot be traced.
        """
        return self._place_with(model).predictor_of(model).layers(model, codec)

    def memory_bytes(self, node: str) -> float:
        """Give what fits into the memory of the node's inference engine; inf where all does."""
        memory = self._places[node].memory
        return math.inf if memory is None else memory.capacity_bytes

    def idle_w(self, node: str) -> float:
        """Give what the node's inference engine draws while it waits."""
        return self._places[node].inference.meter.idle_w

    def exits(self, model: ModelRef) -> tuple[ExitPoint, ...]:
        """Give the exits of a version that some node has, the end of the model included."""
        return self._place_with(model).predictor_of(model).exits(model)

    def install(self, node: str, model: ModelRef) -> None:
        """Let a node have a version that another one has, before anything happens.

        For models that are split: their weights lie on every node that runs a part. Raises
        `StrategyError` once time has begun: from then on weights are sent (``carries=``).
        """
        if self.now > 0.0:
            raise StrategyError(f"{node} can have a version installed at time 0 only; send it")
        self._places[node].install(model, self._place_with(model).predictor_of(model))

    def deploy(self, node: str, model: ModelRef) -> None:
        """Let the node serve a version from now on.

        Raises `StrategyError` unless the node holds it: the training has ended there, or its
        bytes have arrived. An update can therefore never act early.
        """
        place = self._places[node]
        if model.key not in place.held:
            raise StrategyError(f"{node} cannot deploy version {model.version}: it has not got it")
        place.model = model
        training = self._trained.get((node, model.key)) or Deployment(node, model, self.now)
        self._note_deployment(replace(training, t_deploy_s=self.now))

    def level(self, node: str) -> str | None:
        """Give the node's operating point by name; None: the card's own."""
        return self._places[node].level

    def set_level(self, node: str, level: str | None) -> None:
        """Let the node's engines go over to one of its `levels` (DVFS); None: the card's own.

        What is in service goes on at the new speed and power, after the level's transition, in
        which the engines stand still at idle power. Raises `StrategyError` for a name that the
        node does not have.
        """
        self._places[node].go_over(level)

    def buffer(self, node: str) -> Buffer:
        """Give the node's buffer."""
        found = self._buffers.get(node)
        if found is None:
            capacity = self._update.capacity if self._update else 0
            found = self._buffers[node] = Buffer(
                capacity,
                self.random("buffer", node),
                on_full=self.condition("buffer_full", node).fire,
            )
        return found

    def random(self, *name: str) -> np.random.Generator:
        """Give the random stream of this name; it goes on where the last call left it."""
        found = self._randoms.get(name)
        if found is None:
            found = self._randoms[name] = self._streams(*name)
        return found

    def inference_wait_s(self, node: str) -> float:
        """Give how long an inference that joined the node's queue now would wait.

        This and the next three look at the world as it stands, at no cost and without delay.
        """
        return self._places[node].inference.backlog_s()

    def sending_wait_s(self, a: str, b: str) -> float:
        """Give how long a message from `a` to `b` would wait on its way, by the queues of now."""
        return sum(hop.channel.backlog_s() for hop in self._topology.route(a, b))

    def price(self, node: str, work: Work) -> tuple[float, float]:
        """Give the seconds and marginal joules that counted work takes on the node's engine."""
        return self._places[node].price(work)

    def route(self, a: str, b: str) -> tuple[Hop, ...]:
        """Give the links from `a` to `b`, one after the other."""
        return tuple(self._topology.route(a, b))

    def transfer_s(self, a: str, b: str, size_bytes: float) -> float:
        """Give how long the links from `a` to `b` would serialise the bytes at today's rates."""
        return sum(8.0 * size_bytes / hop.bit_per_s for hop in self._topology.route(a, b))

    def charge_ratio(self, node: str) -> float:
        """Give the charge of the node's battery as a share of its capacity; 1 without one."""
        for battery in self._world.batteries:
            if battery.node.name == node:
                battery.settle()
                return battery.charge_j / battery.capacity_j
        return 1.0

    def condition(self, name: Condition, node: str) -> conditions.Condition:
        """Give the condition of this name on a node."""
        found = self._conditions.get((name, node))
        if found is None:
            made = conditions.Condition(Signal(self._world))
            found = self._conditions[name, node] = made
        return found

    def signal(self, name: str) -> Signal:
        """Give the signal of this name: ``yield ctx.signal(name).wait()``, ``.fire(value)``."""
        if name not in self._signals:
            self._signals[name] = Signal(self._world)
        return self._signals[name]

    def mailbox(self, name: str | None = None) -> Mailbox:
        """Give the mailbox of this name: ``.put(item)``, ``yield ctx.mailbox(name).get()``.

        Without a name it is a new one, which only its holder knows.
        """
        if name is None:
            return Mailbox(self._world)
        if name not in self._mailboxes:
            self._mailboxes[name] = Mailbox(self._world)
        return self._mailboxes[name]

    def reference_uploads(self, device: str, phase: int) -> tuple[int, int]:
        """Give (uploads, tasks) of the matched arm on a device in a phase."""
        return self._reference.get((device, phase), (0, 0))

    def record(self, name: str, value: float) -> None:
        """Keep a figure of the strategy's own, with the time, in the table ``marks``."""
        self.marks.append((self.now, name, float(value)))

    # Runtime --------------------------------------------------------------------------------

    def replay(self, deployments: Iterable[Deployment]) -> Iterable[Any]:
        """Give generators that deploy another arm's versions at their times (``versions:``)."""
        for deployment in deployments:
            yield self._replay(deployment)

    def _replay(self, original: Deployment) -> Any:
        yield self.after(original.t_deploy_s)
        place = self._places[original.device]
        place.held.add(original.model.key)
        place.model = original.model
        self._note_deployment(original)

    def _note_deployment(self, deployment: Deployment) -> None:
        self.deployments.append(deployment)
        if self.on_deploy is not None:
            self.on_deploy(deployment.device, deployment.model)

    def _forget_ways(self) -> None:
        """Look ways up anew: something went out, or came back."""
        self._nearest.clear()
        self._ways.clear()

    def _find_way(self, a: str, b: str) -> tuple[tuple[Hop, ...], int, bool]:
        """Give the route, its stage, and whether it leads a task's sample to the cloud."""
        rank = _RANK[self._places[b].node.tier] - _RANK[self._places[a].node.tier]
        stage = _DOWN if rank < 0 else _UP
        is_upload = stage == _UP and self._places[b].is_cloud
        found = self._ways[a, b] = self._topology.route(a, b), stage, is_upload
        return found

    def _find_nearest(self, node: str, tier: str) -> str:
        names = self.nodes(tier)
        if node in names:
            return node
        if not names:
            raise StrategyError(f"there is no node of tier {tier!r}")
        is_up = self._topology.is_up
        return min(
            names, key=lambda name: (not is_up(node, name), self._latency_s(node, name), name)
        )

    def _latency_s(self, a: str, b: str) -> float:
        bits = 8.0 * self._topology.reference_bytes
        return sum(h.propagation_s + bits / h.bit_per_s for h in self._topology.route(a, b))

    def _place_with(self, model: ModelRef) -> Place:
        for place in self._places.values():
            if model.key in place.held:
                return place
        raise StrategyError(f"no node holds version {model.version} of {model.role}")

    def _require_update(self) -> UpdatePolicy:
        if self._update is None:
            raise StrategyError("the scenario has no `learning.update`: nothing can be trained")
        return self._update


compiled.bind(Account, Infer, Message, Place, Answers, Context)
