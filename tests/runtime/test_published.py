"""The paper's own arithmetic, reached through the simulator.

With one device whose tasks come further apart than the longest path, nothing ever queues, and the
published table must give latency and energy = edge + CUR x (upload + cloud).
"""

import pytest

from ecsim.runtime.run import run_scenario

PRINTED = {  # seconds and joules per sample, as printed in the paper
    "ecc_snn_cifar100": ((2.5e-3, 0.69e-3), (1.6e-3, 8.77e-3), (4.3e-3, 15.167)),
    "ecc_snn_tiny_imagenet": ((11e-3, 2.03e-3), (64.4e-3, 352.9e-3), (14.1e-3, 15.167)),
}


@pytest.mark.parametrize("table", PRINTED)
def test_latency_and_energy_are_affine_in_cur(write_scenario, tmp_path, table):
    path = write_scenario(
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
            "phase": "100 s",
            "arrivals": {"kind": "periodic", "rate": "2 /s"},
        },
        topology={
            "nodes": {
                "cam": {"tier": "edge", "card": "darwin3"},
                "cloud": {"tier": "cloud", "card": "rtx3090"},
            },
            "links": [{"between": ["cam", "cloud"], "card": "wifi_2012"}],
        },
        costs={"name": "published", "table": table},
        strategies=[
            {"name": "ecc_snn", "threshold": 0.5},
            {"name": "edge_only"},
            {"name": "random_offload", "rate": "match ecc_snn"},
        ],
    )
    run = run_scenario(path, out=tmp_path / "runs")
    (edge_s, edge_j), (up_s, up_j), (cloud_s, cloud_j) = PRINTED[table]
    assert 0.1 < run.summary["ecc_snn"]["cur"] < 0.9
    for label, of in run.summary.items():
        cur = of["cur"]
        assert of["n"] == 800, label
        assert of["latency_s"]["mean"] == pytest.approx(edge_s + cur * (up_s + cloud_s), rel=1e-9)
        assert of["energy_per_task_j"]["total"] == pytest.approx(
            edge_j + cur * (up_j + cloud_j), rel=1e-9
        )
        assert of["idle_energy_j"] == 0.0
    assert run.manifest["boundary"] == "published"
