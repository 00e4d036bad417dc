import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ecsim.core.scores import features, max_probability
from ecsim.learning.gate import fit_gate


def answers(n=400, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 5)) * rng.uniform(0.5, 4.0, size=(n, 1))
    return logits, rng.random(n) < max_probability(logits)


def test_equals_the_logistic_regression_of_scikit_learn():
    logits, is_wrong = answers()
    gate = fit_gate(logits, is_wrong)
    seen = features(logits)
    x = (seen - seen.mean(axis=0)) / seen.std(axis=0)
    other = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(x, is_wrong)
    # 1e-4: theirs stops by the gradient, ours by the step
    assert gate.weights == pytest.approx(other.coef_[0], abs=1e-4)
    assert gate(logits) == pytest.approx(other.predict_proba(x)[:, 1], abs=1e-4)


def test_tells_wrong_answers_it_was_not_fitted_to():
    gate = fit_gate(*answers())
    logits, is_wrong = answers(seed=1)
    scores = gate(logits)
    pairs = scores[is_wrong][:, None] > scores[~is_wrong][None, :]
    assert pairs.mean() > 0.7  # area under the ROC curve
    assert scores.mean() == pytest.approx(is_wrong.mean(), abs=0.1)


@pytest.mark.parametrize(("wrong", "share"), [(False, 1 / 12), (True, 11 / 12)])
def test_with_one_outcome_it_gives_one_probability(wrong, share):
    logits, _ = answers(10)
    gate = fit_gate(logits, np.full(10, wrong))
    assert gate(logits) == pytest.approx([share] * 10)


def test_one_class_and_separable_data_give_finite_weights():
    one = fit_gate(np.ones((6, 1)), np.array([True, False] * 3))
    assert one(np.ones((2, 1))) == pytest.approx([0.5, 0.5])
    logits = np.array([[9.0, 0.0], [8.0, 0.0], [0.1, 0.0], [0.0, 0.1]])
    scores = fit_gate(logits, np.array([False, False, True, True]))(logits)
    assert np.isfinite(scores).all() and scores[2:].min() > scores[:2].max()
