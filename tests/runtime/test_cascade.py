"""Cascades of two models, and the choice between edge and cloud by the load of now."""

import numpy as np
import pytest

from ecsim.core.scores import probabilities
from ecsim.runtime.run import run_scenario

TIERS = {
    "cam": {"count": 2, "tier": "end", "card": "raspberry_pi_4b"},
    "box": {"tier": "edge", "card": "jetson_nano"},
    "cloud": {"tier": "cloud", "card": "rtx3090"},
}
LINKS = [
    {"between": ["cam", "box"], "card": "wifi_2012"},
    {"between": ["box", "cloud"], "card": "ethernet_gigabit"},
]


@pytest.fixture
def simulate(write_scenario, tmp_path):
    """Give a function that runs cascades over three tiers, with tables for models."""

    def run(*strategies, nodes=None, **sections):
        path = write_scenario(
            topology={"nodes": nodes or TIERS, "links": LINKS},
            strategies=[
                {"name": "cascade", "criterion": "max_probability", "threshold": 0.9} | more
                for more in strategies
            ],
            **sections,
        )
        return run_scenario(path, out=tmp_path / "runs").tasks

    return run


def test_the_large_model_answers_what_the_small_one_is_unsure_of(simulate, tmp_path):
    tasks = simulate({})
    logits = np.load(tmp_path / "edge.npz")["logits"].astype(np.float32)
    sure = probabilities(logits).max(axis=1)[tasks["sample_id"].to_numpy()] >= 0.9
    assert 0 < sure.mean() < 1
    assert (tasks["route"] == np.where(sure, "end", "cloud")).all()
    assert (tasks["up_bytes"] == np.where(sure, 0, 60e3)).all()  # a message counts once


def test_the_edge_may_run_the_large_model(simulate):
    tasks = simulate({"upper": "edge"})
    assert set(tasks["route"]) == {"end", "edge"}
    assert not tasks["uploaded"].any()


def test_load_goes_from_a_busy_edge_to_the_cloud(simulate):
    # 1e9 MACs take the edge longer than the gigabit link and the cloud: unless the cloud is busy
    cloud = {"cloud": TIERS["cloud"] | {"background": {"rate": "900 /s", "service": "1 ms"}}}
    idle = simulate({"upper": "edge_or_cloud"})
    assert set(idle["route"]) == {"end", "cloud"}
    busy = simulate({"upper": "edge_or_cloud"}, nodes=TIERS | cloud | {
        "box": TIERS["box"] | {"card": "rtx3090"}})  # fmt: skip
    above = busy[busy["route"] != "end"]
    assert (above["route"] == "edge").mean() > 0.9


def test_a_choice_by_load_is_no_slower_than_either(simulate):
    others = {"card": "rtx3090", "background": {"rate": "60 /s", "service": "14 ms"}}
    nodes = TIERS | {"box": TIERS["box"] | others, "cloud": TIERS["cloud"] | others}
    arms = [{"label": upper, "upper": upper} for upper in ("edge", "cloud", "edge_or_cloud")]
    mean_s = simulate(*arms, nodes=nodes).groupby("strategy", observed=True)["latency_s"].mean()
    assert mean_s["edge_or_cloud"] < min(mean_s["edge"], mean_s["cloud"])
