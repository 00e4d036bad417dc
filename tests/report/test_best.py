"""The map of best strategies, on cells whose means are known."""

import pytest

from ecsim.core.errors import UserError
from ecsim.report.material import gather
from ecsim.report.plots.best import MARGIN
from ecsim.report.plots.drawing import Options, draw
from ecsim.report.style import paper

LINK, THRESHOLD = "topology.links.0.uplink", "strategies.ecc_snn.threshold"


def frame_of(sweep, arms, **options):
    with paper():
        return draw("best", gather([sweep]).only(list(arms)), Options(**options))


def test_each_field_has_the_best_of_all_but_the_last(sweep):
    arms = ["ecc_snn", "cloud_only"]
    shown = frame_of(sweep, arms, metrics=("latency_s.mean",), keys=(LINK, THRESHOLD))
    assert len(shown.frame) == 4
    for row in shown.frame.to_dict("records"):
        mine = sweep.cells[
            (sweep.cells[LINK] == row[LINK]) & (sweep.cells[THRESHOLD] == row[THRESHOLD])
        ]
        mean = mine.groupby("strategy")["latency_s.mean"].mean()
        assert row["strategy"] == "ecc_snn"
        assert row["latency_s.mean"] == pytest.approx(mean["ecc_snn"])
        loss = mean["cloud_only"] / mean["ecc_snn"] - 1.0
        assert row["loss_ratio"] == pytest.approx(loss)
        assert row["is_beaten"] == (loss > MARGIN)


def test_more_is_better_where_it_is(sweep):
    shown = frame_of(
        sweep, ["ecc_snn", "cloud_only"], metrics=("accuracy",), keys=(LINK, THRESHOLD)
    )
    for row in shown.frame.to_dict("records"):
        assert row["loss_ratio"] == pytest.approx(1.0 - row["cloud_only"] / row["accuracy"])


def test_one_strategy_is_no_choice(sweep):
    with pytest.raises(UserError, match=r"at least two strategies, got 2 .* and 1"):
        frame_of(sweep, ["ecc_snn"])
