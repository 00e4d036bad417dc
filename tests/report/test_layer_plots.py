"""Figures of split networks: layers' times, and the rate at which splitting breaks even."""

import numpy as np
import pytest

from ecsim.core.errors import UserError
from ecsim.report.material import gather
from ecsim.report.plots.break_even import fit, rate_at
from ecsim.report.plots.drawing import Options, draw
from ecsim.report.style import paper

LATENCY_S = 5e-5
PEAK, MEMORY = 24e9, 5.56e9 / 4  # of the board: MAC/s, and float32 values/s
SIDE = 32


def frame_of(kind, result):
    with paper():
        return draw(kind, gather([result]), Options()).frame


def whole_convolutions_s():
    """The roofline of each convolution of AFLKD's first block, by hand."""
    total = 0.0
    for n_in in (3, 32, 32):
        weights = 32 * n_in * 9 + 32
        values = weights + SIDE * SIDE * (n_in + 32)
        total += max(32 * n_in * 9 * SIDE * SIDE / PEAK, values / MEMORY)
    return total


def halved_convolutions_s():
    """The same for half the rows of the output, which need one row more of the input."""
    total = 0.0
    for n_in in (3, 32, 32):
        weights = 32 * n_in * 9 + 32
        values = weights + SIDE * ((SIDE // 2 + 1) * n_in + SIDE // 2 * 32)
        total += max(32 * n_in * 9 * SIDE * SIDE / 2 / PEAK, values / MEMORY)
    return total


def test_the_break_even_rate_is_the_one_computed_by_hand(split_sweep):
    frame = frame_of("break-even", split_sweep)
    assert set(frame["strategy"]) == {"split"}
    bits = 8 * 4 * SIDE * (3 + 32 + 32)  # one row of each convolution's input, each way at once
    gain_s = whole_convolutions_s() - halved_convolutions_s() - 3 * LATENCY_S
    assert frame["break_even"].to_numpy() == pytest.approx(bits / gain_s, rel=1e-9)
    at_rate = halved_convolutions_s() + 3 * LATENCY_S + bits / frame["rate"]
    expected = (at_rate / whole_convolutions_s()).to_numpy()
    assert frame["conv_ratio"].to_numpy() == pytest.approx(expected, rel=1e-9)
    assert frame["other_ratio"].to_numpy() == pytest.approx(0.5, abs=1e-9)


def test_above_the_break_even_rate_a_split_takes_between_half_and_all_the_time(split_sweep):
    frame = frame_of("break-even", split_sweep).sort_values("rate")
    ratios = frame["conv_ratio"].to_numpy()
    assert (np.diff(ratios) < 0.0).all()
    pays = frame["rate"].to_numpy() > frame["break_even"].to_numpy()
    assert pays.any() and not pays.all()
    assert ((ratios > 0.5) & (ratios < 1.0))[pays].all()
    assert (ratios >= 1.0)[~pays].all()


def test_layers_of_all_strategies_stand_side_by_side(split_sweep):
    frame = frame_of("layer-times", split_sweep)
    of_one = frame[frame["series"] == frame["series"].iloc[0]]["layer"].tolist()
    assert of_one == [
        "conv1_1", "relu1_1", "conv1_2", "relu1_2", "conv1_3", "relu1_3", "pool1",
    ]  # fmt: skip
    whole = frame[frame["strategy"] == "whole"]
    is_conv = whole["layer_kind"] == "conv"
    n_cells = len(split_sweep.runs)
    assert whole[is_conv]["seconds"].sum() / n_cells == pytest.approx(whole_convolutions_s())


def test_the_fit_finds_the_constants_of_an_idle_link():
    rates = np.array([1e6, 1e7, 1e9])
    a, b, residual = fit(rates, 0.5 + 2e6 / rates)
    assert (a, b) == pytest.approx((0.5, 2e6))
    assert residual < 1e-12
    assert rate_at(1.0, a, b) == pytest.approx(4e6)
    assert rate_at(0.4, a, b) == np.inf


def test_one_rate_is_too_few(split_sweep):
    key = "topology.links.2.uplink"
    only = gather([split_sweep]).only((), {key: "20 Mbit/s"})
    with pytest.raises(UserError, match="at least two values"):
        draw("break-even", only, Options(keys=(key,)))
