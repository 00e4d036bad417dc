"""What a sweep would run and train, before it does."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ecsim.collab.strategy import Strategy
from ecsim.core import registry
from ecsim.core.types import Batch
from ecsim.experiment.plan import Plan
from ecsim.learning.cache import ArtefactCache
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture
from ecsim.learning.pace import macs_per_cpu_s, training_macs
from ecsim.records.store import ROOT
from ecsim.runtime.build import build
from ecsim.runtime.progress import Progress
from ecsim.runtime.system import System


@dataclass(frozen=True, slots=True)
class Training:
    """A training before the start of a run, shared by the cells that need the same one.

    `cpu_s` is None where a plugin does not say how long it trains.
    """

    what: str
    key: str
    is_cached: bool
    macs: float
    cpu_s: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is left to do of a sweep.

    Attributes
    ----------
    trainings : distinct trainings before the start of the cells that are left; known exactly.
    most_updates : of devices during the run, at most; None where nothing bounds them.
    updates_cpu_s : of these, at most.
    """

    n_cells: int
    n_done: int
    trainings: tuple[Training, ...]
    most_updates: int | None
    updates_cpu_s: float

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Say it in words."""
        new = [training for training in self.trainings if not training.is_cached]
        new_s = sum(training.cpu_s or 0.0 for training in new)
        said = [
            f"{self.n_cells} cells, {self.n_done} done, {self.n_cells - self.n_done} to run",
            f"{len(self.trainings)} distinct trainings before the start, "
            f"{len(self.trainings) - len(new)} in the cache, {len(new)} to train: "
            f"about {new_s:.0f} CPU-s",
        ]
        if any(training.cpu_s is None for training in new):
            said.append("  (without those of plugins that do not say how long they train)")
        if self.most_updates is None:
            said.append("updates of devices: not bounded, they start with a charge or a drift")
        elif self.most_updates:
            said.append(
                f"at most about {self.most_updates} distinct updates of devices, at most about "
                f"{self.updates_cpu_s:.0f} CPU-s: which samples a buffer holds follows from the "
                "simulated times, and cells in which it holds the same share the training"
            )
        said.append(
            "estimated from counted multiply-accumulates and this host's pace in a few steps"
        )
        return said


def estimate(plan: Plan, out: str | Path = ROOT) -> Estimate:
    """Build every cell that is not done, without training, and add up what it would train."""
    cells_folder = Path(out) / plan.folder_name / "cells"
    left = [cell for cell in plan.cells if cell.finished(cells_folder) is None]
    artefacts = ArtefactCache()
    trainings: dict[str, Training] = {}
    most_updates, updates_s = 0.0, 0.0
    for cell in left:
        system = build(cell.load(), artefacts, Progress())
        for key, recipe in system.versions.known.items():
            if key not in trainings and (recipe.n_samples or key not in artefacts):
                trainings[key] = _training(key, recipe, system, artefacts)
        n, seconds = _updates(system)
        most_updates, updates_s = most_updates + n, updates_s + seconds
    return Estimate(
        len(plan.cells),
        len(plan.cells) - len(left),
        tuple(trainings.values()),
        None if math.isinf(most_updates) else round(most_updates),
        updates_s,
    )


def _training(key: str, recipe: Any, system: System, artefacts: ArtefactCache) -> Training:
    later = (ref for _, ref in system.later_clouds)
    ref = next(ref for ref in (*system.first.values(), *later) if ref.key == key)
    n = len(ref.classes)
    macs = training_macs(recipe.architecture, n, recipe.n_samples, recipe.epochs)
    is_cached = key in artefacts
    pace = 1.0 if is_cached else _pace(recipe.architecture, n, system.compute)
    return Training(recipe.what, key, is_cached, macs, macs / pace if macs else None)


@cache
def _pace(architecture: Architecture, n_classes: int, compute: Compute) -> float:
    return macs_per_cpu_s(architecture, n_classes, compute)


def _updates(system: System) -> tuple[float, float]:
    """Give how often devices may train at most in a run, and the CPU time of that."""
    policy = system.update
    if policy is None:
        return 0, 0.0
    n_arms = sum(
        entry.versions == "own"
        and registry.resolve("strategy", entry.name).background is not Strategy.background
        for entry in system.scenario.strategies
    )
    # a sample is learned from once, so that updates share the tasks of their device
    n_tasks = getattr(system.arrivals(), "mean_per_s", math.inf) * system.horizon_s
    capacity = min(policy.capacity, len(system.pools.stream))
    if policy.when == "buffer_full":
        per_device: float = n_tasks / capacity
    elif policy.every_s is not None and policy.when == "periodic":
        per_device = system.horizon_s / policy.every_s
    else:
        per_device = system.schedule.n_phases if policy.when == "end_of_phase" else math.inf
    n_updates = n_arms * len(system.devices) * per_device if n_arms else 0
    n_samples = math.ceil(min(capacity, max(n_tasks / per_device, 1)))
    pool = system.pools.stream[:n_samples]
    classes = system.cloud_at(math.inf).classes
    logits = np.equal.outer(system.data.labels[pool], np.array(classes)).astype(np.float32)
    planned = policy.learner.plan(system.first["edge"], Batch.answered(pool, logits, classes))
    edge = system.versions.known.get(system.first["edge"].key)
    if planned is None or edge is None or not n_updates or math.isinf(n_updates):
        return n_updates, 0.0
    pace = _pace(edge.architecture, len(planned.child.classes), system.compute)
    return n_updates, n_updates * planned.work.macs / pace
