"""Thresholds, gates and fusions of exits are chosen on the validation pool, each on its part."""

import numpy as np
import pytest

from ecsim.collab.criteria import choose_threshold, criterion, fit_exit_gate
from ecsim.collab.exiting import Asked, Exiting, Leaving
from ecsim.collab.fusion import fit_fusion
from ecsim.core.types import ModelRef, Part

CLASSES = (7, 2, 5)
MODEL = ModelRef("cloud", 0, "key", CLASSES, 0)
N = 80


class Validated:
    def __init__(self, logits):
        self.logits = logits


class Validation:
    """Three exits that know more and more; each variant adds noise of its own."""

    def __init__(self):
        rng = np.random.default_rng(4)
        self.labels = rng.choice([7, 2, 5, 9], N, p=[0.3, 0.3, 0.3, 0.1])  # 9 is in no model
        columns = np.array([CLASSES.index(c) if c in CLASSES else 0 for c in self.labels])
        self.columns = np.where(self.labels == 9, -1, columns)
        noise = {v: rng.normal(size=(3, N, 3)) for v in (0, 1)}
        strength = np.array([1.0, 2.0, 4.0])[:, None, None]
        self.logits = {v: strength * np.eye(3)[columns] + noise[v] for v in (0, 1)}

    def of_part(self, model, part, variant=0):
        return Validated(self.logits[variant][part.exit])


@pytest.fixture
def validation():
    return Validation()


def exiting(validation, variants=(0,), fusion="average", **keys):
    asked = [Asked(MODEL, Part(exit=k)) for k in range(3)]
    return Exiting(Leaving(**keys), fusion, validation, asked, variants)


def right(validation, logits):
    return logits.argmax(axis=-1) == validation.columns


@pytest.mark.parametrize("target", [{"accuracy": 0.75}, {"early": 0.5}])
def test_a_threshold_is_chosen_on_the_whole_pool(validation, target):
    logits = validation.logits[0]
    by = criterion("margin")
    scores = np.stack([by.score(rows) for rows in logits[:-1]])
    expected = choose_threshold(scores, right(validation, logits), by, **target)
    found = exiting(validation, criterion="margin", threshold=target).thresholds
    assert found == (expected, expected)


def test_a_gate_learns_from_one_half_and_its_threshold_comes_from_the_other(validation):
    logits, even, odd = validation.logits[0], slice(0, None, 2), slice(1, None, 2)
    is_right = right(validation, logits)
    gates = [fit_exit_gate(logits[k][even], is_right[k][even]) for k in range(2)]
    scores = np.stack([gates[k](logits[k][odd]) for k in range(2)])
    by = criterion("learned", gates[0])
    expected = choose_threshold(scores, is_right[:, odd], by, early=0.5)
    found = exiting(validation, criterion="learned", threshold={"early": 0.5}).thresholds
    assert found == (expected, expected)


def test_a_fusion_learns_from_every_second_sample_whose_class_is_known(validation):
    views = np.stack([validation.logits[v][1] for v in (0, 1)])
    known = np.flatnonzero(validation.columns >= 0)[::2]
    layer = fit_fusion("concatenation", views[:, known], validation.columns[known])
    mine = exiting(validation, (0, 1), "concatenation")
    expected = layer(views[:, 3:4])[0]
    assert mine.fused(1, list(views[:, 3])) == pytest.approx(expected, rel=1e-9)


def test_a_list_has_a_threshold_for_each_exit_and_one_view_needs_no_fusion(validation):
    mine = exiting(validation, criterion="max_probability", threshold=(0.9, 0.6))
    assert mine.thresholds == (0.9, 0.6)
    row = np.array([1.0, 2.0, 3.0])
    assert mine.fused(0, [row]) is row
