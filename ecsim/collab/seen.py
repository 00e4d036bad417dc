"""What a device has itself seen of a route: how fast messages went, and how long others waited.

It knows no more than its own messages and answers tell: a link that it does not use keeps its last
figure. `applied` puts what was seen into the problem that a partitioner is asked.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf, isinf

import numpy as np

from ecsim.core.types import FloatArray
from ecsim.partition.problem import Hop, PartitionProblem


class Seen:
    """Exponentially weighted means per hop, direction and node; they begin with what was promised.

    Parameters
    ----------
    hops : the links as they were promised.
    n_nodes : nodes of the route.
    weight : of the newest observation, in (0, 1].

    Attributes
    ----------
    s_per_bit : seconds per bit of each hop, up and down, shape (K - 1, 2); infinite when the last
        message there was lost.
    wait_s : how long parts waited in the queue of each node, shape (K,); the device's is left out.
    heard_s : when the last message came through.
    """

    def __init__(self, hops: tuple[Hop, ...], n_nodes: int, weight: float):
        self._hops = hops
        self._weight = weight
        self.s_per_bit = np.array(
            [[1.0 / hop.up_bit_per_s, 1.0 / hop.down_bit_per_s] for hop in hops]
        ).reshape(-1, 2)
        self.wait_s = np.zeros(n_nodes)
        self.heard_s = 0.0

    def sent(self, hop: int, is_up: bool, size_bytes: float, seconds: float, now: float) -> None:
        """Note a message that came through; waits on the link count as its slowness."""
        self.heard_s = now
        if size_bytes <= 0.0:
            return
        link = self._hops[hop]
        late_s = link.up_s if is_up else link.down_s
        newest = max(0.0, seconds - late_s) / (8.0 * size_bytes)
        at = hop, 0 if is_up else 1
        old = self.s_per_bit[at]
        self.s_per_bit[at] = newest if isinf(old) else old + self._weight * (newest - old)

    def lost(self, hop: int) -> None:
        """Note that a message did not come through."""
        self.s_per_bit[hop] = inf

    def waited(self, node: int, seconds: float) -> None:
        """Note how long a part waited at a node."""
        if node:
            self.wait_s[node] += self._weight * (max(0.0, seconds) - self.wait_s[node])

    def snapshot(self) -> tuple[FloatArray, FloatArray]:
        """Give a copy of what was seen, for `change`."""
        return self.s_per_bit.copy(), self.wait_s.copy()

    def change(self, before: tuple[FloatArray, FloatArray], scale_s: float) -> float:
        """Give the largest change since a snapshot: of a link by ratio, of waits by `scale_s`."""
        s_per_bit, wait_s = before
        both = np.isinf(s_per_bit) & np.isinf(self.s_per_bit)
        with np.errstate(invalid="ignore", divide="ignore"):
            high = np.maximum(s_per_bit, self.s_per_bit)
            low = np.minimum(s_per_bit, self.s_per_bit)
            ratios = np.where(both | (high == low), 0.0, high / low - 1.0)
        waits = np.abs(self.wait_s - wait_s) / scale_s if scale_s > 0.0 else np.zeros(1)
        return float(max(ratios.max(initial=0.0), waits.max(initial=0.0)))

    def applied(self, problem: PartitionProblem) -> PartitionProblem:
        """Give the problem at the rates that were seen, waits added to what a call takes."""
        hops = tuple(
            replace(hop, up_bit_per_s=_rate(up), down_bit_per_s=_rate(down))
            for hop, (up, down) in zip(problem.hops, self.s_per_bit, strict=True)
        )
        return replace(problem, hops=hops, fixed_s=problem.fixed_s + self.wait_s)


def _rate(s_per_bit: float) -> float:
    """Give the rate, never 0: a link that loses everything takes practically for ever."""
    return 1e-300 if isinf(s_per_bit) else 1.0 / max(s_per_bit, 1e-18)
