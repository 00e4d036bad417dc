"""What all arms of a run share: data, pools, stream, prices, and the models' first versions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from ecsim.collab.oracle import Predictor
from ecsim.collab.updates import UpdatePolicy
from ecsim.collab.validation import Validation
from ecsim.core import registry
from ecsim.core.errors import UserError
from ecsim.core.types import ModelRef, Task
from ecsim.costs.model import CostModel, EngineCost
from ecsim.data.dataset import Dataset
from ecsim.learning.compute import Compute
from ecsim.learning.versions import VersionStore
from ecsim.runtime.engines import bases, basis_warnings
from ecsim.runtime.network import LinkPlan, link_warnings
from ecsim.runtime.positions import at, cards_of
from ecsim.scenario.engine import Serving
from ecsim.scenario.load import Loaded
from ecsim.scenario.schema import Scenario
from ecsim.streams.arrivals import Arrivals, PerDevice
from ecsim.streams.blocks import DeviceColumns, TaskBlock, merge, whole
from ecsim.streams.corruptions import Corruptions
from ecsim.streams.dealing import Dealer, Local
from ecsim.streams.pools import Pools
from ecsim.streams.schedule import Schedule
from ecsim.streams.skew import Skew
from ecsim.streams.synchrony import delays
from ecsim.streams.tasks import (
    dealers,
    device_columns,
    phase_ends,
    tasks_of,
    time_of_task,
    timed_tasks_of,
)


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
    later_clouds : versions that the cloud gets during the run, with their times, ascending.
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
    later_clouds: tuple[tuple[float, ModelRef], ...] = ()
    devices: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "devices", devices_of(self.scenario))

    @property
    def warnings(self) -> list[str]:
        """What a reader of the run's figures should know about the constants behind them."""
        if self.scenario.costs.name == "published":
            return []  # the links' cards play no part
        found = link_warnings(self.scenario, cards_of(self.scenario, "links"))
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
    def delays_s(self) -> dict[str, float]:
        """By how much each device's phases begin later, by ``stream.synchrony``."""
        stream, seed = self.scenario.stream, self.scenario.seeds.data
        return delays(self.devices, stream.synchrony, stream.phase, seed)

    def phase_ends(self, device: str) -> npt.NDArray[np.float64]:
        """Give the time at which each phase of a device ends."""
        return phase_ends(self.schedule, self.scenario.stream.phase, self.delays_s[device])

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

    def cloud_at(self, t_s: float) -> ModelRef:
        """Give the version that the cloud serves at a time."""
        served = [self.first["cloud"], *(m for from_s, m in self.later_clouds if from_s <= t_s)]
        return served[-1]

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
        return labels_of(self.data, self.corruptions)

    def _device_columns(self) -> list[Iterator[DeviceColumns]]:
        return device_columns(
            self._dealers(),
            arrivals=self.arrivals(),
            schedule=self.schedule,
            phase_s=self.scenario.stream.phase,
            world_seed=self.scenario.seeds.world,
            horizon_s=self.horizon_s,
            corruptions=self.corruptions,
            delays_s=self.delays_s,
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
        with at(loaded, ("stream", "arrivals")):
            self.arrivals()
        with at(loaded, ("run", "tasks")):
            horizon_s = self.horizon_s
        with at(loaded, ("run", "warmup")):
            if self.scenario.run.warmup >= horizon_s:
                raise UserError(f"expected less than the horizon of {horizon_s:g} s")

    def _check_samples(self, loaded: Loaded) -> None:
        """See that each device has something to show at any time."""
        stream = self.scenario.stream
        with at(loaded, ("stream", "skew") if stream.skew else ("stream",)):
            different = {id(dealer.hand): dealer for dealer in self._dealers().values()}
            for dealer in different.values():
                dealer.check()


def devices_of(scenario: Scenario) -> tuple[str, ...]:
    """Give the names of the nodes at which tasks arrive: those of the lowest tier."""
    nodes = list(scenario.topology.expanded())
    lowest = "end" if any(node.tier == "end" for _, node in nodes) else "edge"
    return tuple(name for name, node in nodes if node.tier == lowest)


def labels_of(data: Dataset, corruptions: Corruptions | None) -> npt.NDArray[np.int64]:
    """Give the class of each sample by its id, those of corrupted variants included."""
    n_more = max(corruptions.variants, default=0) if corruptions else 0
    return np.tile(data.labels, 1 + n_more)
