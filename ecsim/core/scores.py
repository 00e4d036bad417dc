"""How unsure a prediction is, by five measures; of each a larger value is less sure.

The normalised entropy itself is in `core.entropy`. With a single class there is nothing to be sure
of: like the entropy, `max_probability` and `margin` are 1 then. `confidence_margin` alone is larger
for surer predictions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecsim.core.entropy import normalized_entropy
from ecsim.core.types import FloatArray

Scores = npt.NDArray[np.float64]


def entropy_of_all(logits: FloatArray, n_classes: int) -> Scores:
    """Give the entropy of softmax(logits) divided by log `n_classes`, shape (N,).

    The score of a given distribution then does not fall merely because the model learned further
    classes: two classes that are equally likely score log 2 / log `n_classes` from first to last.

    Parameters
    ----------
    logits : shape (N, K).
    n_classes : classes there will be in the end, at least K.

    >>> entropy_of_all(np.zeros((1, 2)), 4).round(6).tolist()
    [0.5]
    """
    scores = normalized_entropy(logits)
    k = logits.shape[1]
    if n_classes < k:
        raise ValueError(f"expected at least the {k} classes of the logits, got {n_classes}")
    return scores if k == 1 else scores * (np.log(k) / np.log(n_classes))


def probabilities(logits: FloatArray) -> Scores:
    """Give softmax(logits) in float64, shape (N, K)."""
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"expected logits of shape (N, K) with K >= 1, got {values.shape}")
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    shares: Scores = powers / powers.sum(axis=1, keepdims=True)
    return shares


def max_probability(logits: FloatArray) -> Scores:
    """Give 1 minus the largest probability, in [0, 1), shape (N,); 1 with one class.

    Source: Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution
    Examples in Neural Networks", ICLR 2017.

    >>> max_probability(np.log([[0.7, 0.2, 0.1]])).round(6).tolist()
    [0.3]
    """
    shares = probabilities(logits)
    if shares.shape[1] == 1:
        return np.ones(len(shares))
    score: Scores = 1.0 - shares.max(axis=1)
    return score


def margin(logits: FloatArray) -> Scores:
    """Give 1 minus `confidence_margin`, in [0, 1], shape (N,); 1 with one class.

    >>> margin(np.log([[0.7, 0.2, 0.1]])).round(6).tolist()
    [0.5]
    """
    distance = confidence_margin(logits)
    if np.shape(logits)[1] == 1:
        return np.ones(len(distance))
    score: Scores = 1.0 - distance
    return score


def confidence_margin(logits: FloatArray) -> Scores:
    """Give the distance of the two largest probabilities, shape (N,); 1 with a single class.

    >>> confidence_margin(np.log([[0.7, 0.2, 0.1]])).round(6).tolist()
    [0.5]
    """
    shares = probabilities(logits)
    if shares.shape[1] == 1:
        return np.ones(len(shares))
    second, first = np.partition(shares, -2, axis=1)[:, -2:].T
    distance: Scores = first - second
    return distance


def energy(logits: FloatArray) -> Scores:
    """Give the free energy -log sum exp(logits) at temperature 1, unbounded, shape (N,).

    Source: Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020, Eq. 3-4.

    >>> energy(np.log([[3.0, 1.0]])).round(6).tolist()
    [-1.386294]
    """
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"expected logits of shape (N, K) with K >= 1, got {values.shape}")
    score: Scores = -np.logaddexp.reduce(values, axis=1)
    return score


def features(logits: FloatArray) -> Scores:
    """Give the four scores side by side, shape (N, 4): what a learned gate sees."""
    columns = [f(logits) for f in (normalized_entropy, max_probability, margin, energy)]
    return np.stack(columns, axis=1)
