"""Exit criteria against published vectors, hand-made cases and brute force."""

import json
from pathlib import Path

import numpy as np
import pytest

from ecsim.collab.criteria import (
    ExitGate,
    answered,
    choose_threshold,
    criterion,
    entropy_bits,
    exits_taken,
    fit_exit_gate,
    margin,
    max_probability,
)
from ecsim.core.entropy import entropy, normalized_entropy

_VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "exits.json"


@pytest.fixture(scope="module")
def vectors():
    if not _VECTORS.is_file():
        pytest.skip("the published vectors of exits are not beside this checkout")
    return json.loads(_VECTORS.read_text())


def test_scores_equal_published_vectors(vectors):
    assert len(vectors["single"]) >= 1
    for case in vectors["single"]:
        logits = np.array([case["logits"]])
        # decimals of 60 digits; a probability difference keeps 1e-16 absolute
        kw = {"rel": 1e-12, "abs": 2e-16}
        name = case["name"]
        assert max_probability(logits)[0] == pytest.approx(case["max_prob"], **kw), name
        assert margin(logits)[0] == pytest.approx(case["margin"], **kw), name
        # log(Z) - sum(p x) cancels where one class is all but certain: 1e-15 absolute is left
        kw = {"rel": 1e-12, "abs": 2e-15}
        assert entropy(logits)[0] == pytest.approx(case["entropy_nats"], **kw), name
        assert entropy_bits(logits)[0] == pytest.approx(case["entropy_bits"], **kw), name
        found = normalized_entropy(logits)[0]
        assert found == pytest.approx(case["normalized_entropy"], **kw), name
        assert -entropy(logits)[0] == pytest.approx(case["survey_eq1_as_printed"], **kw), name


def test_probabilities_of_huge_logits_and_ties():
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4]])
    assert max_probability(logits).tolist() == pytest.approx([1, 1 / 3, 0.5])
    assert margin(logits).tolist() == pytest.approx([1, 0, 0])
    assert entropy_bits(logits).tolist() == pytest.approx([0, np.log2(3), 1])


def test_a_confidence_leaves_at_the_threshold_and_an_entropy_only_below_it():
    uniform = np.zeros((1, 4))
    assert criterion("max_probability").is_sure(uniform, 0.25).all()
    assert criterion("margin").is_sure(uniform, 0.0).all()
    assert not criterion("entropy_bits").is_sure(uniform, entropy_bits(uniform)[0]).any()
    assert not criterion("normalized_entropy").is_sure(uniform, 1.0).any()
    assert criterion("normalized_entropy").is_sure(uniform, 1.0 + 1e-9).all()
    assert not criterion("entropy").is_sure(np.array([[1e4, -1e4]]), 0.0).any()


def test_the_first_sure_exit_answers_and_the_last_one_otherwise():
    scores = np.array([[0.1, 0.9, 0.5, 0.9], [0.8, 0.9, 0.5, 0.1]])
    by = criterion("max_probability")
    assert exits_taken(scores, 0.8, by).tolist() == [1, 0, 2, 0]
    assert exits_taken(scores, [0.95, 0.5], by).tolist() == [1, 1, 1, 2]
    logits = np.array([[[1, 0]] * 4, [[0, 1]] * 4, [[2, 1]] * 4])
    assert answered(logits, np.array([1, 0, 2, 1])).tolist() == [1, 0, 0, 1]


def brute_force(scores, is_right, sign, threshold):
    """Walk the exits of each sample one by one."""
    right = early = 0
    for i in range(scores.shape[1]):
        for k in range(len(scores) + 1):
            if k == len(scores):
                break
            if scores[k, i] >= threshold if sign > 0 else scores[k, i] < threshold:
                early += 1
                break
        right += is_right[k, i]
    return right / scores.shape[1], early / scores.shape[1]


@pytest.mark.parametrize(("name", "sign"), [("max_probability", 1), ("normalized_entropy", -1)])
@pytest.mark.parametrize("seed", range(5))
def test_thresholds_are_chosen_as_an_exhaustive_search_would(name, sign, seed):
    rng = np.random.default_rng(seed)
    scores = rng.random((2, 40)).round(1)  # with ties
    is_right = rng.random((3, 40)) < np.array([[0.5], [0.7], [0.9]])
    by = criterion(name)
    grid = np.linspace(-0.05, 1.15, 121)
    tried = [brute_force(scores, is_right, sign, t) for t in grid]
    for accuracy in (0.6, 0.8, 0.99):
        found = choose_threshold(scores, is_right, by, accuracy=accuracy)
        right, early = brute_force(scores, is_right, sign, found)
        good = [e for r, e in tried if r >= accuracy]
        if good:
            assert right >= accuracy
            assert early == pytest.approx(max(good))
        else:
            assert right == pytest.approx(max(r for r, _ in tried))
    for share in (0.0, 0.3, 0.8):
        found = choose_threshold(scores, is_right, by, early=share)
        _, early = brute_force(scores, is_right, sign, found)
        assert early == pytest.approx(min(e for _, e in tried if e >= share))


def test_a_gate_is_a_logistic_of_three_scores():
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    gate = ExitGate(np.array([1.0, -2.0, 0.5]), 0.25)
    p = np.exp([2, 1, 0]) / np.exp([2, 1, 0]).sum()
    z = p[0] - 2 * (p[0] - p[1]) + 0.5 * -(p * np.log(p)).sum() / np.log(3) + 0.25
    assert gate(logits)[0] == pytest.approx(1 / (1 + np.exp(-z)), rel=1e-12)
    assert gate(logits)[1] == pytest.approx(1 / (1 + np.exp(-(1 / 3 + 0.5 + 0.25))), rel=1e-12)


def test_a_fitted_gate_tells_right_from_wrong():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(400, 5)) * rng.uniform(0.1, 6, (400, 1))
    is_right = rng.random(400) < max_probability(logits)
    chance = fit_exit_gate(logits, is_right)(logits)
    assert chance.mean() == pytest.approx(is_right.mean(), abs=1e-3)  # of maximum likelihood
    assert chance[is_right].mean() > chance[~is_right].mean() + 0.2
