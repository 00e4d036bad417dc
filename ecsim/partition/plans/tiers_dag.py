"""A graph of layers over a row of tiers, one-way: one minimum cut for any number of tiers.

Objective: the sum of the layers' times where they run, and of each tensor's on every hop it takes,
once per hop however many layers want it, plus what any use of a tier or a hop costs. No tensor goes
back to an earlier tier.

Each vertex v has K - 1 vertices of the network: v_j lies on the sink's side when v runs beyond
tier j. Arcs from v_i to v_(i-1) carry the cost of tier i; infinite ones keep the order, forbid ways
back, and share a tensor among its users, as in `dads`, which this is for K = 2. What a
tier costs once is no cut; there is one network per set of tiers that may be used, 2^K at most.

Source: Ishikawa, IEEE TPAMI 25 (2003) 1333, for the chains; survey section V.A for two tiers; the
combination is our own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from ecsim.core.types import BoolArray, FloatArray, IntArray
from ecsim.partition.plans.constraints import impossible
from ecsim.partition.plans.flow import Network
from ecsim.partition.plans.ties import Weights, best


@dataclass(frozen=True, slots=True, eq=False)
class Tiers:
    """Costs of a graph of n vertices over K tiers in a row, all in one unit.

    Attributes
    ----------
    preds : predecessors of each vertex, all with smaller numbers; a vertex without is an input and
        lies in the first tier.
    layer : of each vertex in each tier, shape (K, n); infinite where it cannot run.
    hop : of sending each vertex's tensor one tier on, shape (K - 1, n).
    sent_bytes : size of each vertex's tensor, shape (n,); decides between equal plans.
    once : paid by each tier that runs any layer, shape (K,).
    message : paid for each hop that is taken at all, such as its latency, shape (K - 1,).
    """

    preds: tuple[tuple[int, ...], ...]
    layer: FloatArray
    hop: FloatArray
    sent_bytes: FloatArray = field(default_factory=lambda: np.zeros(0))
    once: FloatArray = field(default_factory=lambda: np.zeros(0))
    message: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        n_tiers, n = self.layer.shape
        for name, size in (("sent_bytes", n), ("once", n_tiers), ("message", n_tiers - 1)):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.zeros(size))
        if self.hop.shape != (n_tiers - 1, n) or len(self.preds) != n:
            raise ValueError(f"expected {n_tiers - 1} hops and {n} vertices everywhere")

    def is_input(self) -> BoolArray:
        """Tell which vertices are inputs, shape (n,)."""
        return np.array([not before for before in self.preds], dtype=bool)


def cost(tiers: Tiers, tier: IntArray) -> float:
    """Give what an assignment costs; infinite where a tensor would go back, or an input moves.

    Parameters
    ----------
    tier : where each vertex runs, shape (n,).
    """
    furthest = tier.copy()
    for v, before in enumerate(tiers.preds):
        if (not before and tier[v]) or any(tier[u] > tier[v] for u in before):
            return float("inf")
        for u in before:
            furthest[u] = max(furthest[u], tier[v])
    hops = np.arange(len(tiers.hop))[:, None]
    is_taken = (hops >= tier) & (hops < furthest)
    used = np.unique(tier[~tiers.is_input()])
    once = tiers.once[used].sum() + tiers.message[: tier.max()].sum()
    layers = tiers.layer[tier, np.arange(len(tier))].sum()
    return float(layers + tiers.hop[is_taken].sum() + once)


def place(tiers: Tiers) -> IntArray:
    """Give the tier of each vertex, shape (n,): the one-way plan of least cost.

    Of equal plans the one that sends fewest bytes, then the one with all layers as early as
    possible.

    Raises
    ------
    Infeasible
        If some layer can run nowhere.

    >>> layer = np.array([[0, 1.0, 9.0], [0, 9.0, 9.0], [0, 9.0, 1.0]])
    >>> place(Tiers(((), (0,), (1,)), layer, np.ones((2, 3)))).tolist()
    [0, 0, 2]
    """
    return counted(tiers)[0]


def counted(tiers: Tiers) -> tuple[IntArray, int]:
    """Give the plan and how many arcs were looked at to find it."""
    n_tiers, n_steps = len(tiers.once), 0
    optional = [j for j in range(n_tiers) if tiers.once[j] > 0.0]
    found = []
    for n_shut in range(len(optional) + 1):
        for shut in combinations(optional, n_shut):
            tier, steps = _cut(tiers, shut)
            n_steps += steps
            if tier is not None:
                found.append(tier)
    if not found:
        raise impossible()
    costs = np.array([cost(tiers, tier) for tier in found])
    sizes = np.array([_sent(tiers, tier) for tier in found])
    early = np.array([-float(tier.sum()) for tier in found])
    return found[best(costs, sizes, early)], n_steps


def _sent(tiers: Tiers, tier: IntArray) -> float:
    """Give the bytes sent over all hops."""
    furthest = tier.copy()
    for v, before in enumerate(tiers.preds):
        for u in before:
            furthest[u] = max(furthest[u], tier[v])
    return float((tiers.sent_bytes * (furthest - tier)).sum())


def _cut(tiers: Tiers, shut: tuple[int, ...]) -> tuple[IntArray | None, int]:
    """Give the best plan that leaves some tiers out, without `once`, and steps; None: no plan."""
    preds, layer, sizes = tiers.preds, tiers.layer.copy(), tiers.sent_bytes
    n_tiers, n = layer.shape
    is_input = tiers.is_input()
    for tier in shut:
        layer[tier, ~is_input] = np.inf
    layer[1:, is_input] = np.inf
    every = [*layer.ravel(), *tiers.hop.ravel(), *tiers.message]
    weights = Weights(every, np.repeat(sizes, n_tiers - 1))
    network, source, sink = Network(2 + n * (n_tiers - 1)), 0, 1
    at = 2 + np.arange(n * (n_tiers - 1)).reshape(n, n_tiers - 1)  # the vertices v_j
    beyond = [network.vertex() for _ in tiers.message]  # on the sink's side if any layer is
    for j, carrier in enumerate(beyond):
        network.arc(source, carrier, weights(tiers.message[j]))
    after: list[list[int]] = [[] for _ in preds]
    for v, before in enumerate(preds):
        for u in before:
            after[u].append(v)
    for v in range(n):
        here = [int(a) for a in at[v]]
        ends = [source, *here[::-1], sink]
        for i, tier in enumerate(range(n_tiers - 1, -1, -1)):
            back = weights.infinite if 0 < i < n_tiers - 1 else 0
            network.arc(ends[i], ends[i + 1], weights(layer[tier, v]), back)
        for j, u in enumerate(here):
            network.arc(beyond[j], u, weights.infinite)
            copy = network.vertex() if after[v] else u
            if after[v]:
                network.arc(u, copy, weights(tiers.hop[j, v], sizes[v]))
            for w in after[v]:
                network.arc(copy, int(at[w, j]), weights.infinite)
                network.arc(int(at[w, j]), u, weights.infinite)
    value, is_before = network.min_cut(source, sink)
    if value >= weights.infinite:
        return None, network.n_steps
    tiers_passed: IntArray = (~np.array(is_before, dtype=bool)[at]).sum(axis=1)
    return tiers_passed, network.n_steps
