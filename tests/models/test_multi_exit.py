"""Networks with exits: every exit by itself equals all at once, in answers and in counted work."""

import math

import numpy as np
import pytest
import torch

from ecsim.core.errors import UserError
from ecsim.models import create
from ecsim.models.ann.resnet import ResNet
from ecsim.models.ann.vgg import VGG
from ecsim.models.exit_work import exit_points, operations_of_part, predict_exits
from ecsim.models.exits.resnet import MultiExitResNet
from ecsim.models.exits.spiking_vgg import MultiExitSpikingVGG
from ecsim.models.exits.stepwise import StepwiseSpikingVGG
from ecsim.models.exits.vgg import MultiExitVGG
from ecsim.models.multi_exit import MultiExitNet
from ecsim.models.snn.vgg import SpikingVGG
from ecsim.models.work import predict

DEEP = [
    ("multi_exit_vgg", MultiExitVGG.Params()),
    ("multi_exit_vgg", MultiExitVGG.Params(size="vgg9", exits=("conv1", "pool2"), branch="linear")),
    ("multi_exit_vgg", MultiExitVGG.Params(branch="binary")),
    ("multi_exit_resnet", MultiExitResNet.Params()),
    ("multi_exit_spiking_vgg", MultiExitSpikingVGG.Params(steps=3)),
]
STEPS = ("stepwise_spiking_vgg", StepwiseSpikingVGG.Params(steps=4, exits=(1, 3)))
WORK = ("macs", "sops", "neuron_updates", "bytes_moved")


def made(name, params, in_shape=(1, 12, 12), heads=((4, 2, 0), (9,))):
    net = create(name, params, in_shape, heads, seed=5)
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():  # statistics that are not those of a fresh net
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2, generator=generator)
            module.running_var.uniform_(0.1, 0.5, generator=generator)
            torch.nn.init.uniform_(module.bias, 0, 1.5, generator=generator)  # neurons that fire
    x = torch.rand(5, *in_shape, generator=generator) * 2
    return net.eval(), x


@pytest.mark.parametrize(("name", "params"), [*DEEP, STEPS])
def test_each_exit_alone_answers_what_it_answers_among_all(name, params):
    net, x = made(name, params)
    with torch.no_grad():
        together = net.exits(x)
        assert len(together) == net.n_exits == 3
        assert all(logits.shape == (5, 4) for logits in together)
        assert torch.equal(net(x), together[-1])
        assert not torch.allclose(together[0], together[1])
        for k, logits in enumerate(together):
            # the same kernels on the same numbers
            assert torch.equal(net.part(k)(x), logits)


@pytest.mark.parametrize(("name", "params"), DEEP)
def test_a_part_goes_on_from_what_an_earlier_exit_saw(name, params):
    net, x = made(name, params)
    with torch.no_grad():
        together = net.exits(x)
        for after in range(2):
            seen = net.backbone.handed_on(x, after)
            values = seen.numel() // 5
            each = 1 / 8 if "spiking" in name else 4
            assert net.backbone.crossing_bytes[after] == values * each
            for k in range(after + 1, 3):
                assert torch.equal(net.part(k, after)(seen), together[k])
    assert net.backbone.crossing_bytes[-1] is None
    with pytest.raises(IndexError):
        net.part(1, 1)
    with pytest.raises(IndexError):
        net.part(3)


@pytest.mark.parametrize(("name", "params"), [*DEEP, STEPS])
def test_work_to_an_exit_is_that_of_the_exit_run_alone(name, params):
    net, x = made(name, params)
    counted = predict_exits(net, x)
    for k in range(3):
        alone, mine = predict(net.part(k), x), counted.of(k)
        np.testing.assert_array_equal(mine.logits, alone.logits)
        for kind in WORK:
            np.testing.assert_allclose(
                getattr(mine, kind), getattr(alone, kind), rtol=1e-12, err_msg=f"{kind} {k}"
            )


@pytest.mark.parametrize(("name", "params"), DEEP)
def test_work_from_an_exit_on_is_that_of_the_part_run_alone(name, params):
    net, x = made(name, params)
    counted = predict_exits(net, x)
    seen = net.backbone.handed_on(x, 0).double() if "spiking" in name else None
    for k in (1, 2):
        if seen is None:  # an ordinary net: `predict` takes any tensor with samples first
            alone = predict(net.part(k, 0), net.backbone.handed_on(x, 0).detach())
            for kind in WORK:
                found = getattr(counted.of(k, 0), kind)
                np.testing.assert_allclose(found, getattr(alone, kind), rtol=1e-12, err_msg=kind)
        whole, first = counted.of(k), counted.of(0)
        shared = counted.trunk[0]  # in both; the first one's branch is in neither
        for i, kind in enumerate(WORK):
            rest = getattr(whole, kind) - (getattr(first, kind) - counted.branch[0, i])
            np.testing.assert_allclose(getattr(counted.of(k, 0), kind), rest, rtol=1e-12)
            assert (shared[i] > 0).all() or kind in ("sops", "neuron_updates")


def test_steps_that_are_not_run_cost_nothing():
    net, x = made(*STEPS)
    counted = predict_exits(net, x)
    per_step = counted.trunk[:, 2] / np.array([1, 2, 1])[:, None]  # neuron updates
    assert (per_step == per_step[0]).all()
    # the static image's first convolution runs once, in the first step
    assert counted.trunk[0, 0].tolist() == [12 * 12 * 32 * 9] * 5
    assert not counted.trunk[1:, 0].any()
    # a head of 4 columns reads 128 features once per exit asked
    assert (counted.branch[:, 0] == 4 * 128).all()
    sops = [counted.of(k).sops for k in range(3)]
    assert (sops[0] < sops[1]).all() and (sops[1] < sops[2]).all()


def test_frames_are_cut_in_time_too():
    net, _ = made("stepwise_spiking_vgg", StepwiseSpikingVGG.Params(steps=3), (2, 8, 8))
    x = (torch.rand(4, 3, 2, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    counted = predict_exits(net, x)
    for k in range(3):
        alone, mine = predict(net.part(k), x), counted.of(k)
        np.testing.assert_array_equal(mine.logits, alone.logits)
        for kind in WORK:
            np.testing.assert_allclose(getattr(mine, kind), getattr(alone, kind), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "params", "plain", "plain_params"),
    [
        ("multi_exit_vgg", MultiExitVGG.Params(), "vgg", VGG.Params()),
        ("multi_exit_resnet", MultiExitResNet.Params(), "resnet", ResNet.Params()),
        (
            "multi_exit_spiking_vgg",
            MultiExitSpikingVGG.Params(),
            "spiking_vgg",
            SpikingVGG.Params(),
        ),
        ("stepwise_spiking_vgg", StepwiseSpikingVGG.Params(), "spiking_vgg", SpikingVGG.Params()),
    ],
)
def test_without_its_branches_it_is_the_plain_network(name, params, plain, plain_params):
    net, x = made(name, params)
    base = create(plain, plain_params, (1, 12, 12), net.head_classes).eval()
    trunk = net.backbone
    if hasattr(trunk, "segments"):
        stages = [stage for segment in trunk.segments for stage in segment]
        theirs = base.backbone.stages if hasattr(base.backbone, "stages") else None
        theirs = theirs or [base.backbone.stem, *base.backbone.groups]
        for mine, other in zip(stages, theirs, strict=True):
            other.load_state_dict(mine.state_dict())
    else:
        base.backbone.load_state_dict(trunk.state_dict())
    base.heads.load_state_dict(net.heads.state_dict())
    with torch.no_grad():
        assert torch.equal(net(x), base(x))
    last, whole = predict_exits(net, x).of(net.n_exits - 1), predict(base, x)
    for kind in WORK:
        np.testing.assert_allclose(getattr(last, kind), getattr(whole, kind), rtol=1e-12)


@pytest.mark.parametrize(("name", "params"), [*DEEP, STEPS])
def test_new_classes_get_a_head_at_every_exit(name, params):
    net, x = made(name, params)
    before = [logits.detach() for logits in net.exits(x)]
    net.grow([7, 8], seed=1)
    for old, new in zip(before, net.exits(x), strict=True):
        assert new.shape == (5, 6)
        torch.testing.assert_close(new[:, :4], old, rtol=1e-6, atol=1e-6)
    rebuilt = create(name, params, (1, 12, 12), net.head_classes, seed=99).eval()
    rebuilt.load_state_dict(net.state_dict())
    assert all(map(torch.equal, rebuilt.exits(x), net.exits(x)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: MultiExitVGG.Params(exits=("pool2", "pool1")),
        lambda: MultiExitVGG.Params(exits=("fc1",)),  # the last stage has the last exit
        lambda: MultiExitVGG.Params(exits=()),
        lambda: MultiExitResNet.Params(exits=("group9",)),
        lambda: MultiExitSpikingVGG.Params(exits=("pool1", "pool1")),
        lambda: StepwiseSpikingVGG.Params(steps=4, exits=(4,)),
        lambda: StepwiseSpikingVGG.Params(steps=4, exits=(2, 1)),
    ],
)
def test_exits_that_cannot_be_are_refused(make):
    with pytest.raises(ValueError, match=r"^exits: expected"):
        make()


def test_steps_are_not_continued_elsewhere():
    net, _ = made(*STEPS)
    with pytest.raises(UserError, match="time-steps"):
        net.part(2, after=0)


def test_a_network_that_cannot_be_counted_says_so():
    class Mine(torch.nn.Module):
        exit_dims, exit_names, crossing_bytes = (4, 4), ("a", "b"), (None, None)
        shares_head, feature_dim = True, 4

        def exit_features(self, x):
            return [x.flatten(1)[:, :4]] * 2

    net = MultiExitNet(Mine(), [range(2)])
    with pytest.raises(UserError, match="derive from"):
        predict_exits(net, torch.zeros(1, 1, 8, 8))


def test_a_binary_branch_takes_a_bit_per_weight():
    sizes = {}
    for branch in ("conv", "binary"):
        net, _ = made("multi_exit_vgg", MultiExitVGG.Params(branch=branch))
        sizes[branch] = [point.branch_bytes for point in exit_points(net)]
    saved = np.subtract(sizes["conv"], sizes["binary"])
    # 32 and 64 channels, 3 x 3: from four bytes to an eighth of one
    assert saved.tolist() == [32 * 32 * 9 * (4 - 1 / 8), 64 * 64 * 9 * (4 - 1 / 8), 0]


@pytest.mark.parametrize(("name", "params"), [*DEEP, STEPS])
def test_operations_of_a_calibrated_device_have_the_counted_macs(name, params):
    net, x = made(name, params)
    dense = {
        (k, after): sum(
            row.calls * row.macs for row in operations_of_part(net, (1, 12, 12), k, after).rows
        )
        for k, after in ((0, None), (2, None), (2, 0))
    }
    assert dense[0, None] < dense[2, None]
    if "spiking" not in name:
        counted = predict_exits(net, x)
        for (k, after), macs in dense.items():
            assert math.isclose(macs, counted.of(k, after).macs[0], rel_tol=1e-12)
