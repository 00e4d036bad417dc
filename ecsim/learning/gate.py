"""A learned gate: the probability that the edge is wrong, from how unsure it is by four scores.

After Li et al., "AppealNet: An Efficient and Highly-Accurate Edge/Cloud Collaborative Architecture
for DNN Inference", DAC 2021, whose predictor head is trained with the network. This one is
fitted to a finished version, so that any version can have one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecsim.core.scores import features
from ecsim.core.types import BoolArray, FloatArray

Features = Callable[[FloatArray], npt.NDArray[np.float64]]

_STEPS = 100  # Newton's method needs about ten
_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """A logistic model on standardised features.

    Attributes
    ----------
    mean, scale : of the features it was fitted to, shape (F,).
    weights, bias : of the standardised features.
    features : gives them, shape (N, F), for logits (N, K).
    """

    mean: FloatArray
    scale: FloatArray
    weights: FloatArray
    bias: float
    features: Features = features

    def __call__(self, logits: FloatArray) -> npt.NDArray[np.float64]:
        """Give the probability that the edge is wrong, shape (N,), of logits (N, K)."""
        z = (self.features(logits) - self.mean) / self.scale @ self.weights + self.bias
        return _sigmoid(z)


def fit_gate(
    logits: FloatArray,
    is_wrong: BoolArray,
    penalty: float = 1.0,
    features: Features = features,
) -> Gate:
    """Fit a gate to one version's answers by penalised maximum likelihood (Newton's method).

    Parameters
    ----------
    logits : of the version, shape (N, K), N >= 1.
    is_wrong : whether its answer is wrong, shape (N,). Where all are right, or all wrong, the gate
        gives the same probability, (wrong + 1) / (N + 2), for everything.
    penalty : of half the squared weights, without the bias.
    features : what of the logits it sees.
    """
    seen = features(logits)
    mean, scale = seen.mean(axis=0), seen.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    y = np.asarray(is_wrong, dtype=np.float64)
    n = len(y)
    if y.min() == y.max():
        share = (y.sum() + 1.0) / (n + 2.0)
        return Gate(
            mean, scale, np.zeros(seen.shape[1]), float(np.log(share / (1.0 - share))), features
        )
    x = np.column_stack([(seen - mean) / scale, np.ones(n)])
    ridge = np.diag([*([penalty] * seen.shape[1]), 0.0])
    w = np.zeros(x.shape[1])
    loss = _loss(x, y, w, ridge)
    for _ in range(_STEPS):
        p = _sigmoid(x @ w)
        gradient = x.T @ (p - y) + ridge @ w
        hessian = (x * (p * (1.0 - p))[:, None]).T @ x + ridge
        step = np.linalg.solve(hessian + _TOLERANCE * np.eye(len(w)), gradient)
        size = 1.0
        while (less := _loss(x, y, w - size * step, ridge)) > loss and size > _TOLERANCE:
            size /= 2.0
        w, loss = w - size * step, less
        if np.abs(step).max() < _TOLERANCE:
            break
    return Gate(mean, scale, w[:-1], float(w[-1]), features)


def _loss(x: FloatArray, y: FloatArray, w: FloatArray, ridge: FloatArray) -> float:
    z = x @ w
    return float((np.logaddexp(0.0, z) - y * z).sum() + 0.5 * w @ ridge @ w)


def _sigmoid(z: FloatArray) -> npt.NDArray[np.float64]:
    return np.exp(-np.logaddexp(0.0, -z))
