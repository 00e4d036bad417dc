import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import softmax
from scipy.stats import entropy

from ecsim.core.entropy import normalized_entropy

LOGITS = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-1e4, 1e4, width=32),
)


@given(LOGITS)
def test_equals_the_entropy_of_scipy(logits):
    k = logits.shape[1]
    expected = (
        np.ones(len(logits))
        if k == 1
        else entropy(softmax(logits.astype(float), axis=1), axis=1) / np.log(k)
    )
    # 1e-12: both sum a handful of terms of size 1 in float64
    np.testing.assert_allclose(normalized_entropy(logits), expected, atol=1e-12)


@given(LOGITS)
def test_lies_between_zero_and_one(logits):
    scores = normalized_entropy(logits)
    assert scores.shape == (len(logits),) and (scores >= 0).all() and (scores <= 1).all()


def test_confusion_of_two_scores_by_the_number_of_classes():
    # log 2 / log K, as the erratum says: .50 at K = 4, .30 at 10, .15 at 100
    for k, expected in ((4, 0.5), (10, 0.30103), (100, 0.150515)):
        logits = np.full((1, k), -1e3)
        logits[0, :2] = 0
        assert normalized_entropy(logits)[0] == pytest.approx(expected, abs=1e-6)


def test_huge_and_impossible_logits():
    logits = np.array([[1e300, 0.0, 0.0], [0.0, 0.0, -np.inf]])
    assert normalized_entropy(logits) == pytest.approx([0.0, np.log(2) / np.log(3)])


def test_minimum_over_heads_takes_the_surest_head():
    logits = np.array([[0.0, 0.0, 99.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    assert normalized_entropy(logits, min_over_heads=[2, 2]) == pytest.approx([0.0, 1.0])
    assert normalized_entropy(logits, min_over_heads=[4]) == pytest.approx(
        normalized_entropy(logits)
    )


def test_a_head_of_one_class_never_is_the_surest():
    logits = np.array([[50.0, 0.0, 1.0]])
    two = normalized_entropy(logits[:, 1:])
    assert normalized_entropy(logits, min_over_heads=[1, 2]) == pytest.approx(two)


@pytest.mark.parametrize("heads", [[], [1, 1], [2, 2], [3, 0]])
def test_heads_must_cover_the_columns(heads):
    with pytest.raises(ValueError, match="cover"):
        normalized_entropy(np.zeros((1, 3)), min_over_heads=heads)


@pytest.mark.parametrize("shape", [(3,), (2, 0), (1, 2, 3)])
def test_shape_must_be_samples_by_classes(shape):
    with pytest.raises(ValueError, match="shape"):
        normalized_entropy(np.zeros(shape))
