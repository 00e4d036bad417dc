"""Layer splitting inside a cluster: which of its devices runs which segments of its part.

Source: AFLKD, section 5 and Fig. 4. The paper spreads layers "by resource capabilities" and notes
that one task gets no faster by it; a pipeline serves more tasks per second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from ecsim.core.types import Work
from ecsim.partition.plans import pipeline, tiers

if TYPE_CHECKING:
    from ecsim.partition.spatial.layouts import Layout


def place_segments(
    layout: Layout,
    part: int,
    cluster: Sequence[str],
    inside: Literal["chain", "pipeline"],
    seconds: Callable[[str, Work], float],
    transfer: Callable[[str, str, float], float],
) -> tuple[str, ...]:
    """Give the device of each segment; devices take consecutive runs in the cluster's order.

    Exchanges with other clusters are left out: they take the same whichever device waits for them.

    Parameters
    ----------
    inside : "chain" for the least time of one task, "pipeline" for the fastest slowest stage.
    """
    works, sizes = layout.works[part], [size[part] for size in layout.sizes]
    row = tiers.Row(
        layer=np.array([[seconds(device, work) for work in works] for device in cluster]),
        hop=np.array(
            [
                [0.0, *(transfer(a, b, size) for size in sizes)]  # the picture comes from outside
                for a, b in pairwise(cluster)
            ]
        ),
        sent_bytes=np.array([0.0, *sizes]),
        once=np.array([seconds(device, Work()) for device in cluster]),
    )
    cuts = (tiers if inside == "chain" else pipeline).place(row)
    return tuple(cluster[int((cuts <= at).sum())] for at in range(len(works)))
