"""A strategy that changes the level of a node's engines while it runs, from scenario to tables."""

import numpy as np
import pytest

from ecsim.api import load_plugins
from ecsim.core.errors import ScenarioError, StrategyError
from ecsim.runtime.run import run_scenario

PLUGIN = """
import ecsim
from ecsim.collab.routines import ask_cloud
from ecsim.collab.strategy import Strategy

@ecsim.register("strategy", "at_ten_seconds")
class AtTenSeconds(Strategy):
    level = "low"

    def serve(self, task, ctx):
        return (yield from ask_cloud(task, ctx, 100.0))

    def background(self, ctx):
        yield self.change(ctx)

    def change(self, ctx):
        yield ctx.after(10.0)
        ctx.set_level("cloud", self.level)
        ctx.record("is_low", ctx.level("cloud") == "low")

@ecsim.register("strategy", "to_nowhere")
class ToNowhere(AtTenSeconds):
    level = "lowest"
"""
LOW = {"speed": 0.5, "power": 0.25}
SERVICE_S = 1e-3 + 1e9 / 3.9e12  # of one task on the cloud at its own speed


@pytest.fixture
def simulate(write_scenario, tmp_path):
    plugin = tmp_path / "plugin_of_levels.py"
    plugin.write_text(PLUGIN)
    load_plugins([plugin])

    def run(strategies, **keys):
        cloud = {"tier": "cloud", "card": "rtx3090"} | keys
        nodes = {"cam": {"count": 2, "tier": "edge", "card": "darwin3"}, "cloud": cloud}
        links = [{"between": ["cam", "cloud"], "card": "wifi_2012"}]
        path = write_scenario(
            topology={"nodes": nodes, "links": links},
            strategies=[{"name": name} for name in strategies],
        )
        return run_scenario(path, out=tmp_path / "runs")

    return run


def test_time_and_energy_change_from_then_on(simulate):
    run = simulate(["at_ten_seconds", "cloud_only"], levels={"low": LOW})
    assert run.marks["value"].tolist() == [1.0]
    usual, changed = (
        run.tasks[run.tasks["strategy"] == name].set_index("task_id").sort_index()
        for name in ("cloud_only", "at_ten_seconds")
    )
    before = (changed["t_answer_s"] < 10.0).to_numpy()
    after = (changed["t_arrive_s"] > 10.0).to_numpy()
    assert before.sum() > 20 and after.sum() > 20
    for column in ("cloud_wait_s", "cloud_service_s", "cloud_j"):
        # equal but for the last bits: the engine settles what has passed
        np.testing.assert_allclose(
            changed.loc[before, column], usual.loc[before, column], rtol=1e-9, atol=1e-12
        )
    alone = after & (changed["cloud_wait_s"] == 0.0).to_numpy()
    np.testing.assert_allclose(changed.loc[alone, "cloud_service_s"], 2.0 * SERVICE_S, rtol=1e-9)
    np.testing.assert_allclose(
        changed.loc[after, "cloud_j"], 0.5 * usual.loc[after, "cloud_j"], rtol=1e-9
    )


def test_a_node_may_start_at_a_level(simulate):
    run = simulate(["cloud_only"], levels={"low": LOW, "high": LOW}, start_level="low")
    alone = run.tasks[run.tasks["cloud_wait_s"] == 0.0]
    np.testing.assert_allclose(alone["cloud_service_s"], 2.0 * SERVICE_S, rtol=1e-9)


def test_a_transition_keeps_tasks_waiting(simulate):
    levels = {"low": LOW | {"transition": "5 s"}}
    tasks = simulate(["at_ten_seconds"], levels=levels).tasks
    meanwhile = tasks[tasks["t_arrive_s"].between(10.0, 14.9)]
    assert len(meanwhile) > 5
    assert (meanwhile["t_answer_s"] > 15.0).all()


def test_a_level_that_the_node_does_not_have(simulate):
    with pytest.raises(StrategyError, match="cloud has no level 'lowest'; it has: low"):
        simulate(["to_nowhere"], levels={"low": LOW})
    with pytest.raises(StrategyError, match="cloud has no level 'low'; it has: none"):
        simulate(["at_ten_seconds"])


@pytest.mark.parametrize(
    "keys, message",
    [
        ({"levels": {"low": {"speed": 0.5}}}, "missing"),
        ({"levels": {"low": LOW | {"transition": "-1 s"}}}, "expected at least 0 s"),
        ({"levels": {"low": LOW}, "level": LOW}, "expected either a level or levels"),
        ({"levels": {"low": LOW}, "start_level": "lo"}, "expected a start_level among low"),
        ({"start_level": "low"}, "expected a start_level among levels (there are none)"),
        ({"host_discipline": "lifo"}, "expected 'fifo' or 'sharing'"),
    ],
)
def test_mistakes_are_told_with_their_place(simulate, keys, message):
    with pytest.raises(ScenarioError) as caught:
        simulate(["cloud_only"], **keys)
    problem = caught.value.problems[0]
    assert message in str(problem)
    assert problem.path.startswith("topology.nodes.cloud")
    assert problem.line is not None
