"""Split inference equals unsplit inference, with exactly the rows that the plan grants."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ecsim.core.errors import UserError
from ecsim.models import create
from ecsim.models.ann.aflkd import AflkdCNN
from ecsim.models.ann.vgg import VGG
from ecsim.models.work import dense_macs
from ecsim.partition.spatial.execution import leading_chain, predict_split, run_split, stack_of
from ecsim.partition.spatial.plans import plan_split
from ecsim.partition.spatial.presets import aflkd, aflkd_stack, deepthings, modnn
from ecsim.partition.spatial.shares import Split

GROUPINGS = ("layers", "convolutions", "blocks", "fused")


def chain_of(*modules):
    net = nn.Sequential(*modules).double().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return leading_chain([net])


def error(plan, chain, x):
    modules = [module for _, module in chain]
    with torch.no_grad():
        whole = nn.Sequential(*modules)(x.clone())
        split = run_split(plan, modules, x)
    return float((whole - split).abs().max() / whole.abs().max())


PLAIN = {
    "vgg block": (nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)),
    "kernel 5": (nn.Conv2d(2, 2, 5, padding=2), nn.Tanh(), nn.Conv2d(2, 2, 5, padding="same")),
    "dilated": (nn.Conv2d(2, 4, 3, padding=2, dilation=2, groups=2), nn.ReLU(inplace=True)),
    "stem": (nn.Conv2d(2, 4, 7, 2, 3), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 2, 3, padding=1)),
    "ceil": (nn.Conv2d(2, 2, 3), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Conv2d(2, 2, 1, 2)),
    "average": (nn.AvgPool2d(3, 2, 1), nn.Conv2d(2, 2, (3, 1), padding=(1, 0)), nn.GELU()),
    "even": (nn.Conv2d(2, 2, 2), nn.Conv2d(2, 2, 4, 2, 1)),
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("grouping", GROUPINGS)
def test_plain_stacks_split_as_they_are_whole(name, grouping):
    torch.manual_seed(3)
    chain = chain_of(*PLAIN[name])
    x = torch.randn(2, 2, 23, 17, dtype=torch.float64)
    stack = stack_of(chain, (2, 23, 17))
    for split in (
        Split.equal(2), Split.equal(3), Split.equal(8, empty="drop"), Split.equal(2, 3),
        Split((1, 2, 4), empty="drop"), Split((3, 1), (1, 2), empty="drop"), Split.equal(1, 2),
    ):  # fmt: skip
        for overlapped in (False, True):
            plan = plan_split(stack, split, grouping, overlapped=overlapped)
            assert error(plan, chain, x) <= 1e-12, split


@given(
    kernel=st.integers(1, 5), stride=st.integers(1, 3), padding=st.integers(0, 2),
    dilation=st.integers(1, 2), height=st.integers(11, 25), rows=st.integers(1, 5),
    pooled=st.booleans(), grouping=st.sampled_from(GROUPINGS),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_any_window_splits(kernel, stride, padding, dilation, height, rows, pooled, grouping):
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 2, kernel, stride, padding, dilation)
    chain = chain_of(conv, nn.ReLU(), nn.MaxPool2d(2) if pooled else nn.Identity())
    try:
        stack = stack_of(chain, (1, height, 13))
    except UserError:
        return
    plan = plan_split(stack, Split.equal(rows, empty="drop"), grouping)
    assert error(plan, chain, torch.randn(1, 1, height, 13, dtype=torch.float64)) <= 1e-12


NETS = [
    ("vgg", VGG.Params("vgg9"), (3, 32, 32)),
    ("vgg", VGG.Params("vgg16"), (3, 32, 32)),
    ("vgg", VGG.Params("small"), (1, 8, 8)),
    *(("aflkd_cnn", AflkdCNN.Params(blocks, fc=64), (3, 28, 28)) for blocks in (1, 2, 3, 4)),
]


@pytest.mark.parametrize(("name", "params", "shape"), NETS)
def test_networks_split_as_they_are_whole(name, params, shape):
    torch.manual_seed(1)
    net = create(name, params, shape, [[*range(10)]]).double().eval()
    chain = leading_chain([net.backbone.stages])
    modules = [module for _, module in chain]
    stack = stack_of(chain, shape)
    x = torch.randn(2, *shape, dtype=torch.float64)
    with torch.no_grad():
        whole = net(x)
    plans = [aflkd(stack, [1, 1]), modnn(stack, [3, 1, 2])]
    if min(stack.shapes[-1][1:]) >= 2:
        plans.append(deepthings(stack, 2, 2))
    for plan in plans:
        split = predict_split(net, plan, modules, x)
        assert (split - whole).abs().max() <= 1e-12 * whole.abs().max()


def test_the_pure_aflkd_stack_is_that_of_the_network():
    net = create("aflkd_cnn", AflkdCNN.Params(2, fc=0), (3, 28, 28), [[*range(10)]])
    found = stack_of(leading_chain([net.backbone.stages]), (3, 28, 28))
    pure = aflkd_stack(2, (3, 28, 28))
    assert found.shapes == pure.shapes
    assert [(a.kind, a.rows, a.cols, a.macs, a.parameters) for a in found.layers] == [
        (b.kind, b.rows, b.cols, b.macs, b.parameters) for b in pure.layers
    ]
    assert pure.macs + 48 * 10 == dense_macs(net, (3, 28, 28))


def test_a_part_without_rows_at_first_may_have_some_later():
    chain = chain_of(nn.Conv2d(1, 1, 2), nn.Conv2d(1, 1, 3, padding=1))
    plan = plan_split(stack_of(chain, (1, 16, 16)), Split((1, 6, 19), empty="drop"))
    assert not plan.scatter[0].pixels and plan.segments[0].outputs[0].pixels
    assert error(plan, chain, torch.randn(1, 1, 16, 16, dtype=torch.float64)) <= 1e-12


def test_a_plan_with_a_missing_row_gives_no_number():
    from dataclasses import replace

    chain = chain_of(nn.Conv2d(1, 1, 3, padding=1))
    plan = plan_split(stack_of(chain, (1, 8, 8)), Split.equal(2))
    (segment,) = plan.segments
    broken = replace(plan, segments=(replace(segment, fetches=segment.fetches[1:]),))
    assert run_split(broken, [chain[0][1]], torch.ones(1, 1, 8, 8).double()).isnan().any()


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(1, 1, 2, padding="same"),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(1, 1, 9),
    ],
)
def test_what_would_not_equal_the_whole_is_refused(module):
    with pytest.raises(UserError):
        stack_of(leading_chain([module]), (1, 8, 8))


def test_training_mode_is_refused():
    chain = chain_of(nn.BatchNorm2d(1))
    chain[0][1].train()
    with pytest.raises(UserError, match="evaluation mode"):
        run_split(
            plan_split(stack_of(chain, (1, 4, 4)), Split.equal(2)),
            [chain[0][1]],
            torch.ones(1, 1, 4, 4).double(),
        )
