"""Runs, replications and sweeps in one form: what is averaged, and over what."""

import math
from dataclasses import replace

import pytest
from scipy import stats

from ecsim.core.errors import UserError
from ecsim.report.material import Material, Part, gather
from ecsim.report.quantities import quantity

LINK, THRESHOLD, SEED = "topology.links.0.uplink", "strategies.ecc_snn.threshold", "seeds.world"


def test_swept_sections_go_by_their_names(run):
    sections = [{"name": "ewc", "epochs": 20}, {"name": "lwf"}]
    material = Material(
        tuple(Part("s", {"learning.update": of}, run) for of in sections), ("ecc_snn",)
    )
    assert [one.label for one in material.series()] == [
        "ecc_snn, update ewc",
        "ecc_snn, update lwf",
    ]
    assert material.means(["cur"])["learning.update"].tolist() == ["ewc", "lwf"]


def test_seeds_are_replicates_and_other_keys_are_not(sweep):
    material = gather([sweep])
    assert material.keys == (LINK, THRESHOLD)
    frame = material.means(["accuracy"])
    assert len(frame) == 2 * 2 * 2
    assert set(frame["n"]) == {2}
    cells = sweep.cells.groupby([LINK, THRESHOLD, "strategy"])["accuracy"]
    for row in frame.to_dict("records"):
        pair = cells.get_group((row[LINK], row[THRESHOLD], row["strategy"]))
        assert row["accuracy"] == pytest.approx(pair.mean())
        half = stats.sem(pair) * stats.t.ppf(0.975, 1)
        assert row["accuracy high"] - row["accuracy"] == pytest.approx(half)
    over_links = material.means(["accuracy"], [THRESHOLD])
    assert set(over_links["n"]) == {4}
    assert over_links["accuracy low"].isna().all()  # bandwidths are no sample


def test_runs_beside_each_other_have_no_interval(run, replications):
    material = gather([run, replications])
    frame = material.means(["cur"]).set_index(["source", "strategy"])
    assert math.isnan(frame.loc[(run.path.name, "ecc_snn"), "cur low"])
    assert not math.isnan(frame.loc[("twice-1234", "ecc_snn"), "cur low"])
    assert frame.loc[("twice-1234", "cloud_only"), "cur"] == 1.0
    assert len(material.series()) == 4


def test_cells_are_chosen_by_value_in_any_unit(sweep):
    material = gather([sweep])
    fast = material.only(["ecc_snn"], {LINK: "20000 kbit/s"})
    assert {part.values[LINK] for part in fast.parts} == {"20 Mbit/s"}
    assert fast.keys == (THRESHOLD,)
    assert [one.label for one in fast.series()] == [
        "ecc_snn, threshold 0.3",
        "ecc_snn, threshold 0.7",
    ]


@pytest.mark.parametrize(
    ("arms", "where", "says"),
    [
        (["ec_snn"], {}, "did you mean 'ecc_snn'"),
        ([], {"strategies.ecc_snn.treshold": "0.3"}, "did you mean 'strategies.ecc_snn.threshold'"),
        ([], {THRESHOLD: "0.4"}, "expected one of 0.3, 0.7, got '0.4'"),
    ],
)
def test_what_there_is_not(sweep, arms, where, says):
    with pytest.raises(UserError, match=says):
        gather([sweep]).only(arms, where)


def test_a_metric_that_there_is_not(run):
    with pytest.raises(UserError, match=r"did you mean 'latency_s.mean'"):
        gather([run]).means(["latncy_s.mean"])
    with pytest.raises(UserError, match="only a sweep has the key"):
        gather([run]).checked_key(LINK)


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("accuracy", 0.5, (100.0, "%")),
        ("latency_s.mean", 0.02, (1e3, "ms")),
        ("latency_s.mean", 5000.0, (1.0, "s")),
        ("energy_per_task_j.total", 2e-6, (1e6, "µJ")),
        ("bytes_per_task.up", 60_000.0, (1e-3, "kB")),
        ("n", 12.0, (1.0, "")),
    ],
)
def test_units_are_those_one_reads(metric, value, shown):
    assert quantity(metric).scale([math.nan, value]) == shown


def test_keys_that_go_together_are_one(sweep):
    twin = replace(
        gather([sweep]),
        parts=tuple(
            replace(part, values={**part.values, "down": part.values[LINK]})
            for part in gather([sweep]).parts
        ),
    )
    assert twin.keys == (LINK, THRESHOLD)
    assert len(twin.means(["cur"])) == 8
    assert len(twin.means(["cur"], ["down"])) == 4
