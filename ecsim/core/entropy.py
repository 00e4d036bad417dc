"""How unsure a prediction is: the entropy of its class probabilities, between 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ecsim.core.types import FloatArray


def normalized_entropy(
    logits: FloatArray, *, min_over_heads: Sequence[int] | None = None
) -> npt.NDArray[np.float64]:
    """Give the entropy of softmax(logits), divided by log K, per sample.

    Parameters
    ----------
    logits : shape (N, K), one column per known class; any float type (computed in float64).
    min_over_heads : sizes of the heads, in the order of the columns, summing to K. Then each
        head is scored by itself (its own softmax and log) and the surest head counts.

    Returns
    -------
    shape (N,), in [0, 1]. One class leaves nothing to be sure of: the score is then 1.

    Raises
    ------
    ValueError : when `logits` is not (N, K) with K >= 1, or the sizes do not sum to K.

    Source: ECC-SNN, Eq. 11. Erratum: the paper divides by the log of all classes known so far
    (the default here); its released evaluation takes the minimum over heads.

    >>> normalized_entropy(np.array([[0.0, 0.0], [50.0, 0.0]])).round(6).tolist()
    [1.0, 0.0]
    """
    scores = np.asarray(logits, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise ValueError(f"expected logits of shape (N, K) with K >= 1, got {scores.shape}")
    if min_over_heads is None:
        return _of_one_head(scores)
    ends = np.cumsum(min_over_heads)
    if min(min_over_heads, default=0) < 1 or ends[-1] != scores.shape[1]:
        raise ValueError(f"heads {list(min_over_heads)} do not cover {scores.shape[1]} columns")
    heads = np.split(scores, ends[:-1], axis=1)
    surest: npt.NDArray[np.float64] = np.min([_of_one_head(head) for head in heads], axis=0)
    return surest


def entropy(logits: FloatArray) -> npt.NDArray[np.float64]:
    """Give the entropy of softmax(logits) in nats, shape (N,), for logits (N, K).

    Source: Shannon; the survey's Eq. 1 prints it without its minus sign (erratum 1).

    >>> entropy(np.array([[0.0, 0.0], [50.0, 0.0]])).round(6).tolist()
    [0.693147, 0.0]
    """
    scores = np.asarray(logits, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise ValueError(f"expected logits of shape (N, K) with K >= 1, got {scores.shape}")
    shifted = scores - scores.max(
        axis=1, keepdims=True
    )  # the largest becomes 0: exp never overflows
    powers = np.exp(shifted)
    total = powers.sum(axis=1)
    # H = log Z - sum p*x with x the shifted logits; 0 * -inf (an impossible class) counts 0
    products = np.multiply(powers, shifted, out=np.zeros_like(powers), where=powers > 0)
    nats: npt.NDArray[np.float64] = np.maximum(np.log(total) - products.sum(axis=1) / total, 0.0)
    return nats


def _of_one_head(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    n, k = scores.shape
    if k == 1:
        return np.ones(n)
    score: npt.NDArray[np.float64] = np.clip(entropy(scores) / np.log(k), 0.0, 1.0)
    return score
