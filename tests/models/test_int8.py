"""Answers in 8-bit integers: exact whole numbers, near the float ones, and priced as such."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from ecsim.core.types import Work
from ecsim.costs.cards import cards
from ecsim.costs.counted import Counted, CountedParams
from ecsim.models import create
from ecsim.models.ann.int8 import Int8Conv2d, Int8Linear
from ecsim.models.ann.twin import ReluVGG
from ecsim.models.work import predict


def digits(n=256):
    x, y = load_digits(return_X_y=True)
    images = torch.tensor(x[:n] / 8 - 1, dtype=torch.float32).view(-1, 1, 8, 8)
    return images, torch.tensor(y[:n])


def trained(numbers):
    """Train a small twin for some steps; the same initial weights, batches and order."""
    net = create("relu_vgg", ReluVGG.Params(numbers=numbers), (1, 8, 8), [range(10)], seed=3)
    x, y = digits()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    net.train()
    for step in range(24):
        part = slice(64 * (step % 4), 64 * (step % 4) + 64)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[part]), y[part]).backward()
        optimizer.step()
    return net.eval()


@pytest.fixture(scope="module")
def nets():
    return {numbers: trained(numbers) for numbers in ("float32", "int8")}


def by_hand(layer, x, multiply):
    """Quantise with numpy and multiply in whole numbers of 64 bits."""
    weight = layer.weight.detach().double().numpy()
    w_step = np.abs(weight).reshape(len(weight), -1).max(axis=1) / 127
    x_step = float(layer.largest_input) / 127
    whole_w = np.rint(weight / w_step.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int64)
    whole_x = np.clip(np.rint(x.double().numpy() / x_step), -127, 127).astype(np.int64)
    product = multiply(whole_x, whole_w)
    return product * (x_step * w_step).reshape(1, -1, *[1] * (product.ndim - 2))


def convolve(x, weight):
    """Convolve 3x3 with padding 1, one output after the other."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = np.zeros((len(x), len(weight), *x.shape[2:]), dtype=np.int64)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            window = padded[:, None, :, i : i + 3, j : j + 3]
            out[:, :, i, j] = (window * weight[None]).sum(axis=(2, 3, 4))
    return out


@pytest.mark.parametrize("kind", ["conv", "linear"])
def test_agrees_with_whole_numbers(kind):
    torch.manual_seed(1)
    if kind == "conv":
        layer, shape, multiply = Int8Conv2d(3, 5, 3, padding=1, bias=False), (4, 3, 6, 5), convolve
    else:
        layer, shape, multiply = Int8Linear(40, 7, bias=False), (4, 40), lambda x, w: x @ w.T
    layer.train()(torch.randn(shape))
    x = 2 * torch.randn(shape)  # some beyond the largest input
    with torch.no_grad():
        answer = layer.eval()(x)
    assert (x.abs() > layer.largest_input).any()
    # float32 steps: a value half-way between two steps might round the other way, none does here
    np.testing.assert_allclose(answer.numpy(), by_hand(layer, x, multiply), rtol=1e-5, atol=1e-6)


def test_it_trains_like_the_float_network(nets):
    float_net, int8_net = nets["float32"], nets["int8"]
    for name, weight in float_net.state_dict().items():
        assert torch.equal(weight, int8_net.state_dict()[name])


def test_answers_are_near_and_not_the_same(nets):
    x, y = digits()
    plain, whole = (predict(nets[numbers], x).logits for numbers in ("float32", "int8"))
    assert not np.array_equal(plain, whole)
    assert np.abs(plain - whole).max() < 0.1 * np.abs(plain).max()
    assert (plain.argmax(1) == whole.argmax(1)).mean() > 0.97
    assert (whole.argmax(1) == y.numpy()).mean() > 0.9


def test_weights_take_few_values(nets):
    """At most 255 per output channel: the answer is that of a network whose weights do."""
    net, x = nets["int8"], digits(8)[0]
    conv = next(m for m in net.modules() if isinstance(m, Int8Conv2d))
    before = predict(net, x).logits
    step = conv.weight.detach().abs().flatten(1).amax(1).view(-1, 1, 1, 1) / 127
    rounded = trained("int8")
    other = next(m for m in rounded.modules() if isinstance(m, Int8Conv2d))
    with torch.no_grad():
        other.weight.copy_((conv.weight / step).round() * step)
    np.testing.assert_allclose(predict(rounded, x).logits, before, rtol=1e-5, atol=1e-5)


def test_gradients_and_untrained_networks_see_floats(nets):
    x = digits(8)[0]
    plain, whole = nets["float32"], nets["int8"]
    assert torch.equal(plain(x), whole(x))  # gradients are on
    fresh = [
        create("relu_vgg", ReluVGG.Params(numbers=numbers), (1, 8, 8), [range(10)], seed=3)
        for numbers in ("float32", "int8")
    ]
    np.testing.assert_array_equal(*(predict(net, x).logits for net in fresh))


def test_work_says_which_macs_are_of_integers(nets):
    x = digits(4)[0]
    plain, whole = (predict(nets[numbers], x) for numbers in ("float32", "int8"))
    np.testing.assert_array_equal(plain.macs, whole.macs)
    classifier = nets["int8"].backbone.feature_dim * 10
    np.testing.assert_array_equal(whole.int8_macs, whole.macs - classifier)
    assert not plain.int8_macs.any()
    ratio = whole.bytes_moved / plain.bytes_moved
    assert ((ratio > 0.25) & (ratio < 0.3)).all()


def test_integers_are_cheaper_where_arithmetic_is_counted():
    device = cards("devices")["raspberry_pi_4b_int8"]
    for boundary, joules in (("op", 4.6e-12 * 10 + 0.3e-12 * 90), ("op_memory", None)):
        price = Counted(CountedParams(), boundary).engine(device, "edge").price
        found = price(Work(macs=100.0, int8_macs=90.0))[1]
        assert joules is None or found == pytest.approx(joules)
        assert found < price(Work(macs=100.0))[1]
    price = Counted(CountedParams(), "device").engine(device, "edge").price
    assert price(Work(macs=100.0, int8_macs=90.0)) == price(Work(macs=100.0))
