"""Neurosurgeon: the best single cut of a chain, by looking at every one.

Objectives: the sum of what the edge, the upload, the cloud and the answer's way back take (latency,
or with `Chain.weighted` the device's energy), or the slowest of edge, upload and cloud, whose
inverse is the throughput once tasks follow each other.

Source: Kang et al., ASPLOS 2017, section 5.3; survey section V.A. The bottleneck is DADS's heavy
load on a chain (Hu et al., INFOCOM 2019).
"""

from __future__ import annotations

import numpy as np

from ecsim.core.types import FloatArray
from ecsim.partition.plans.chain import Chain
from ecsim.partition.plans.ties import best


def sums(chain: Chain) -> FloatArray:
    """Give the sum of all stages for each cut, shape (n + 1,)."""
    edge, up, cloud, down = chain.stages()
    return edge + up + cloud + down


def bottlenecks(chain: Chain) -> FloatArray:
    """Give the largest of edge, upload and cloud for each cut, shape (n + 1,)."""
    edge, up, cloud, _down = chain.stages()
    return np.maximum(np.maximum(edge, up), cloud)


def cut(chain: Chain, costs: FloatArray) -> int:
    """Give the best cut by these costs; of equal ones fewest bytes, then most layers at the edge.

    Parameters
    ----------
    costs : of each cut, shape (n + 1,), such as `sums` or `bottlenecks` give.

    >>> chain = Chain(np.array([1.0, 2.0]), np.array([0.1, 0.2]), np.array([9.0, 0.5, 9.0]))
    >>> cut(chain, sums(chain))
    1
    """
    return best(costs, chain.sent(), np.arange(len(costs), dtype=float))
