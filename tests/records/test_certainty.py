"""Calibration, risk and coverage, and routing against loops over single samples."""

import numpy as np
import pandas as pd
import pytest

from ecsim.collab.probe import probe
from ecsim.core.scores import max_probability, probabilities
from ecsim.core.types import ModelRef, Prediction, Work
from ecsim.records.certainty import (
    acci,
    accuracy_over_cur,
    aurc,
    ece,
    risk_coverage,
    routing_gain,
    selective_error,
)
from ecsim.records.fairness import fairness, jain
from ecsim.records.versions import of_versions, with_figures

EDGE, CLOUD = (ModelRef(role, 0, role, (0, 1, 2), 0) for role in ("edge", "cloud"))
N = 200


class Predictor:
    def __init__(self, logits):
        self.logits = logits

    def predict(self, model, sample):
        row = self.logits[sample]
        return Prediction(int(row.argmax()), row, 0.0, Work(), model)


class Rule:
    """Upload what has less than 60 %, by 1 minus the largest probability."""

    def score(self, edge, sample_id):
        return float(max_probability(edge.logits[None])[0])

    def offloads_sample(self, edge, sample_id):
        return self.score(edge, sample_id) > 0.4

    def threshold(self, model):
        return 0.4


class NoRule(Rule):
    def score(self, edge, sample_id):
        return None

    def offloads_sample(self, edge, sample_id):
        return None

    def threshold(self, model):
        return None


@pytest.fixture
def world():
    rng = np.random.default_rng(8)
    labels = rng.integers(0, 4, N)  # class 3 is unknown to the edge
    edge, cloud = rng.normal(size=(2, N, 3))
    known = np.flatnonzero(labels < 3)
    edge[known, labels[known]] += 1.5
    cloud[known, labels[known]] += 4.0
    return labels, edge * 2, cloud


def probed(world, rule):
    labels, edge, cloud = world
    return probe(EDGE, CLOUD, Predictor(edge), Predictor(cloud), np.arange(N), labels, rule)


def frame(rows):
    return pd.DataFrame([{name: getattr(row, name) for name in row.__slots__} for row in rows])


def test_bins_and_classes_add_up(world):
    got = probed(world, Rule())
    labels, edge, cloud = world
    right, cloud_right = edge.argmax(1) == labels, cloud.argmax(1) == labels
    sent = max_probability(edge) > 0.4
    assert got.accuracy == right.mean()
    assert got.cloud_accuracy == cloud_right.mean()
    assert got.system_accuracy == np.where(sent, cloud_right, right).mean()
    classes, bins = frame(got.classes), frame(got.bins)
    assert classes["n"].sum() == N and classes["n_uploaded"].sum() == sent.sum()
    assert classes.loc[~classes["known"], "label"].tolist() == [3]
    for _by, rows in bins.groupby("by"):
        assert (rows["n"].sum(), rows["n_right"].sum()) == (N, right.sum())
        assert rows["n_cloud_right"].sum() == cloud_right.sum()
    assert (bins[bins["by"] == "score"].groupby("bin")["n"].sum() == N // 20).all()


def test_without_a_rule_the_cloud_is_not_asked(world):
    labels, edge, _ = world
    got = probe(EDGE, CLOUD, Predictor(edge), None, np.arange(N), labels, NoRule())
    assert (got.cloud_accuracy, got.system_accuracy, got.threshold) == (None, None, None)
    assert {row.by for row in got.bins} == {"confidence"}


def test_calibration_error_equals_a_loop(world):
    labels, edge, _ = world
    shares = probabilities(edge)
    confidence, right = shares.max(1), edge.argmax(1) == labels
    for rows, chosen in (("all", labels >= 0), ("known", labels < 3)):
        expected = 0.0
        for low in np.arange(15) / 15:
            mine = chosen & (confidence >= low) & (confidence < low + 1 / 15)
            if mine.any():
                expected += mine.sum() * abs(right[mine].mean() - confidence[mine].mean())
        bins = frame(probed(world, Rule()).bins)
        bins = bins[bins["known"]] if rows == "known" else bins
        assert ece(bins) == pytest.approx(expected / chosen.sum())


def test_a_calibrated_version_has_no_error():
    bins = pd.DataFrame({"by": "confidence", "bin": [3, 9], "n": [10, 20],
                         "confidence": [0.2, 0.6], "n_right": [2, 12]})  # fmt: skip
    assert ece(bins) == pytest.approx(0.0)
    assert ece(bins.assign(n_right=[3, 11])) == pytest.approx(2 / 30)


def test_routing_curves_equal_sorting_single_samples(world):
    labels, edge, cloud = world
    right, cloud_right = edge.argmax(1) == labels, cloud.argmax(1) == labels
    surest = np.argsort(max_probability(edge), kind="stable")
    bins = frame(probed(world, Rule()).bins)
    coverage, risk = risk_coverage(bins)
    cur, accuracy = accuracy_over_cur(bins)
    assert coverage == pytest.approx(np.arange(1, 21) / 20)
    for i, share in enumerate(coverage):
        kept = surest[: round(share * N)]
        assert risk[i] == pytest.approx(1 - right[kept].mean())
    for share, got in zip(cur, accuracy, strict=True):
        kept = surest[: round((1 - share) * N)]
        sent = surest[len(kept) :]
        assert got == pytest.approx((right[kept].sum() + cloud_right[sent].sum()) / N)
    assert aurc(bins) == pytest.approx(risk.mean())
    at = np.linspace(0.05, 0.95, 20_001)
    lines = np.interp(at, cur, accuracy)
    chance = right.mean() + at * (cloud_right.mean() - right.mean())
    assert routing_gain(bins) == pytest.approx((lines - chance).mean(), abs=1e-5)
    assert routing_gain(bins) > 0.02


def test_a_score_that_knows_nothing_gains_nothing():
    even = pd.DataFrame({"by": "score", "bin": range(20), "known": True, "n": 10,
                         "n_right": 6, "n_cloud_right": 9})  # fmt: skip
    assert routing_gain(even) == pytest.approx(0.0)
    # an oracle: 8 of 20 bins all wrong, the last; half of each bin's cloud answers are right
    oracle = even.assign(n_right=[10] * 12 + [0] * 8, n_cloud_right=[10] * 20)
    # accuracy rises by 1 per upload until CUR .4; above chance by (1 - .4) CUR and .4 (1 - CUR)
    area = 0.6 * (0.4**2 - 0.05**2) / 2 + 0.4 * (0.6**2 - 0.05**2) / 2
    assert routing_gain(oracle) == pytest.approx(area / 0.9)


def test_acci_needs_a_better_cloud():
    assert acci(0.6, 0.9, 1.0) == pytest.approx(0.75)
    assert acci(0.93, 0.94, 0.95) == pytest.approx(0.5)
    assert acci(0.94, 0.96, 0.95) is None
    assert acci(float("nan"), 0.9, 1.0) is None


def test_figures_of_versions_are_means_over_devices(world):
    got = probed(world, Rule())
    bins = frame(got.bins).assign(key="k")
    classes = frame(got.classes).assign(key="k")
    rows = [("x", 0, "k", 0.5, 0.7, 0.9), ("y", 0, "k", 0.5, 0.8, 0.9), ("x", 1, "l", 0.6, 0.8, 1)]
    columns = ["device", "version", "key", "accuracy", "system_accuracy", "cloud_accuracy"]
    probed_ = pd.DataFrame(rows, columns=columns).assign(t_s=0.0, cur=0.5)
    of = of_versions(with_figures(probed_, classes, bins))
    assert of["acci"] == {"first": pytest.approx(0.625), "last": pytest.approx((0.5 + 0.75) / 2)}
    assert of["ece"]["first"] == pytest.approx(ece(bins))
    known = classes[classes["known"]]
    share = known["n_uploaded"].sum() / known["n"].sum()
    assert of["probe_cur_seen"]["first"] == pytest.approx(share)


def test_fairness_by_hand():
    assert jain(np.array([2.0, 2.0])) == 1.0
    assert jain(np.array([1.0, 0.0, 0.0, 0.0])) == 0.25
    correct, latency_s = np.array([1, 1, 1, 0], bool), np.array([1.0, 3.0, 1.0, np.nan])
    got = fairness(np.array([0, 0, 2, 2]), correct, latency_s)  # device 1 had no task
    assert got["accuracy_worst"] == 0.5
    assert got["accuracy_jain"] == pytest.approx(1.5**2 / (2 * 1.25))
    assert got["latency_worst_s"] == 2.0
    assert got["latency_jain"] == pytest.approx(1.5**2 / (2 * 1.25))


def test_auroc_equals_counting_all_pairs(world):
    labels, edge, _ = world
    scores = np.round(max_probability(edge), 2)  # with ties

    class Rounded(Rule):
        def score(self, edge, sample_id):
            return float(np.round(max_probability(edge.logits[None])[0], 2))

    got = {row.label: row for row in probed((labels, edge, world[2]), Rounded()).classes}
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels == 3] for b in scores[labels < 3]]
    assert got[3].auroc == pytest.approx(np.mean(pairs))
    assert got[3].auroc != pytest.approx(0.5, abs=0.01)
    assert [got[k].auroc for k in range(3)] == [None] * 3
    assert all(row.auroc is None for row in probe(
        EDGE, CLOUD, Predictor(edge), None, np.arange(N), labels, NoRule()).classes)  # fmt: skip


def test_auroc_over_all_unknown_classes_weighs_pairs_and_finds_the_worst():
    classes = pd.DataFrame(
        [
            ("k", 0, True, 50, 5, 45, np.nan),
            ("k", 1, False, 30, 24, 24, 0.9),
            ("k", 2, False, 10, 1, 1, 0.5),
        ],
        columns=["key", "label", "known", "n", "n_uploaded", "n_system_right", "auroc"],
    )
    rows = [("x", 0, "k", 0.5, 0.7, 0.9, 0.0, 0.3)]
    columns = ["device", "version", "key", "accuracy", "system_accuracy", "cloud_accuracy", "t_s",
               "cur"]  # fmt: skip
    of = of_versions(with_figures(pd.DataFrame(rows, columns=columns), classes, None))
    assert of["auroc"]["last"] == pytest.approx((30 * 0.9 + 10 * 0.5) / 40)
    assert of["auroc_worst"]["last"] == 0.5
    assert of["probe_cur_unseen_worst"]["last"] == pytest.approx(0.1)
    assert (of["probe_cur"]["last"], of["probe_system_accuracy"]["last"]) == (0.3, 0.7)
    assert of["probe_system_accuracy_known"]["last"] == 0.9
    assert of["routing_gain"]["last"] is None


def test_selective_error_equals_keeping_the_surest(world):
    labels, edge, _ = world
    wrong = edge.argmax(1) != labels
    surest = np.argsort(max_probability(edge), kind="stable")
    bins = frame(probed(world, Rule()).bins)
    assert selective_error(bins) == pytest.approx(wrong[surest[: N * 8 // 10]].mean())
    assert selective_error(bins, 0.0) == pytest.approx(wrong.mean())
    known = surest[labels[surest] < 3]
    kept = known[: round(0.8 * len(known))]
    # within a bin of 10 samples the order is not stored
    at_known = selective_error(bins[bins["known"]])
    assert at_known == pytest.approx(wrong[kept].mean(), abs=5 / len(kept))
    assert at_known < selective_error(bins)
    assert selective_error(bins.iloc[:0]) is None
