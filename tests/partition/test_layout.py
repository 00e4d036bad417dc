"""Where a tensor's samples lie: rows of one sample hold its own values and nothing else."""

import pytest
import torch

from ecsim.partition.layout import Axis


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((3, 2, 5), Axis(0, 1, False)),
        ((4, 3, 2), Axis(1, 1, True)),
        ((4 * 3, 5), Axis(0, 4, True)),
        ((3 * 4, 5), Axis(0, 4, False)),
        ((2, 4 * 3, 5), Axis(1, 4, True)),
        ((2, 3 * 4, 5), Axis(1, 4, False)),
    ],
)
def test_rows_are_samples_and_join_is_the_inverse(shape, axis):
    n = 3
    length = shape[axis.axis]
    place = torch.arange(length)
    sample = place % n if axis.is_time_first or axis.times == 1 else place // axis.times
    view = [1] * len(shape)
    view[axis.axis] = length
    x = sample.view(view).expand(shape) * 1000.0 + torch.rand(shape)
    rows = axis.split(x)
    assert rows.shape == (n, x.numel() // n)
    assert ((rows / 1000).floor() == torch.arange(n)[:, None]).all()
    assert torch.equal(axis.join(rows, x), x)
