"""EM-PF neurons, binary convolutions and channel attention against published values."""

import numpy as np
import pytest
import torch

from ecsim.models.snn.binary import BinaryConv2d
from ecsim.models.snn.empf import EMPF
from ecsim.models.snn.seca import SECA, SECA2

F64 = torch.float64
CLOSE = {"rtol": 1e-9, "atol": 1e-13}  # float64, sums in another order


@pytest.mark.parametrize("gradient", ["online", "stbp"])
def test_version_1_agrees_with_the_published_values(vector, gradient):
    v = vector("empf_v1_theta1_lam05")
    neuron = EMPF(6, "I", gradient).double()  # decay 0.5 and theta 1 are its initial values
    current = torch.tensor(v["I"], requires_grad=True)
    trace = neuron.trace(current)
    for found, key in zip(trace, ("s", "m", "v"), strict=True):
        np.testing.assert_allclose(found.detach(), v[key], **CLOSE)
    neuron(current).backward(torch.tensor(v["grad_s"]))
    np.testing.assert_allclose(current.grad, v[f"grad_I_{gradient}"], **CLOSE)


def test_version_3_agrees_with_the_published_values(vector):
    v = vector("empf_v3_parallel")
    neuron = EMPF(6, "III").double()
    neuron.theta.data = torch.tensor(v["theta"])
    current = torch.tensor(v["I"], requires_grad=True)
    spikes = neuron(current)
    np.testing.assert_allclose(spikes.detach(), v["s"], **CLOSE)
    spikes.backward(torch.tensor(v["grad_s"]))
    # the published gradients are finite differences
    np.testing.assert_allclose(current.grad, v["grad_I_fd"], atol=1e-6)
    np.testing.assert_allclose(neuron.theta.grad, v["grad_theta_fd"], atol=1e-6)


@pytest.mark.parametrize("version", ["I", "III"])
def test_the_slope_at_the_threshold_is_one(version):
    neuron = EMPF(1, version)
    current = torch.ones(1, 1, requires_grad=True)  # exactly theta
    neuron(current).sum().backward()
    assert current.grad.item() == 1


def test_version_2_starts_as_version_1_and_normalises_with_beta():
    g = torch.Generator().manual_seed(1)
    current = torch.randn(3, 8, 2, 4, 4, generator=g, dtype=F64) + 5
    one, two = EMPF(3, "I").double(), EMPF(3, "II", channels=2).double()
    torch.testing.assert_close(one(current), two(current))
    two.alpha.data.zero_()
    two.beta.data.fill_(1.0)
    two.theta.data.zero_()
    m = two.trace(current).before[0]
    torch.testing.assert_close(m.mean((0, 2, 3)), torch.zeros(2, dtype=F64), rtol=0, atol=1e-12)


def test_online_gradients_leave_the_past_alone():
    current = torch.full((3, 1), 0.9, requires_grad=True)
    EMPF(3, "I", "online")(current)[2].sum().backward()
    assert current.grad[:2].tolist() == [[0.0], [0.0]]
    assert current.grad[2].item() == 1


def test_learns_decay_online():
    neuron = EMPF(2, "I", "online")
    neuron(torch.tensor([[0.8], [0.9]])).sum().backward()
    # v[1] = 0.8 (silent), m[2] = 0.5 x 0.8 + 0.9 fires: d s / d decay[2] = v[1]
    assert neuron.decay.grad.tolist() == pytest.approx([0.0, 0.8])
    assert neuron.theta.grad.tolist() == pytest.approx([0.0, -1.0])


def test_refuses_another_number_of_steps():
    with pytest.raises(ValueError, match="3 time-steps"):
        EMPF(3)(torch.zeros(2, 1))
    with pytest.raises(ValueError, match="channels"):
        EMPF(3, "II")


@pytest.mark.parametrize("width", [3, 5])
def test_seca_1_agrees_with_the_published_values(vector, width):
    v = vector("seca_ecanet")
    seca = SECA(8, width).double()
    seca.conv.weight.data = torch.tensor(v[f"k{width}_weight"])
    current = torch.tensor(v["I"], requires_grad=True)
    out = seca(current)
    np.testing.assert_allclose(out.detach(), v[f"k{width}_seca1"], **CLOSE)
    out.backward(torch.tensor(v["grad_out"]))
    np.testing.assert_allclose(current.grad, v[f"k{width}_seca1_grad_I"], **CLOSE)
    np.testing.assert_allclose(seca.conv.weight.grad, v[f"k{width}_seca1_grad_w"], **CLOSE)
    seca.squeeze = "sign"
    np.testing.assert_allclose(seca(current).detach(), v[f"k{width}_seca1_signGAP"], **CLOSE)


@pytest.mark.parametrize("width", [3, 5])
@pytest.mark.parametrize(("scale", "key"), [("channel_mean", "adambnn"), ("none", "signonly")])
def test_seca_2_agrees_with_the_published_values(vector, width, scale, key):
    v = vector("seca_ecanet")
    seca = SECA2(8, width, scale).double().eval()
    seca.attention.conv.weight.data = torch.tensor(v[f"k{width}_weight"])
    seca.conv.weight.data = torch.tensor(v["seca2_w_float"])
    seca.norm.weight.data = torch.tensor(v["seca2_bn_gamma"])
    seca.norm.bias.data = torch.tensor(v["seca2_bn_beta"])
    seca.norm.running_mean = torch.tensor(v["seca2_bn_mean"])
    seca.norm.running_var = torch.tensor(v["seca2_bn_var"])
    assert seca.norm.eps == v["seca2_bn_eps"]
    out = seca(torch.tensor(v["I"]))
    np.testing.assert_allclose(out.detach(), v[f"k{width}_seca2_{key}"], **CLOSE)


def test_binary_weights_are_signs_with_a_straight_through_gradient():
    conv = BinaryConv2d(1, 1, 1)
    x = torch.full((1, 1, 1, 1), 3.0)
    for weight, sign, gradient in [(0.0, 1, 3), (-0.5, -1, 3), (1.0, 1, 3), (-1.5, -1, 0)]:
        conv.weight.data.fill_(weight)
        conv.zero_grad()
        out = conv(x)
        out.sum().backward()
        assert (out.item(), conv.weight.grad.item()) == (3 * sign, gradient)


def test_attention_needs_an_odd_kernel():
    with pytest.raises(ValueError, match="odd"):
        SECA(8, 4)
