"""The numbers of the sections against other ways to get them."""

from dataclasses import replace

import numpy as np
import pytest

from ecsim.report.html import swept
from ecsim.report.html.metrics import ACCURACY, MAIN, P95_LATENCY
from ecsim.report.html.sections.replications import mean_summary
from ecsim.report.html.sections.summary import latency_interval, t_intervals, with_interval
from ecsim.report.keys import together
from ecsim.statistics.interval import Interval


def test_a_steady_latency_has_an_interval_that_covers():
    """Coverage of 95 %: below 85 % in 400 worlds has a chance of less than 1e-11."""
    rng = np.random.default_rng(1)
    found = [latency_interval(rng.exponential(0.03, 1000)) for _ in range(400)]
    intervals = [one for one in found if isinstance(one, Interval)]
    assert len(intervals) > 360  # a test for independence may refuse some
    covers = [one.low <= 0.03 <= one.high for one in intervals]
    assert np.mean(covers) > 0.85


def test_a_drifting_or_short_series_has_none():
    rng = np.random.default_rng(2)
    assert "drifts" in latency_interval(rng.exponential(0.01, 2000) + np.linspace(0, 0.1, 2000))
    assert "fewer than 500" in latency_interval(rng.exponential(0.01, 499))
    constant = latency_interval(np.full(600, 0.0005))
    assert (constant.low, constant.high) == pytest.approx((0.0005, 0.0005))


def test_means_over_replicates(replications):
    summaries = [one.summary for one in replications.runs]
    mean = mean_summary(summaries)
    assert list(mean) == list(summaries[0])
    for label in mean:
        for metric in MAIN:
            values = [metric.of(summary[label]) for summary in summaries]
            assert metric.of(mean[label]) == pytest.approx(np.mean(values))
        assert [p["phase"] for p in mean[label]["phases"]] == [0, 1, 2, 3]
        of_phase = [summary[label]["phases"][2]["accuracy"] for summary in summaries]
        assert mean[label]["phases"][2]["accuracy"] == pytest.approx(np.mean(of_phase))
    intervals = t_intervals(summaries)
    values = [summary["ecc_snn"]["accuracy"] for summary in summaries]
    half = 3.182446 * np.std(values, ddof=1) / 2  # Student's t for 3 degrees of freedom
    assert intervals["ecc_snn", "accuracy"].half_width == pytest.approx(half, rel=1e-6)


def test_a_strategy_that_is_unstable_once_has_no_mean_latency(replications):
    summaries = [one.summary for one in replications.runs]
    why = {"stable": False, "unstable_because": "link 0 up: too much"}
    summaries[1] = summaries[1] | {"cloud_only": summaries[1]["cloud_only"] | why}
    mean = mean_summary(summaries)
    assert mean["cloud_only"]["stable"] is False
    assert mean["cloud_only"]["unstable_because"] == "link 0 up: too much"
    cell = with_interval(P95_LATENCY, mean["cloud_only"], t_intervals(summaries)["cloud_only", "latency_s.p95"])  # fmt: skip  # noqa: E501
    assert cell.shown == "unstable"
    assert with_interval(P95_LATENCY, mean["ecc_snn"], None).key is not None


def test_keys_are_ordered_as_quantities(sweep):
    rate, threshold, world = swept.keys_of(sweep.cells, sweep.keys)
    assert rate.values[:2] == ("500 kbit/s", "2 Mbit/s") and rate.unit == "bit/s"
    assert rate.numbers[:2] == (5e5, 2e6)
    assert threshold.numbers == (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
    assert world.values == ("0", "1", "2", "3", "4")
    sweep.cells["kind"] = "poisson"
    (kind,) = swept.keys_of(sweep.cells, ["kind"])
    assert kind.values == ("poisson",) and kind.numbers is None


def test_points_are_means_over_seeds(sweep):
    keys = ["topology.links.0.rate", "strategies.ecc_snn.threshold"]
    found = swept.points(sweep.cells, keys, ACCURACY)
    assert len(found) == 3 * 5 * 8
    by_hand = sweep.cells.groupby(["strategy", *keys])["accuracy"].mean()
    for point in found:
        assert point.interval.n == 5
        expected = by_hand[point.strategy, point.at[0], float(point.at[1])]
        assert point.interval.mean == pytest.approx(expected)
        assert point.is_stable == (point.at[0] != "500 kbit/s" or float(point.at[1]) >= 0.2)
    assert swept.points(sweep.cells, keys, replace(ACCURACY, path="no_such")) == []


def test_keys_that_change_together_count_once(run, make_sweep):
    sweep = make_sweep(run, {"up": ["1 Mbit/s", "2 Mbit/s", "4 Mbit/s"], "threshold": [0.1, 0.2]})
    sweep.cells["down"] = sweep.cells["up"].map({"1 Mbit/s": 9, "2 Mbit/s": 8, "4 Mbit/s": 7})
    settings = sweep.cells.to_dict("records")
    assert together(settings, ["up", "down", "threshold"]) == {"down": "up"}
    assert together(settings, ["down", "threshold"]) == {}
