"""Splitting a model in the simulated world: what a partitioner is asked, how a cut is served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ecsim.collab.strategy import Background, Serving
from ecsim.core.types import Answer, Cut, ModelRef, Operations, Part, Prediction, Task, Work
from ecsim.partition.cuts import is_empty, transfers
from ecsim.partition.graph import INPUT, LayerGraph
from ecsim.partition.problem import Hop, PartitionProblem

if TYPE_CHECKING:
    from ecsim.collab.context import Context
    from ecsim.kernel import Hop as Link


def problem_of(
    ctx: Context,
    route: Sequence[str],
    model: ModelRef,
    *,
    reply_bytes: float = 0.0,
    codec: str = "raw",
    exit: int | None = None,
) -> PartitionProblem:
    """Ask where to run a model's layers on a route, at the prices and the links' rates of now.

    A layer's price is what its work takes beyond a call that does nothing; its work is a mean over
    samples that are in no stream. Where a price is no sum over layers (`costs: {name: roofline}`
    takes the later of two roofs of a whole part), the sum is an upper bound.

    Parameters
    ----------
    route : names of the nodes, the device first.
    reply_bytes : of the answer that goes back to the device.
    codec : how values are coded where they cross; their bytes are means of real coded values.
    exit : whose answer is asked.
    """
    graph = ctx.layers(model, codec)
    has_operations = any(vertex.work.operations is not None for vertex in graph.vertices)
    nothing = Work(operations=Operations(()) if has_operations else None)
    fixed = np.array([ctx.price(node, nothing) for node in route])  # (K, 2)
    prices = np.array(
        [[ctx.price(node, vertex.work) for node in route] for vertex in graph.vertices]
    )  # (V, K, 2)
    beyond = prices - fixed
    beyond[0] = 0.0  # the sample costs nothing
    out_bytes = np.array([vertex.out_bytes for vertex in graph.vertices])
    out_bytes[0] = ctx.payload_bytes
    return PartitionProblem(
        graph=graph,
        nodes=tuple(route),
        seconds=beyond[:, :, 0],
        joules=beyond[:, :, 1],
        fixed_s=fixed[:, 0],
        fixed_j=fixed[:, 1],
        hops=tuple(hop_between(ctx, a, b) for a, b in pairwise(route)),
        out_bytes=out_bytes,
        reply_bytes=reply_bytes,
        idle_w=np.array([ctx.idle_w(node) for node in route]),
        memory_bytes=np.array([ctx.memory_bytes(node) for node in route]),
        codec=codec,
        exit=exit,
    )


def hop_between(ctx: Context, near: str, far: str) -> Hop:
    """Give the way between two neighbours of a route; several links in a row count as one.

    Their serialisation times and latencies add up: a message is stored and forwarded. What the
    near end's radio draws is told apart from all the rest, which is the far end's.
    """
    up, down = ctx.route(near, far), ctx.route(far, near)
    up_rate, down_rate = _rate(up), _rate(down)
    near_up, near_down = _near_w(up[0], is_sender=True), _near_w(down[-1], is_sender=False)
    near_up_w = near_up * up_rate / up[0].bit_per_s
    near_down_w = near_down * down_rate / down[-1].bit_per_s
    return Hop(
        up_bit_per_s=up_rate,
        down_bit_per_s=down_rate,
        up_s=sum(link.propagation_s for link in up),
        down_s=sum(link.propagation_s for link in down),
        near_up_w=near_up_w,
        far_up_w=_all_w(up, up_rate) - near_up_w,
        near_down_w=near_down_w,
        far_down_w=_all_w(down, down_rate) - near_down_w,
        is_shared=any(a.channel is b.channel for a in up for b in down),
    )


def _rate(links: Sequence[Link]) -> float:
    return 1.0 / sum(1.0 / link.bit_per_s for link in links)


def _near_w(link: Link, is_sender: bool) -> float:
    """Give what one end draws while the link serialises, per-byte energy included."""
    bytes_per_s = link.bit_per_s / 8.0
    if is_sender:
        return link.tx_w + link.tx_j_per_byte * bytes_per_s
    return link.rx_w + link.rx_j_per_byte * bytes_per_s


def _all_w(links: Sequence[Link], rate: float) -> float:
    """Give what all ends draw, over the time that the whole way serialises."""
    both = (_near_w(link, True) + _near_w(link, False) for link in links)
    return sum(w * rate / link.bit_per_s for w, link in zip(both, links, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A model cut over a route, ready to be served.

    Attributes
    ----------
    route : names of the nodes; the cut's positions are places in it.
    moved : see `cuts.transfers`.
    """

    route: tuple[str, ...]
    model: ModelRef
    cut: Cut
    moved: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, route: Sequence[str], model: ModelRef, cut: Cut, graph: LayerGraph) -> Split:
        """Give the split of a model whose layer graph is `graph`."""
        return cls(tuple(route), model, cut, transfers(graph, cut))

    def install(self, ctx: Context) -> None:
        """Let every node that runs layers have the model, before anything happens."""
        for part, at in zip(self.cut.parts, self.cut.nodes, strict=True):
            if not is_empty(part):
                ctx.install(self.route[at], self.model)


class Observer:
    """Told of every message and every part of a task as it begins and ends; does nothing by itself.

    Nodes are positions on the route, and hop `i` lies between the nodes `i` and `i + 1`. What
    fails or is abandoned has begun, and does not end.
    """

    def sending(self, hop: int) -> None:
        """Hear that a message goes over a hop."""

    def sent(self, hop: int, is_up: bool, size_bytes: float) -> None:
        """Hear that it has come through, on its way from the device or back to it."""

    def running(self, node: int) -> None:
        """Hear that a part is asked for at a node."""

    def ran(self, node: int, part: tuple[str, ...], prediction: Prediction) -> None:
        """Hear that the part has run, and what it gave."""


_NOBODY = Observer()


def run_cut(
    task: Task,
    ctx: Context,
    split: Split,
    reply_bytes: float,
    exit: int | None = None,
    observer: Observer = _NOBODY,
) -> Serving:
    """Serve a task: run each part where it stands, send what crosses on, bring the answer back.

    For use with ``yield from``. Messages go along the route hop by hop. The bytes are those of the
    task's own coded values, with its payload where later parts need the sample itself.
    """
    cut, route = split.cut, split.route
    prediction: Prediction | None = None
    here = 0
    for index, (part, at) in enumerate(zip(cut.parts, cut.nodes, strict=True)):
        if index:
            size_bytes = 0.0 if prediction is None else prediction.out_bytes
            if INPUT in split.moved[index - 1]:
                size_bytes += task.payload_bytes
            yield from send_along(ctx, route, here, at, size_bytes, observer)
        here = at
        if not is_empty(part):
            observer.running(at)
            prediction = yield ctx.infer(route[at], task, split.model, Part(cut, index, exit))
            observer.ran(at, part, prediction)
    yield from send_along(ctx, route, here, 0, reply_bytes, observer)
    assert prediction is not None
    return Answer(prediction.label, at=route[here], by=prediction)


def send_along(
    ctx: Context,
    route: Sequence[str],
    here: int,
    there: int,
    size_bytes: float,
    observer: Observer = _NOBODY,
) -> Background:
    """Send bytes along a route from one of its nodes to another, hop by hop.

    For use with ``yield from``.
    """
    step = 1 if there > here else -1
    for stop in range(here, there, step):
        hop = min(stop, stop + step)
        observer.sending(hop)
        yield ctx.send(route[stop], route[stop + step], size_bytes)
        observer.sent(hop, step > 0, size_bytes)
