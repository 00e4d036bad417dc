"""What the parts of a network answer and cost, sample by sample; the oracle's side of splitting."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ecsim.core.entropy import normalized_entropy
from ecsim.core.types import (
    Cut,
    FloatArray,
    IntArray,
    ModelRef,
    Operation,
    Operations,
    Part,
    Prediction,
    Samples,
    Work,
)
from ecsim.learning.compute import Compute
from ecsim.partition.execution import CutNet, PartRun
from ecsim.partition.graph import LayerGraph
from ecsim.partition.layers import layer_graph, with_codec

if TYPE_CHECKING:
    from torch import nn

_NOTHING: FloatArray = np.empty(0)


class Parts:
    """The parts of one version, run when they are first asked for and kept.

    All parts of a cut are run at once for a whole chunk of samples: what a part sees is what the
    parts before it really gave, coded where it crossed.

    Parameters
    ----------
    images : indexed by sample id.
    examples : ids of the samples that the layers' mean work is counted on.
    with_operations : whether works list the operations, for a calibrated device.
    """

    def __init__(
        self,
        model: ModelRef,
        net: nn.Module,
        images: Samples,
        examples: IntArray,
        compute: Compute,
        with_operations: bool = False,
    ):
        self._model = model
        self._net = CutNet(net, images.shape[1:])
        self._images = images
        self._examples = examples
        self._compute = compute
        self._with_operations = with_operations
        self._graphs: dict[str, LayerGraph] = {}
        self._known: dict[tuple[Cut, int, int | None], dict[int, Prediction]] = {}

    def graph(self, codec: str = "raw") -> LayerGraph:
        """Give the layers, with mean bytes of their outputs under a codec."""
        if codec not in self._graphs:
            x = self._images[self._examples]
            with self._compute.active():
                self._graphs[codec] = (
                    layer_graph(self._net, x, self._with_operations)
                    if codec == "raw"
                    else with_codec(self._net, x, self.graph(), codec)
                )
        return self._graphs[codec]

    def predict(self, sample_id: int, chunk: IntArray, part: Part) -> Prediction:
        """Give what a part of a cut gives for a sample; the first of a chunk runs the network."""
        graph, cut = self.graph(), part.cut
        assert cut is not None
        exit = len(graph.outputs) - 1 if part.exit is None else part.exit
        known = self._known.setdefault((cut, part.index, part.exit), {})
        if sample_id not in known:
            with self._compute.active():
                runs = self._net.run(self._images[chunk], cut, graph)
            self._keep(cut, chunk, runs, exit, part.exit)
        return known[sample_id]

    def _keep(
        self, cut: Cut, chunk: IntArray, runs: list[PartRun], exit: int, asked: int | None
    ) -> None:
        """Note what every part of a cut gives, for one exit."""
        for index, (names, run) in enumerate(zip(cut.parts, runs, strict=True)):
            operations = self._operations(names) if self._with_operations else None
            known = self._known.setdefault((cut, index, asked), {})
            answers = self._answers(run.answers.get(exit), len(chunk))
            columns = (*run.counts.tolist(), run.out_bytes.tolist())
            for sample, (label, logits, entropy), macs, sops, updates, moved, int8, out in zip(
                chunk.tolist(), answers, *columns, strict=True
            ):
                work = Work(macs, sops, updates, moved, operations=operations, int8_macs=int8)
                known[sample] = Prediction(label, logits, entropy, work, self._model, exit, out)

    def _answers(
        self, logits: FloatArray | None, n: int
    ) -> Iterator[tuple[int, FloatArray, float]]:
        """Give label, logits and entropy per sample; of nothing where a part reaches no exit."""
        if logits is None:
            yield from [(-1, _NOTHING, math.nan)] * n
            return
        rows = logits.astype(np.float32)
        labels = np.asarray(self._model.classes)[rows.argmax(axis=1)]
        yield from zip(labels.tolist(), rows, normalized_entropy(rows).tolist(), strict=True)

    def _operations(self, names: tuple[str, ...]) -> Operations:
        """Give the operations of a part's layers, equal ones together."""
        counts: dict[Operation, int] = {}
        for name in names:
            operations = self.graph()[name].work.operations
            for row in operations.rows if operations is not None else ():
                one = Operation(
                    row.kind, row.signature, 1, row.macs, row.read, row.written, row.weights
                )
                counts[one] = counts.get(one, 0) + row.calls
        return Operations(
            tuple(
                Operation(o.kind, o.signature, n, o.macs, o.read, o.written, o.weights)
                for o, n in counts.items()
            )
        )
