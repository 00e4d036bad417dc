import json

import pytest
import yaml
from click.testing import CliRunner

import ecsim
from ecsim.cli.main import cli
from ecsim.core.errors import ScenarioError, UserError
from ecsim.costs.cards import KINDS, cards, read_cards, user_cards
from ecsim.costs.counted import Counted, CountedParams, Roofline

BOARD = {
    "title": "my board",
    "can_train": True,
    "constants": {
        "macs_per_s": {"value": "2 Gop/s", "source": "measured"},
        "overhead": {"value": "1 ms", "source": "measured"},
        "idle_power": {"value": "2 W", "source": "meter"},
        "active_power": {"value": "6 W", "source": "meter"},
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_constant_has_a_source_and_lies_in_its_range(kind):
    for card in cards(kind).values():
        for constant in card.constants.values():
            assert constant.source
            if constant.range:
                assert constant.range[0] <= constant.value <= constant.range[1]


def test_hosts_exist_and_can_train():
    devices = cards("devices")
    for card in devices.values():
        if card.host:
            assert devices[card.host].can_train


@pytest.mark.parametrize("boundary", Counted.boundaries)
@pytest.mark.parametrize("name", sorted(cards("devices")))
def test_every_built_in_device_has_prices_in_every_boundary(name, boundary):
    for model in (Counted, Roofline):
        engine = model(CountedParams(), boundary).engine(cards("devices")[name], "edge")
        assert engine.idle_w >= 0.0
        assert engine.busy_w >= 0.0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("idle_power: {value: 1 W}", r"cards.yaml:4:5: mine.constants.idle_power: has no source"),
        ("idle_power: {value: 1 s, source: x}", "cards.yaml:4:25: .*'s' is not a unit of power"),
        ("watts: {value: 1 W, source: x}", "'watts' is not a constant"),
        ("idle_power: {value: -1 W, source: x}", "expected at least 0, got '-1 W'"),
        ("idle_power: {value: 1 W, source: x, sauce: y}", "did you mean 'source'"),
        ("idle_power: {value: 9 W, source: x, range: [1 W, 2 W]}", "range in which the value lies"),
        ("pue: {value: 1 W, source: x}", "expected a number"),
        ("macs_per_s: {value: 0 op/s, source: x}", "more than 0 op/s"),
        ("idle_power: 1 W", "expected a mapping of keys, got '1 W'"),
    ],
)
def test_bad_cards_are_refused_with_their_positions(tmp_path, body, message):
    path = tmp_path / "cards.yaml"
    path.write_text(f"mine:\n  title: mine\n  constants:\n    {body}\n")
    with pytest.raises(UserError, match=message):
        read_cards(path, "devices")


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path):
    path = tmp_path / "cards.yaml"
    board = json.loads(json.dumps(BOARD))
    board["constants"]["joules_per_sop"] = {"value": "1 pJ", "source": "x"}
    del board["constants"]["overhead"]
    path.write_text(
        yaml.safe_dump(
            {"devices": {"mine": board, "darwin3": BOARD, "other": BOARD | {"host": "nobody"}},
             "operations": {}},
        )
    )  # fmt: skip
    with pytest.raises(ScenarioError) as caught:
        user_cards(path)
    text = str(caught.value)
    for part in (
        "expected one form of energy for the boundary device, got joules_per_sop and active_power",
        "missing constants: overhead",
        "'darwin3' is built in",
        "there is no device card 'nobody'",
        "operations: unknown key",
    ):
        assert part in text
    assert len(caught.value.problems) == 5
    assert all(problem.line for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"source": "", "held_out_error": 0.1, "seconds": {"other": {}}}, "no source"),
        ({"source": "x", "held_out_error": 0.1, "seconds": {"conv": {}}}, "with 'other'"),
        ({"source": "x", "held_out_error": 0.1, "seconds": {"other": {"mac": -1}}}, "other.mac"),
        ({"source": "x", "held_out_error": "low", "seconds": {"other": {}}}, "held_out_error"),
        ({"source": "x", "held_out_error": 0.1, "seconds": {"other": {"mc": 1}}}, "seconds.other"),
    ],
)
def test_bad_calibrations_are_refused(tmp_path, section, message):
    path = tmp_path / "cards.yaml"
    path.write_text(yaml.safe_dump({"devices": {"mine": BOARD | {"calibration": section}}}))
    with pytest.raises(ScenarioError, match=message):
        user_cards(path)


def test_a_scenario_uses_cards_of_its_own(write_scenario, tmp_path):
    nodes = {
        "cam": {"tier": "edge", "card": "mine"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    }
    links = [{"between": ["cam", "cloud"], "card": "radio"}]
    link = {name: {"value": value, "source": "meter"} for name, value in {
        "up_rate": "1 Mbit/s", "down_rate": "2 Mbit/s", "latency": "3 ms", "up_slope": "1 nJ/bit",
        "down_slope": "1 nJ/bit", "base_power": "1 W"}.items()}  # fmt: skip
    own = {"devices": {"mine": BOARD}, "links": {"radio": {"title": "r", "constants": link}}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    path = write_scenario(
        cards="own.yaml", topology={"nodes": nodes, "links": links},
        strategies=[{"name": "edge_only"}],
    )  # fmt: skip
    run = ecsim.run(path, out=tmp_path / "runs")
    # 1e6 synaptic operations at 2 G/s and 1 ms, on an empty device at 4 /s
    assert run.tasks.latency_s.min() == pytest.approx(1.5e-3)
    assert run.manifest["constants"]["mine.idle_power"]["source"] == "meter"
    assert "radio.up_rate" in run.manifest["constants"]
    explained = CliRunner().invoke(cli, ["explain", str(path), "--json"]).output
    assert "active_power 6 W: meter" in explained


def test_mistakes_in_own_cards_have_the_position_in_their_file(write_scenario, tmp_path):
    (tmp_path / "own.yaml").write_text(
        "devices:\n  mine:\n    title: x\n    constants:\n      overhead: {value: 1 ms}\n"
    )
    with pytest.raises(ScenarioError, match=r"own.yaml:5:7: .*overhead: has no source"):
        ecsim.run(write_scenario(cards="own.yaml"), out=tmp_path / "runs")


def test_a_card_without_energy_for_the_boundary_is_named_where_it_is_used(write_scenario, tmp_path):
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"devices": {"mine": BOARD}}))
    nodes = {
        "cam": {"tier": "edge", "card": "mine"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    }
    path = write_scenario(
        cards="own.yaml", energy={"boundary": "wall"},
        topology={"nodes": nodes, "links": [{"between": ["cam", "cloud"], "card": "wifi_2012"}]},
    )  # fmt: skip
    with pytest.raises(ScenarioError, match=r"small.yaml:\d+:\d+: topology.nodes.cam.card: .*pue"):
        ecsim.run(path, out=tmp_path / "runs")


def test_boundaries_of_a_run_differ_and_balance(write_scenario, tmp_path):
    joules = {}
    for boundary in ("op", "op_memory", "device", "wall"):
        path = write_scenario(
            energy={"boundary": boundary},
            models={
                "edge": {"predictions": "edge.npz", "work": {"sops": 1e6, "bytes_moved": 1e6}},
                "cloud": {"predictions": "cloud.npz", "work": {"macs": 1e9}},
            },
            strategies=[{"name": "edge_only"}],
        )
        run = ecsim.run(path, out=tmp_path / "runs")
        joules[boundary] = run.tasks.edge_j.iloc[0]
    assert joules["op"] == pytest.approx(0.9e-6)
    assert joules["op_memory"] == pytest.approx(0.9e-6 + 12.5e-6)
    assert joules["device"] == pytest.approx(5.47e-6)
    assert joules["wall"] == pytest.approx(5.47e-6 * 1.25)
