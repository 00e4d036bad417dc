"""Fusion of several views' answers, against hand-made cases and the likelihood itself."""

import numpy as np
import pytest

from ecsim.collab.fusion import FUSIONS, Fusion, fit_fusion
from ecsim.core.scores import probabilities

TWO = np.array([[[2.0, 0.0, 1.0]], [[0.0, 3.0, -1.0]]])  # (V, N, K) = (2, 1, 3)


def test_maximum_and_average_are_taken_class_by_class():
    assert Fusion("max")(TWO).tolist() == [[2.0, 3.0, 1.0]]
    assert Fusion("average")(TWO).tolist() == [[1.0, 1.5, 0.0]]


def test_most_votes_win_and_the_mean_probability_decides_a_tie():
    three = np.concatenate([TWO, TWO[:1]])
    shares = probabilities(Fusion("vote")(three))
    assert shares[0] == pytest.approx([2 / 3, 1 / 3, 0], abs=1e-6)
    mean = probabilities(np.concatenate(TWO)).mean(axis=0)
    assert Fusion("vote")(TWO).argmax() == mean.argmax() == 1
    huge = np.array([[[1e4, -1e4]], [[-1e4, 1e4]]])
    assert np.isfinite(probabilities(Fusion("vote")(huge))).all()


def test_views_weigh_by_how_often_they_are_right():
    rng = np.random.default_rng(0)
    columns = rng.integers(0, 4, 200)
    good = np.eye(4)[columns] * 3
    bad = rng.normal(size=(200, 4))
    fusion = fit_fusion("weights", np.stack([good, bad]), columns)
    share = (bad.argmax(axis=1) == columns).mean()
    assert fusion(TWO)[0] == pytest.approx((TWO[0, 0] + share * TWO[1, 0]) / (1 + share))


def test_a_linear_layer_learns_who_knows_what():
    rng = np.random.default_rng(1)
    columns = rng.integers(0, 4, 600)
    views = rng.normal(size=(2, 600, 4))
    views[0] += 4 * np.eye(4)[columns] * (columns < 2)[:, None]  # each view knows two classes
    views[1] += 4 * np.eye(4)[columns] * (columns >= 2)[:, None]
    half = slice(None, 300)
    right = {}
    for rule in FUSIONS:
        fusion = fit_fusion(rule, views[:, half], columns[half])
        right[rule] = (fusion(views[:, 300:]).argmax(axis=1) == columns[300:]).mean()
    assert right["concatenation"] > 0.85
    assert right["concatenation"] > max(right[rule] for rule in ("average", "vote")) - 0.02


def test_the_fitted_layer_is_where_the_penalised_likelihood_is_largest():
    rng = np.random.default_rng(2)
    columns = rng.integers(0, 3, 80)
    views = rng.normal(size=(2, 80, 3)) + np.eye(3)[columns] * 2
    fusion = fit_fusion("concatenation", views, columns, penalty=2.0)
    x = np.moveaxis(views, 0, 1).reshape(80, -1)
    scale = x.std(axis=0)

    def loss(w, b):
        shares = probabilities(x @ w + b)
        own = np.log(shares[np.arange(80), columns]).sum()
        return -own + 0.5 * 2.0 * ((w * scale[:, None]) ** 2).sum()

    least = loss(fusion.matrix, fusion.bias)
    for _ in range(30):
        step = rng.normal(size=fusion.matrix.shape) * 1e-2
        shift = rng.normal(size=3) * 1e-2
        # L-BFGS stops at 1e-9 relative: nothing near is better by more
        assert loss(fusion.matrix + step, fusion.bias + shift) > least - 1e-5
