"""Spike functions against SpikingJelly's and snnTorch's values, and against smooth primitives."""

import math

import numpy as np
import pytest
import torch

from ecsim.models.snn.surrogate import surrogate

PUBLISHED = [
    ("sj_Sigmoid_a4", "sigmoid", 4),
    ("sj_Sigmoid_a1", "sigmoid", 1),
    ("sj_ATan_a2", "atan", 2),
    ("sj_PiecewiseQuadratic_a1", "piecewise_quadratic", 1),
    ("sj_PiecewiseExp_a1", "piecewise_exp", 1),
    ("sj_SoftSign_a2", "soft_sign", 2),
    ("sj_SuperSpike_a1", "super_spike", 1),
    ("sj_Erf_a2", "erf", 2),
    ("sj_Rect_a1", "rect", 1),
    ("snt_fast_sigmoid_25", "fast_sigmoid", 25),
    ("snt_atan_2", "atan", 2),
    ("snt_sigmoid_25", "sigmoid", 25),
    ("snt_triangular_1", "triangular", 1),
    ("snt_STE", "straight_through", 1),
]
# functions whose exact derivative the surrogate should be
PRIMITIVES = {
    "sigmoid": lambda x, a: torch.sigmoid(a * x),
    "atan": lambda x, a: torch.atan(math.pi / 2 * a * x) / math.pi,
    "piecewise_exp": lambda x, a: torch.sign(x) * (1 - torch.exp(-a * x.abs())) / 2,
    "soft_sign": lambda x, a: a * x / (1 + a * x.abs()) / 2,
    "super_spike": lambda x, a: a * x / (1 + x.abs()),
    "erf": lambda x, a: torch.erf(a * x) / 2 * a / a,
    "fast_sigmoid": lambda x, a: x / (1 + a * x.abs()),
    "straight_through": lambda x, a: a * x,
}


@pytest.mark.parametrize(("key", "name", "alpha"), PUBLISHED)
def test_agrees_with_the_published_values(vector, key, name, alpha):
    values = vector("surrogates")
    x = torch.tensor(values["x"], requires_grad=True)
    spikes = surrogate(name, alpha)(x)
    spikes.sum().backward()
    # float64 rounding of two ways to write one formula
    np.testing.assert_allclose(x.grad, values[f"{key}_grad"], rtol=1e-9, atol=1e-15)
    forward = values[f"{key}_fwd"].copy()
    if key.startswith("snt_"):
        forward[values["x"] == 0] = 1  # that library fires above 0 only, ecsim at 0 too
    np.testing.assert_array_equal(spikes.detach(), forward)


@pytest.mark.parametrize("name", PRIMITIVES)
@pytest.mark.parametrize("alpha", [0.7, 3.0])
def test_is_the_derivative_of_its_primitive(name, alpha):
    x = torch.linspace(-3, 3, 62, dtype=torch.float64, requires_grad=True)  # 0 is not in it
    PRIMITIVES[name](x, alpha).sum().backward()
    found = surrogate(name, alpha).derivative(x.detach())
    torch.testing.assert_close(found, x.grad, rtol=1e-9, atol=1e-14)


def test_scales_the_incoming_gradient():
    x = torch.tensor([0.0, 0.2], dtype=torch.float64, requires_grad=True)
    (surrogate("piecewise_quadratic", 1)(x) * torch.tensor([2.0, -10.0])).sum().backward()
    assert x.grad.tolist() == pytest.approx([2.0, -8.0])


def test_keeps_the_tails_of_a_steep_sigmoid():
    x = torch.tensor([-2.0, 2.0], dtype=torch.float64)
    left, right = surrogate("sigmoid", 25).derivative(x).tolist()
    assert left == right == pytest.approx(25 * math.exp(-50), rel=1e-12)


def test_does_not_change_its_argument():
    for key, name, alpha in PUBLISHED:
        x = torch.linspace(-1, 1, 5)
        surrogate(name, alpha).derivative(x)
        assert torch.equal(x, torch.linspace(-1, 1, 5)), key


def test_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match=r"unknown surrogate 'relu'; there are: sigmoid"):
        surrogate("relu")
    with pytest.raises(ValueError, match="must be positive"):
        surrogate("sigmoid", 0.0)


def test_has_the_usual_steepness_by_default():
    assert surrogate("sigmoid").alpha == 4
    assert surrogate("fast_sigmoid").alpha == 25
