"""Finished results of a small world without training: a run, replications, and a sweep."""

import json

import pytest
import yaml

import ecsim
from ecsim.records.replications import Replications

LINK, THRESHOLD, SEED = "topology.links.0.uplink", "strategies.ecc_snn.threshold", "seeds.world"


@pytest.fixture(scope="session")
def sweep(write_shared_scenario):
    """Give a sweep of 2 bandwidths x 2 thresholds x 2 worlds; the slow link cannot keep up."""
    strategies = [{"name": "ecc_snn", "threshold": 0.5}, {"name": "cloud_only"}]
    path = write_shared_scenario(strategies=strategies, run={"probe": "1 s", "trace": 30})
    values = {LINK: ["20 Mbit/s", "3 Mbit/s"], THRESHOLD: [0.3, 0.7], SEED: [1, 2]}
    axes = [{"keys": {key: found}} for key, found in values.items()]
    plan = path.with_name("sweep.yaml")
    plan.write_text(yaml.safe_dump({"scenario": path.name, "sweep": {"axes": axes}}))
    return ecsim.sweep(plan, out=path.parent / "results")


@pytest.fixture(scope="session")
def split_sweep(write_shared_scenario):
    """Give a sweep of a link's rate, for a network on one board and split over two."""
    link = {"card": "ethernet_gigabit", "latency": "0.05 ms"}
    pairs = [["cam", "pi[0]"], ["pi[0]", "cloud"], ["pi[0]", "pi[1]"]]
    timed = {"timed_as": {"blocks": 1, "side": 32}, "layer_times": True}
    path = write_shared_scenario(
        "split",
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 6},
            "phase": "5 s",
            "arrivals": {"kind": "periodic", "rate": "0.5 /s"},
            "payload": "3 kB",
        },
        topology={
            "nodes": {
                "cam": {"tier": "end", "card": "raspberry_pi_4b"},
                "pi": {"count": 2, "tier": "edge", "card": "raspberry_pi_4b"},
                "cloud": {"tier": "cloud", "card": "rtx3090"},
            },
            "links": [{"between": pair} | link for pair in pairs],
        },
        costs={"name": "roofline"},
        strategies=[
            {"name": "feature_split", "label": "whole", "clusters": ["pi[0]"]} | timed,
            {"name": "feature_split", "label": "split", "clusters": ["pi"]} | timed,
        ],
    )
    rates = ["1 Mbit/s", "20 Mbit/s", "1 Gbit/s"]
    keys = {"topology.links.2.uplink": rates, "topology.links.2.downlink": rates}
    plan = path.with_name("split_sweep.yaml")
    axes = [{"kind": "zip", "keys": keys}]
    plan.write_text(yaml.safe_dump({"scenario": path.name, "sweep": {"axes": axes}}))
    return ecsim.sweep(plan, out=path.parent / "results")


@pytest.fixture(scope="session")
def replications(sweep):
    """Give two replicates that differ in their world alone, on the fast link."""
    names = list(sweep.runs)[:2]
    folder = sweep.path.with_name("twice-1234")
    (folder / "runs").mkdir(parents=True)
    for name in names:
        (folder / "runs" / name).symlink_to(sweep.path / "cells" / name)
    about = {"kind": "replications", "format": 1, "seeds": [1, 2], "runs": names, "intervals": []}
    (folder / "replications.json").write_text(json.dumps(about))
    return Replications(folder, about)


@pytest.fixture(scope="session")
def run(replications):
    """Give one run of two strategies, traced and read every second."""
    return replications.runs[0]


@pytest.fixture(scope="session")
def exit_sweep(write_shared_scenario):
    """Give a sweep of the threshold of a network with three exits, in two worlds."""
    import torch

    from ecsim.models import create

    net = create("multi_exit_vgg", None, (1, 8, 8), [range(10)], seed=1)
    for exit, sureness in enumerate((15, 150)):  # untrained, but sure to different degrees
        net.heads_of(exit)[0].weight.data *= sureness
    model = {"name": "multi_exit_vgg", "weights": "exits.pt"}
    path = write_shared_scenario(
        "exits",
        stream={
            "schedule": {"kind": "stationary"},
            "phase": "10 s",
            "arrivals": {"kind": "poisson", "rate": "4 /s"},
            "payload": "60 kB",
        },
        models={"edge": model, "cloud": model},
        strategies=[
            {"name": "early_exit", "at": ["edge", "edge", "cloud"]},
            {"name": "cloud_only"},
        ],
    )
    torch.save(net.state_dict(), path.with_name("exits.pt"))
    keys = {"strategies.early_exit.threshold": [0, 0.3, 0.6, 1.01]}
    plan = path.with_name("exit_sweep.yaml")
    axes = [{"keys": keys}, {"keys": {SEED: [1, 2]}}]
    plan.write_text(yaml.safe_dump({"scenario": path.name, "sweep": {"axes": axes}}))
    return ecsim.sweep(plan, out=path.parent / "results")
