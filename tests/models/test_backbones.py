"""The contract of every registered backbone, and what the built-in ones promise beyond it."""

import math
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass

import pytest
import torch
from torch import nn

import ecsim.models
from ecsim.core import registry
from ecsim.core.errors import DataError, UserError
from ecsim.models import build_from_params, create, list_models
from ecsim.models.ann.aflkd import AflkdCNN
from ecsim.models.ann.resnet import ResNet
from ecsim.models.ann.twin import ReluVGG
from ecsim.models.ann.vgg import VGG
from ecsim.models.plan import shapes
from ecsim.models.snn.vgg import SpikingVGG
from ecsim.models.work import dense_macs, predict


class Flat(nn.Module):
    """What a user would write: a backbone of one's own."""

    @dataclass(frozen=True)
    class Params:
        width: int = 6

    def __init__(self, params, in_shape):
        super().__init__()
        self.feature_dim = params.width
        self.layer = nn.Linear(math.prod(in_shape), params.width)

    def forward(self, x):
        return torch.tanh(self.layer(x.flatten(1)))


@pytest.fixture(autouse=True)
def _plugin():
    registry.register("model", "flat_plugin")(Flat)
    yield
    del registry._PLUGINS["model"]["flat_plugin"]


BUILT_IN = [
    ("spiking_vgg", SpikingVGG.Params()),
    ("spiking_vgg", SpikingVGG.Params(size="vgg9", steps=2, v_reset=None, surrogate="atan")),
    ("spiking_vgg", SpikingVGG.Params(size="vgg9", width=0.25, steps=2)),
    ("relu_vgg", ReluVGG.Params()),
    ("relu_vgg", ReluVGG.Params(width=0.1)),
    ("vgg", VGG.Params()),
    ("vgg", VGG.Params(size="vgg9")),
    ("vgg", VGG.Params(size="vgg11")),
    ("vgg", VGG.Params(size="vgg9", width=0.5)),
    ("aflkd_cnn", AflkdCNN.Params(blocks=2)),
    ("aflkd_cnn", AflkdCNN.Params(blocks=3, fc=0)),
    ("resnet", ResNet.Params()),
    ("resnet", ResNet.Params(size="resnet18")),
]
ALL = [*BUILT_IN, ("flat_plugin", Flat.Params(width=3))]


@pytest.mark.parametrize(("name", "params"), ALL)
@pytest.mark.parametrize("in_shape", [(1, 8, 8), (3, 28, 28)])
def test_keeps_the_contract_of_a_backbone(name, params, in_shape):
    before = torch.random.get_rng_state()
    net = create(name, params, in_shape, [[4, 2], [9]], seed=5)
    twin = create(name, params, in_shape, [[4, 2], [9]], seed=5)
    other = create(name, params, in_shape, [[4, 2], [9]], seed=6)
    assert torch.equal(torch.random.get_rng_state(), before)
    state = net.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in twin.state_dict().items())
    assert not torch.equal(next(net.parameters()), next(other.parameters()))

    x = torch.randn(6, *in_shape, generator=torch.Generator().manual_seed(0))
    features = net.features(x)
    assert features.shape == (6, net.backbone.feature_dim)
    logits = net(x)
    assert logits.shape == (6, 3)
    assert net.classes == (4, 2, 9)
    logits.square().sum().backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key

    # a state_dict and head_classes rebuild the net
    rebuilt = create(name, params, in_shape, net.head_classes, seed=99)
    rebuilt.load_state_dict(net.state_dict())
    assert torch.equal(rebuilt.eval()(x), net.eval()(x))
    counted = predict(net, x)
    assert counted.logits.shape == (6, 3)
    assert counted.macs.shape == (6,) == counted.sops.shape
    assert (counted.macs > 0).all()
    with pytest.raises(FrozenInstanceError):
        params.size = "huge"


@pytest.mark.parametrize("params", [p for n, p in BUILT_IN if n == "spiking_vgg"])
def test_stages_of_the_spiking_vgg_give_spikes_over_time(params):
    net = build_from_params("spiking_vgg", params, (1, 8, 8))
    assert len(net.stages) == len(net.plan)
    seen = []
    for stage in net.stages:
        stage.register_forward_hook(lambda _, __, out: seen.append(out))
    features = net(torch.randn(3, 1, 8, 8))
    assert [tuple(out.shape) for out in seen] == [
        (params.steps, 3, *shape) for shape in shapes(net.plan, (1, 8, 8))[1:]
    ]
    assert all(set(out.unique().tolist()) <= {0.0, 1.0} for out in seen)
    torch.testing.assert_close(features, seen[-1].mean(0))


@pytest.mark.parametrize("size", ["small", "vgg9"])
def test_vgg_and_spiking_vgg_overlap(size):
    ann = build_from_params("vgg", VGG.Params(size=size), (1, 28, 28))
    snn = build_from_params("spiking_vgg", SpikingVGG.Params(size=size), (1, 28, 28))
    common = 0
    while common < len(snn.plan) and ann.plan[common] == snn.plan[common]:
        common += 1
    assert common >= 4
    seen = {}
    ann.stages[common - 1].register_forward_hook(lambda _, __, out: seen.update(ann=out))
    snn.stages[common - 1].register_forward_hook(lambda _, __, out: seen.update(snn=out))
    x = torch.randn(2, 1, 28, 28)
    ann(x)
    snn(x)
    assert seen["snn"].sum(0).shape == seen["ann"].shape


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("spiking_vgg", SpikingVGG.Params(size="vgg9", width=0.25)),
        ("relu_vgg", ReluVGG.Params(size="vgg9", width=0.25)),
        ("vgg", VGG.Params(size="vgg9", width=0.25)),
    ],
)
def test_a_quarter_width_network_has_a_quarter_of_the_channels_of_every_layer(name, params):
    net = build_from_params(name, params, (3, 32, 32))
    weights = [p.shape[:2] for p in net.parameters() if p.dim() > 1]
    channels = [16, 16, 32, 32, 64, 64, 64]
    flat = 64 * 2 * 2 * 4  # 32 pixels, halved three times
    assert weights == [*zip([*channels, 256], [3, *channels[:-1], flat], strict=True)]
    assert net.feature_dim == 256


def test_the_vgg9_is_the_papers():
    net = build_from_params("spiking_vgg", SpikingVGG.Params(size="vgg9"), (3, 32, 32))
    assert net.plan == (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", "F1024")
    convs = 9 * (3 * 64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 256 + 2 * 256 * 256)
    norms = 2 * (2 * 64 + 2 * 128 + 3 * 256)
    assert sum(p.numel() for p in net.parameters()) == convs + norms + 4 * 4 * 256 * 1024
    assert net.feature_dim == 1024


@pytest.mark.parametrize(
    ("size", "millions"), [("resnet18", 11.17), ("resnet34", 21.28)]
)  # He et al., without the classifier of 1000 classes and with the stem for small images
def test_resnets_have_the_published_size(size, millions):
    net = build_from_params("resnet", ResNet.Params(size=size), (3, 32, 32))
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(millions * 1e6, rel=1e-3)
    assert net.feature_dim == 512


def test_resnet_has_the_imagenet_stem_for_large_images():
    net = build_from_params("resnet", ResNet.Params(size="resnet18"), (3, 96, 96))
    assert net.stem[0].kernel_size == (7, 7)
    assert net.stem(torch.zeros(1, 3, 96, 96)).shape == (1, 64, 24, 24)
    assert len(net.groups) == 4
    # 11,689,512 parameters with its classifier of 1000 classes
    assert sum(p.numel() for p in net.parameters()) == 11_689_512 - 513 * 1000


def test_resnet18_has_the_published_macs():
    net = create("resnet", ResNet.Params(size="resnet18"), (3, 224, 224), [range(1000)])
    assert dense_macs(net, (3, 224, 224)) == pytest.approx(1.814e9, rel=1e-3)  # torchvision: 1.81 G


@pytest.mark.parametrize("size", ["small", "vgg9"])
def test_no_layer_of_a_fresh_spiking_vgg_is_silent(size):
    net = create("spiking_vgg", SpikingVGG.Params(size=size), (1, 8, 8), [[0]], seed=3)
    rates = []
    for stage in net.backbone.stages:
        stage.register_forward_hook(lambda _, __, out: rates.append(out.mean().item()))
    net(torch.randn(32, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert min(rates) > 0.01  # torch's own initialisation leaves the last layer of vgg9 at 0


def test_vgg16_has_thirteen_convolutions_and_skips_pools_that_do_not_fit():
    net = build_from_params("vgg", VGG.Params(size="vgg16"), (1, 8, 8))
    assert sum(isinstance(m, nn.Conv2d) for m in net.modules()) == 13
    assert sum(isinstance(m, nn.MaxPool2d) for m in net.modules()) == 3
    assert len(net.stages) == len(net.plan)
    assert shapes(net.plan, (1, 8, 8))[-1] == (512, 1, 1)
    assert shapes(net.plan, (3, 28, 28))[-1] == (512, 1, 1)  # 28, 14, 7, 3, 1


def test_a_static_image_equals_the_image_repeated():
    net = build_from_params("spiking_vgg", None, (1, 8, 8)).eval().double()
    x = torch.randn(5, 1, 8, 8, dtype=torch.float64)
    frames = x.unsqueeze(1).repeat(1, 4, 1, 1, 1)
    assert torch.equal(net(x), net(frames))


def test_frames_are_read_in_their_order():
    net = build_from_params("spiking_vgg", None, (1, 8, 8)).eval()
    frames = 4 * torch.randn(2, 4, 1, 8, 8)  # currents that make many neurons fire
    seen = []
    net.stages[0].register_forward_hook(lambda _, __, out: seen.append(out))
    net(frames)
    changed = frames.clone()
    changed[1, 2] *= -1  # sample 1, third frame
    net(changed)
    differs = (seen[0] != seen[1]).flatten(2).any(2)  # (T, N)
    assert differs[:2].any().item() is False
    assert differs[:, 0].any().item() is False
    assert differs[2, 1].item() is True


def test_a_module_keeps_nothing_from_one_batch_to_the_next():
    net = build_from_params("spiking_vgg", None, (1, 8, 8)).eval()
    x = torch.randn(4, 1, 8, 8)
    first = net(x)
    net(torch.randn(9, 1, 8, 8))
    assert torch.equal(net(x), first)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("spiking_vgg", (2, 3, 8, 8)),
        ("spiking_vgg", (2, 5, 1, 8, 8)),
        ("spiking_vgg", (2, 8, 8)),
        ("vgg", (2, 1, 8, 9)),
        ("resnet", (2, 1, 28, 28)),
    ],
)
def test_refuses_samples_of_another_shape(name, shape):
    net = build_from_params(name, None, (1, 8, 8))
    with pytest.raises(DataError, match=r"takes.*8.*got \(2, "):
        net(torch.zeros(shape))


@pytest.mark.parametrize("name", ["spiking_vgg", "vgg", "resnet"])
def test_refuses_shapes_that_are_no_image(name):
    with pytest.raises(DataError, match=r"\(C, H, W\)"):
        build_from_params(name, None, (64,))


def test_names_are_listed_and_unknown_ones_refused():
    assert {"flat_plugin", "resnet", "spiking_vgg", "vgg"} <= set(list_models())
    assert list_models("re*") == ["relu_vgg", "resnet"]
    with pytest.raises(UserError, match="unknown model 'vg'"):
        create("vg", None, (1, 8, 8), [[0]])
    with pytest.raises(TypeError, match="Params"):
        create("vgg", SpikingVGG.Params(), (1, 8, 8), [[0]])


def test_importing_and_listing_load_no_torch():
    code = "import sys, ecsim.models; ecsim.models.list_models(); assert 'torch' not in sys.modules"
    assert ecsim.models.__all__
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["vgg", "resnet", "mobilenet"])
def test_an_ann_sees_frames_as_their_mean(name):
    frames = torch.rand(2, 5, 2, 16, 16)
    net = create(name, registry.resolve("model", name).Params(), (5, 2, 16, 16), [[0, 1]]).eval()
    assert torch.equal(net(frames), net(frames.mean(1)))
    with pytest.raises(DataError, match="takes"):
        net(torch.rand(2, 5, 3, 16, 16))


@pytest.mark.parametrize("size", ["small", "vgg9"])
def test_the_twin_has_the_spiking_vggs_weights(size):
    """Shape by shape; and its forward costs a T-th of the dense spiking one's, the first layer
    apart, which that runs once."""
    spiking, twin = (
        build_from_params(name, cls.Params(size=size), (3, 32, 32))
        for name, cls in (("spiking_vgg", SpikingVGG), ("relu_vgg", ReluVGG))
    )
    shapes_of = [[tuple(p.shape) for p in net.parameters()] for net in (spiking, twin)]
    assert shapes_of[0] == shapes_of[1] and spiking.feature_dim == twin.feature_dim
    first = 3 * 9 * 32 * 32 * spiking.plan[0]
    dense = [dense_macs(net, (3, 32, 32)) - first for net in (spiking, twin)]
    assert dense[0] == 4 * dense[1]


def test_spiking_vgg_step_by_step():
    """The same network run one time-step after the other, neuron by neuron from Eq. 1-3."""
    net = build_from_params("spiking_vgg", SpikingVGG.Params(steps=4), (2, 8, 8)).double()
    x = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    for _ in range(30):  # statistics with which the neurons fire
        net.train()(x)
    net.eval()
    states, spikes = {}, 0.0
    with torch.no_grad():
        for _ in range(4):
            out = x
            for k, stage in enumerate(net.stages):
                if not hasattr(stage, "lif"):
                    out = nn.functional.max_pool2d(out, 2)
                    continue
                membrane = 0.5 * states.get(k, 0.0) + 0.5 * stage.synapses(out)
                out = (membrane >= 1.0).double()
                states[k] = membrane * (1 - out)
            spikes = spikes + out
        # 1e-12: sums over a batch of another size round differently
        torch.testing.assert_close(net(x), spikes.flatten(1) / 4, rtol=0, atol=1e-12)
    assert 0 < spikes.mean() < 4
