"""The leaky integrate-and-fire neuron, over a whole sequence at once.

Source: ECC-SNN, Eq. 1-3 (tau of the paper is 1 / tau of SpikingJelly; equal for v_reset = 0)::

    U(t) = (1 - tau) H(t-1) + tau I(t)
    O(t) = 1 where U(t) >= threshold, else 0
    H(t) = U(t) (1 - O(t)) + v_reset O(t)          hard reset
    H(t) = U(t) - threshold O(t)                   soft reset (v_reset = None)
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from ecsim.models.snn.surrogate import Surrogate, SurrogateName, surrogate

_CACHED = 1 << 16
"""Membranes that are computed at once on a CPU: 256 KiB of them."""


class Trace(NamedTuple):
    """What a neuron did: spikes, membrane before firing (U) and after reset (H), (T, N, ...)."""

    spikes: Tensor
    before: Tensor
    after: Tensor


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons without parameters: currents in, spikes out.

    Every call starts at rest (H = 0, the value that Eq. 1 leaks to) and keeps nothing, so that no
    batch can leak into the next. To carry a state on purpose, use `step`.

    Parameters
    ----------
    tau : share of the new current in the membrane, in (0, 1].
    threshold : membrane at which a spike is fired; equality fires.
    v_reset : membrane after a spike; None subtracts the threshold instead (soft reset).
    surrogate, alpha : see `ecsim.models.snn.surrogate.surrogate`; alpha None is its usual value.
    detach_reset : whether the gradient ignores the reset's dependence on the spike.
    """

    is_spiking = True  # what `ecsim.models.work` looks for: its elements are neuron updates

    def __init__(
        self,
        tau: float = 0.5,
        threshold: float = 1.0,
        v_reset: float | None = 0.0,
        surrogate: SurrogateName = "sigmoid",
        alpha: float | None = None,
        detach_reset: bool = True,
    ):
        super().__init__()
        if not 0 < tau <= 1:
            raise ValueError(f"tau must lie in (0, 1], got {tau}")
        if v_reset is not None and not v_reset < threshold:
            raise ValueError(f"v_reset {v_reset} must lie below the threshold {threshold}")
        self.tau = tau
        self.threshold = threshold
        self.v_reset = v_reset
        self.surrogate = _surrogate(surrogate, alpha)
        self.detach_reset = detach_reset

    def forward(self, current: Tensor) -> Tensor:
        """Give the spikes (T, N, ...) in {0, 1} for input currents (T, N, ...)."""
        return cast(Tensor, _Sequence.apply(current, self))  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def trace(self, current: Tensor) -> Trace:
        """Give spikes and membranes (T, N, ...) for currents (T, N, ...), without gradient."""
        before = self._integrate(current)
        spikes = before >= self.threshold
        return Trace(spikes.to(before), before, self._reset(before, spikes))

    def step(self, current: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Give (spikes, new state) of one time-step for a current (N, ...).

        `state` is what the previous step returned; None is rest. `work.predict` counts calls of
        the module, not of this method. Raises `ValueError` when it has
        not the current's shape, dtype and device: it then belongs to another batch or layer.
        """
        if state is None:
            state = torch.zeros_like(current)
        for what in ("shape", "dtype", "device"):
            if getattr(state, what) != getattr(current, what):
                raise ValueError(
                    f"the state of a LIF layer has {what} {getattr(state, what)}, its input "
                    f"{getattr(current, what)}; start a new sequence with state=None"
                )
        u = (1 - self.tau) * state + self.tau * current
        spikes = self.surrogate(u - self.threshold)
        fired = spikes.detach() if self.detach_reset else spikes
        if self.v_reset is None:
            return spikes, u - self.threshold * fired
        return spikes, u * (1 - fired) + self.v_reset * fired

    def extra_repr(self) -> str:
        """Give the settings that `repr` shows."""
        return (
            f"tau={self.tau}, threshold={self.threshold}, v_reset={self.v_reset}, "
            f"surrogate={self.surrogate.name}({self.surrogate.alpha})"
        )

    def _reset(self, u: Tensor, fired: Tensor) -> Tensor:
        # where, not products with a mask: those would round the constants to float32
        after = u - self.threshold if self.v_reset is None else self.v_reset
        return torch.where(fired, after, u)

    def _integrate(self, current: Tensor) -> Tensor:
        """Give the membranes before firing, U (T, N, ...)."""
        u = current.to(_state_dtype(current)) * self.tau
        for t in range(1, u.shape[0]):
            h = self._reset(u[t - 1], u[t - 1] >= self.threshold)
            u[t].add_(h, alpha=1 - self.tau)
        return u


def _surrogate(name: SurrogateName, alpha: float | None) -> Surrogate:
    return surrogate(name, alpha)


class _Sequence(torch.autograd.Function):
    """A whole sequence as one autograd node: U is kept, everything else is recomputed.

    With g(t) = dL/dU(t), s' the surrogate at U - threshold and G = dL/dO::

        g(t) = G(t) s'(t) + (1 - tau) g(t+1) dH(t)/dU(t),      dL/dI(t) = tau g(t)
    """

    @staticmethod
    def forward(ctx: Any, current: Tensor, lif: LIF) -> Tensor:
        u = torch.empty_like(current, dtype=_state_dtype(current))
        spikes = torch.empty_like(current)
        for part in _parts(current):
            membranes = lif._integrate(current[part])
            u[part] = membranes
            torch.ge(membranes, lif.threshold, out=spikes[part])
        ctx.save_for_backward(u)
        ctx.lif = lif
        return spikes

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor, None]:
        lif: LIF = ctx.lif
        (u,) = ctx.saved_tensors
        grad = grad_outputs[0]
        result = torch.empty_like(u, dtype=grad.dtype)
        for part in _parts(u):
            result[part] = _gradient(lif, u[part], grad[part])
        return result, None


def _gradient(lif: LIF, u: Tensor, grad: Tensor) -> Tensor:
    """Give dL/dI for G = `grad`; a new tensor."""
    x = u - lif.threshold
    slope = lif.surrogate.derivative(x)
    g = grad * slope
    if lif.v_reset is None:
        passed = None if lif.detach_reset else 1 - lif.threshold * slope
    else:
        passed = (x < 0).to(u)
        if not lif.detach_reset:
            passed += (lif.v_reset - u) * slope
    for t in range(u.shape[0] - 2, -1, -1):
        if passed is None:
            g[t].add_(g[t + 1], alpha=1 - lif.tau)
        else:
            g[t].addcmul_(g[t + 1], passed[t], value=1 - lif.tau)
    return g.mul_(lif.tau)


def _state_dtype(current: Tensor) -> torch.dtype:
    # a membrane in half precision would lose small currents
    half = current.dtype in (torch.bfloat16, torch.float16)
    return torch.float32 if half else current.dtype


def _parts(current: Tensor) -> list[tuple[slice, ...]]:
    """Give indices that cut axis 1 of (T, N, ...) into parts that fit into a processor's cache.

    Neurons do not know of each other, so that the parts give what the whole gives: to the bit
    where a sample's neurons are a multiple of 16, since torch may round the rest of a vector in
    another way.
    """
    if current.device.type != "cpu" or current.numel() <= _CACHED or current.dim() < 2:
        return [(slice(None),)]
    n = current.shape[1]
    each = max(1, _CACHED * n // current.numel())
    return [(slice(None), slice(start, start + each)) for start in range(0, n, each)]
