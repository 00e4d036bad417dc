"""The paper's protocol: a deployed version on a whole pool, in no simulated time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ecsim.core.scores import probabilities
from ecsim.core.types import BoolArray, FloatArray, IntArray, ModelRef, Prediction

if TYPE_CHECKING:
    from ecsim.collab.oracle import Predictor

CONFIDENCE_BINS = 15
SCORE_BINS = 20


class Rule(Protocol):
    """What a probe asks of a strategy, see `collab.strategy.Strategy`."""

    def offloads_sample(self, edge: Prediction, sample_id: int) -> bool | None: ...  # noqa: D102
    def score(self, edge: Prediction, sample_id: int) -> float | None: ...  # noqa: D102
    def threshold(self, model: ModelRef) -> float | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class OfClass:
    """Counts of one class, as in the table ``probe_classes``."""

    label: int
    known: bool
    n: int
    n_right: int
    n_uploaded: int | None
    n_system_right: int | None
    auroc: float | None


@dataclass(frozen=True, slots=True)
class Bin:
    """Counts of samples of which the version is about equally sure, as in ``probe_bins``."""

    by: str
    bin: int
    known: bool
    n: int
    confidence: float
    n_right: int
    n_cloud_right: int | None


@dataclass(frozen=True, slots=True)
class Probed:
    """What a version achieves on a pool.

    Attributes
    ----------
    n : samples of the pool.
    accuracy : of the edge version alone, over all classes of the pool.
    accuracy_known : over the samples of classes it has a column for; None without such samples.
    system_accuracy, cur : of edge and cloud together by the strategy's rule, and the share that
        the rule uploads; None for a strategy without such a rule.
    cloud_accuracy : of the cloud alone; None where neither the rule nor a score needs it.
    threshold : of the rule for this version; None where it has none.
    classes, bins : the same by true class, and by how sure the version is.
    """

    n: int
    accuracy: float
    accuracy_known: float | None
    system_accuracy: float | None
    cur: float | None
    cloud_accuracy: float | None
    threshold: float | None
    classes: tuple[OfClass, ...]
    bins: tuple[Bin, ...]


def probe(
    edge: ModelRef,
    cloud: ModelRef,
    edge_predictor: Predictor,
    cloud_predictor: Predictor,
    pool: IntArray,
    labels: IntArray,
    rule: Rule,
) -> Probed:
    """Score a version on the samples of `pool`; `labels` is indexed by sample id."""
    ids, true = pool.tolist(), np.asarray(labels)[pool]
    answers = [edge_predictor.predict(edge, sample) for sample in ids]
    right = np.array([answer.label for answer in answers]) == true
    known = np.isin(true, edge.classes)
    sent = _all_or_none([rule.offloads_sample(a, s) for a, s in zip(answers, ids, strict=True)])
    scores = _all_or_none([rule.score(a, s) for a, s in zip(answers, ids, strict=True)])
    cloud_right: BoolArray | None = None
    if scores is not None or (sent is not None and sent.any()):
        answered = [cloud_predictor.predict(cloud, sample).label for sample in ids]
        cloud_right = np.array(answered) == true
    system: BoolArray | None = None
    if sent is not None:
        sent = sent.astype(bool)
        system = right if cloud_right is None else np.where(sent, cloud_right, right)
    confidence = probabilities(np.stack([answer.logits for answer in answers])).max(axis=1)
    return Probed(
        n=len(ids),
        accuracy=float(right.mean()),
        accuracy_known=float(right[known].mean()) if known.any() else None,
        system_accuracy=None if system is None else float(system.mean()),
        cur=None if sent is None else float(sent.mean()),
        cloud_accuracy=None if cloud_right is None else float(cloud_right.mean()),
        threshold=rule.threshold(edge),
        classes=tuple(_by_class(true, known, right, sent, system, scores)),
        bins=tuple(_by_bin(confidence, scores, known, right, cloud_right)),
    )


def _all_or_none(values: list[Any]) -> Any:
    return None if any(value is None for value in values) else np.array(values)


def _by_class(
    true: IntArray,
    known: BoolArray,
    right: BoolArray,
    sent: BoolArray | None,
    system: BoolArray | None,
    scores: FloatArray | None,
) -> Iterator[OfClass]:
    of_known = np.zeros(0) if scores is None else np.sort(scores[known])
    for label in np.unique(true).tolist():
        mine = true == label
        is_known = bool(known[mine][0])
        yield OfClass(
            label,
            is_known,
            int(mine.sum()),
            int(right[mine].sum()),
            None if sent is None else int(sent[mine].sum()),
            None if system is None else int(system[mine].sum()),
            None if scores is None or is_known else _auroc(scores[mine], of_known),
        )


def _auroc(unknown: FloatArray, of_known: FloatArray) -> float | None:
    """Give the share of pairs in which the unknown sample scores higher; a tie counts a half.

    `of_known` is sorted; without known samples there is no share.
    """
    if not len(of_known):
        return None
    below = np.searchsorted(of_known, unknown, "left")
    not_above = np.searchsorted(of_known, unknown, "right")
    return float((below + not_above).mean() / (2 * len(of_known)))


def _by_bin(
    confidence: FloatArray,
    scores: FloatArray | None,
    known: BoolArray,
    right: BoolArray,
    cloud_right: BoolArray | None,
) -> Iterator[Bin]:
    n = len(confidence)
    last = CONFIDENCE_BINS - 1
    bins = {"confidence": np.minimum((confidence * CONFIDENCE_BINS).astype(int), last)}
    if scores is not None:
        rank = np.empty(n, dtype=int)
        rank[np.argsort(scores, kind="stable")] = np.arange(n)
        bins["score"] = rank * SCORE_BINS // n
    for by, number in bins.items():
        for bin_ in np.unique(number).tolist():
            for is_known in (True, False):
                mine = (number == bin_) & (known == is_known)
                if mine.any():
                    yield Bin(
                        by,
                        bin_,
                        is_known,
                        int(mine.sum()),
                        float(confidence[mine].mean()),
                        int(right[mine].sum()),
                        None if cloud_right is None else int(cloud_right[mine].sum()),
                    )
