"""The published-style instances of ../shared/vectors, whose optima come from full enumeration."""

import json
from pathlib import Path

import numpy as np
import pytest
from brute import two_place_cost

from ecsim.partition.plans import (  # fmt: skip
    dads,
    jointdnn,
    jointdnn_ilp,
    neurosurgeon,
    pareto,
    pipeline,
    qdmp,
    tiers,
    tiers_dag,
    two_way,
)
from ecsim.partition.plans.chain import Chain
from ecsim.partition.plans.constraints import Infeasible
from ecsim.partition.plans.dag import Dag, cost
from ecsim.partition.plans.jointdnn import Segments
from ecsim.partition.plans.jointdnn_ilp import Limit
from ecsim.partition.plans.tiers import Row
from ecsim.partition.plans.tiers_dag import Tiers

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors"
SAME = {"rel": 1e-12, "abs": 0.0}  # both sides are sums of the same doubles, in some order


def instances(name):
    path = VECTORS / f"{name}.json"
    if not path.is_file():
        reason = f"no {name}.json among the vectors"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(each, id=each["name"]) for each in json.loads(path.read_text())]


def floats(values):
    return np.array(values, dtype=float)


def messages(case, way="uplink_Bps"):
    return case["one_way_latency_s"] + floats(case["out_bytes"]) / case[way]


@pytest.mark.parametrize("case", instances("partition_chain"))
def test_chains(case):
    edge, cloud, size = (floats(case[key]) for key in ("edge_s", "cloud_s", "out_bytes"))
    up, down = messages(case), float(messages(case, "downlink_Bps")[-1])
    powers = case["p_compute_W"], case["p_tx_W"], case["p_rx_W"]
    there = Chain(edge, cloud, up, 0.0, size)
    back = Chain(edge, cloud, up, down, size)
    costs = {
        "latency_no_return": neurosurgeon.sums(there),
        "latency_with_return": neurosurgeon.sums(back),
        "energy_no_idle": neurosurgeon.sums(back.weighted(*powers)),
        "energy_with_idle": neurosurgeon.sums(back.weighted(*powers, case["p_idle_W"])),
        "bottleneck": neurosurgeon.bottlenecks(there),
    }
    for name, values in costs.items():
        assert values == pytest.approx([cut[name] for cut in case["cuts"]], **SAME)
        best = case["best"][name]
        k = neurosurgeon.cut(there, values)
        fewest = min(best["cuts"], key=lambda k: (size[k] if k < len(edge) else 0, -k))
        assert k == fewest
        assert values[k] == pytest.approx(best["value"], **SAME)
    row = Row(np.vstack((edge, cloud)), up[None], floats([0, down]), size)
    assert tiers.place(row)[0] in case["best"]["latency_with_return"]["cuts"]
    assert pipeline.place(row)[0] in case["best"]["bottleneck"]["cuts"]
    dag = Dag(
        ((), *((k,) for k in range(len(edge)))), floats([0, *edge]), floats([0, *cloud]), up,
        sent_bytes=size,
    )  # fmt: skip
    for place in (dads.light, qdmp.place):
        best = case["best"]["latency_no_return"]["cuts"]
        assert int((~place(dag)).sum()) - 1 in best


@pytest.mark.parametrize("case", instances("partition_dag"))
def test_graphs(case):
    edge, cloud, size = (floats(case[key]) for key in ("edge_s", "cloud_s", "out_bytes"))
    preds = tuple(map(tuple, case["preds"]))
    down = messages(case, "downlink_Bps")
    dag = Dag(preds, edge, cloud, messages(case), down, size)
    latency = case["one_way_latency_s"]
    merged = Dag(preds, edge, cloud, size / case["uplink_Bps"], sent_bytes=size, any_cloud=latency)
    per_edge = dads.light(dag, tensors="per_edge")
    tier = tiers_dag.place(Tiers(preds, np.vstack((edge, cloud)), dag.up[None], size))
    found = {
        "one_way": [(each, cost(dag, each)) for each in
                    (dads.light(dag), qdmp.place(dag), tier.astype(bool))],
        "one_way_merged": [
            (each, cost(merged, each)) for each in [dads.light(merged)]
        ],
        "one_way_per_edge": [(per_edge, two_place_cost(dag, per_edge, per_edge=True)[0])],
        "two_way": [(each, cost(dag, each)) for each in [two_way.place(dag)]],
    }  # fmt: skip
    for name, plans in found.items():
        for is_cloud, value in plans:
            assert value == pytest.approx(case["optimum"][name]["value"], **SAME)
            assert word(is_cloud) in case["optimum"][name]["assignments"]
    printed = dads.as_printed(dag)
    assert word(printed) in case["optimum"]["naive_mincut"]["assignments"]
    if not case["naive_mincut_feasible"]:
        assert two_place_cost(dag, printed)[0] == np.inf
    assert qdmp.cut_vertices(dag) == case["cut_vertices"]


def word(is_cloud):
    return "".join("01"[int(place)] for place in is_cloud)


@pytest.mark.parametrize("case", instances("jointdnn"))
def test_jointdnn(case):
    def table(side):
        if case[f"segment_{side}_s"] is None:
            return jointdnn.sums(floats(case[f"{side}_s"]))
        return np.nan_to_num(floats(case[f"segment_{side}_s"]))

    seconds = Segments(
        table("mobile"), table("cloud"), messages(case), messages(case, "downlink_Bps"),
        floats(case["out_bytes"]),
    )  # fmt: skip
    powers = (case[f"p_{use}_W"] for use in ("compute", "idle", "tx", "rx"))
    joules = seconds.weighted(*powers)
    result = case["result"]

    def check(is_cloud, expected):
        assert jointdnn.cost(seconds, is_cloud) == pytest.approx(expected["latency_s"], **SAME)
        assert jointdnn.cost(joules, is_cloud) == pytest.approx(expected["energy_J"], **SAME)
        assert "".join("MC"[int(place)] for place in is_cloud) == expected["assignment"]

    check(jointdnn.place(seconds), result["best_latency"])
    check(jointdnn.place(joules), result["best_energy"])
    programs = {
        "min_energy_within_deadline": (joules, "deadline", seconds, "deadline_s"),
        "min_latency_within_energy": (seconds, "battery", joules, "budget_J"),
    }
    for name, (objective, limit, limited, key) in programs.items():
        limits = {limit: Limit(limited, result[name][key])}
        if "assignment" not in result[name]:
            with pytest.raises(Infeasible, match=limit):
                jointdnn_ilp.place(objective, limits)
            continue
        check(jointdnn_ilp.place(objective, limits), result[name])
    front = pareto.front([seconds, joules])
    assert len(front) == len(result["pareto"])
    for (values, is_cloud), expected in zip(front, result["pareto"], strict=True):
        assert values == pytest.approx((expected["latency_s"], expected["energy_J"]), **SAME)
        check(is_cloud, expected)
