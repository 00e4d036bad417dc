"""Real predictions on demand, made in fixed chunks of samples and kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ecsim.core.entropy import normalized_entropy
from ecsim.core.errors import UserError
from ecsim.core.types import (
    ExitPoint,
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
from ecsim.models.counted import Counted, CountedExits

if TYPE_CHECKING:
    from ecsim.collab.parts import Parts
    from ecsim.partition.graph import LayerGraph

_EXAMPLES = 32  # samples that the mean work of layers is counted on


class Predictor(Protocol):
    """Gives what a model version answers for a sample."""

    def predict(self, model: ModelRef, sample_id: int, part: Part | None = None) -> Prediction:
        """Give the prediction of this version, or a part of it, for the sample with this id."""

    def layers(self, model: ModelRef, codec: str = "raw") -> LayerGraph:
        """Give the version's layer graph; raise `UserError` where there is none.

        `out_bytes` are means of what a codec makes of the layers' outputs.
        """

    def layer_names(self, model: ModelRef) -> tuple[str, ...]:
        """Give the names of the version's layers in their order; nothing is trained for it."""

    def exits(self, model: ModelRef) -> tuple[ExitPoint, ...]:
        """Give the version's exits; one that has no early ones has a single one, its end."""


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
    examples : ids of the samples that the layers' mean work is counted on; by default the first
        of the last pool that has any.
    """

    def __init__(
        self,
        versions: VersionStore,
        images: Samples,
        pools: Sequence[IntArray],
        compute: Compute,
        chunk_size: int = 256,
        with_operations: bool = False,
        examples: IntArray | None = None,
    ):
        self._with_operations = with_operations
        self._operations: dict[str, Operations] = {}
        self._versions = versions
        self._images = images
        self._compute = compute
        self._known: dict[tuple[str, Part | None], dict[int, Prediction]] = {}
        self._counted: dict[tuple[str, int], CountedExits] = {}
        self._chunk_of: dict[int, IntArray] = {}
        for pool in pools:
            for start in range(0, len(pool), chunk_size):
                chunk = pool[start : start + chunk_size]
                self._chunk_of.update(dict.fromkeys(chunk.tolist(), chunk))
        if examples is None or not len(examples):
            examples = next((pool for pool in reversed(pools) if len(pool)), np.empty(0, np.int64))
        self._examples = examples[:_EXAMPLES]
        self._parts: dict[str, Parts] = {}
        self._layer_names: dict[str, tuple[str, ...]] = {}

    def predict(self, model: ModelRef, sample_id: int, part: Part | None = None) -> Prediction:
        """Give the prediction; the first of a chunk runs the network (and trains it if need be).

        Raises `KeyError` for a sample that is in none of the pools.
        """
        if part is not None and part.cut is not None:
            return self._parts_of(model).predict(sample_id, self._chunk_of[sample_id], part)
        n_exits = len(self.exits(model))
        if n_exits > 1 or part is not None:
            part = checked_part(part, n_exits)
        known = self._known.setdefault((model.key, part if n_exits > 1 else None), {})
        found = known.get(sample_id)
        if found is None:
            chunk = self._chunk_of[sample_id]
            if part is not None and n_exits > 1:
                self._run_exit(model, chunk, part, known)
            else:
                self._run(model, chunk, known)
            found = known[sample_id]
        return found

    def exits(self, model: ModelRef) -> tuple[ExitPoint, ...]:
        """Give the exits of a version; nothing is run or trained."""
        return self._versions.exits(model)

    def layers(self, model: ModelRef, codec: str = "raw") -> LayerGraph:
        """Give the layer graph of a version's network; it is traced when first asked for."""
        return self._parts_of(model).graph(codec)

    def layer_names(self, model: ModelRef) -> tuple[str, ...]:
        """Trace an untrained twin of a version's network for the names of its layers."""
        if model.key not in self._layer_names:
            from ecsim.partition.execution import CutNet

            net = self._versions.known[model.key].architecture.build((model.classes,))
            layout = CutNet(net, self._images.shape[1:]).layout(1)
            self._layer_names[model.key] = tuple(layout.layers)
        return self._layer_names[model.key]

    def _parts_of(self, model: ModelRef) -> Parts:
        found = self._parts.get(model.key)
        if found is None:
            from ecsim.collab.parts import Parts

            found = self._parts[model.key] = Parts(
                model, self._versions.net(model), self._images, self._examples, self._compute,
                self._with_operations,
            )  # fmt: skip
        return found

    def _run(self, model: ModelRef, chunk: IntArray, known: dict[int, Prediction]) -> None:
        counted = self._versions.predict(model, self._images[chunk], self._compute)
        if self._with_operations and model.key not in self._operations:
            from ecsim.models.calls import operations_of

            with self._compute.active():
                shape = self._images.shape[1:]
                self._operations[model.key] = operations_of(self._versions.net(model), shape)
        works = _works(counted, self._operations.get(model.key))
        known.update(zip(chunk.tolist(), predictions(model, counted.logits, works), strict=True))

    def _run_exit(
        self, model: ModelRef, chunk: IntArray, part: Part, known: dict[int, Prediction]
    ) -> None:
        """Do the same for a version with exits: all of them at once, kept for the other parts."""
        first = model.key, int(chunk[0])
        counted = self._counted.get(first)
        if counted is None:
            counted = self._versions.predict_exits(model, self._images[chunk], self._compute)
            self._counted[first] = counted
        assert part.exit is not None
        mine = counted.of(part.exit, part.after)
        works = _works(mine, self._operations_of_part(model, part))
        rows = predictions(model, mine.logits, works, part.exit)
        known.update(zip(chunk.tolist(), rows, strict=True))

    def _operations_of_part(self, model: ModelRef, part: Part) -> Operations | None:
        key = f"{model.key}/{part.exit}/{part.after}"
        if self._with_operations and key not in self._operations:
            from ecsim.models.exit_work import operations_of_part
            from ecsim.models.multi_exit import MultiExitNet

            net = self._versions.net(model)
            assert isinstance(net, MultiExitNet) and part.exit is not None
            with self._compute.active():
                shape = tuple(self._images.shape[1:])
                self._operations[key] = operations_of_part(net, shape, part.exit, part.after)
        return self._operations.get(key)


class Table:
    """Predictions that a user computed elsewhere: logits per sample id and the work of one."""

    def __init__(self, logits: FloatArray, work: Work):
        self._logits = logits
        self._work = work
        self._known: dict[str, list[Prediction]] = {}

    def predict(self, model: ModelRef, sample_id: int, part: Part | None = None) -> Prediction:
        """Give row `sample_id` of the table as a prediction; raise `UserError` for a part."""
        if part is not None and part.cut is not None:
            self.layers(model)
        checked_part(part, 1)
        if model.key not in self._known:
            works = (self._work for _ in self._logits)
            self._known[model.key] = list(predictions(model, self._logits, works))
        return self._known[model.key][sample_id]

    def layers(self, model: ModelRef, codec: str = "raw") -> LayerGraph:
        """Raise `UserError`: nobody knows."""
        raise UserError(
            f"the {model.role} model is known by its predictions alone: it has no layers to split"
        )

    def layer_names(self, model: ModelRef) -> tuple[str, ...]:
        """Raise `UserError`: nobody knows."""
        return self.layers(model).names

    def exits(self, model: ModelRef) -> tuple[ExitPoint, ...]:
        """Give the only exit there is."""
        return (ExitPoint("output", None, float(model.param_bytes), 0.0),)


def predictions(
    model: ModelRef, logits: FloatArray, works: Iterable[Work], exit: int = 0
) -> Iterable[Prediction]:
    """Give one prediction per row of `logits` (N, K); K is the number of the model's classes."""
    labels = np.asarray(model.classes)[logits.argmax(axis=1)]
    entropies = normalized_entropy(logits)
    for label, row, entropy, work in zip(
        labels.tolist(), logits, entropies.tolist(), works, strict=True
    ):
        yield Prediction(label, row, entropy, work, model, exit)


def checked_part(part: Part | None, n_exits: int) -> Part:
    """Give a part without a cut with its exit as a number; None is the whole model.

    Raises `UserError` for an exit that the model does not have, or one that is not later than
    the exit it goes on from.
    """
    exit = n_exits - 1 if part is None or part.exit is None else part.exit
    after = None if part is None else part.after
    if not 0 <= exit < n_exits or (after is not None and not 0 <= after < exit):
        after_what = "" if after is None else f" after exit {after}"
        raise UserError(
            f"expected one of the model's exits 0 to {n_exits - 1}, got exit {exit}{after_what}"
        )
    return Part(exit=exit, after=after)


def _works(counted: Counted, operations: Operations | None) -> Iterable[Work]:
    columns = (
        counted.macs.tolist(),
        counted.sops.tolist(),
        counted.neuron_updates.tolist(),
        counted.bytes_moved.tolist(),
        counted.int8_macs.tolist(),
    )
    for macs, sops, updates, moved, int8_macs in zip(*columns, strict=True):
        yield Work(
            macs=macs, sops=sops, neuron_updates=updates, bytes_moved=moved,
            operations=operations, int8_macs=int8_macs,
        )  # fmt: skip
