"""The strategy `learned`: its rule, what it sees, and its mistakes."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from ecsim.cli.main import cli
from ecsim.core.errors import UserError
from ecsim.core.registry import load_plugins
from ecsim.rl import Worlds
from ecsim.runtime.run import run_scenario

SLOW = {"uplink": "4 Mbit/s"}


def topology(**link):
    nodes = {
        "cam": {"count": 2, "tier": "edge", "card": "darwin3"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    }
    return {
        "nodes": nodes,
        "links": [{"between": ["cam", "cloud"], "card": "wifi_2012", "shared": True} | link],
    }


def learned(**params):
    return {"name": "learned"} | params


def test_a_linear_rule_on_entropy_is_ecc_snn(write_scenario, tmp_path):
    path = write_scenario(
        strategies=[{"name": "ecc_snn", "threshold": 0.5}, learned(weights=[-0.5, 1.0])]
    )
    tasks = run_scenario(path, out=tmp_path / "runs").tasks
    ecc, own = (
        tasks[tasks["strategy"] == label].drop(columns="strategy").reset_index(drop=True)
        for label in ("ecc_snn", "learned")
    )
    assert 0 < ecc["uploaded"].mean() < 1
    pd.testing.assert_frame_equal(ecc, own)


def test_it_sees_the_wait_and_the_transfer_that_it_will_have(write_scenario, tmp_path):
    observe = ["uplink_wait_s", "transfer_s", "entropy"]
    always = learned(observe=observe, weights=[1.0, 0.0, 0.0, 0.0])
    path = write_scenario(topology=topology(**SLOW), strategies=[always])
    tasks = run_scenario(path, out=tmp_path / "runs").tasks
    seed = 5
    worlds, seen = Worlds(path), {}
    tasks = run_scenario(path, overrides={"seeds.world": seed}, out=tmp_path / "runs").tasks
    episode = worlds.episode(seed)
    while (request := episode.advance()) is not None:
        seen[request.task.id] = request.features
        episode.decide(request, True)
    row = tasks.set_index("task_id").loc[list(seen)]
    features = np.array(list(seen.values()))
    assert row["up_wait_s"].max() > 0.1
    assert features[:, 0] == pytest.approx(row["up_wait_s"].clip(upper=10.0), abs=1e-9)
    assert features[:, 1] == pytest.approx(row["up_service_s"])
    assert features[:, 2] == pytest.approx(row["normalized_entropy"])


def test_battery_and_time_since_the_last_upload(write_scenario):
    cam = {"count": 1, "tier": "edge", "card": "darwin3", "battery": {"capacity": "300 J"}}
    world = topology()
    world["nodes"]["cam"] = cam
    observe = ["battery", "since_upload_s", "margin", "cloud_wait_s"]
    path = write_scenario(topology=world, strategies=[learned(observe=observe)])
    episode = Worlds(path).episode(1)
    times, seen = [], []
    for i in range(20):
        request = episode.advance()
        times.append(episode.now)
        seen.append(request.features)
        episode.decide(request, i == 10)
    battery, since, margin, cloud = np.array(seen).T
    assert (np.diff(battery) < 0).all() and 0 < battery[-1] < battery[0] <= 1
    assert (since[:11] == 10.0).all()
    assert since[11:] == pytest.approx(np.array(times[11:]) - times[10])
    assert ((margin >= 0) & (margin <= 1)).all() and np.ptp(margin) > 0.1
    assert (cloud == 0).all()


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"weights": [1.0]}, "expected 2, a bias and one per feature, got 1"),
        ({"observe": []}, "expected at least one feature"),
        ({"observe": ["entropie"]}, "entropy"),
        ({"reward": {"corect": 1}}, "reward.corect: expected no key of this name"),
        ({}, "expected weights, a bias and one for each of entropy"),
    ],
)
def test_mistakes_are_positioned(write_scenario, tmp_path, params, says):
    path = write_scenario(strategies=[learned(**params)])
    result = CliRunner().invoke(cli, ["run", str(path), "--out", str(tmp_path / "runs")])
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert "Traceback" not in result.output
    if params:
        assert f"{path.name}:" in result.output


def test_another_policy_is_a_plugin(write_scenario, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "import ecsim\n"
        "from ecsim.strategies.learned import Learned\n\n"
        '@ecsim.register("strategy", "by_margin")\n'
        "class ByMargin(Learned):\n"
        "    def decide(self, features):\n"
        "        return features[0] < 0.5\n"
    )
    path = write_scenario(strategies=[{"name": "by_margin", "observe": ["margin"]}])
    load_plugins([plugin])
    run = run_scenario(path, overrides={"seeds.world": 4}, out=tmp_path / "runs")
    played = Worlds(path).play(lambda features: features[0] < 0.5, 4)
    assert 0 < played.offloaded == run.summary["by_margin"]["cur"] < 1


def test_worlds_need_one_learned_strategy(write_scenario):
    with pytest.raises(UserError, match=r"expected one strategy learned .*, got 0"):
        Worlds(write_scenario())
    two = write_scenario(strategies=[learned(), learned(label="other")])
    with pytest.raises(UserError, match=r"name its label .*, got 2"):
        Worlds(two)
    assert Worlds(two, "other").params.observe == ("entropy",)
