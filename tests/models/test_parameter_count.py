"""How many parameters the paper's spiking VGG-9 has, deployed and in its set-up."""

import json
from itertools import pairwise

import pytest
import torch
from click.testing import CliRunner

from ecsim.cli.main import cli
from ecsim.learning.losses import FeatureAlignment
from ecsim.models import create
from ecsim.models.snn.vgg import SpikingVGG

# 3x3 convolutions without bias, two numbers per normalised channel, 256 x 4 x 4 -> 1024 without
# bias, and a classifier of 100 classes with one
PLANES = (3, 64, 64, 128, 128, 256, 256, 256)
CONVS = sum(9 * a * b for a, b in pairwise(PLANES))
DEPLOYED = CONVS + 2 * sum(PLANES[1:]) + 4096 * 1024 + (1024 + 1) * 100


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_the_deployed_network_has_six_point_o_three_million():
    net = create("spiking_vgg", SpikingVGG.Params(size="vgg9"), (3, 32, 32), [range(100)])
    assert count(net) == DEPLOYED == 6_033_444


def test_one_reading_gives_the_papers_six_point_one_million():
    """A reading, not a fact: the paper does not say what it counts.

    With the map of Eq. 9 from the 1024 spiking features to the 64 of a CIFAR ResNet's last stage
    (linear with bias, batch normalisation), which the set-up trains and nobody deploys.
    """
    net = create("spiking_vgg", SpikingVGG.Params(size="vgg9"), (3, 32, 32), [range(100)])
    alignment = FeatureAlignment(net.backbone.feature_dim, 64, torch.Generator())
    total = count(net) + count(alignment)
    assert total == DEPLOYED + 1024 * 64 + 64 + 2 * 64 == 6_099_172
    assert round(total / 1e6, 2) == 6.10


@pytest.mark.parametrize("as_json", [True, False])
def test_profile_tells_it(as_json):
    args = ["profile", "spiking_vgg", "--size", "vgg9", "--classes", "100", "--param", "steps=1"]
    done = CliRunner().invoke(cli, [*args, "--json"] if as_json else args)
    assert done.exit_code == 0, done.output
    if as_json:
        assert json.loads(done.output)["parameters"] == 6_033_444
    else:
        assert "6,033,444 parameters" in done.output
