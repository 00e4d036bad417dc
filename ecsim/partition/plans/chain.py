"""A chain of layers between two places: what each cut takes.

Layers 1…n run one after the other; cut k leaves layers 1…k at the edge and the rest in the cloud.
k = 0 uploads the input, k = n sends nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ecsim.core.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Costs of a chain of n layers, all in one unit: seconds, or joules (see `weighted`).

    Attributes
    ----------
    edge, cloud : of each layer there, shape (n,).
    up : of sending the input and each layer's output to the cloud, shape (n + 1,); the last entry
        is not used, since nothing is sent after the last layer.
    down : of bringing the answer back from the cloud; 0 where nobody waits for it.
    sent_bytes : size of the input and of each output, shape (n + 1,); decides between equal cuts.
    any_edge, any_cloud : paid once if any layer runs there at all: what a call costs beside its
        layers.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or a cost is negative or no number.
    """

    edge: FloatArray
    cloud: FloatArray
    up: FloatArray
    down: float = 0.0
    sent_bytes: FloatArray = field(default_factory=lambda: np.zeros(0))
    any_edge: float = 0.0
    any_cloud: float = 0.0

    def __post_init__(self) -> None:
        n = len(self.edge)
        if not len(self.sent_bytes):
            object.__setattr__(self, "sent_bytes", np.zeros(n + 1))
        if self.cloud.shape != (n,) or self.up.shape != (n + 1,) or len(self.sent_bytes) != n + 1:
            raise ValueError("expected n costs at the edge and in the cloud, n + 1 tensors")
        if any(not (values >= 0.0).all() for values in (self.edge, self.cloud, self.up)):
            raise ValueError("expected costs of at least 0")

    def weighted(self, compute: float, send: float, receive: float, idle: float = 0.0) -> Chain:
        """Give the chain in joules at the device, from one in seconds and powers in W.

        Neurosurgeon's energy is that of the device: it computes, sends, receives, and with `idle`
        also waits for the cloud.
        """
        return Chain(
            self.edge * compute, self.cloud * idle, self.up * send, self.down * receive,
            self.sent_bytes, self.any_edge * compute, self.any_cloud * idle,
        )  # fmt: skip

    def stages(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Give (edge, up, cloud, down) of each cut, each of shape (n + 1,)."""
        edge = np.concatenate(([0.0], np.cumsum(self.edge)))
        cloud = np.concatenate((np.cumsum(self.cloud[::-1])[::-1], [0.0]))
        is_sent = np.arange(len(edge)) < len(self.edge)
        edge = edge + np.where(np.arange(len(edge)) > 0, self.any_edge, 0.0)
        cloud = cloud + np.where(is_sent, self.any_cloud, 0.0)
        return edge, np.where(is_sent, self.up, 0.0), cloud, np.where(is_sent, self.down, 0.0)

    def sent(self) -> FloatArray:
        """Give the bytes that each cut uploads, shape (n + 1,)."""
        return np.concatenate((self.sent_bytes[:-1], [0.0]))
