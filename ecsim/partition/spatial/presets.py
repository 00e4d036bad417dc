"""The spatial splits of published systems, by name."""

from __future__ import annotations

from collections.abc import Sequence

from ecsim.models.plan import AFLKD_BLOCKS
from ecsim.partition.spatial.plans import SplitPlan, plan_split
from ecsim.partition.spatial.shares import Split
from ecsim.partition.spatial.stacks import Stack, vgg_stack


def modnn(stack: Stack, speeds: Sequence[float]) -> SplitPlan:
    """Give MoDNN's split: every layer by itself, in rows proportional to the workers' speeds.

    Here workers fetch halos from each other directly.

    Source: Mao et al., "MoDNN", DATE 2017 (biased one-dimensional partition), as the survey
    describes it in section III.B.
    """
    return plan_split(stack, Split(tuple(speeds), empty="drop"), "convolutions")


def deepthings(stack: Stack, rows: int, cols: int) -> SplitPlan:
    """Give DeepThings' split: a grid of equal tiles through all layers at once, without exchange.

    Each tile is given all of the input that it needs; what overlaps is computed several times
    (DeepThings can also share it between neighbours, which is not modelled).

    Source: Zhao, Barijough and Gerstlauer, "DeepThings", IEEE TCAD 37(11), 2018, as the survey
    describes it in section III.B.
    """
    return plan_split(stack, Split.equal(rows, cols), "fused", overlapped=True)


def aflkd(stack: Stack, speeds: Sequence[float]) -> SplitPlan:
    """Give AFLKD's feature-map splitting: one block of rows per cluster, halos at every layer.

    Rows are proportional to the clusters' speeds; the paper's equal blocks are equal speeds. Halos
    are exchanged after the activation that feeds a convolution, at odd heights before poolings
    too, and from two neighbours away where blocks are thinner than the halo.

    Source: AFLKD, section 5, Algorithm 3, with erratum 7: the branch for the last cluster is
    i = n, and rows to fetch follow from the windows.
    """
    return plan_split(stack, Split(tuple(speeds), empty="drop"), "layers")


def aflkd_stack(blocks: int, in_shape: tuple[int, int, int]) -> Stack:
    """Give the first `blocks` blocks of AFLKD's networks: its edge networks are 1, 2 and 3.

    Source: AFLKD, section 6.2.2.

    >>> len(aflkd_stack(1, (3, 32, 32)).layers)
    10
    """
    if not 1 <= blocks <= len(AFLKD_BLOCKS):
        raise ValueError(f"expected 1 to {len(AFLKD_BLOCKS)} blocks, got {blocks}")
    return vgg_stack(in_shape, AFLKD_BLOCKS[:blocks])
