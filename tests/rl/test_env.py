"""The environment keeps Gymnasium's contract, and its rewards are those of the tasks."""

import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import ecsim.rl
from ecsim.core.errors import UserError
from ecsim.rl import OffloadingEnv, Worlds
from ecsim.runtime.run import run_scenario

REWARD = {"correct": 1.0, "deadline_met": 0.5, "latency_s": -2.0, "energy_j": -0.1}
WEIGHTS = [-0.4, 1.0, -0.5]


@pytest.fixture
def scenario(write_scenario):
    def write(**sections):
        stream = {
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
            "phase": "5 s",
            "arrivals": {"kind": "poisson", "rate": "6 /s"},
            "payload": "60 kB",
            "deadline": "50 ms",
        }
        entry = {"name": "learned", "observe": ["entropy", "uplink_wait_s"], "reward": REWARD}
        return write_scenario(stream=stream, strategies=[entry | {"weights": WEIGHTS}], **sections)

    return write


def taken(actions):
    rest = iter(actions)
    return lambda observation: next(rest)


def play(env, seed, policy):
    observation, info = env.reset(seed=seed)
    rewards, outcomes, done = [], list(info["outcomes"]), False
    while not done:
        observation, reward, done, truncated, info = env.step(policy(observation))
        assert not truncated
        rewards.append(reward)
        outcomes += info["outcomes"]
    return rewards, outcomes


def test_gymnasiums_own_checker_has_nothing_to_say(scenario):
    env = gymnasium.make("ecsim.rl.env:ecsim/Offloading-v0", path=str(scenario()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_every_task_pays_once_and_the_same_seed_is_the_same_world(scenario):
    env = OffloadingEnv(scenario())
    rng = np.random.default_rng(1)
    actions = rng.integers(2, size=5000).tolist()
    rewards, outcomes = play(env, 4, taken(actions))
    again, _ = play(env, 4, taken(actions))
    other, _ = play(env, 5, taken(actions))
    assert rewards == again != other
    ids = [outcome["task_id"] for outcome in outcomes]
    assert len(ids) == len(set(ids)) == len(rewards)  # as many decisions as tasks
    for o in outcomes:
        figures = (o["correct"], o["deadline_met"], o["latency_s"], o["energy_j"])
        paid = sum(w * figure for w, figure in zip(REWARD.values(), figures, strict=True))
        assert o["reward"] == pytest.approx(paid)
    assert sum(rewards) == pytest.approx(sum(o["reward"] for o in outcomes))
    late = [o["task_id"] for o in outcomes]
    assert late != sorted(late)  # tasks end in another order than they are decided


def test_decisions_from_outside_are_those_from_inside(scenario, tmp_path):
    path = scenario()
    run = run_scenario(path, overrides={"seeds.world": 11}, out=tmp_path / "runs")
    played = Worlds(path).play(lambda f: WEIGHTS[0] + np.dot(WEIGHTS[1:], f) > 0, 11)
    of = run.summary["learned"]
    assert played.n == of["n"]
    assert played.accuracy == of["accuracy"]
    assert played.offloaded == of["cur"]
    assert played.latency_s == pytest.approx(of["latency_s"]["mean"], rel=1e-12)
    assert played.energy_j == pytest.approx(of["energy_per_task_j"]["total"], rel=1e-12)
    assert 0.05 < of["deadline_miss_ratio"] < 0.8
    expected = (
        of["accuracy"] + 0.5 * (1 - of["deadline_miss_ratio"])
        - 2 * of["latency_s"]["mean"] - 0.1 * of["energy_per_task_j"]["total"]
    )  # fmt: skip
    assert played.reward == pytest.approx(expected, rel=1e-12)


def test_tasks_that_die_or_are_under_way_count_too(scenario):
    out = {"schedule": [{"at": "5 s", "for": "5 s"}]}
    nodes = {
        "cam": {"count": 2, "tier": "edge", "card": "darwin3", "outages": out},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    }
    link = {"between": ["cam", "cloud"], "card": "wifi_2012", "shared": True, "uplink": "3 Mbit/s"}
    env = OffloadingEnv(scenario(topology={"nodes": nodes, "links": [link]}, run={"drain": "1 s"}))
    rewards, outcomes = play(env, 2, lambda o: 1)
    by_status = {}
    for o in outcomes:
        by_status.setdefault(o["status"], []).append(o)
    assert {"answered", "died", "in_flight", "late"} <= set(by_status)
    assert all(not o["correct"] for o in by_status["died"] + by_status["in_flight"])
    assert any(o["offloaded"] is None for o in by_status["died"])  # it arrived while out
    assert sum(rewards) == pytest.approx(sum(o["reward"] for o in outcomes))
    ids = [o["task_id"] for o in outcomes]
    assert sorted(ids) == list(range(len(ids)))


def test_misuse_is_answered(scenario):
    env = OffloadingEnv(scenario())
    with pytest.raises(UserError, match="call reset"):
        env.step(0)
    env.reset(seed=1)
    with pytest.raises(UserError, match=r"expected an action of 0 \(keep\) or 1 \(upload\), got 2"):
        env.step(2)


def test_without_gymnasium_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, "ecsim.rl.env", raising=False)
    with pytest.raises(UserError, match=r"pip install 'ecsim\[rl\]'"):
        ecsim.rl.OffloadingEnv  # noqa: B018
    assert ecsim.rl.Worlds is Worlds  # which needs none
