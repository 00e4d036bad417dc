"""When an exit is sure enough: criteria as pure functions of logits.

Confidences (largest probability, margin, a gate's probability) exit at ``>=`` the threshold, since
a larger one is surer; entropies exit strictly below it, as BranchyNet's code does.

Source: the survey, Eq. 1-2 and section IV.B (erratum 1: Eq. 1 lacks its minus sign); S.
Teerapittayanon et al., BranchyNet, ICPR 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ecsim.core.entropy import entropy, normalized_entropy
from ecsim.core.scores import confidence_margin as margin
from ecsim.core.scores import probabilities
from ecsim.core.types import BoolArray, FloatArray, IntArray
from ecsim.learning.gate import fit_gate

CriterionName: TypeAlias = Literal[
    "max_probability", "margin", "entropy", "entropy_bits", "normalized_entropy", "learned"
]
Floats = npt.NDArray[np.float64]
Score: TypeAlias = Callable[[FloatArray], Floats]


def max_probability(logits: FloatArray) -> Floats:
    """Give the largest probability, shape (N,).

    >>> max_probability(np.array([[0.0, 0.0], [1e4, -1e4]])).tolist()
    [0.5, 1.0]
    """
    largest: Floats = probabilities(logits).max(axis=1)
    return largest


def entropy_bits(logits: FloatArray) -> Floats:
    """Give the entropy in bits, shape (N,).

    >>> entropy_bits(np.zeros((1, 8))).round(9).tolist()
    [3.0]
    """
    bits: Floats = entropy(logits) / np.log(2.0)
    return bits


def gate_features(logits: FloatArray) -> Floats:
    """Give largest probability, margin and normalised entropy side by side, shape (N, 3)."""
    return np.stack([max_probability(logits), margin(logits), normalized_entropy(logits)], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class ExitGate:
    """A logistic gate on `gate_features`: the probability that an exit's answer is right.

    Attributes
    ----------
    weights : shape (3,).
    bias : of the sum.
    """

    weights: FloatArray
    bias: float

    def __call__(self, logits: FloatArray) -> Floats:
        """Give the probability, shape (N,), for logits (N, K)."""
        z = gate_features(logits) @ np.asarray(self.weights, np.float64) + self.bias
        chance: Floats = np.exp(-np.logaddexp(0.0, -z))
        return chance


def fit_exit_gate(logits: FloatArray, is_right: BoolArray, penalty: float = 1.0) -> ExitGate:
    """Fit a gate to one exit's answers, see `ecsim.learning.gate.fit_gate`."""
    gate = fit_gate(logits, ~np.asarray(is_right, bool), penalty, gate_features)
    slopes = gate.weights / gate.scale  # the gate there is of standardised features, and of wrong
    return ExitGate(-slopes, float(slopes @ gate.mean) - gate.bias)


@dataclass(frozen=True, slots=True)
class Criterion:
    """A score of logits, and whether a larger one is surer."""

    score: Score
    is_confidence: bool

    def is_sure(self, logits: FloatArray, threshold: float) -> BoolArray:
        """Give which samples may leave, shape (N,), for logits (N, K)."""
        return self.passes(self.score(logits), threshold)

    def passes(self, scores: FloatArray, threshold: float | FloatArray) -> BoolArray:
        """Give the same of scores: at or above the threshold, of entropies strictly below it."""
        passed: BoolArray = scores >= threshold if self.is_confidence else scores < threshold
        return passed


_CRITERIA: dict[str, Criterion] = {
    "max_probability": Criterion(max_probability, True),
    "margin": Criterion(margin, True),
    "entropy": Criterion(entropy, False),
    "entropy_bits": Criterion(entropy_bits, False),
    "normalized_entropy": Criterion(normalized_entropy, False),
}


def criterion(name: CriterionName, gate: Score | None = None) -> Criterion:
    """Give the criterion of a name; ``learned`` needs the `gate` whose probability it is."""
    if name != "learned":
        return _CRITERIA[name]
    if gate is None:
        raise ValueError("a learned criterion needs a gate")
    return Criterion(gate, True)


def exits_taken(
    scores: FloatArray, thresholds: float | Sequence[float], by: Criterion
) -> npt.NDArray[np.int64]:
    """Give the exit at which each sample leaves, shape (N,): the first sure one, else the last.

    Parameters
    ----------
    scores : of every exit but the last, shape (E - 1, N).
    thresholds : one for all of them, or one each.

    >>> exits_taken(np.array([[0.9, 0.1, 0.1], [0.2, 0.8, 0.2]]), 0.8, criterion("margin")).tolist()
    [0, 1, 2]
    """
    each = np.broadcast_to(np.asarray(thresholds, np.float64), len(scores))[:, None]
    sure = by.passes(np.asarray(scores, np.float64), each)
    last = np.ones((1, sure.shape[1]), dtype=bool)
    first: npt.NDArray[np.int64] = np.concatenate([sure, last]).argmax(axis=0)
    return first


def choose_threshold(
    scores: FloatArray,
    is_right: BoolArray,
    by: Criterion,
    *,
    accuracy: float | None = None,
    early: float | None = None,
) -> float:
    """Give one threshold for all exits, chosen on labelled data.

    With `accuracy`, the loosest threshold (most early exits) that reaches it, and where none does
    the one of the highest accuracy; with `early`, the strictest with at least this share of early
    exits. Ties go to more early exits.

    Parameters
    ----------
    scores : of every exit but the last, shape (E - 1, N), N >= 1.
    is_right : whether each exit is right, the last included, shape (E, N).
    """
    loosest_first = np.unique(scores)
    if by.is_confidence:  # above the largest nobody leaves
        candidates = [*loosest_first.tolist(), float(np.nextafter(loosest_first[-1], np.inf))]
    else:
        above = np.nextafter(loosest_first, np.inf)  # strictly below: each value just passes
        candidates = [*above[::-1].tolist(), float(loosest_first[0])]
    n_exits, n = is_right.shape
    found: list[tuple[float, float, float]] = []
    for threshold in candidates:
        taken = exits_taken(scores, threshold, by)
        right = float(is_right[taken, np.arange(n)].mean())
        found.append((threshold, right, float((taken < n_exits - 1).mean())))
    if early is not None:
        enough = [row for row in found if row[2] >= early - _ULPS]
        return min(enough, key=lambda row: row[2])[0] if enough else found[0][0]
    if accuracy is None:
        raise ValueError("expected an accuracy or a share of early exits to aim at")
    good = [row for row in found if row[1] >= accuracy - _ULPS]
    chosen = max(good, key=lambda row: row[2]) if good else max(found, key=lambda r: (r[1], r[2]))
    return chosen[0]


def answered(logits: FloatArray, taken: IntArray) -> npt.NDArray[np.int64]:
    """Give the column that each sample's exit answers, shape (N,), of logits (E, N, K)."""
    rows: npt.NDArray[np.int64] = logits.argmax(axis=2)[taken, np.arange(len(taken))]
    return rows


_ULPS = 1e-9  # shares such as 3 / 10 miss a number by a few last bits
