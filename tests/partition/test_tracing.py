"""What can be traced, what only torch.export can, and what is refused with a place."""

import inspect

import numpy as np
import pytest
import torch
from torch import nn

from ecsim.core.errors import UserError
from ecsim.partition.cuts import cut_of
from ecsim.partition.execution import CutNet
from ecsim.partition.layers import layer_graph

SHAPE = (2, 4, 4)
X = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)


class Gate(nn.Module):
    def forward(self, x):
        if x.mean() > 0:  # depends on the values
            return x
        return -x


class Net(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.inner = inner
        self.head = nn.Linear(48, 5)

    def forward(self, x):
        return self.head(self.inner(self.conv(x)).flatten(1))


def test_control_flow_on_values_is_refused_with_module_and_line():
    line = inspect.getsourcelines(Gate.forward)[1] + 1
    with pytest.raises(UserError, match=rf"inner \(Gate\), test_tracing.py:{line}: control flow"):
        layer_graph(CutNet(Net(Gate()), SHAPE), X)


class Item(nn.Module):
    def forward(self, x):
        return x * x.sum().item()


def test_a_number_taken_out_of_a_tensor_is_refused():
    with pytest.raises(UserError, match=r"inner \(Item\), test_tracing.py:\d+"):
        layer_graph(CutNet(Net(Item()), SHAPE), X)


class OnShapes(nn.Module):
    """Everything here depends on shapes alone, which plain symbolic tracing cannot follow."""

    def forward(self, x):
        n, channels = x.shape[:2]
        if x.dim() == 4 and len(x) == n:
            x = x * (1.0 / x.size(1))
        a, b, c = x.unbind(1)
        parts = [torch.relu(each) for each in x.chunk(channels, dim=1)]
        return torch.cat(parts, 1) + torch.stack([c, b, a], 1).view(n, channels, *x.shape[2:])


def whole_and_parts(net, seed=0):
    cut_net = CutNet(net, SHAPE)
    graph = layer_graph(cut_net, X)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        whole = net.eval()(torch.as_tensor(X)).numpy()
    for _ in range(4):
        nodes = {name: int(rng.integers(0, 2)) for name in graph.names} | {"input": 0}
        runs = cut_net.run(X, cut_of(graph, nodes), graph)
        yield graph, whole, next(run.answers[0] for run in runs if run.answers)


def test_control_flow_on_shapes_is_followed():
    for graph, whole, parts in whole_and_parts(Net(OnShapes())):
        np.testing.assert_array_equal(parts, whole)
        assert {"relu", "relu_1", "relu_2", "cat"} <= set(graph.names)


class Assigns(nn.Module):
    def forward(self, x):
        y = torch.zeros_like(x)
        y[:, 0] = torch.relu(x[:, 1])  # fx cannot follow an assignment
        return y + x


def test_torch_export_takes_over_where_fx_gives_up():
    for graph, whole, parts in whole_and_parts(Net(Assigns())):
        np.testing.assert_allclose(parts, whole, rtol=1e-6)
        assert graph.vertices[1].kind == "conv2d"
        assert graph.vertices[1].work.macs == 3 * 16 * 2 * 9


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        kept = x + 1  # reads x before it is overwritten
        return self.act(x) + kept


class Overwritten(InPlace):
    def forward(self, x):
        return self.act(x) + x  # reads what was overwritten


class OverwritesAPiece(InPlace):
    def forward(self, x):
        first = x[:, 0]
        return first.mul_(2.0).unsqueeze(1) + x  # and x with it


def test_a_piece_overwritten_is_its_whole_overwritten():
    with pytest.raises(UserError, match="works in place on what add reads after it"):
        layer_graph(CutNet(Net(OverwritesAPiece()), SHAPE), X)


def test_work_in_place_is_kept_apart_or_refused():
    for _, whole, parts in whole_and_parts(Net(InPlace())):
        np.testing.assert_array_equal(parts, whole)
    with pytest.raises(UserError, match="works in place on what add reads after it"):
        layer_graph(CutNet(Net(Overwritten()), SHAPE), X)


def test_a_first_layer_in_place_leaves_the_samples_alone():
    net = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(32, 3))
    x = X.copy()
    cut_net = CutNet(net, SHAPE)
    graph = layer_graph(cut_net, x)
    cut_net.run(x, cut_of(graph, dict.fromkeys(graph.names, 0)), graph)
    np.testing.assert_array_equal(x, X)


class Mixes(nn.Module):
    def forward(self, x):
        return (x.flatten(1) @ x.flatten(1).T)[:, :, None, None].expand(-1, -1, 4, 12)


def test_a_network_that_mixes_samples_is_refused():
    with pytest.raises(UserError, match=r"mixes samples|torch\.export"):
        layer_graph(CutNet(nn.Sequential(nn.Conv2d(2, 3, 1), Mixes(), nn.Flatten()), SHAPE), X)


def test_the_users_module_is_left_as_it_was():
    net = Net(InPlace()).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    cut_net = CutNet(net, SHAPE)
    layer_graph(cut_net, X)
    assert net.training
    assert not hasattr(net, "_tensor_constant0")
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
