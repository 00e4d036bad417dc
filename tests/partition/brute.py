"""Plans by looking at every assignment, and random problems with coarse costs, so with ties."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from ecsim.partition.plans.dag import Dag


def assignments(n: int, n_places: int = 2) -> Iterator[np.ndarray]:
    """Give all assignments of vertices 1 … n - 1, vertex 0 lying at place 0."""
    for rest in itertools.product(range(n_places), repeat=n - 1):
        yield np.array((0, *rest))


def two_place_cost(
    dag: Dag, is_cloud: np.ndarray, one_way: bool = True, per_edge: bool = False
) -> tuple[float, float, int]:
    """Give (cost, bytes, layers in the cloud) as the definition reads; infinite where illegal."""
    total, size = 0.0, 0.0
    has_edge = has_cloud = False
    for v in range(len(dag)):
        total += dag.cloud[v] if is_cloud[v] else dag.edge[v]
        if not dag.preds[v] and is_cloud[v]:
            return np.inf, 0.0, 0
        has_cloud |= bool(is_cloud[v])
        has_edge |= bool(dag.preds[v]) and not is_cloud[v]
        users = [w for w in range(len(dag)) if v in dag.preds[w] and is_cloud[w] != is_cloud[v]]
        if not users:
            continue
        if is_cloud[v] and one_way:
            return np.inf, 0.0, 0
        times = len(users) if per_edge else 1
        total += times * (dag.down[v] if is_cloud[v] else dag.up[v])
        size += times * dag.sent_bytes[v]
    total += has_edge * dag.any_edge + has_cloud * dag.any_cloud
    return total, size, int(sum(is_cloud))


_COARSE = st.integers(0, 8).map(lambda i: i / 100)


@st.composite
def dags(draw: st.DrawFn, most: int = 12) -> Dag:
    """Draw a graph with one input and costs in hundredths, often equal."""
    n = draw(st.integers(2, most))
    preds: list[tuple[int, ...]] = [()]
    before = [st.sets(st.integers(0, v - 1), min_size=1, max_size=3) for v in range(1, n)]
    preds.extend(tuple(sorted(draw(each))) for each in before)
    edge, cloud, up, down = (
        np.array(draw(st.lists(_COARSE, min_size=n, max_size=n))) for _ in range(4)
    )
    edge[0] = cloud[0] = 0.0
    size = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=float)
    once = draw(st.sampled_from([(0.0, 0.0), (0.02, 0.0), (0.0, 0.03), (0.01, 0.04)]))
    return Dag(tuple(preds), edge, cloud, up, down, size, *once)
