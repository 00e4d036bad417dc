"""What all arms of a run share: data, pools, stream, prices, and the models' first versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ecsim.collab.oracle import Oracle, Predictor, Table
from ecsim.collab.updates import UpdatePolicy
from ecsim.core import registry
from ecsim.core.errors import DataError, ScenarioError, UserError
from ecsim.core.types import Batch, ModelRef, Plan, Task, Work
from ecsim.costs.cards import cards
from ecsim.costs.model import CostModel, EngineCost
from ecsim.learning import recipes
from ecsim.learning.cache import ArtefactCache
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture
from ecsim.learning.versions import VersionStore
from ecsim.learning.weights import file_digest
from ecsim.runtime.progress import Progress
from ecsim.scenario.load import Loaded
from ecsim.scenario.models import Predictions, TrainedModel
from ecsim.scenario.schema import Scenario
from ecsim.streams.datasets import Dataset
from ecsim.streams.pools import Pools, split
from ecsim.streams.schedule import Schedule
from ecsim.streams.tasks import task_stream


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A node to be: its name, tier, prices, and the rate and service of its other tenants."""

    name: str
    tier: str
    inference: EngineCost
    host: EngineCost | None
    background: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """A link to be, for the kernel's topology."""

    near: tuple[str, ...]
    far: str
    shared: bool
    rates: Any


@dataclass(frozen=True, eq=False)
class System:
    """Everything about a scenario that does not depend on the strategy.

    Attributes
    ----------
    devices : names of the nodes at which tasks arrive: those of the lowest tier.
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
    devices: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        lowest = "end" if any(node.tier == "end" for node in self.nodes) else "edge"
        devices = tuple(node.name for node in self.nodes if node.tier == lowest)
        object.__setattr__(self, "devices", devices)

    @property
    def horizon_s(self) -> float:
        """Time at which arrivals stop."""
        return self.schedule.n_phases * self.scenario.stream.phase

    @property
    def payload_bytes(self) -> float:
        """Size of one sample on a link."""
        return self.scenario.stream.payload or self.data.sample_bytes

    def train_loss(self, model: ModelRef) -> float | None:
        """Give the final loss of a version's training, None where it was not trained here."""
        losses = (m.metrics.get("loss") for m in self.versions.made if m.key == model.key)
        return next(losses, None)

    def tasks(self) -> Iterator[Task]:
        """Give the stream of tasks; the same on each call."""
        stream = self.scenario.stream
        arrivals = registry.resolve("arrivals", stream.arrivals.name)(stream.arrivals.params)
        return task_stream(
            self.devices,
            arrivals=arrivals,
            schedule=self.schedule,
            phase_s=stream.phase,
            samples=self.pools.stream,
            labels=self.data.labels,
            payload_bytes=self.payload_bytes,
            world_seed=self.scenario.seeds.world,
            data_seed=self.scenario.seeds.data,
            allocation=stream.allocation,
            deadline_s=stream.deadline,
        )


def build(loaded: Loaded, cache: ArtefactCache | None, progress: Progress) -> System:
    """Build what the arms share; nothing is trained yet.

    Raises
    ------
    ScenarioError : for what only the data set can tell, such as more base classes than classes.
    DataError : when the data set or a file of weights or predictions does not fit.
    """
    scenario = loaded.scenario
    data: Dataset = registry.resolve("data", scenario.data.name)(scenario.data.params).load()
    order = scenario.seeds.order
    make_schedule = registry.resolve("schedule", scenario.stream.schedule.name)
    with _at(loaded, ("stream", "schedule")):
        schedule = make_schedule(scenario.stream.schedule.params, data.n_classes, order % (1 << 32))
    with _at(loaded, ("data", "pools")):
        shares = {name: getattr(scenario.data.pools, name) for name in Pools.__slots__}
        pools = split(data.labels, shares, scenario.seeds.data)
    costs: CostModel = registry.resolve("costs", scenario.costs.name)(
        scenario.costs.params, scenario.energy.boundary
    )
    compute = Compute(scenario.compute.device, scenario.compute.threads, scenario.compute.precision)
    versions = VersionStore(cache, progress.training)
    models = _Models(loaded, data, pools, schedule, compute, versions)
    cloud, cloud_predictor = models.cloud()
    edge, edge_predictor = models.edge(cloud)
    return System(
        scenario=scenario,
        data=data,
        pools=pools,
        schedule=schedule,
        nodes=tuple(_nodes(loaded, costs)),
        links=tuple(_links(scenario, costs, scenario.stream.payload or data.sample_bytes)),
        costs=costs,
        versions=versions,
        predictors={"edge": edge_predictor, "cloud": cloud_predictor},
        first={"edge": edge, "cloud": cloud},
        update=models.update(),
    )


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
    ):
        self._loaded = loaded
        self._scenario = loaded.scenario
        self._data = data
        self._pools = pools
        self._schedule = schedule
        self._compute = compute
        self._versions = versions
        self._seed = self._scenario.seeds.train
        self._oracle = Oracle(versions, data.images, (pools.stream, pools.probe), compute)

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
        entry = self._scenario.learning.setup
        setup = registry.resolve("setup", entry.name)(entry.params)
        ref = recipes.setup_version(
            self._versions, self._architecture(spec), setup, cloud, self._data, self._pools.cloud,
            classes, self._seed, self._compute,
        )  # fmt: skip
        return ref, self._oracle

    def update(self) -> UpdatePolicy | None:
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
                self._versions, architecture, learner, parent, plan, batch, self._data.images, what
            )

        return UpdatePolicy(entry.when, entry.while_updating, entry.buffer, learner, add)

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
    path = spec.predictions.path
    try:
        with np.load(path, allow_pickle=False) as arrays:
            logits = arrays["logits"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DataError(f"expected an npz file with an array 'logits': {error}") from None
    if logits.shape != shape or not np.isfinite(logits).all():
        raise DataError(f"expected finite logits of shape {shape}, got shape {logits.shape}")
    return logits.astype(np.float32)


def _nodes(loaded: Loaded, costs: CostModel) -> Iterator[NodePlan]:
    devices = cards("devices")
    for name, node in loaded.scenario.topology.expanded():
        card = devices[node.card]
        inference = costs.engine(card, node.tier)
        host_card = node.host or (None if inference.can_train else card.host)
        yield NodePlan(
            name,
            node.tier,
            inference,
            costs.engine(devices[host_card], node.tier) if host_card else None,
            (node.background.rate, node.background.service) if node.background else None,
        )


def _links(scenario: Scenario, costs: CostModel, payload_bytes: float) -> Iterator[LinkPlan]:
    table = cards("links")
    for link in scenario.topology.links:
        rates = costs.link(
            table[link.card],
            payload_bytes=payload_bytes,
            up_bit_per_s=link.uplink,
            down_bit_per_s=link.downlink,
            latency_s=link.latency,
        )
        near, far = (scenario.topology.members(end) for end in link.between)
        for end in far:
            yield LinkPlan(tuple(near), end, link.shared, rates)


@contextmanager
def _at(loaded: Loaded, path: tuple[str, ...]) -> Iterator[None]:
    """Give a `UserError` raised inside the position of a path in the scenario."""
    try:
        yield
    except ScenarioError:
        raise
    except UserError as error:
        raise ScenarioError([loaded.problem(path, str(error))]) from None
