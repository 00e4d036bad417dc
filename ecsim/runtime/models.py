"""The first versions of a scenario's models, who predicts for them, and how devices learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ecsim.collab.adwin import Adwin
from ecsim.collab.drift import DriftTest, PageHinkley
from ecsim.collab.oracle import Oracle, Predictor, Table
from ecsim.collab.updates import UpdatePolicy
from ecsim.core import registry
from ecsim.core.errors import DataError, ScenarioError
from ecsim.core.types import Batch, Labelled, ModelRef, Plan, Samples, Work
from ecsim.data.corrupted import Corrupted
from ecsim.data.dataset import Dataset
from ecsim.data.npz import read_npz
from ecsim.learning import recipes
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture
from ecsim.learning.update import Origin, UpdateMethod
from ecsim.learning.versions import VersionStore
from ecsim.learning.weights import file_digest
from ecsim.runtime.positions import at, cards_of
from ecsim.runtime.system import labels_of
from ecsim.scenario.load import Loaded
from ecsim.scenario.models import Drift, Predictions, TrainedModel
from ecsim.scenario.schema import Scenario
from ecsim.streams.corruptions import Corruptions
from ecsim.streams.pools import Pools
from ecsim.streams.schedule import Schedule, appearances


class Models:
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
            with at(loaded, ("stream", "corruptions")):
                self._samples, variants = Corrupted(data.images), corruptions.variants
        self._labels = labels_of(data, corruptions)
        seen = [
            number * len(data.labels) + pool
            for number in variants
            for pool in (pools.stream, pools.validation)
        ]
        self._oracle = Oracle(
            versions,
            self._samples,
            (pools.stream, pools.probe, pools.validation, *seen),
            compute,
            with_operations=is_calibrated(self._scenario),
            examples=pools.validation if len(pools.validation) else pools.cloud,
        )  # fmt: skip

    def cloud(self) -> tuple[ModelRef, Predictor]:
        """Give the cloud's first version: of all classes, or of the base classes."""
        spec = self._scenario.models.cloud
        classes = tuple(range(self._data.n_classes))
        if self._scenario.learning.cloud.knowledge != "all_classes":
            if not isinstance(spec, TrainedModel) or spec.weights is not None:
                place = ("learning", "cloud", "knowledge")
                message = "expected all_classes of a cloud model that is not trained here"
                raise ScenarioError([self._loaded.problem(place, message)])
            return self._trained_cloud(spec, self._schedule.groups[0], 0), self._oracle
        if isinstance(spec, Predictions):
            return self._table("cloud", spec, classes)
        if spec.weights is not None:
            return self._weights("cloud", spec, classes), self._oracle
        return self._trained_cloud(spec, classes, 0), self._oracle

    def later_clouds(
        self, first_delay_s: float, horizon_s: float
    ) -> tuple[tuple[float, ModelRef], ...]:
        """Give the versions that the cloud gets during the run, and when.

        For ``knowledge: delayed``: `label_delay` after a class's first phase has begun on the first
        device, whose phases come later than the schedule's by `first_delay_s`, labels have come and
        a version that knows it takes over. It is trained elsewhere, with no work of the simulated
        system (docs/decisions/0031-late-labels.md).
        """
        entry, spec = self._scenario.learning.cloud, self._scenario.models.cloud
        if entry.knowledge != "delayed" or entry.label_delay is None:
            return ()
        assert isinstance(spec, TrainedModel)
        known = set(self._schedule.groups[0])
        found: list[tuple[float, ModelRef]] = []
        for phase, classes in appearances(self._schedule):
            known |= {*classes}
            begin_s = phase * self._scenario.stream.phase + first_delay_s if phase else 0.0
            t_s = begin_s + entry.label_delay
            if t_s < horizon_s:
                found.append((t_s, self._trained_cloud(spec, tuple(known), len(found) + 1)))
        return tuple(found)

    def _trained_cloud(
        self, spec: TrainedModel, classes: tuple[int, ...], version: int
    ) -> ModelRef:
        entry = self._scenario.learning.cloud
        training = registry.resolve("cloud_training", entry.name)(entry.params)
        return recipes.cloud_version(
            self._versions, self._architecture(spec), training, self._data, self._pools.cloud,
            self._seed, self._compute, tuple(sorted(classes)), version,
        )  # fmt: skip

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
        return UpdatePolicy(
            entry.when, entry.while_updating, entry.buffer, learner, add, entry.only_while_charging,
            in_cloud=entry.where == "cloud",
            sample_bytes=self._scenario.stream.payload or self._data.sample_bytes,
            every_s=entry.every,
            drift_test=_drift_test(entry.drift),
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
        with at(self._loaded, ("models", role, "weights")):
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
        with at(self._loaded, ("models", role, "predictions")):
            logits = _read_logits(spec, (len(self._data.labels), len(classes)))
        key = f"predictions/{file_digest(spec.predictions.path)}"
        work = Work(**spec.work.model_dump())
        return ModelRef(role, 0, key, classes, 0), Table(logits, work)


def _drift_test(drift: Drift) -> Callable[[], DriftTest]:
    if drift.test == "adwin":
        return partial(Adwin, drift.delta, drift.least)
    return partial(PageHinkley, drift.tolerance, drift.threshold, drift.least)


def _read_logits(spec: Predictions, shape: tuple[int, int]) -> Any:
    (logits,) = read_npz(spec.predictions.path, "logits")
    if logits.shape != shape or logits.dtype.kind not in "fiu":
        raise DataError(
            f"expected real logits of shape {shape}, got {logits.dtype} of shape {logits.shape}"
        )
    if not (np.abs(logits) < np.finfo(np.float32).max).all():
        raise DataError("expected finite logits within float32, got NaN, infinity or more")
    return logits.astype(np.float32)


def is_calibrated(scenario: Scenario) -> bool:
    """Give whether a node's device, or the computer it is attached to, was measured."""
    devices = cards_of(scenario, "devices")
    nodes = scenario.topology.nodes.values()
    return any(devices[node.card].calibration is not None for node in nodes)
