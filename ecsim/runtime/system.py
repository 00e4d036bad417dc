"""What all arms of a run share: data, pools, stream, prices, and the models' first versions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from ecsim.collab.oracle import Oracle, Predictor, Table
from ecsim.collab.updates import UpdatePolicy
from ecsim.collab.validation import Validation
from ecsim.core import registry
from ecsim.core.errors import DataError, ScenarioError, UserError
from ecsim.core.types import Batch, Labelled, ModelRef, Plan, Samples, Task, Work
from ecsim.costs.cards import Card, all_cards
from ecsim.costs.model import CostModel, EngineCost
from ecsim.data.corrupted import Corrupted
from ecsim.data.dataset import Dataset
from ecsim.data.npz import read_npz
from ecsim.learning import recipes
from ecsim.learning.cache import ArtefactCache
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture
from ecsim.learning.update import Origin, UpdateMethod
from ecsim.learning.versions import VersionStore
from ecsim.learning.weights import file_digest
from ecsim.runtime.engines import at_operating_point, bases, basis_warnings, with_batches
from ecsim.runtime.lookup import costs_of
from ecsim.runtime.network import LinkPlan, link_plans, link_warnings
from ecsim.runtime.progress import Progress
from ecsim.scenario.engine import Serving
from ecsim.scenario.load import Loaded
from ecsim.scenario.messages import not_one_of
from ecsim.scenario.models import Predictions, TrainedModel
from ecsim.scenario.schema import Scenario
from ecsim.scenario.topology import member_of
from ecsim.streams.arrivals import Arrivals, PerDevice
from ecsim.streams.blocks import DeviceColumns, TaskBlock, merge, whole
from ecsim.streams.corruptions import Corruptions, Spell
from ecsim.streams.dealing import Dealer, Local
from ecsim.streams.pools import Pools, split
from ecsim.streams.schedule import Schedule
from ecsim.streams.skew import Skew
from ecsim.streams.tasks import (
    dealers,
    device_columns,
    phase_ends,
    tasks_of,
    time_of_task,
    timed_tasks_of,
)

_MOST_TASKS = 1e9


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A node to be: name, tier, prices, service, jobs of its other tenants, and its cards.

    `needs_events`: its engines cannot reserve ahead, whatever their discipline;
    `memory_bytes`: of its inference engine, inf where nobody says.
    """

    name: str
    tier: str
    inference: EngineCost
    host: EngineCost | None
    serving: Serving
    background: tuple[float, float] | None = None
    card: str | None = None
    host_card: str | None = None
    needs_events: bool = False
    memory_bytes: float = math.inf


@dataclass(frozen=True, eq=False)
class System:
    """Everything about a scenario that does not depend on the strategy.

    Attributes
    ----------
    devices : names of the nodes at which tasks arrive: those of the lowest tier.
    corruptions : which variants of samples they see when; None: the clean ones.
    versions : the store of trained networks.
    predictors, first : per role ("edge", "cloud"), who predicts and with which first version.
    update : how devices learn; None when they do not.
    """

    scenario: Scenario
    data: Dataset
    pools: Pools
    schedule: Schedule
    nodes: tuple[NodePlan, ...]
    links: tuple[LinkPlan, ...]
    costs: CostModel
    versions: VersionStore
    predictors: dict[str, Predictor]
    first: dict[str, ModelRef]
    update: UpdatePolicy | None
    compute: Compute
    corruptions: Corruptions | None = None
    devices: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "devices", devices_of(self.scenario))

    @property
    def warnings(self) -> list[str]:
        """What a reader of the run's figures should know about the constants behind them."""
        if self.scenario.costs.name == "published":
            return []  # the links' cards play no part
        found = link_warnings(self.scenario, _cards(self.scenario, "links"))
        return basis_warnings(self.bases) + found + self._not_realisable()

    def _not_realisable(self) -> list[str]:
        """Say so where no device could learn as the scenario wants."""
        entry, policy = self.scenario.learning.update, self.update
        if entry is None or policy is None:
            return []
        said = []
        if not policy.in_cloud and not getattr(policy.learner, "is_realisable", True):
            said.append(
                f"learning.update: {entry.name} is a ceiling, not realisable: a device does not "
                "keep the data it needs"
            )
        if policy.truth is not None:
            said.append("learning.update: labels: oracle is not realisable: it takes true classes")
        return said

    @cached_property
    def bases(self) -> dict[str, dict[str, Any]]:
        """What the engines' seconds rest on, by device card, see `runtime.engines.bases`."""
        return bases(
            (plan.name, card, cost)
            for plan in self.nodes
            for card, cost in ((plan.card, plan.inference), (plan.host_card, plan.host))
            if cost is not None and card is not None
        )

    @cached_property
    def horizon_s(self) -> float:
        """Time at which arrivals stop.

        With ``run.tasks`` it lies just after the last of them; raises `UserError` when fewer
        arrive.
        """
        run, stream = self.scenario.run, self.scenario.stream
        if run.tasks is None:
            return run.horizon or self.schedule.n_phases * stream.phase
        found = time_of_task(run.tasks, self.devices, self.arrivals(), self.scenario.seeds.world)
        if found is None:
            raise UserError(f"expected as many tasks as arrive at most, got {run.tasks}")
        return math.nextafter(found, math.inf)

    @cached_property
    def phase_ends(self) -> npt.NDArray[np.float64]:
        """Time at which each phase ends."""
        return phase_ends(self.schedule, self.scenario.stream.phase)

    @property
    def payload_bytes(self) -> float:
        """Size of one sample on a link."""
        return self.scenario.stream.payload or self.data.sample_bytes

    def validation(self) -> Validation:
        """Give what strategies may choose on."""

        def heads_of(model: ModelRef) -> tuple[int, ...]:
            if model not in self.versions:  # known by its predictions alone
                return (len(model.classes),)
            return tuple(len(head) for head in self.versions.net(model).head_classes)

        return Validation(
            self.pools.validation, self.data.labels, self.data.n_classes,
            self.predictors["edge"], self.predictors["cloud"], self.first["cloud"], heads_of,
        )  # fmt: skip

    def train_loss(self, model: ModelRef) -> float | None:
        """Give the final loss of a version's training, None where it was not trained here."""
        losses = (m.metrics.get("loss") for m in self.versions.made if m.key == model.key)
        return next(losses, None)

    def tasks(self) -> Iterator[Task]:
        """Give the stream of tasks; the same on each call."""
        deadline_s = self.scenario.stream.deadline
        return chain.from_iterable(
            tasks_of(block, self.devices, self.payload_bytes, deadline_s)
            for block in self.task_blocks()
        )

    def timed_tasks(self, blocks: Iterable[TaskBlock]) -> Iterator[tuple[float, Task]]:
        """Give the tasks of blocks with their times, for a world to be fed."""
        deadline_s = self.scenario.stream.deadline
        return chain.from_iterable(
            timed_tasks_of(block, self.devices, self.payload_bytes, deadline_s) for block in blocks
        )

    def task_blocks(self) -> Iterator[TaskBlock]:
        """Give the same stream as blocks of columns."""
        return merge(self._device_columns())

    def task_columns(self, most: int) -> TaskBlock | None:
        """Give the same stream as one block; None when it has more than `most` tasks."""
        return whole(self._device_columns(), most)

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class of each sample by its id, those of corrupted variants included."""
        return _labels(self.data, self.corruptions)

    def _device_columns(self) -> list[Iterator[DeviceColumns]]:
        return device_columns(
            self._dealers(),
            arrivals=self.arrivals(),
            schedule=self.schedule,
            phase_s=self.scenario.stream.phase,
            world_seed=self.scenario.seeds.world,
            horizon_s=self.horizon_s,
            corruptions=self.corruptions,
        )

    def _dealers(self) -> dict[str, Dealer]:
        stream = self.scenario.stream
        skew: Skew | None = None
        if stream.skew is not None:
            skew = registry.resolve("skew", stream.skew.name)(stream.skew.params)
        return dealers(
            self.devices,
            schedule=self.schedule,
            samples=self.pools.stream,
            labels=self.data.labels,
            data_seed=self.scenario.seeds.data,
            allocation=stream.allocation,
            skew=skew,
            groups=self.data.groups,
            local=Local(stream.local.share, stream.local.replace) if stream.local else None,
        )

    def arrivals(self) -> Arrivals:
        """Give the arrival process; raises `UserError` when it names devices there are not."""
        entry = self.scenario.stream.arrivals
        arrivals: Arrivals = registry.resolve("arrivals", entry.name)(entry.params)
        if isinstance(arrivals, PerDevice):
            arrivals.check_devices(self.devices)
        return arrivals

    def check_run(self, loaded: Loaded) -> None:
        """Raise `ScenarioError` where samples, arrivals and run control do not fit the rest."""
        self._check_samples(loaded)
        with _at(loaded, ("stream", "arrivals")):
            self.arrivals()
        with _at(loaded, ("run", "tasks")):
            horizon_s = self.horizon_s
        with _at(loaded, ("run", "warmup")):
            if self.scenario.run.warmup >= horizon_s:
                raise UserError(f"expected less than the horizon of {horizon_s:g} s")

    def _check_samples(self, loaded: Loaded) -> None:
        """See that each device has something to show at any time."""
        stream = self.scenario.stream
        with _at(loaded, ("stream", "skew") if stream.skew else ("stream",)):
            different = {id(dealer.hand): dealer for dealer in self._dealers().values()}
            for dealer in different.values():
                dealer.check()


def devices_of(scenario: Scenario) -> tuple[str, ...]:
    """Give the names of the nodes at which tasks arrive: those of the lowest tier."""
    nodes = list(scenario.topology.expanded())
    lowest = "end" if any(node.tier == "end" for _, node in nodes) else "edge"
    return tuple(name for name, node in nodes if node.tier == lowest)


def build(loaded: Loaded, cache: ArtefactCache | None, progress: Progress) -> System:
    """Build what the arms share; nothing is trained yet.

    Raises
    ------
    ScenarioError : for what only the data set can tell, such as more base classes than classes.
    DataError : when the data set or a file of weights or predictions does not fit.
    """
    scenario = loaded.scenario
    _refuse_what_has_no_effect(loaded)
    data: Dataset = registry.resolve("data", scenario.data.name)(scenario.data.params).load()
    order = scenario.seeds.order
    make_schedule = registry.resolve("schedule", scenario.stream.schedule.name)
    with _at(loaded, ("stream", "schedule")):
        schedule = make_schedule(scenario.stream.schedule.params, data.n_classes, order % (1 << 32))
    with _at(loaded, ("data", "pools")):
        pools = _pools(scenario, data)
    costs = costs_of(loaded)
    compute = Compute(scenario.compute.device, scenario.compute.threads, scenario.compute.precision)
    versions = VersionStore(cache, progress.training)
    corruptions = _corruptions(loaded, data)
    models = _Models(loaded, data, pools, schedule, compute, versions, corruptions)
    cloud, cloud_predictor = models.cloud()
    edge, edge_predictor = models.edge(cloud)
    system = System(
        scenario=scenario,
        data=data,
        pools=pools,
        schedule=schedule,
        nodes=tuple(_nodes(loaded, costs)),
        links=tuple(
            link_plans(
                loaded,
                costs,
                scenario.stream.payload or data.sample_bytes,
                _cards(scenario, "links"),
            )
        ),
        costs=costs,
        versions=versions,
        predictors={"edge": edge_predictor, "cloud": cloud_predictor},
        first={"edge": edge, "cloud": cloud},
        update=models.update(edge),
        compute=compute,
        corruptions=corruptions,
    )
    system.check_run(loaded)
    _check_tasks_and_engines(loaded, system)
    return system


def _pools(scenario: Scenario, data: Dataset) -> Pools:
    asked = scenario.data
    shares = {name: getattr(asked.pools, name) for name in Pools.__slots__}
    test = None
    if asked.pools.probe == "test":
        if not len(data.test):
            raise UserError(f"probe: the data set {data.name!r} has no test part of its own")
        test, shares["probe"] = data.test, 0.0
    return split(
        data.labels, shares, scenario.seeds.data,
        test=test, n_samples=asked.samples, n_test=asked.test_samples,
    )  # fmt: skip


def _corruptions(loaded: Loaded, data: Dataset) -> Corruptions | None:
    """Give which device sees what when; raises `ScenarioError` for devices there are not."""
    entries = loaded.scenario.stream.corruptions
    if not entries:
        return None
    devices = devices_of(loaded.scenario)
    found = Corruptions(len(data.labels))
    for i, entry in enumerate(entries):
        chosen = []
        for j, wanted in enumerate(entry.devices or ()):
            named = [d for d in devices if wanted in (d, (member_of(d) or (d, 0))[0])]
            if not named:
                message = not_one_of(wanted, devices, "device at which tasks arrive")
                place = ("stream", "corruptions", i, "devices", j)
                raise ScenarioError([loaded.problem(place, message)])
            chosen += named
        until_s = math.inf if entry.until is None else entry.until
        spell = Spell(entry.kind, entry.severity, entry.from_, until_s, entry.gradual)
        with _at(loaded, ("stream", "corruptions", i)):
            found.add(spell, list(dict.fromkeys(chosen)) or devices)
    for role, spec in (
        ("edge", loaded.scenario.models.edge),
        ("cloud", loaded.scenario.models.cloud),
    ):
        if isinstance(spec, Predictions):
            message = f"needs networks to predict corrupted samples; models.{role} is a table"
            raise ScenarioError([loaded.problem(("stream", "corruptions"), message)])
    return found


def _labels(data: Dataset, corruptions: Corruptions | None) -> npt.NDArray[np.int64]:
    """Give the class of each sample by its id, those of corrupted variants included."""
    n_more = max(corruptions.variants, default=0) if corruptions else 0
    return np.tile(data.labels, 1 + n_more)


def _refuse_what_has_no_effect(loaded: Loaded) -> None:
    """Refuse keys that a published table would silently ignore."""
    scenario = loaded.scenario
    if scenario.costs.name != "published":
        return
    problems = [
        loaded.problem(("topology", "links", i, key), "has no effect with costs: published")
        for i, link in enumerate(scenario.topology.links)
        for key in ("uplink", "downlink", "latency")
        if getattr(link, key) is not None
    ]
    problems += [
        loaded.problem(("topology", "nodes", name, "background"), "is not in a published table")
        for name, node in scenario.topology.nodes.items()
        if node.background is not None
    ]
    if problems:
        raise ScenarioError(problems)


def _check_tasks_and_engines(loaded: Loaded, system: System) -> None:
    scenario = system.scenario
    problems = []
    rate = getattr(system.arrivals(), "mean_per_s", 0.0)
    expected = rate * system.horizon_s * len(system.devices)
    if expected > _MOST_TASKS:
        message = f"expected at most {_MOST_TASKS:.0e} tasks in the run, got about {expected:.1e}"
        problems.append(loaded.problem(("stream", "arrivals"), message))
    trains = {plan.name: (plan.host or plan.inference).can_train for plan in system.nodes}
    for group, node in scenario.topology.nodes.items():
        cannot = not all(trains[name] for name in node.names(group))
        in_cloud = system.update is not None and system.update.in_cloud
        if system.update is not None and (node.tier == "cloud") == in_cloud and cannot:
            key = "host" if node.host else "card"
            what = "cloud" if in_cloud else "device"
            message = f"expected a {what} that can train, or a host that can, for learning.update"
            problems.append(loaded.problem(("topology", "nodes", group, key), message))
    edge, cloud = system.first["edge"], system.first["cloud"]
    missing = sorted(set(edge.classes) - set(cloud.classes))
    if missing and system.update is not None:
        message = f"expected a cloud that knows the edge's classes {missing} too, to learn from"
        problems.append(loaded.problem(("models", "cloud"), message))
    if problems:
        raise ScenarioError(problems)


class _Models:
    """Makes the first versions and the update policy out of `models:` and `learning:`."""

    def __init__(
        self,
        loaded: Loaded,
        data: Dataset,
        pools: Pools,
        schedule: Schedule,
        compute: Compute,
        versions: VersionStore,
        corruptions: Corruptions | None,
    ):
        self._loaded = loaded
        self._scenario = loaded.scenario
        self._data = data
        self._pools = pools
        self._schedule = schedule
        self._compute = compute
        self._versions = versions
        self._seed = self._scenario.seeds.train
        self._samples: Samples = data.images
        variants: list[int] = []
        if corruptions is not None:
            with _at(loaded, ("stream", "corruptions")):
                self._samples, variants = Corrupted(data.images), corruptions.variants
        self._labels = _labels(data, corruptions)
        seen = [number * len(data.labels) + pools.stream for number in variants]
        self._oracle = Oracle(
            versions,
            self._samples,
            (pools.stream, pools.probe, pools.validation, *seen),
            compute,
            with_operations=_is_calibrated(self._scenario),
        )  # fmt: skip

    def cloud(self) -> tuple[ModelRef, Predictor]:
        """Give the cloud's version: all classes."""
        spec = self._scenario.models.cloud
        classes = tuple(range(self._data.n_classes))
        if isinstance(spec, Predictions):
            return self._table("cloud", spec, classes)
        if spec.weights is not None:
            return self._weights("cloud", spec, classes), self._oracle
        entry = self._scenario.learning.cloud
        training = registry.resolve("cloud_training", entry.name)(entry.params)
        architecture = self._architecture(spec)
        ref = recipes.cloud_version(
            self._versions, architecture, training, self._data, self._pools.cloud, self._seed,
            self._compute,
        )  # fmt: skip
        return ref, self._oracle

    def edge(self, cloud: ModelRef) -> tuple[ModelRef, Predictor]:
        """Give the edge's first version: the base classes, set up with the cloud's help."""
        spec = self._scenario.models.edge
        classes = self._schedule.groups[0]
        if isinstance(spec, Predictions):
            return self._table("edge", spec, tuple(range(self._data.n_classes)))
        if spec.weights is not None:
            return self._weights("edge", spec, classes), self._oracle
        if cloud not in self._versions:
            raise ScenarioError(
                [
                    self._loaded.problem(
                        ("models", "edge"),
                        "the set-up needs a cloud network to learn from, but models.cloud gives "
                        "predictions only; give the edge weights or predictions too",
                    )
                ]
            )
        lacking = sorted(set(classes) - set(cloud.classes))
        if lacking:
            message = f"expected a cloud that knows the base classes {lacking} too"
            raise ScenarioError([self._loaded.problem(("models", "cloud"), message)])
        entry = self._scenario.learning.setup
        setup = registry.resolve("setup", entry.name)(entry.params)
        ref = recipes.setup_version(
            self._versions, self._architecture(spec), setup, cloud, self._data, self._pools.cloud,
            classes, self._seed, self._compute,
        )  # fmt: skip
        return ref, self._oracle

    def update(self, edge: ModelRef) -> UpdatePolicy | None:
        """Give how devices learn; None without ``learning.update``."""
        entry = self._scenario.learning.update
        if entry is None:
            return None
        spec = self._scenario.models.edge
        if isinstance(spec, Predictions):
            raise ScenarioError(
                [
                    self._loaded.problem(
                        ("learning", "update"),
                        "an edge model that is known by its predictions alone cannot be updated",
                    )
                ]
            )
        architecture = self._architecture(spec)
        learner = registry.resolve("update", entry.name)(
            entry.params, architecture, self._seed, self._compute
        )

        def add(learner: Any, parent: ModelRef, plan: Plan, batch: Batch, device: str) -> None:
            what = f"update {plan.child.version} of {device}"
            recipes.update_version(
                self._versions, architecture, learner, parent, plan, batch, self._samples, what
            )

        if isinstance(learner, UpdateMethod):
            learner.begin(self._origin(edge))
        drift = entry.drift
        return UpdatePolicy(
            entry.when, entry.while_updating, entry.buffer, learner, add, entry.only_while_charging,
            in_cloud=entry.where == "cloud",
            sample_bytes=self._scenario.stream.payload or self._data.sample_bytes,
            every_s=entry.every,
            drift=(drift.tolerance, drift.threshold, drift.least),
            truth=self._labels if entry.labels == "oracle" else None,
        )  # fmt: skip

    def _origin(self, edge: ModelRef) -> Origin:
        """Say where the devices' learning starts from."""
        spec = self._scenario.models.edge
        assert isinstance(spec, TrainedModel)
        ids, labels = self._pools.cloud, self._data.labels
        ids = ids[np.isin(labels[ids], edge.classes)] if spec.weights is None else ids[:0]
        samples = Labelled(np.asarray(ids, np.int64), labels[ids])
        return Origin(edge, samples, self._data.sample_bytes, self._data.augmentation)

    def _architecture(self, spec: TrainedModel) -> Architecture:
        return Architecture(spec.name, spec.params, self._data.images.shape[1:])

    def _weights(self, role: str, spec: TrainedModel, classes: tuple[int, ...]) -> ModelRef:
        assert spec.weights is not None
        with _at(self._loaded, ("models", role, "weights")):
            architecture = self._architecture(spec)
            ref = recipes.weights_version(
                self._versions, role, architecture, spec.weights.path, classes, self._compute
            )
            unknown = sorted(set(ref.classes) - set(range(self._data.n_classes)))
            if unknown:
                raise DataError(f"the weights know classes {unknown}, which the data have not")
            return ref

    def _table(
        self, role: str, spec: Predictions, classes: tuple[int, ...]
    ) -> tuple[ModelRef, Predictor]:
        with _at(self._loaded, ("models", role, "predictions")):
            logits = _read_logits(spec, (len(self._data.labels), len(classes)))
        key = f"predictions/{file_digest(spec.predictions.path)}"
        work = Work(**spec.work.model_dump())
        return ModelRef(role, 0, key, classes, 0), Table(logits, work)


def _read_logits(spec: Predictions, shape: tuple[int, int]) -> Any:
    (logits,) = read_npz(spec.predictions.path, "logits")
    if logits.shape != shape or logits.dtype.kind not in "fiu":
        raise DataError(
            f"expected real logits of shape {shape}, got {logits.dtype} of shape {logits.shape}"
        )
    if not (np.abs(logits) < np.finfo(np.float32).max).all():
        raise DataError("expected finite logits within float32, got NaN, infinity or more")
    return logits.astype(np.float32)


def _nodes(loaded: Loaded, costs: CostModel) -> Iterator[NodePlan]:
    devices = _cards(loaded.scenario, "devices")
    plan: NodePlan | None = None
    known = ""
    for name, node in loaded.scenario.topology.expanded():
        card = devices[node.card]
        group = (member_of(name) or (name, 0))[0]
        if plan is not None and group == known:  # members of a group share their price lists
            yield replace(plan, name=name)
            continue
        with _at(loaded, ("topology", "nodes", group, "card")):
            inference = with_batches(costs.engine(card, node.tier), card, node)
        host_card = node.host or (None if inference.can_train else card.host)
        host = costs.engine(devices[host_card], node.tier) if host_card else None
        known = group
        plan = NodePlan(
            name,
            node.tier,
            at_operating_point(inference, node),
            at_operating_point(host, node) if host else None,
            node,
            (node.background.rate, node.background.service) if node.background else None,
            node.card,
            host_card,
            node.needs_events,
            card.get("memory", math.inf) if node.memory is None else node.memory,
        )
        yield plan


def _cards(scenario: Scenario, kind: str) -> dict[str, Card]:
    return all_cards(kind, scenario.cards.path if scenario.cards else None)


def _is_calibrated(scenario: Scenario) -> bool:
    """Give whether a node's device, or the computer it is attached to, was measured."""
    devices = _cards(scenario, "devices")
    nodes = scenario.topology.nodes.values()
    return any(devices[node.card].calibration is not None for node in nodes)


@contextmanager
def _at(loaded: Loaded, path: tuple[str | int, ...]) -> Iterator[None]:
    """Give a `UserError` raised inside the position of a path in the scenario."""
    try:
        yield
    except ScenarioError:
        raise
    except UserError as error:
        key, _, rest = str(error).partition(": ")  # some say which of the section's keys it is
        place, message = (
            ((*path, key), rest) if (*path, key) in loaded.origins else (path, str(error))
        )
        raise ScenarioError([loaded.problem(place, message)]) from None
