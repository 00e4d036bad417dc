"""Speed of layer-level partitioning: plans of graphs of about 150 layers.

python benchmarks/partition.py [--vertices 150] [--rounds 9] [-o FILE]

Three kinds of graphs with costs at random: "inception" (blocks of four branches, as in GoogLeNet),
"residual" (blocks of three layers with a shortcut) and "dense" (each vertex reads up to five of the
twelve before it: no cut vertices). Every plan's cost is compared with networkx's minimum cut of the
same network in floats, or the script stops. CPU time, medians of interleaved rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np

from ecsim.partition.plans import dads, dads_heavy, qdmp, two_way
from ecsim.partition.plans.dag import Dag, cost

BOUND_S = 0.1
Preds = tuple[tuple[int, ...], ...]


def inception(n: int) -> Preds:
    preds: list[tuple[int, ...]] = [()]
    while len(preds) + 8 <= n:
        stem, a = len(preds) - 1, len(preds)
        preds += [(stem,), (stem,), (a + 1,), (stem,), (a + 3,), (stem,), (a + 5,)]
        preds.append((a, a + 2, a + 4, a + 6))
    return (*preds, *((v - 1,) for v in range(len(preds), n)))


def residual(n: int) -> Preds:
    preds: list[tuple[int, ...]] = [()]
    while len(preds) + 4 <= n:
        stem, a = len(preds) - 1, len(preds)
        preds += [(stem,), (a,), (a + 1,), (stem, a + 2)]
    return (*preds, *((v - 1,) for v in range(len(preds), n)))


def dense(n: int) -> Preds:
    rng = np.random.default_rng(0)
    found: list[tuple[int, ...]] = [()]
    for v in range(1, n):
        before = np.arange(max(0, v - 12), v)
        size = min(len(before), int(rng.integers(1, 6)))
        found.append(tuple(sorted(int(u) for u in rng.choice(before, size, replace=False))))
    return tuple(found)


def costs(preds: Preds, seed: int) -> Dag:
    """Give costs such that the plan is neither all edge nor all cloud, as a rule."""
    n, rng = len(preds), np.random.default_rng(seed)
    edge = rng.lognormal(np.log(1e-3), 1.0, n)
    cloud = edge / rng.uniform(2.0, 20.0, n)
    size = rng.lognormal(np.log(1e5), 1.0, n) * np.geomspace(10.0, 0.05, n)
    edge[0] = cloud[0] = 0.0
    return Dag(preds, edge, cloud, size / 2.5e6, size / 5e6, size, any_cloud=2e-3)


def reference(dag: Dag) -> float:
    """Give the value of the one-way minimum cut by networkx's preflow-push, in floats."""
    graph = nx.DiGraph()
    for v, after in enumerate(dag.successors()):
        if v:
            graph.add_edge("e", v, capacity=dag.cloud[v])
            graph.add_edge("once", v)
        else:
            graph.add_edge("e", v)
        graph.add_edge(v, "c", capacity=dag.edge[v])
        if after:
            graph.add_edge(v, (v, "copy"), capacity=dag.up[v])
        for w in after:
            graph.add_edge((v, "copy"), w)
            graph.add_edge(w, v)
    graph.add_edge("e", "once", capacity=dag.any_cloud)
    return float(nx.minimum_cut_value(graph, "e", "c"))


def cpu_s(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--vertices", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    report: dict[str, object] = {"vertices": options.vertices, "bound_s": BOUND_S}
    for make in (inception, residual, dense):
        preds = make(options.vertices)
        times: dict[str, list[float]] = {}
        at_edge = []
        for seed in range(options.rounds):
            dag = costs(preds, seed)
            plans = {
                "dads_light": lambda dag=dag: dads.light(dag),
                "qdmp": lambda dag=dag: qdmp.place(dag),
                "two_way": lambda dag=dag: two_way.place(dag),
                "dads_heavy": lambda dag=dag: dads_heavy.heavy(dag),
                "networkx_cut": lambda dag=dag: reference(dag),
            }
            expected = reference(dag)
            at_edge.append(int((~dads.light(dag)).sum()) - 1)
            for found in (dads.light(dag), qdmp.place(dag)):
                if abs(cost(dag, found) - expected) > 1e-9 * expected:
                    raise SystemExit(f"{make.__name__} {seed}: not the minimum cut")
            for name, plan in plans.items():
                times.setdefault(name, []).append(cpu_s(plan))
        report[make.__name__] = {
            "edges": sum(map(len, preds)),
            "cut_vertices": len(qdmp.cut_vertices(costs(preds, 0))),
            "layers_at_edge": statistics.median(at_edge),
            **{f"{name}_s": round(statistics.median(found), 5) for name, found in times.items()},
            "dads_light_slowest_s": round(max(times["dads_light"]), 5),
            "is_within_bound": max(times["dads_light"]) < BOUND_S,
        }
    text = json.dumps(report, indent=2)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
