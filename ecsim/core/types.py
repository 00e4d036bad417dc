"""The records that cross package borders: frozen, slotted, numpy only.

SI units; the unit is the name's suffix. Class ids are global (the data set's own labels), also
where a model knows only some of them: `ModelRef.classes` gives the global id of each column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]


class Samples(Protocol):
    """Samples of a data set, float32, (N, …): an array, or what becomes one where it is read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Give the sizes, N first."""

    def __getitem__(self, index: Any, /) -> npt.NDArray[np.float32]:
        """Give the samples at an index along the first axis."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Equal calls of one kind of operation in a forward pass.

    Attributes
    ----------
    kind : such as "conv", "linear" or "pointwise"; what a calibrated model tells apart.
    signature : equal for calls that do exactly the same: operation and shapes.
    calls : how many such calls one inference makes.
    macs, read, written, weights : of one call: multiply-accumulates, and values of the inputs,
        outputs and weights.
    """

    kind: str
    signature: str
    calls: int = 1
    macs: float = 0.0
    read: float = 0.0
    written: float = 0.0
    weights: float = 0.0


@dataclass(frozen=True, eq=False)
class Operations:
    """The operations of one model's forward pass; told apart by identity, for look-ups."""

    rows: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """Counted work, before any device turns it into seconds and joules.

    Attributes
    ----------
    macs : multiply-accumulates of dense or analogue layers.
    sops : synaptic operations, one per (spike, synapse) pair that a spike really reached.
    neuron_updates : membrane updates of spiking neurons, one per neuron and time-step.
    bytes_moved : bytes of weights and activations read or written.
    steps : equal pieces it is served in; a device may serve something else between two pieces.
    is_training : float work with gradients, which only an engine that can train may serve.
    operations : the calls it consists of, for a calibrated device; None where nobody asked.
    int8_macs : of the MACs, those of 8-bit integers.
    """

    macs: float = 0.0
    sops: float = 0.0
    neuron_updates: float = 0.0
    bytes_moved: float = 0.0
    steps: int = 1
    is_training: bool = False
    operations: Operations | None = None
    int8_macs: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A version of a model, without its weights.

    Attributes
    ----------
    role : "edge" or "cloud" (the entry under `models:` it descends from).
    version : 0 for the version deployed at the start, then 1, 2, … by update.
    key : content hash of everything that determines the weights.
    classes : global class id of each output column.
    param_bytes : bytes that a transfer of this version moves.
    """

    role: str
    version: int
    key: str
    classes: tuple[int, ...]
    param_bytes: int


@dataclass(frozen=True, slots=True)
class Cut:
    """How a forward pass is cut into parts that nodes along a route run, one after the other.

    A value that was computed on one node and is needed on another crosses once, coded; every node
    after that works with what was decoded. Each value stays where it is, so that a later part on
    the same node finds it there.

    Attributes
    ----------
    parts : vertices of the layer graph that each part runs, by name.
    nodes : where each part runs, as a position along the route; the input is at the first part's.
    codec : how the values that cross are coded: a name in the registry.
    """

    parts: tuple[tuple[str, ...], ...]
    nodes: tuple[int, ...]
    codec: str = "raw"

    def __post_init__(self) -> None:
        if len(self.parts) != len(self.nodes) or not self.parts:
            raise ValueError(f"{len(self.parts)} parts on {len(self.nodes)} nodes")


@dataclass(frozen=True, slots=True)
class Part:
    """What one node runs of a forward pass, see `Context.infer`.

    Attributes
    ----------
    cut : how the pass is cut; None: it is not, and the part is all that its exit needs.
    index : which part of the cut.
    exit : the exit whose answer the part gives, counted from 0; None: the last one's, which is
        the model's own answer, if the part ends there.
    after : without a cut, the earlier exit whose tensor the part goes on from; None: it begins
        with the sample. Branches of other exits are no part of it.
    """

    cut: Cut | None = None
    index: int = 0
    exit: int | None = None
    after: int | None = None

    @property
    def vertices(self) -> tuple[str, ...]:
        """The vertices that it runs, by name; () where nothing is cut."""
        return () if self.cut is None else self.cut.parts[self.index]


@dataclass(frozen=True, slots=True)
class ExitPoint:
    """One of the places at which a model may answer, in the order in which a pass meets them.

    Attributes
    ----------
    name : of the stage or time-step that it follows.
    crossing_bytes : size of the tensor that another node needs to go on from here; None where
        nothing can be handed on, as after the last exit.
    trunk_bytes : of the weights between the exit before and this one.
    branch_bytes : of the weights that this exit alone needs.
    """

    name: str
    crossing_bytes: float | None
    trunk_bytes: float
    branch_bytes: float


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What one model version really answers for one sample.

    `label` is a global class id; `logits` has one value per column of ``model.classes``;
    `normalized_entropy` lies in [0, 1] (ECC-SNN, Eq. 11) and is 1 for a one-class model.

    Of a `Part` that reaches no exit, label and entropy are -1 and NaN and the logits are empty.
    `out_bytes` is what its coded values take on the way to the next part; the sample itself,
    where later parts need it, is not among them.
    """

    label: int
    logits: FloatArray
    normalized_entropy: float
    work: Work
    model: ModelRef
    exit: int = 0
    out_bytes: float = 0.0


class Task(NamedTuple):
    """One sample that arrived at a device and wants an answer. The label is not in it.

    `deadline_s` counts from the arrival; None: it has none.
    A named tuple, since a run makes millions: a frozen dataclass takes six times as long.
    """

    id: int
    device: str
    sample_id: int
    phase: int
    visit: int
    t_arrive_s: float
    payload_bytes: float
    deadline_s: float | None = None


class Answer(NamedTuple):
    """What a strategy returns for a task: the label, the node that decided, its prediction."""

    label: int
    at: str
    by: Prediction


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """A training that ended on a device: the new version and the work it took."""

    model: ModelRef
    work: Work
    n_samples: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What a device has buffered: samples and the cloud's answers.

    Attributes
    ----------
    sample_ids : distinct ids, shape (n,); their order is part of a training's identity.
    labels : global class id that the cloud answered, shape (n,).
    logits : the cloud's logits, shape (n, K).
    classes : global class id of each column of `logits`.
    """

    sample_ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]
    classes: tuple[int, ...]

    def __post_init__(self) -> None:
        n = len(self.sample_ids)
        if self.labels.shape != (n,) or self.logits.shape != (n, len(self.classes)):
            raise ValueError(
                f"{n} samples, labels {self.labels.shape}, logits {self.logits.shape} and "
                f"{len(self.classes)} classes do not fit together"
            )
        if len(np.unique(self.sample_ids)) != n:
            raise ValueError("a sample is in the batch twice")

    @classmethod
    def answered(
        cls, sample_ids: Sequence[int] | IntArray, logits: FloatArray, classes: Sequence[int]
    ) -> Batch:
        """Build a batch whose labels are the classes of the cloud's largest logits."""
        scores = np.asarray(logits, dtype=np.float32).reshape(len(sample_ids), len(classes))
        labels = np.asarray(classes, dtype=np.int64)[scores.argmax(axis=1)]
        return cls(np.asarray(sample_ids, dtype=np.int64), labels, scores, tuple(classes))


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Samples by id, distinct, with the class each is taken for; both of shape (n,)."""

    sample_ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sample_ids)

    @classmethod
    def none(cls) -> Labelled:
        """Give no samples at all."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A training that is decided but not done.

    Attributes
    ----------
    child : the version it will give.
    work : what it will cost.
    new_classes : the classes of the head it adds, in the order of its columns; may be empty.
    rows : the rows of the batch that it learns from.
    earlier : samples from before this batch that it learns from too.
    memory_bytes : memory that it takes beside the model that goes on serving.
    """

    child: ModelRef
    work: Work
    new_classes: tuple[int, ...]
    rows: npt.NDArray[np.int64]
    earlier: Labelled = field(default_factory=Labelled.none)
    memory_bytes: float = 0.0
