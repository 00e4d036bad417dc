"""Memory of nodes from the scenario to the tables."""

import numpy as np
import pytest

from ecsim.api import load_plugins
from ecsim.collab.memory import Memory
from ecsim.core.errors import Refused, ScenarioError, UserError
from ecsim.core.types import ModelRef
from ecsim.runtime import models
from ecsim.runtime.engines import memory_warnings
from ecsim.runtime.run import run_scenario

# a strategy whose cloud has a second version, which it asks for every other task
PLUGIN = """
from dataclasses import replace

import ecsim
from ecsim.collab.strategy import Strategy
from ecsim.core.types import Answer

@ecsim.register("strategy", "by_turns")
class ByTurns(Strategy):
    def serve(self, task, ctx):
        first = ctx.model("cloud")
        second = replace(first, version=1, key="second")
        yield ctx.send(task.device, "cloud", 1000.0, carries=second)
        found = yield ctx.infer("cloud", task, second if task.id % 2 else first)
        return Answer(found.label, at="cloud", by=found)
"""
CARD = """
devices:
  small_board:
    title: a board with little memory
    constants:
      macs_per_s: {value: 3.9 Top/s, source: a test}
      overhead: {value: 1 ms, source: a test}
      idle_power: {value: 20 W, source: a test}
      active_power: {value: 300 W, source: a test}
      memory: {value: 3999999 B, source: a test}
"""


@pytest.fixture
def simulate(write_scenario, tmp_path, monkeypatch):
    """Give a function that runs with these keys on the cloud, whose model has 4 MB."""

    def ref(role, version, key, classes, _size_bytes):
        return ModelRef(role, version, key, classes, 4_000_000)

    monkeypatch.setattr(models, "ModelRef", ref)
    (tmp_path / "cards.yaml").write_text(CARD)
    (tmp_path / "plugin_of_memory.py").write_text(PLUGIN)
    load_plugins([tmp_path / "plugin_of_memory.py"])

    def run(strategy="cloud_only", sections=(), **keys):
        nodes = {
            "cam": {"tier": "edge", "card": "darwin3"},
            "cloud": {"tier": "cloud", "card": "rtx3090"} | keys,
        }
        links = [{"between": ["cam", "cloud"], "card": "wifi_2012"}]
        path = write_scenario(
            topology={"nodes": nodes, "links": links},
            strategies=[{"name": strategy}],
            **dict(sections),
        )
        return run_scenario(path, out=tmp_path / "runs")

    return run


def test_tasks_are_dropped_where_the_model_does_not_fit(simulate):
    assert set(simulate(memory="3999999 B").tasks["status"]) == {"dropped"}
    assert "dropped" not in set(simulate(memory="4 MB").tasks["status"])


def test_a_run_says_which_memory_was_too_small(simulate):
    run = simulate(memory="3999999 B", tier="cloud")
    n = len(run.tasks)
    (text,) = [text for text in run.manifest["warnings"] if "memory of" in text]
    assert text == (
        "cloud_only: version 0 of cloud needs 4 MB, the memory of cloud has 3.999999 MB: "
        f"refused {n} times"
    )
    assert not any("memory of" in text for text in simulate(memory="4 MB").manifest["warnings"])


def test_a_group_of_nodes_is_named_once():
    model = ModelRef("edge", 0, "key", (0, 1), 5_000_000)
    memories = {"cam[0]": Memory("cam[0]", 1e6), "cam[1]": Memory("cam[1]", 1e6), "gate": None}
    for name in ("cam[1]", "cam[0]", "cam[1]"):
        with pytest.raises(Refused):
            memories[name].use(model, "a part of ")
    why = "a part of version 0 of edge needs 5 MB, the memory of cam[0] has 1 MB"
    assert memory_warnings(memories) == [f"{why}: refused 3 times"]


def test_a_card_may_have_a_memory_and_the_node_overrides_it(simulate):
    cards = {"cards": "cards.yaml"}
    run = simulate(sections=cards, card="small_board")
    assert set(run.tasks["status"]) == {"dropped"}
    run = simulate(sections=cards, card="small_board", memory="5 MB")
    assert "dropped" not in set(run.tasks["status"])


def test_room_for_all_changes_nothing(simulate):
    plain, limited = simulate().tasks, simulate(memory="1 GB", load_rate="1 B/s").tasks
    np.testing.assert_array_equal(plain["latency_s"], limited["latency_s"])
    np.testing.assert_array_equal(plain["cloud_j"], limited["cloud_j"])


def test_versions_that_swap_pay_for_each_load(simulate):
    swaps = simulate("by_turns", memory="7 MB", load_rate="400 MB/s").tasks
    fits = simulate("by_turns", memory="8 MB", load_rate="400 MB/s").tasks
    plain = simulate("by_turns").tasks
    swaps, fits, plain = (one.set_index("task_id").sort_index() for one in (swaps, fits, plain))
    n = len(plain)
    swap_s = (swaps["cloud_service_s"] - plain["cloud_service_s"]).to_numpy()
    # the first version is there at the start; 4 MB at 400 MB/s are 10 ms
    np.testing.assert_allclose(swap_s, [0.0] + [0.01] * (n - 1), atol=1e-12)
    fit_s = (fits["cloud_service_s"] - plain["cloud_service_s"]).to_numpy()
    np.testing.assert_allclose(fit_s, [0.0, 0.01] + [0.0] * (n - 2), atol=1e-12)
    power_w = plain["cloud_j"] / plain["cloud_service_s"]
    np.testing.assert_allclose(swaps["cloud_j"], power_w * swaps["cloud_service_s"])


def test_tasks_as_columns_are_refused(simulate):
    with pytest.raises(UserError, match="cannot run vectorised: cloud has a memory or load_rate"):
        simulate(sections={"run": {"engine": "vectorised"}}, memory="1 GB")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"memory": "4 GB/s"}, "expected a size"),
        ({"memory": "0 B"}, "greater than 0|more than 0"),
        ({"load_rate": "500 MB"}, "expected a bit rate"),
        ({"load_rate": "500 MB/s", "servers": 2}, "one request is served after the other"),
        ({"load_rate": "500 MB/s", "discipline": "sharing"}, "one request is served after"),
        ({"load_rate": "500 MB/s", "capacity": 3}, "one request is served after the other"),
    ],
)
def test_mistakes_are_positioned(simulate, keys, message):
    with pytest.raises(ScenarioError, match=message) as caught:
        simulate(**keys)
    assert caught.value.problems[0].line is not None
