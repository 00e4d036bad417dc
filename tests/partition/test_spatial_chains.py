"""The stack of a traced network is the one its modules say; what cannot be split is refused."""

import pytest
import torch

from ecsim.core.errors import UserError
from ecsim.core.types import Work
from ecsim.models import create, list_models
from ecsim.models.ann.aflkd import AflkdCNN
from ecsim.models.ann.resnet import ResNet
from ecsim.models.ann.vgg import VGG
from ecsim.models.snn.vgg import SpikingVGG
from ecsim.partition.execution import CutNet
from ecsim.partition.graph import Vertex, chain
from ecsim.partition.layers import layer_graph
from ecsim.partition.spatial.chains import leading_chain
from ecsim.partition.spatial.execution import leading_chain as chain_of_modules
from ecsim.partition.spatial.execution import predict_split, stack_of
from ecsim.partition.spatial.plans import plan_split
from ecsim.partition.spatial.shares import Split


def graph_of(name, params, shape):
    net = create(name, params, shape, [[*range(10)]]).eval()
    return net, layer_graph(CutNet(net, shape), torch.zeros(1, *shape))


@pytest.mark.parametrize(
    ("name", "params", "shape"),
    [("vgg", VGG.Params("small"), (3, 20, 17)), ("aflkd_cnn", AflkdCNN.Params(2, 16), (1, 15, 12))],
)
def test_traced_networks_give_the_stack_of_their_modules(name, params, shape):
    net, graph = graph_of(name, params, shape)
    stack, names, rest = leading_chain(graph)
    expected = stack_of(chain_of_modules([net.backbone.stages]), shape)
    assert stack.shapes == expected.shapes
    assert stack.macs == expected.macs
    for found, layer in zip(stack.layers, expected.layers, strict=True):
        assert (found.kind, found.rows, found.cols, found.macs) == (
            layer.kind, layer.rows, layer.cols, layer.macs,
        )  # fmt: skip
    assert names[0] == "input" and (*names, *rest) == graph.names
    assert len(rest) >= 2


def test_a_chain_ends_where_a_second_reader_begins():
    _, graph = graph_of("resnet", ResNet.Params(), (3, 32, 32))
    stack, names, _ = leading_chain(graph)
    assert [layer.kind for layer in stack.layers] == ["conv", "pointwise", "pointwise"]
    assert len(graph.succs[graph.index[names[-1]]]) == 2


def test_what_is_no_chain_of_windows_is_refused():
    _, spiking = graph_of("spiking_vgg", SpikingVGG.Params(steps=2), (1, 8, 8))
    linear = chain(
        [
            Vertex("input", "input", out_shape=(1, 8, 8)),
            Vertex("fc", "linear", work=Work(macs=640.0), out_shape=(10,)),
        ]
    )
    with pytest.raises(UserError, match="spiking networks"):
        leading_chain(spiking)
    with pytest.raises(UserError, match="this one begins with linear"):
        leading_chain(linear)


@pytest.mark.parametrize("name", list_models())
def test_every_built_in_network_is_split_as_it_is_whole_or_refused(name):
    shape = (3, 32, 32)
    torch.manual_seed(4)
    net = create(name, None, shape, [[*range(10)]]).eval()
    graph = layer_graph(CutNet(net, shape), torch.rand(1, *shape))
    if any(getattr(module, "is_spiking", False) for module in net.modules()):
        with pytest.raises(UserError, match="spiking networks"):
            leading_chain(graph)
        return
    stack, names, _ = leading_chain(graph)
    net.double()
    modules = [net.get_submodule(vertex.partition("#")[0]) for vertex in names[1:]]
    assert len(set(modules)) == len(modules)
    x = torch.rand(2, *shape, dtype=torch.float64)
    with torch.no_grad():
        whole = net(x)
    for split in (Split.equal(2), Split((3, 1, 2), empty="drop"), Split.equal(2, 2, "drop")):
        found = predict_split(net, plan_split(stack, split), modules, x)
        assert (found - whole).abs().max() <= 1e-12 * whole.abs().max()
