"""The efficient multi-precision firing neuron: floating-point spikes, separable gradients.

Source: EM-PF, Eq. 3-6 and Fig. 2; initial values and the ties from the errata (EM-PF 5-6). Over the
time-steps t, with learnable scalars lambda[t] and theta[t] and ``v[0] = 0``::

    m[t] = lambda[t] v[t-1] + I[t],    s[t] = ReLU(m[t] - theta[t]),    v[t] = m[t] - s[t]

Version I is the above. Version II replaces m by ``alpha[t] m + beta[t] BN_t(m)`` before firing.
Version III drops the state, ``s[t] = ReLU(I[t] - theta[t])``, and so has no loop over time.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ecsim.models.snn.lif import Trace


class EMPF(nn.Module):
    """EM-PF neurons: currents (T, N, ...) to floating-point spikes (T, N, ...).

    Parameters
    ----------
    steps : number of time-steps T; every one has its own lambda, theta (alpha, beta, BN).
    version : "I" with learnable membrane, "II" with batch-normalised membrane, "III" parallel.
    gradient : "online" takes v[t-1] for a constant, so that no gradient flows through time and
        memory does not grow with T; "stbp" lets it flow. Version III has no such path.
    channels : size of axis 2 of the currents; version II needs it.
    """

    is_spiking = True
    fires_floats = True

    def __init__(
        self,
        steps: int,
        version: Literal["I", "II", "III"] = "I",
        gradient: Literal["online", "stbp"] = "online",
        channels: int | None = None,
    ):
        super().__init__()
        self.steps = steps
        self.version = version
        self.gradient = gradient
        self.theta = nn.Parameter(torch.ones(steps))
        if version != "III":
            self.decay = nn.Parameter(torch.full((steps,), 0.5))  # lambda
        if version == "II":
            if channels is None:
                raise ValueError("EM-PF version II normalises channels; say how many there are")
            self.alpha = nn.Parameter(torch.ones(steps))
            self.beta = nn.Parameter(torch.zeros(steps))
            self.norms = nn.ModuleList(_AnyBatchNorm(channels) for _ in range(steps))

    def forward(self, current: Tensor) -> Tensor:
        """Give the spikes (T, N, ...), which are zero or positive numbers."""
        return self.trace(current).spikes

    def trace(self, current: Tensor) -> Trace:
        """Give spikes s and membranes m and v, each (T, N, ...), with gradient.

        Raises `ValueError` when the currents have another number of time-steps.
        """
        if current.shape[0] != self.steps:
            raise ValueError(f"{self.steps} time-steps expected, got {tuple(current.shape)}")
        if self.version == "III":
            s = _relu(current - self.theta.view(-1, *[1] * (current.dim() - 1)))
            return Trace(s, current, current - s)
        steps: list[tuple[Tensor, Tensor, Tensor]] = []
        v = torch.zeros_like(current[0])
        for t in range(self.steps):
            m = self.decay[t] * v + current[t]
            if self.version == "II":
                m = self.alpha[t] * m + self.beta[t] * self.norms[t](m)
            s = _relu(m - self.theta[t])
            v = m - s
            steps.append((s, m, v))
            if self.gradient == "online":
                v = v.detach()
        return Trace(*(torch.stack(each) for each in zip(*steps, strict=True)))


def _relu(x: Tensor) -> Tensor:
    """Give max(0, x) with slope 1 at 0, as in Eq. 4 (torch's has slope 0 there)."""
    return x * (x >= 0)


class _AnyBatchNorm(_BatchNorm):
    """Batch normalisation over axis 1 of (N, C, ...) of any rank."""

    def _check_input_dim(self, x: Tensor) -> None:
        pass
