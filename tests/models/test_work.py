"""Counted work against published counts, brute force, and figures computed by hand."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from ecsim.core.errors import UserError
from ecsim.models import create
from ecsim.models.incremental import IncrementalNet
from ecsim.models.operations import layer_macs, synaptic_operations
from ecsim.models.snn.lif import LIF
from ecsim.models.work import bytes_moved, dense_macs, param_bytes, predict


class OneLayer(nn.Module):
    """Frames (N, T, ...) through one layer and, if spiking, LIF neurons; mean over T."""

    def __init__(self, layer, in_shape, spiking=True):
        super().__init__()
        self.layer = layer
        self.neurons = LIF() if spiking else nn.ReLU()
        self.feature_dim = layer(torch.zeros(1, *in_shape)).numel()

    def forward(self, x):
        x = x.transpose(0, 1)
        current = self.layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.neurons(current).mean(0).flatten(1)


LAYERS = {
    "conv3x3_p1": lambda: nn.Conv2d(3, 6, 3, padding=1, bias=False),
    "conv3x3_s2_p1": lambda: nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False),
    "dwconv3x3_p1": lambda: nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False),
    "conv3x3_p1_bias": lambda: nn.Conv2d(3, 6, 3, padding=1),
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 10, bias=False)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_agrees_with_the_published_counts(vector, name):
    v = vector("sop_counts_spikingjelly2")
    frames = torch.tensor(v["spikes"]).transpose(0, 1)  # (N, T, C, H, W)
    published = int(v[f"{name}_sj2_synop_ac_mac_flop"][0])
    net = IncrementalNet(OneLayer(LAYERS[name](), (3, 8, 8)), [[0, 1]])
    counted = predict(net, frames)
    assert counted.sops.sum() == published
    readout = net.backbone.feature_dim * 2
    assert counted.macs.tolist() == [readout] * 2


def test_agrees_with_the_published_macs_of_analogue_input(vector):
    v = vector("sop_counts_spikingjelly2")
    frames = torch.tensor(v["spikes"]).transpose(0, 1) + 0.25
    net = IncrementalNet(OneLayer(LAYERS["conv3x3_p1"](), (3, 8, 8)), [[0]])
    counted = predict(net, frames)
    published = v["conv3x3_p1_analog_sj2_synop_ac_mac_flop"]
    assert counted.sops.tolist() == [0, 0]
    assert counted.macs.sum() == published[2] + 2 * net.backbone.feature_dim


def test_the_rate_approximation_overcounts_at_borders(vector):
    v = vector("sop_counts_spikingjelly2")
    frames = torch.tensor(v["spikes"]).transpose(0, 1)
    net = IncrementalNet(OneLayer(LAYERS["conv3x3_p1"](), (3, 8, 8)), [[0]])
    approximate = predict(net, frames, approximate_sops=True)
    assert approximate.sops.sum() == pytest.approx(21114, rel=1e-12)  # as published beside 17784
    assert approximate.macs.tolist() == predict(net, frames).macs.tolist()


def brute_force(spikes, conv):
    """Walk over every output value and every weight that makes it; count the spikes met."""
    (c_out, c_group, *kernel), out = conv.weight.shape, conv(spikes[0]).shape
    total = np.zeros(spikes.shape[1])
    positions = product(range(c_out), *(range(size) for size in out[2:]))
    for o, *at in positions:
        group = o // (c_out // conv.groups)
        for c, *k in product(range(c_group), *(range(size) for size in kernel)):
            source = [
                a * s - p + j * d
                for a, s, p, j, d in zip(
                    at, conv.stride, conv.padding, k, conv.dilation, strict=True
                )
            ]
            if all(0 <= i < n for i, n in zip(source, spikes.shape[3:], strict=True)):
                total += spikes[(..., group * c_group + c, *source)].sum(0).numpy()
    return total


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 2]),
    seed=st.integers(0, 2**31),
)
def test_counts_what_brute_force_counts(size, kernel, stride, padding, dilation, groups, seed):
    assume(
        all(
            n + 2 * p >= d * (k - 1) + 1
            for n, p, d, k in zip(size, padding, dilation, kernel, strict=True)
        )
    )
    conv = nn.Conv2d(2, 4, kernel, stride, padding, dilation, groups)
    g = torch.Generator().manual_seed(seed)
    spikes = (torch.rand(2, 3, 2, *size, generator=g) < 0.4).float()
    np.testing.assert_array_equal(synaptic_operations(conv, spikes), brute_force(spikes, conv))


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv1d(2, 4, 3, padding=1, stride=2),
        nn.Conv3d(2, 2, (1, 2, 3), padding=(0, 1, 1)),
    ],
)
def test_counts_convolutions_of_any_rank(conv):
    size = (5, 4, 3)[: len(conv.kernel_size)]
    spikes = (torch.rand(2, 3, 2, *size) < 0.4).float()
    np.testing.assert_array_equal(synaptic_operations(conv, spikes), brute_force(spikes, conv))


@pytest.mark.parametrize("mode", ["zeros", "circular", "replicate"])
@pytest.mark.parametrize("padding", ["same", "valid", 1])
def test_counts_every_kind_of_padding(mode, padding):
    conv = nn.Conv2d(2, 3, (3, 5), padding=padding, padding_mode=mode, bias=False)
    spikes = (torch.rand(2, 4, 2, 5, 6) < 0.4).float()
    nn.init.ones_(conv.weight)  # then each output is the number of spikes it met
    met = conv(spikes.flatten(0, 1)).unflatten(0, (2, 4)).sum((0, 2, 3, 4))
    np.testing.assert_array_equal(synaptic_operations(conv, spikes), met.detach().numpy())


def test_counts_a_linear_layer():
    spikes = torch.tensor([[[1.0, 0, 1]], [[0, 0, 1]]])  # (T, N, F): three spikes
    assert synaptic_operations(nn.Linear(3, 7), spikes).tolist() == [21]
    assert layer_macs(nn.Linear(3, 7), torch.zeros(2, 7)) == 42


def test_a_grouped_convolution_has_fewer_macs():
    conv = nn.Conv2d(4, 6, 3, groups=2)  # each of 6 x 2 x 2 outputs sums 2 x 3 x 3 products
    assert layer_macs(conv, conv(torch.zeros(1, 4, 4, 4))) == 24 * 18


def test_each_sample_is_judged_by_itself():
    net = IncrementalNet(OneLayer(nn.Conv2d(1, 1, 1, bias=False), (1, 2, 2)), [[0]])
    spikes = torch.ones(1, 3, 1, 2, 2)
    analogue = spikes.clone()
    analogue[0, 1, 0, 0, 0] = 0.5  # one value at one time-step
    both = predict(net, torch.cat([spikes, analogue]))
    assert both.sops.tolist() == [12, 0]
    assert both.macs.tolist() == [4, 12 + 4]


def test_a_net_without_spiking_neurons_has_macs_only():
    net = IncrementalNet(OneLayer(nn.Conv2d(1, 1, 1), (1, 2, 2), spiking=False), [[0]])
    counted = predict(net, torch.ones(1, 3, 1, 2, 2))
    assert counted.sops.tolist() == [0] == counted.neuron_updates.tolist()
    assert counted.macs.tolist() == [12 + 4]


def test_counts_of_the_small_spiking_vgg_by_hand():
    net = create("spiking_vgg", None, (1, 8, 8), [range(10)], seed=1)
    first, second, full = 64 * 32 * 9, 16 * 64 * 32 * 9, 256 * 128
    assert dense_macs(net, (1, 8, 8)) == first + 4 * (second + full) + 128 * 10
    counted = predict(net, torch.randn(3, 1, 8, 8))
    assert counted.macs.tolist() == [first + 128 * 10] * 3
    assert counted.neuron_updates.tolist() == [4 * (32 * 64 + 64 * 16 + 128)] * 3
    assert (counted.sops < 4 * (second + full)).all()
    assert (counted.sops > 0).all()


def test_frames_cost_the_first_convolution_at_every_step():
    net = create("spiking_vgg", None, (1, 8, 8), [[0]], seed=1)
    x = torch.randn(2, 1, 8, 8)
    static, frames = predict(net, x), predict(net, x.unsqueeze(1).repeat(1, 4, 1, 1, 1))
    assert frames.sops.tolist() == static.sops.tolist()
    assert (frames.macs - static.macs).tolist() == [3 * 64 * 32 * 9] * 2
    assert dense_macs(net, (4, 1, 8, 8)) - dense_macs(net, (1, 8, 8)) == 3 * 64 * 32 * 9


def test_a_small_vgg_by_hand():
    net = create("vgg", None, (1, 8, 8), [range(4)], seed=1)
    macs = 9 * (64 * 32 + 16 * 32 * 64 + 4 * 64 * 128) + 512 * 256 + 256 * 4
    assert dense_macs(net, (1, 8, 8)) == macs
    assert predict(net, torch.randn(2, 1, 8, 8)).macs.tolist() == [macs] * 2


@pytest.mark.parametrize("name", ["spiking_vgg", "vgg", "resnet"])
def test_a_batch_gives_what_its_samples_give(name):
    net = create(name, None, (1, 8, 8), [range(10)], seed=2)
    x = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    net.train()(x)  # statistics of their own
    whole = predict(net, x)
    for size in (1, 7, 16):
        parts = [predict(net, part) for part in x.split(size)]
        for field in ("macs", "sops", "neuron_updates"):
            joined = np.concatenate([getattr(part, field) for part in parts])
            np.testing.assert_array_equal(joined, getattr(whole, field))
        logits = np.concatenate([part.logits for part in parts])
        # float32 sums in another order (a spiking net runs in float64)
        tolerance = 1e-6 if name == "spiking_vgg" else 1e-4
        np.testing.assert_allclose(logits, whole.logits, rtol=0, atol=tolerance)
        assert logits.dtype == np.float32


def test_a_prediction_is_the_nets_in_evaluation_mode():
    net = create("spiking_vgg", None, (1, 8, 8), [range(10)], seed=2)
    x = torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    net(x)
    counted = predict(net, x)
    in_single = predict(net, x.numpy(), dtype=torch.float32)
    expected = net.eval()(x).detach().numpy()
    np.testing.assert_allclose(in_single.logits, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(counted.logits, net.double()(x.double()).detach(), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "dtype"), [("spiking_vgg", torch.float64), ("vgg", torch.float32)]
)
def test_a_spiking_net_runs_in_double_precision(name, dtype):
    net = create(name, None, (1, 8, 8), [[0]])
    seen = []
    net.backbone.stages[0].register_forward_hook(lambda _, __, out: seen.append(out.dtype))
    x = torch.randn(2, 1, 8, 8)
    predict(net, x)
    predict(net, x, dtype=torch.float32)
    assert seen == [dtype, torch.float32]


def test_leaves_the_net_as_it_was():
    net = create("spiking_vgg", None, (1, 8, 8), [range(10)], seed=2).train()
    net.backbone.stages[1].eval()
    modes = [m.training for m in net.modules()]
    state = {k: v.clone() for k, v in net.state_dict().items()}
    predict(net, torch.randn(4, 1, 8, 8))
    dense_macs(net, (1, 8, 8))
    with pytest.raises(UserError):
        predict(net, torch.randn(4, 3, 8, 8))
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks for m in net.modules())
    assert next(net.parameters()).dtype == torch.float32
    assert all(p.grad is None for p in net.parameters())


def test_refuses_to_count_a_layer_it_does_not_know():
    net = IncrementalNet(
        OneLayer(nn.ConvTranspose2d(1, 1, 2), (1, 2, 2)),
        [[0]],
    )
    with pytest.raises(UserError, match=r"backbone.layer.*ConvTranspose2d"):
        predict(net, torch.ones(1, 1, 1, 2, 2))
    assert not any(m._forward_hooks for m in net.modules())


class Prior(nn.Module):
    """A learned constant with weights of its own, which says what it costs."""

    own_macs = 5

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(2, 2))

    def forward(self, x):
        return x + self.table


def test_a_layer_may_say_what_it_costs():
    layers = nn.Sequential(Prior(), nn.Conv2d(1, 1, 1), nn.LayerNorm([1, 2, 2]))
    net = IncrementalNet(OneLayer(layers, (1, 2, 2)), [[0]])
    assert dense_macs(net, (3, 1, 2, 2)) == 5 + 12 + 4
    counted = predict(net, torch.full((2, 3, 1, 2, 2), 0.5))
    assert counted.macs.tolist() == [5 + 12 + 4] * 2


def test_bytes_by_hand():
    net = IncrementalNet(OneLayer(nn.Conv2d(1, 2, 3, bias=False), (1, 3, 3)), [[0, 1, 2]])
    weights = 4 * (18 + 2 * 3 + 3)
    assert param_bytes(net) == weights
    # two frames: 9 values in and 2 out each; the classifier reads 2 and writes 3
    assert bytes_moved(net, (2, 1, 3, 3)) == weights + 4 * (2 * (9 + 2) + 2 + 3)
    assert param_bytes(net.double()) == 2 * weights


def test_statistics_of_normalisation_travel_with_the_weights():
    layers = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).eval()
    net = IncrementalNet(OneLayer(layers, (1, 1, 1)), [[0]])
    assert param_bytes(net) == 4 * (2 + 2 + 4 * 2 + 2 + 1)
