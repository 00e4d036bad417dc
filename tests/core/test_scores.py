import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import logsumexp, softmax

from ecsim.core.entropy import normalized_entropy
from ecsim.core.scores import (
    confidence_margin,
    energy,
    entropy_of_all,
    features,
    margin,
    max_probability,
)

LOGITS = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-1e3, 1e3, width=32),
)


@given(LOGITS)
def test_equal_those_of_scipy_and_torch(logits):
    wide = logits.astype(float)
    shares = softmax(wide, axis=1)
    # 1e-12: a handful of terms of size 1 in float64; the energy is of size 1e3
    np.testing.assert_allclose(energy(logits), -logsumexp(wide, axis=1), rtol=1e-12, atol=1e-12)
    free = -torch.logsumexp(torch.tensor(wide), dim=1).numpy()
    np.testing.assert_allclose(energy(logits), free, rtol=1e-12, atol=1e-12)
    if logits.shape[1] == 1:
        assert (max_probability(logits) == 1).all() and (margin(logits) == 1).all()
        assert (confidence_margin(logits) == 1).all()
        return
    np.testing.assert_allclose(max_probability(logits), 1 - shares.max(axis=1), atol=1e-12)
    top = torch.softmax(torch.tensor(wide), dim=1).topk(2, dim=1).values.numpy()
    np.testing.assert_allclose(margin(logits), 1 - (top[:, 0] - top[:, 1]), atol=1e-12)
    np.testing.assert_allclose(confidence_margin(logits), top[:, 0] - top[:, 1], atol=1e-12)


def test_by_hand():
    logits = np.log([[8.0, 1.0, 1.0], [4.0, 4.0, 2.0]])
    assert max_probability(logits) == pytest.approx([0.2, 0.6])
    assert margin(logits) == pytest.approx([0.3, 1.0])
    assert energy(logits) == pytest.approx([-np.log(10)] * 2)
    assert features(logits).shape == (2, 4)


def test_a_surer_answer_scores_less_by_every_measure():
    logits = np.outer(np.arange(6.0), [1.0, 0.0, 0.0, 0.0])
    for column in features(logits).T:
        assert (np.diff(column) < 0).all()


def test_over_all_classes_the_score_of_a_confusion_does_not_fall_with_learning():
    for k in (2, 4, 10):
        logits = np.full((1, k), -1e3)
        logits[0, :2] = 0.0
        assert entropy_of_all(logits, 10) == pytest.approx(np.log(2) / np.log(10))
    assert entropy_of_all(logits, 10) == pytest.approx(normalized_entropy(logits))
    assert entropy_of_all(np.zeros((1, 1)), 10) == 1.0
    with pytest.raises(ValueError, match="at least the 10"):
        entropy_of_all(logits, 9)


@pytest.mark.parametrize("score", [energy, margin, max_probability])
@pytest.mark.parametrize("shape", [(3,), (2, 0)])
def test_shape_must_be_samples_by_classes(score, shape):
    with pytest.raises(ValueError, match="shape"):
        score(np.zeros(shape))
