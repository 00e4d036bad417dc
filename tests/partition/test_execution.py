"""Cut networks against the whole ones, which `models.work.predict` runs without any graph."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from ecsim.core import registry
from ecsim.core.types import Cut
from ecsim.models import create, list_models
from ecsim.models.calls import operations_of
from ecsim.models.snn.empf import EMPF
from ecsim.models.work import predict
from ecsim.partition.codecs import Int8
from ecsim.partition.cuts import cut_of, transfers
from ecsim.partition.execution import CutNet
from ecsim.partition.layers import layer_graph

SHAPE = (1, 8, 8)
SAMPLES = np.random.default_rng(1).normal(size=(5, *SHAPE)).astype(np.float32)


def made(name):
    net = create(name, None, SHAPE, [range(5), range(5, 10)]).eval()
    generator = torch.Generator().manual_seed(3)
    for module in net.modules():  # statistics that are no identity
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 0.1 * torch.randn(module.num_features, generator=generator)
            module.running_var += 0.5 * torch.rand(module.num_features, generator=generator)
    return net


def placements(graph, seed):
    """Random ones, most of them two-way and far from any block's border, and a one-way one."""
    rng = np.random.default_rng(seed)
    names = graph.needed()
    for k in (2, 3):
        nodes = rng.integers(0, k, len(names))
        nodes[0] = 0
        yield dict(zip(names, nodes.tolist(), strict=True))
    depth = dict.fromkeys(graph.names, 0)
    for name in names[1:]:  # up only
        floor = max(depth[p] for p in graph[name].preds)
        depth[name] = max(floor, int(rng.random() < 0.1))
    yield {name: depth[name] for name in names}


@pytest.mark.parametrize("name", list_models())
def test_parts_give_what_the_whole_network_gives_to_the_bit(name):
    net = made(name)
    cut_net = CutNet(net, SHAPE)
    graph = layer_graph(cut_net, SAMPLES)
    whole = predict(net, SAMPLES)
    last = len(graph.outputs) - 1
    # between spiking layers float64 currents are sent as float32, so that only spikes may cross
    # to the bit in float64; what float32 holds is checked for every layer
    exact = CutNet(net, SHAPE, dtype=torch.float32)
    straight = predict(net, SAMPLES, dtype=torch.float32)
    for placement in placements(graph, 5):
        cut = cut_of(graph, placement)
        runs = exact.run(SAMPLES, cut, graph)
        (logits,) = [run.answers[last] for run in runs if last in run.answers]
        np.testing.assert_array_equal(logits, straight.logits)
        counts = sum(run.counts for run in runs)
        np.testing.assert_allclose(counts[0], straight.macs, rtol=1e-12)
        np.testing.assert_allclose(counts[1], straight.sops, rtol=1e-12)
        np.testing.assert_allclose(counts[2], straight.neuron_updates, rtol=1e-12)
    uncut = Cut((graph.needed(),), (0,))
    (run,) = cut_net.run(SAMPLES, uncut, graph)
    np.testing.assert_array_equal(run.answers[last].astype(np.float32), whole.logits)
    if graph.outputs == graph.outputs[:1] and name != "stepwise_spiking_vgg":
        np.testing.assert_allclose(run.counts[3], whole.bytes_moved, rtol=1e-12)


@pytest.mark.parametrize("name", list_models())
def test_float64_parts_agree_with_the_whole_to_1e_12(name):
    net = made(name).double()
    cut_net = CutNet(net, SHAPE)
    graph = layer_graph(cut_net, SAMPLES)
    x = torch.as_tensor(SAMPLES, dtype=torch.float64)
    with torch.no_grad():
        whole = net(x)
    last = len(graph.outputs) - 1
    for placement in placements(graph, 11):
        runs = cut_net.run(x, cut_of(graph, placement), graph)
        (logits,) = [run.answers[last] for run in runs if last in run.answers]
        assert logits.dtype == np.float64
        np.testing.assert_allclose(logits, whole.numpy(), rtol=1e-12, atol=0)


def test_one_cut_of_a_residual_network_crosses_both_of_its_paths():
    net = made("resnet")
    cut_net = CutNet(net, SHAPE)
    graph = layer_graph(cut_net, SAMPLES)
    inside = "backbone.groups.0.0.first.0"
    names = graph.names[: graph.index[inside] + 1]
    cut = cut_of(graph, {name: int(name not in names) for name in graph.names})
    assert transfers(graph, cut) == (("backbone.stem.2", inside),)
    first, second = cut_net.run(SAMPLES, cut, graph)
    assert first.out_bytes.tolist() == [2 * 32 * 8 * 8 * 4] * len(SAMPLES)
    np.testing.assert_array_equal(second.answers[0], predict(net, SAMPLES).logits)


def test_spikes_cross_as_bits_of_all_steps_and_a_static_first_current_once():
    net = made("spiking_vgg")
    cut_net = CutNet(net, SHAPE)
    graph = layer_graph(cut_net, SAMPLES)
    steps, channels = 4, 32
    lif = graph["backbone.stages.0.lif"]
    assert lif.is_spikes
    assert lif.out_bytes == steps * channels * 8 * 8 / 8
    assert lif.out_shape == (steps, channels, 8, 8)
    current = graph["backbone.stages.0.synapses.0"]
    assert not current.is_spikes
    assert current.out_bytes == channels * 8 * 8 * 4  # not steps times
    pooled = graph["max_pool2d"]
    assert pooled.is_spikes
    assert pooled.out_bytes == steps * channels * 4 * 4 / 8
    names = graph.names[: graph.index["max_pool2d"] + 1]
    cut = cut_of(graph, {name: int(name not in names) for name in graph.names})
    first, second = cut_net.run(SAMPLES, cut, graph)
    assert first.out_bytes.tolist() == [pooled.out_bytes] * len(SAMPLES)
    logits = second.answers[0].astype(np.float32)
    np.testing.assert_array_equal(logits, predict(net, SAMPLES).logits)
    assert (first.counts[1] + second.counts[1]).tolist() == predict(net, SAMPLES).sops.tolist()


class FloatSpikes(nn.Module):
    """EM-PF neurons over three steps, in a network of the user's own."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.neurons = EMPF(3)
        self.neurons.theta.data.fill_(0.1)
        self.head = nn.Linear(4 * 64, 3)

    def forward(self, x):
        current = self.conv(x).unsqueeze(0).expand(3, -1, -1, -1, -1)
        return self.head(self.neurons(current).mean(0).flatten(1))


def test_empf_spikes_cross_as_floats_of_all_steps():
    torch.manual_seed(0)
    net = FloatSpikes()
    graph = layer_graph(CutNet(net, SHAPE), SAMPLES)
    neurons = graph["neurons"]
    assert not neurons.is_spikes
    net.neurons.theta.data.fill_(1e3)  # silent: zeros are no bits either
    assert not layer_graph(CutNet(net, SHAPE), SAMPLES)["neurons"].is_spikes
    assert neurons.out_bytes == 3 * 4 * 64 * 4
    assert neurons.work.neuron_updates == 3 * 4 * 64


def cut_after(graph, name):
    names = graph.names[: graph.index[name] + 1]
    return {each: int(each not in names) for each in graph.names}


@pytest.mark.parametrize(
    ("codec", "size"), [("raw", 4), ("float16", 2), ("int8", 1 + 8 / 2048), ("zlib", None)]
)
def test_what_a_codec_loses_the_second_half_sees(codec, size):
    net = made("vgg")
    cut_net = CutNet(net, SHAPE)
    graph = layer_graph(cut_net, SAMPLES)
    cut = cut_of(graph, cut_after(graph, "backbone.stages.0.2"), codec)
    first, second = cut_net.run(SAMPLES, cut, graph)
    whole = predict(net, SAMPLES).logits
    values = 32 * 8 * 8
    if size is None:
        assert (first.out_bytes < 4 * values).all()  # half of it is zero after the ReLU
        assert len(set(first.out_bytes)) > 1  # real sizes, of each sample
    else:
        assert first.out_bytes.tolist() == [values * size] * len(SAMPLES)
    error = np.abs(second.answers[0] - whole).max()
    if codec in ("raw", "zlib"):
        assert error == 0
    else:
        assert 0 < error < {"float16": 1e-3, "int8": 5e-2}[codec]


def test_a_users_codec_really_acts():
    class Nothing(Int8):
        def decode(self, data, like):
            return np.zeros_like(like)

    net = made("vgg")
    cut_net = CutNet(net, SHAPE)
    graph = layer_graph(cut_net, SAMPLES)
    cut = cut_of(graph, cut_after(graph, graph.names[-4]))  # before the heads
    _, second = cut_net.run(SAMPLES, cut, graph, Nothing())
    biases = torch.cat([head.bias for head in net.heads]).detach().numpy()
    np.testing.assert_allclose(second.answers[0], np.tile(biases, (5, 1)), rtol=1e-6)


def test_every_exit_answers_in_the_part_that_holds_it():
    net = made("multi_exit_vgg")
    cut_net = CutNet(net, SHAPE)
    graph = layer_graph(cut_net, SAMPLES)
    assert len(graph.outputs) == net.n_exits
    here = set(graph.needed(0))
    cut = cut_of(graph, {name: int(name not in here) for name in graph.names})
    first, second = cut_net.run(SAMPLES, cut, graph)
    with torch.no_grad():
        exits = [each.numpy() for each in net.eval().exits(torch.as_tensor(SAMPLES))]
    assert set(first.answers) == {0}
    for k, logits in (first.answers | second.answers).items():
        np.testing.assert_array_equal(logits, exits[k])


def test_peak_memory_and_weights_by_hand():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Flatten(), nn.Linear(2 * 36, 3))
    graph = layer_graph(CutNet(net, SHAPE), SAMPLES)
    conv, linear = graph["0"], graph["2"]
    assert graph.names == ("input", "0", "2")  # flattening is nobody's
    assert (conv.param_bytes, linear.param_bytes) == (2 * 9 * 4, (72 * 3 + 3) * 4)
    assert conv.peak_bytes == 4 * (18 + 64 + 72)
    assert (conv.work.macs, linear.work.macs) == (72 * 9, 72 * 3)
    assert graph.is_chain
    assert math.prod(conv.out_shape) * 4 == conv.out_bytes


def test_layers_in_8_bit_integers_are_cut_and_counted_as_such():
    params = registry.resolve("model", "relu_vgg").Params(numbers="int8")
    net = create("relu_vgg", params, SHAPE, [range(4)])
    net.train()(torch.as_tensor(SAMPLES))  # the ranges of inputs
    net.eval()
    cut_net = CutNet(net, SHAPE)
    graph = layer_graph(cut_net, SAMPLES)
    whole = predict(net, SAMPLES)
    assert sum(v.work.int8_macs for v in graph.vertices) == whole.int8_macs.mean() > 0
    for placement in placements(graph, 3):
        runs = cut_net.run(SAMPLES, cut_of(graph, placement), graph)
        np.testing.assert_array_equal(next(r.answers[0] for r in runs if r.answers), whole.logits)
        counts = sum(run.counts for run in runs)
        np.testing.assert_allclose(counts[3], whole.bytes_moved, rtol=1e-12)
        np.testing.assert_array_equal(counts[4], whole.int8_macs)


def counted(rows):
    found = {}
    for row in rows:
        if row.kind != "view":  # parts arrange values for themselves
            found[row.signature] = found.get(row.signature, 0) + row.calls
    return found


@pytest.mark.parametrize("name", ["resnet", "vit", "spiking_vgg", "multi_exit_vgg"])
def test_layers_list_the_operations_of_the_whole_pass(name):
    net = made(name)
    graph = layer_graph(CutNet(net, SHAPE), SAMPLES, with_operations=True)
    rows = [row for v in graph.needed() for row in graph[v].work.operations.rows]
    assert counted(rows) == counted(operations_of(net, SHAPE).rows)


class Attends(nn.Module):
    """Attention whose weights are computed and read by nobody."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        return self.head((tokens + self.attention(tokens, tokens, tokens)[0]).flatten(1))


def test_of_several_outputs_only_what_is_read_crosses():
    net, shape = Attends().eval(), (4, 2, 2)
    x = np.random.default_rng(3).normal(size=(3, *shape)).astype(np.float32)
    cut_net = CutNet(net, shape)
    graph = layer_graph(cut_net, x)
    assert graph["attention"].out_bytes == 4 * 4 * 4
    cut = cut_of(graph, cut_after(graph, "attention"))
    first, second = cut_net.run(x, cut, graph)
    assert first.out_bytes.tolist() == [64.0] * 3
    with torch.no_grad():  # called whole, it may take torch's fused path
        whole = net(torch.as_tensor(x)).numpy()
    np.testing.assert_allclose(second.answers[0], whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["spiking_vgg", "vgg"])
def test_frames_are_cut_too(name):
    shape = (4, 2, 8, 8)  # (T, C, H, W)
    net = create(name, None, shape, [range(4)]).eval()
    x = (np.random.default_rng(4).random((3, *shape)) < 0.3).astype(np.float32)
    cut_net = CutNet(net, shape, dtype=torch.float32)
    graph = layer_graph(cut_net, x)
    whole = predict(net, x, dtype=torch.float32)
    for placement in placements(graph, 9):
        runs = cut_net.run(x, cut_of(graph, placement), graph)
        np.testing.assert_array_equal(next(r.answers[0] for r in runs if r.answers), whole.logits)
        assert sum(r.counts for r in runs)[1].tolist() == whole.sops.tolist()


LARGE = [
    ("resnet", "resnet18", (3, 80, 80)), ("mobilenet", "v2", (3, 96, 96)),
    ("inception", "googlenet", (3, 96, 96)), ("vit", "tiny", (3, 96, 96)),
    ("spiking_vgg", "vgg9", (3, 16, 16)),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size", "shape"), LARGE)
def test_large_networks_are_their_parts_to_the_bit(name, size, shape):
    params = registry.resolve("model", name).Params(size)
    net = create(name, params, shape, [range(10)]).eval()
    x = np.random.default_rng(2).normal(size=(2, *shape)).astype(np.float32)
    cut_net = CutNet(net, shape, dtype=torch.float32)
    graph = layer_graph(cut_net, x)
    whole = predict(net, x, dtype=torch.float32).logits
    for placement in placements(graph, 7):
        runs = cut_net.run(x, cut_of(graph, placement), graph)
        np.testing.assert_array_equal(next(r.answers[0] for r in runs if r.answers), whole)
