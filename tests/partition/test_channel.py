"""Channel splits equal the whole layer; what is moved and held against a count by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ecsim.core.errors import UserError
from ecsim.partition.channel import fused_pair, input_split, output_split

SHARES = [1, 2, 3, [3, 1], [1, 2, 4]]


def layers():
    torch.manual_seed(5)
    first = nn.Conv2d(8, 7, 3, padding=1).double()
    second = nn.Conv2d(7, 9, 3, stride=2, bias=False).double()
    return first, second, torch.randn(2, 8, 9, 7, dtype=torch.float64)


def close(a, b):
    return (a - b).abs().max() <= 1e-12 * b.abs().max()


@pytest.mark.parametrize("shares", SHARES)
def test_every_channel_split_equals_the_whole(shares):
    first, second, x = layers()
    linear = nn.Linear(12, 8).double()
    flat = torch.randn(3, 12, dtype=torch.float64)
    with torch.no_grad():
        for layer, given in ((first, x), (linear, flat)):
            assert close(output_split(layer, given, shares)[0], layer(given))
            assert close(input_split(layer, given, shares)[0], layer(given))
        assert close(fused_pair(first, second, x, shares)[0], second(F.relu(first(x))))


def test_what_is_moved_and_held_is_what_a_count_by_hand_says():
    first, second, x = layers()  # 8 x 9 x 7 in, 7 x 9 x 7 between, 9 x 4 x 3 out
    with torch.no_grad():
        _, outputs = output_split(first, x, 2)
        _, inputs = input_split(first, x, 2)
        _, fused = fused_pair(first, second, x, 2)
    assert [(s.weights, s.received, s.sent) for s in outputs] == [
        (4 * 73, 504, 252), (3 * 73, 504, 189),
    ]  # fmt: skip
    assert [(s.weights, s.received, s.sent) for s in inputs] == [
        (7 * 4 * 9 + 7, 252, 441), (7 * 4 * 9, 252, 441),
    ]  # fmt: skip
    assert [(s.weights, s.received, s.sent) for s in fused] == [
        (4 * 73 + 9 * 4 * 9, 504, 108), (3 * 73 + 9 * 3 * 9, 504, 108),
    ]  # fmt: skip
    macs = 441 * 8 * 9
    assert sum(s.macs for s in outputs) == sum(s.macs for s in inputs) == macs
    assert sum(s.macs for s in fused) == macs + 108 * 7 * 9


def test_what_cannot_be_split_by_channels_is_refused():
    first, second, x = layers()
    grouped = nn.Conv2d(8, 8, 3, groups=2).double()
    for call in (
        lambda: output_split(grouped, x, 2),
        lambda: output_split(first, x, 8),
        lambda: fused_pair(second, second, x, 2),
    ):
        with pytest.raises(UserError):
            call()
