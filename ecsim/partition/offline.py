"""A partition problem from cards alone: no scenario, no simulation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecsim.core.types import Operations, Work
from ecsim.costs.cards import Card
from ecsim.costs.model import CostModel
from ecsim.partition.graph import LayerGraph
from ecsim.partition.problem import Hop, PartitionProblem


def problem_between(
    graph: LayerGraph,
    devices: Sequence[tuple[str, Card]],
    links: Sequence[Card],
    costs: CostModel,
    *,
    payload_bytes: float,
    reply_bytes: float = 0.0,
    up_bit_per_s: float | None = None,
    down_bit_per_s: float | None = None,
    latency_s: float | None = None,
    codec: str = "raw",
) -> PartitionProblem:
    """Ask where to run a network's layers between devices with these cards.

    Parameters
    ----------
    graph : with `out_bytes` under the codec.
    devices : tier and card of each node of the route, the device first.
    links : card of each hop.
    payload_bytes : of the sample, where it is sent.
    up_bit_per_s, down_bit_per_s, latency_s : of the first hop, instead of its card's.
    """
    engines = [costs.engine(card, tier) for tier, card in devices]
    has_operations = any(vertex.work.operations is not None for vertex in graph.vertices)
    nothing = Work(operations=Operations(()) if has_operations else None)
    fixed = np.array([engine.price(nothing) for engine in engines])  # (K, 2)
    prices = np.array([[e.price(vertex.work) for e in engines] for vertex in graph.vertices])
    beyond = prices - fixed
    beyond[0] = 0.0  # the sample costs nothing
    out_bytes = np.array([vertex.out_bytes for vertex in graph.vertices])
    out_bytes[0] = payload_bytes
    hops = []
    for i, card in enumerate(links):
        own = (up_bit_per_s, down_bit_per_s, latency_s) if i == 0 else (None, None, None)
        cost = costs.link(
            card, payload_bytes=payload_bytes, up_bit_per_s=own[0], down_bit_per_s=own[1],
            latency_s=own[2],
        )  # fmt: skip
        hops.append(
            Hop(
                cost.up_bit_per_s,
                cost.down_bit_per_s,
                cost.latency_s,
                cost.latency_s,
                near_up_w=cost.tx_w,
                near_down_w=cost.rx_w,
            )
        )
    return PartitionProblem(
        graph=graph,
        nodes=tuple(tier for tier, _ in devices),
        seconds=beyond[:, :, 0],
        joules=beyond[:, :, 1],
        fixed_s=fixed[:, 0],
        fixed_j=fixed[:, 1],
        hops=tuple(hops),
        out_bytes=out_bytes,
        reply_bytes=reply_bytes,
        idle_w=np.array([engine.idle_w for engine in engines]),
        memory_bytes=np.array([card.get("memory", np.inf) for _, card in devices]),
        codec=codec,
    )
