"""One answer of several: how the exits of devices that see the same scene are fused.

Source: S. Teerapittayanon et al., "Distributed Deep Neural Networks over the Cloud, the Edge and
End Devices", ICDCS 2017 (maximum, average, and concatenation with a linear layer of the devices'
class scores); voting and weighting as the survey names them (section IV.B).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from ecsim.core.scores import probabilities
from ecsim.core.types import FloatArray, IntArray

FusionName: TypeAlias = Literal["average", "max", "vote", "weights", "concatenation"]
FUSIONS: tuple[FusionName, ...] = get_args(FusionName)
LEARNED: tuple[FusionName, ...] = ("weights", "concatenation")
"""Rules that need labelled data."""
Floats = npt.NDArray[np.float64]
_TIE = 1e-6  # of a vote: what decides between classes with equally many


@dataclass(frozen=True, slots=True, eq=False)
class Fusion:
    """A rule at work on logits of V views.

    Attributes
    ----------
    shares : of each view in a weighted mean, shape (V,); None where all count alike.
    matrix, bias : of the linear layer behind a concatenation, shapes (V * K, K) and (K,).
    """

    rule: FusionName
    shares: FloatArray | None = None
    matrix: FloatArray | None = None
    bias: FloatArray | None = None

    def __call__(self, logits: FloatArray) -> Floats:
        """Give the fused logits, shape (N, K), of logits (V, N, K).

        Of a vote they are the logarithms of the shares of votes; between classes with equally many
        the mean probability decides.
        """
        views = np.asarray(logits, np.float64)
        if self.rule == "max":
            largest: Floats = views.max(axis=0)
            return largest
        if self.rule == "vote":
            return _votes(views)
        if self.rule == "concatenation":
            assert self.matrix is not None and self.bias is not None
            fused: Floats = _beside_each_other(views) @ self.matrix + self.bias
            return fused
        weights = None if self.rule == "average" else self.shares
        mean: Floats = np.average(views, axis=0, weights=weights)
        return mean


def fit_fusion(
    rule: FusionName, logits: FloatArray, columns: IntArray, penalty: float = 1.0
) -> Fusion:
    """Give a rule, fitted to labelled data where it has something to learn.

    "weights": each view by its accuracy; "concatenation": a linear layer by penalised maximum
    likelihood.

    Parameters
    ----------
    logits : shape (V, N, K), N >= 1.
    columns : the true class's column of each sample, shape (N,).
    penalty : of half the layer's squared weights.
    """
    if rule == "weights":
        right = (logits.argmax(axis=2) == columns).mean(axis=1)
        return Fusion(rule, shares=right if right.any() else np.ones(len(logits)))
    if rule == "concatenation":
        return _linear_layer(np.asarray(logits, np.float64), columns, penalty)
    return Fusion(rule)


def _votes(views: Floats) -> Floats:
    n_views, n, k = views.shape
    counts = np.zeros((n, k))
    for mine in views:
        counts[np.arange(n), mine.argmax(axis=1)] += 1.0
    likely = np.mean([probabilities(mine) for mine in views], axis=0)
    shares = (counts / n_views + _TIE * likely) / (1.0 + _TIE)
    with np.errstate(divide="ignore"):  # a class that nobody could mean
        logarithms: Floats = np.log(shares)
    return logarithms


def _beside_each_other(views: Floats) -> Floats:
    """Give (V, N, K) as (N, V * K)."""
    return np.moveaxis(views, 0, 1).reshape(views.shape[1], -1)


def _linear_layer(views: Floats, columns: IntArray, penalty: float) -> Fusion:
    from scipy.optimize import minimize

    x = _beside_each_other(views)
    center, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    z = (x - center) / scale
    k = views.shape[2]
    target = np.eye(k)[columns]

    def loss(flat: Floats) -> tuple[float, Floats]:
        w, b = flat[:-k].reshape(-1, k), flat[-k:]
        shares = probabilities(z @ w + b)
        likely = np.maximum((shares * target).sum(axis=1), np.finfo(float).tiny)
        rest = shares - target
        slope = np.concatenate([(z.T @ rest + penalty * w).ravel(), rest.sum(axis=0)])
        return float(-np.log(likely).sum() + 0.5 * penalty * (w**2).sum()), slope

    start = np.zeros(z.shape[1] * k + k)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    w = found[:-k].reshape(-1, k) / scale[:, None]
    return Fusion("concatenation", matrix=w, bias=found[-k:] - center @ w)
