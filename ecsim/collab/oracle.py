"""Real predictions on demand, made in fixed chunks of samples and kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ecsim.core.entropy import normalized_entropy
from ecsim.core.errors import UserError
from ecsim.core.types import (
    FloatArray,
    IntArray,
    ModelRef,
    Operations,
    Part,
    Prediction,
    Samples,
    Work,
)
from ecsim.learning.compute import Compute
from ecsim.learning.versions import VersionStore

if TYPE_CHECKING:
    from ecsim.partition.graph import LayerGraph


class Predictor(Protocol):
    """Gives what a model version answers for a sample."""

    def predict(self, model: ModelRef, sample_id: int, part: Part | None = None) -> Prediction:
        """Give the prediction of this version, or a part of it, for the sample with this id."""

    def layers(self, model: ModelRef) -> LayerGraph:
        """Give the version's layer graph; raise `UserError` where there is none."""


class Oracle:
    """Runs the networks of a version store, a chunk of samples at a time.

    A chunk is a fixed range of one pool, never "the samples that come next": the order of
    simulated events cannot change a float (docs/decisions/0005-fixed-chunks.md).

    Parameters
    ----------
    images : (N, C, H, W), indexed by sample id.
    pools : ids of the samples that may be asked for, in the order that makes the chunks.
    chunk_size : samples per forward pass.
    with_operations : whether predictions list the operations they took, for a calibrated device.
    """

    def __init__(
        self,
        versions: VersionStore,
        images: Samples,
        pools: Sequence[IntArray],
        compute: Compute,
        chunk_size: int = 256,
        with_operations: bool = False,
    ):
        self._with_operations = with_operations
        self._operations: dict[str, Operations] = {}
        self._versions = versions
        self._images = images
        self._compute = compute
        self._known: dict[str, dict[int, Prediction]] = {}
        self._chunk_of: dict[int, IntArray] = {}
        for pool in pools:
            for start in range(0, len(pool), chunk_size):
                chunk = pool[start : start + chunk_size]
                self._chunk_of.update(dict.fromkeys(chunk.tolist(), chunk))

    def predict(self, model: ModelRef, sample_id: int, part: Part | None = None) -> Prediction:
        """Give the prediction; the first of a chunk runs the network (and trains it if need be).

        Raises `KeyError` for a sample that is in none of the pools.
        """
        if part is not None:
            raise UserError("parts of a network cannot be run yet")
        known = self._known.setdefault(model.key, {})
        found = known.get(sample_id)
        if found is None:
            self._run(model, self._chunk_of[sample_id], known)
            found = known[sample_id]
        return found

    def layers(self, model: ModelRef) -> LayerGraph:
        """Give the layer graph of a version's network."""
        raise UserError("networks cannot be traced yet")

    def _run(self, model: ModelRef, chunk: IntArray, known: dict[int, Prediction]) -> None:
        counted = self._versions.predict(model, self._images[chunk], self._compute)
        if self._with_operations and model.key not in self._operations:
            from ecsim.models.calls import operations_of

            with self._compute.active():
                shape = self._images.shape[1:]
                self._operations[model.key] = operations_of(self._versions.net(model), shape)
        operations = self._operations.get(model.key)
        works = (
            Work(
                macs=macs,
                sops=sops,
                neuron_updates=updates,
                bytes_moved=moved,
                operations=operations,
            )
            for macs, sops, updates, moved in zip(
                counted.macs.tolist(),
                counted.sops.tolist(),
                counted.neuron_updates.tolist(),
                counted.bytes_moved.tolist(),
                strict=True,
            )
        )
        known.update(zip(chunk.tolist(), predictions(model, counted.logits, works), strict=True))


class Table:
    """Predictions that a user computed elsewhere: logits per sample id and the work of one."""

    def __init__(self, logits: FloatArray, work: Work):
        self._logits = logits
        self._work = work
        self._known: dict[str, list[Prediction]] = {}

    def predict(self, model: ModelRef, sample_id: int, part: Part | None = None) -> Prediction:
        """Give row `sample_id` of the table as a prediction; raise `UserError` for a part."""
        if part is not None:
            self.layers(model)
        if model.key not in self._known:
            works = (self._work for _ in self._logits)
            self._known[model.key] = list(predictions(model, self._logits, works))
        return self._known[model.key][sample_id]

    def layers(self, model: ModelRef) -> LayerGraph:
        """Raise `UserError`: nobody knows."""
        raise UserError(
            f"the {model.role} model is known by its predictions alone: it has no layers to split"
        )


def predictions(model: ModelRef, logits: FloatArray, works: Iterable[Work]) -> Iterable[Prediction]:
    """Give one prediction per row of `logits` (N, K); K is the number of the model's classes."""
    labels = np.asarray(model.classes)[logits.argmax(axis=1)]
    entropies = normalized_entropy(logits)
    for label, row, entropy, work in zip(
        labels.tolist(), logits, entropies.tolist(), works, strict=True
    ):
        yield Prediction(label, row, entropy, work, model)
