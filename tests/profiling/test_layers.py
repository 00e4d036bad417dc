"""Work per layer, attention included, and seconds of the operations of small networks."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from torch import nn

import ecsim
from ecsim.cli.main import cli
from ecsim.core.types import Operation, Operations, Work
from ecsim.costs.calibration import Calibration
from ecsim.costs.cards import cards, user_cards
from ecsim.costs.counted import Counted, CountedParams
from ecsim.models import create
from ecsim.models.calls import operations_of
from ecsim.models.layers import observed_layers
from ecsim.models.snn.vgg import SpikingVGG
from ecsim.models.work import dense_macs, predict
from ecsim.profiling import fit
from ecsim.profiling.card import calibrate, card_data
from ecsim.profiling.timing import Measured, measure


class TinyViT(nn.Module):
    """Patches of 4x4, one encoder layer of width 16 with 4 heads, a mean over positions."""

    own_macs = 0  # the embedding of positions is added

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.positions = nn.Parameter(torch.zeros(1, 4, 16))
        self.encoder = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.encoder(x).mean(1))


# by hand, 4 positions of width 16: patches 4*16*48; q, k, v and out 4*4*16*16; both products of
# attention 2*4*4*16; feed-forward 2*4*16*32; head 16*5
ATTENTION = 4 * 4 * 16 * 16 + 2 * 4 * 4 * 16
VIT = 4 * 16 * 48 + ATTENTION + 2 * 4 * 16 * 32 + 16 * 5


def test_attention_is_counted_in_evaluation_mode_too():
    net = TinyViT().eval()
    assert dense_macs(net, (3, 8, 8)) == VIT
    assert torch.backends.mha.get_fastpath_enabled()
    layers = {layer.name: layer for layer in observed_layers(net, torch.zeros(2, 3, 8, 8))}
    assert layers["encoder.self_attn"].macs == ATTENTION


def test_dispatched_operations_hold_the_same_macs():
    rows = operations_of(TinyViT(), (3, 8, 8)).rows
    # scaled_dot_product_attention is one call of torch, of the kind "other"
    missing = 2 * 4 * 4 * 16
    macs = sum(row.macs * row.calls for row in rows)
    assert macs in (VIT, VIT - missing)
    net = create("resnet", None, (3, 16, 16), [range(10)])
    rows = operations_of(net, (3, 16, 16)).rows
    assert sum(row.macs * row.calls for row in rows) == dense_macs(net, (3, 16, 16))


def test_layers_of_a_spiking_net_sum_to_what_predict_counts():
    net = create("spiking_vgg", SpikingVGG.Params(steps=3), (1, 8, 8), [range(4)])
    x = np.random.default_rng(1).normal(size=(5, 1, 8, 8)).astype(np.float32)
    layers = observed_layers(net, torch.from_numpy(x))
    counted = predict(net, x)
    assert sum(layer.macs for layer in layers) == pytest.approx(counted.macs.mean())
    assert sum(layer.sops for layer in layers) == pytest.approx(counted.sops.mean())
    assert counted.sops.mean() > 0
    assert sum(layer.neuron_updates for layer in layers) == counted.neuron_updates[0]


def test_bytes_of_a_linear_net_by_hand_and_spikes_as_bits():
    net = create("spiking_vgg", SpikingVGG.Params(steps=2), (1, 2, 2), [range(3)])
    by_name = {layer.name: layer for layer in observed_layers(net, torch.rand(1, 1, 2, 2))}
    first = by_name["backbone.stages.0.synapses.0"]  # once: weights, 4 values in, 32 x 4 out
    assert first.bytes_moved == 4 * (32 * 9 + 4 + 32 * 4)
    neurons = by_name["backbone.stages.0.lif"]  # 2 steps: membrane in and out, one bit
    assert neurons.bytes_moved == 2 * 32 * 4 * (8 + 1 / 8)
    second = by_name["backbone.stages.2.synapses.0"]  # pooled to 1x1: 32 bits in, 64 out
    assert second.bytes_moved == 4 * 64 * 32 * 9 + 2 * (32 / 8 + 4 * 64)


def test_profile_command(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 1, 8, 8), np.float32))
    result = CliRunner().invoke(
        cli,
        ["profile", "vgg", "--size", "small", "--shape", "1,8,8", "--json", "--measure",
         "--input", str(tmp_path / "x.npy")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    net = create("vgg", None, (1, 8, 8), [range(10)])
    assert found["total"]["macs"] == dense_macs(net, (1, 8, 8))
    assert found["total"]["seconds"] > 0.0
    assert "total" in CliRunner().invoke(cli, ["profile", "mobilenet"]).output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vgg", "--shape", "3,x"], "expected C,H,W"),
        (["vgg", "--size", "huge"], "size: expected"),
        (["vggg"], "vggg"),
        (["vgg", "--input", "nowhere.npy"], "expected an npy file"),
    ],
)
def test_profile_says_what_is_wrong(arguments, message):
    result = CliRunner().invoke(cli, ["profile", *arguments])
    assert result.exit_code == 2
    assert message in result.output


def test_cards_command():
    found = CliRunner().invoke(cli, ["cards", "--json"]).output
    assert json.loads(found)["devices"]["loihi"]["constants"]["joules_per_sop"]["si"] == 23.6e-12
    assert "assumed" in CliRunner().invoke(cli, ["cards", "devices", "darwin3"]).output
    wrong = CliRunner().invoke(cli, ["cards", "devices", "darwin4"])
    assert wrong.exit_code == 2
    assert "did you mean 'darwin3'" in wrong.output


def test_the_fit_finds_prices_that_it_was_made_of():
    rng = np.random.default_rng(0)

    def network():
        calls, seconds = [], []
        for i in range(12):
            macs, weights = rng.integers(1e5, 1e7), rng.integers(1e3, 1e6)
            calls.append(Operation("conv", f"c{rng.random()}", 1, macs, 0.0, 0.0, weights))
            seconds.append(2e-5 + 1e-11 * macs + 4e-10 * weights)
            calls.append(Operation("other", f"o{i}", 1))
            seconds.append(5e-6)
        return Measured(tuple(calls), tuple(seconds), sum(seconds) + 24 * 3e-6)

    measured = {str(i): network() for i in range(3)}
    found = fit.fit(measured, "made up")
    assert found.seconds["conv"]["mac"] == pytest.approx(1e-11, rel=1e-6)
    assert found.seconds["conv"]["weight"] == pytest.approx(4e-10, rel=1e-6)
    assert found.seconds["conv"]["call"] == pytest.approx(2.3e-5, rel=1e-3)
    assert max(fit.errors(found, {"new": network()}).values()) < 1e-3


def test_a_calibrated_card_prices_listed_operations_and_a_table_goes_first(tmp_path):
    calibration = Calibration(
        "test", 0.1, {"conv": {"mac": 1e-9}, "other": {"call": 1e-6, "weight": 1e-9}},
        table={"seen": 0.5},
    )  # fmt: skip
    assert calibration.time_s(Operation("conv", "a", 2, macs=1e6)) == pytest.approx(2e-3)
    assert calibration.time_s(Operation("unheard of", "b", 3, weights=1e3)) == pytest.approx(6e-6)
    assert calibration.time_s(Operation("conv", "seen", 2, macs=1e6)) == 1.0


def test_a_training_takes_its_macs_at_the_rate_of_its_network():
    """1e6 MACs forward in 3 ms, so 5e6 MACs of a training in 15 ms, whatever the card's rate."""
    calibration = Calibration("test", 0.1, {"conv": {"mac": 2e-9}, "other": {"call": 1e-3}})
    card = replace(cards("devices")["raspberry_pi_4b"], calibration=calibration)
    rows = Operation("conv", "a", 2, macs=0.5e6), Operation("relu", "b", 1)
    training = Work(macs=5e6, steps=10, is_training=True, operations=Operations(rows))
    engine = Counted(CountedParams()).engine(card, "edge")
    assert engine.price(training)[0] == pytest.approx(15e-3)
    unlisted = replace(training, operations=None)
    assert engine.price(unlisted)[0] == pytest.approx(5e6 / 8e9 + 10 * 2e-3)


@pytest.fixture(scope="module")
def card():
    nets = {
        f"net {i}": (nn.Sequential(nn.Conv2d(1, 8 * i, 3), nn.ReLU(), nn.Flatten(),
                                   nn.Linear(8 * i * 36, 5)), (1, 8, 8))
        for i in (1, 2, 3)
    }  # fmt: skip
    return card_data(*calibrate(3, nets))


def test_a_written_card_is_read_and_used_by_a_scenario(write_scenario, tmp_path, card):
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump({"devices": {"this_host": card}}))
    read = user_cards(path)["devices"]["this_host"]
    assert set(read.calibration.held_out) == {"net 1", "net 2", "net 3"}
    operations = operations_of(create("vgg", None, (1, 8, 8), [range(10)]), (1, 8, 8))
    engine = Counted(CountedParams()).engine(read, "cloud")
    seconds, joules = engine.price(Work(macs=1e15, operations=operations))
    assert seconds == pytest.approx(sum(map(read.calibration.time_s, operations.rows)))
    assert joules == pytest.approx(6.0 * seconds)
    assert engine.basis == "calibrated: measured table, else model"
    nodes = {
        "cam": {"tier": "edge", "card": "this_host"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    }
    scenario = write_scenario(
        cards="card.yaml", strategies=[{"name": "edge_only"}],
        topology={"nodes": nodes, "links": [{"between": ["cam", "cloud"], "card": "wifi_2012"}]},
    )  # fmt: skip
    run = ecsim.run(scenario, out=tmp_path / "runs")
    assert "held-out error" in run.manifest["constants"]["this_host.calibration"]["value"]


def test_a_card_holds_the_measured_table_and_its_error():
    """Networks of one's own enter the table, not the fit; the table goes first."""
    nets = {"net": (nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.ReLU()), (1, 8, 8))}
    own = {"own": (nn.Sequential(nn.Flatten(), nn.Linear(64, 33), nn.Tanh()), (1, 8, 8))}
    made, measured = calibrate(3, nets | {"other": nets["net"]}, own)
    assert set(measured) == {"net", "other"} and set(made.held_out) == {"net", "other", "own"}
    called = operations_of(own["own"][0], (1, 8, 8)).rows
    assert {row.signature for row in called} <= set(made.table)
    for row in called:
        assert made.time_s(row) == row.calls * made.table[row.signature]
    assert made.table_error is not None and f"{made.table_error:.1%}" in made.text
    read = Calibration.from_plain(made.to_plain())
    assert read.table == made.table and read.table_error == made.table_error


def test_a_table_makes_up_the_whole_pass_it_was_measured_in():
    """Two calls of 3 and 1 ms and a pass of 5 ms: half a millisecond goes to each."""
    calls = Operation("conv", "a", 1), Operation("other", "b", 1)
    table = fit.table([Measured(calls, (3e-3, 1e-3), 5e-3)])
    assert table == pytest.approx({"a": 3.5e-3, "b": 1.5e-3})
    other = Measured(calls[:1], (1e-3,), 1.5e-3)
    both = fit.table([Measured(calls, (3e-3, 1e-3), 5e-3), other])
    assert both == pytest.approx({"a": 2.5e-3, "b": 1.5e-3})


@pytest.mark.parametrize(
    ("network", "message"),
    [("vgg", "MODEL[:SIZE]@C,H,W"), ("vgg@3,x", "C,H,W such as"), ("vgg:huge@3,8,8", "size")],
)
def test_calibrate_says_what_is_wrong(tmp_path, network, message):
    path = tmp_path / "card.yaml"
    result = CliRunner().invoke(cli, ["calibrate", "-o", str(path), "--network", network])
    assert result.exit_code == 2 and message in result.output and not path.exists()


def test_seconds_inside_a_network_are_those_of_its_calls():
    net = create("vgg", None, (1, 8, 8), [range(10)])
    one = measure({"vgg": (net, (1, 8, 8))}, 3)["vgg"]
    assert one.whole_s > 0.0
    assert len(one.calls) == len(one.seconds)
    assert {call.kind for call in one.calls} >= {"conv_few_pixels", "linear", "norm", "pool"}
    assert min(one.seconds) >= 0.0
