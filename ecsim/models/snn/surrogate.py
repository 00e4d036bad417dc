"""Spike functions: a Heaviside step forward, a smooth stand-in for its derivative backward.

A spike is fired at ``x >= 0`` (ECC-SNN, Eq. 2, with Theta(0) = 1) under every name. The names from
snnTorch fire at ``x > 0`` in that library; here their gradients are kept and the tie fires.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor

SurrogateName = Literal[
    "sigmoid",
    "atan",
    "piecewise_quadratic",
    "piecewise_exp",
    "soft_sign",
    "super_spike",
    "erf",
    "rect",
    "fast_sigmoid",
    "triangular",
    "straight_through",
]


def _sigmoid(x: Tensor, alpha: float) -> Tensor:
    s = x.abs().mul_(-alpha).sigmoid_()  # even in x; the smaller of s and 1 - s keeps its digits
    return s.addcmul_(s, s, value=-1).mul_(alpha)


def _atan(x: Tensor, alpha: float) -> Tensor:
    return alpha / 2 / (1 + (math.pi / 2 * alpha * x).square())


def _piecewise_quadratic(x: Tensor, alpha: float) -> Tensor:
    return (alpha - alpha**2 * x.abs()).clamp_min(0)


def _piecewise_exp(x: Tensor, alpha: float) -> Tensor:
    return alpha / 2 * torch.exp(-alpha * x.abs())


def _soft_sign(x: Tensor, alpha: float) -> Tensor:
    return alpha / 2 / (1 + alpha * x.abs()).square()


def _super_spike(x: Tensor, alpha: float) -> Tensor:
    return alpha / (1 + x.abs()).square()


def _erf(x: Tensor, alpha: float) -> Tensor:
    return alpha / math.sqrt(math.pi) * torch.exp(-(alpha * x).square())


def _rect(x: Tensor, alpha: float) -> Tensor:
    return alpha * (x.abs() < 0.5 / alpha).to(x)


def _fast_sigmoid(x: Tensor, alpha: float) -> Tensor:
    return 1 / (1 + alpha * x.abs()).square()


def _triangular(x: Tensor, alpha: float) -> Tensor:
    return torch.where(x < 0, alpha, -alpha).to(x)


def _straight_through(x: Tensor, alpha: float) -> Tensor:
    return torch.full_like(x, alpha)


# name -> (derivative, default alpha)
_TABLE: dict[str, tuple[Callable[[Tensor, float], Tensor], float]] = {
    "sigmoid": (_sigmoid, 4.0),
    "atan": (_atan, 2.0),
    "piecewise_quadratic": (_piecewise_quadratic, 1.0),
    "piecewise_exp": (_piecewise_exp, 1.0),
    "soft_sign": (_soft_sign, 2.0),
    "super_spike": (_super_spike, 1.0),
    "erf": (_erf, 2.0),
    "rect": (_rect, 1.0),
    "fast_sigmoid": (_fast_sigmoid, 25.0),
    "triangular": (_triangular, 1.0),
    "straight_through": (_straight_through, 1.0),
}


class _Spike(torch.autograd.Function):
    """Heaviside forward; backward multiplies by the surrogate's derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return (x >= 0).to(x)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grad_outputs[0] * ctx.surrogate.derivative(x), None


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A spike function: call it on ``U - threshold`` to get spikes in {0, 1}.

    Attributes
    ----------
    name : one of `SurrogateName`.
    alpha : steepness, in the sense of the library that the name comes from.
    """

    name: SurrogateName
    alpha: float

    def __call__(self, x: Tensor) -> Tensor:
        """Give 1 where ``x >= 0``, else 0, in x's dtype; differentiable by the surrogate."""
        return cast(Tensor, _Spike.apply(x, self))  # type: ignore[no-untyped-call]

    def derivative(self, x: Tensor) -> Tensor:
        """Give the stand-in for d spike / d x, of x's shape."""
        return _TABLE[self.name][0](x, self.alpha)


def surrogate(name: SurrogateName, alpha: float | None = None) -> Surrogate:
    """Give the spike function `name`; alpha defaults to its library's usual value (sigmoid: 4).

    Formulas of the derivative at x, with a = alpha:

    ===================  =====================================  =======
    name                 derivative                             alpha
    ===================  =====================================  =======
    sigmoid              a s(ax) (1 - s(ax))                    4
    atan                 a / 2 / (1 + (pi a x / 2)^2)           2
    piecewise_quadratic  max(0, a - a^2 |x|)                    1
    piecewise_exp        a / 2 exp(-a |x|)                      1
    soft_sign            a / 2 / (1 + a |x|)^2                  2
    super_spike          a / (1 + |x|)^2                        1
    erf                  a / sqrt(pi) exp(-(a x)^2)             2
    rect                 a where |x| < 1 / (2a), else 0         1
    fast_sigmoid         1 / (1 + a |x|)^2                      25
    triangular           a where x < 0, else -a                 1
    straight_through     a                                      1
    ===================  =====================================  =======

    `triangular` is snnTorch's: its slope turns negative above the threshold.

    Raises `ValueError` for an unknown name or an alpha that is not positive.

    >>> surrogate("sigmoid")(torch.tensor([-0.1, 0.0, 0.1]))
    tensor([0., 1., 1.])
    """
    if name not in _TABLE:
        raise ValueError(f"unknown surrogate {name!r}; there are: {', '.join(_TABLE)}")
    alpha = _TABLE[name][1] if alpha is None else float(alpha)
    if not alpha > 0:
        raise ValueError(f"alpha of a surrogate must be positive, got {alpha}")
    return Surrogate(name, alpha)
