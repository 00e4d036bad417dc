import pytest
import torch

from ecsim.core.errors import DataError
from ecsim.models import create
from ecsim.models.ann.inception import Inception
from ecsim.models.ann.vit import ViT
from ecsim.models.work import dense_macs, param_bytes


def test_googlenet_at_224_has_the_published_size():
    net = create("inception", Inception.Params("googlenet"), (3, 224, 224), [range(1000)])
    # Szegedy et al. 2015, Table 1: 1.5 G multiply-adds, 6.8 M parameters, rounded row by row
    assert dense_macs(net, (3, 224, 224)) == pytest.approx(1.5e9, rel=0.07)
    assert param_bytes(net) / 4 == pytest.approx(6.8e6, rel=0.05)


def test_deit_tiny_at_224_has_the_published_size():
    net = create("vit", ViT.Params("tiny"), (3, 224, 224), [range(1000)])
    # Touvron et al. 2021, Table 1: 5 M parameters (5.7 M unrounded); 1.3 G operations (recalled)
    assert param_bytes(net) / 4 == pytest.approx(5.7e6, rel=0.01)
    assert dense_macs(net, (3, 224, 224)) == pytest.approx(1.3e9, rel=0.05)


@pytest.mark.parametrize("cls", [Inception, ViT])
@pytest.mark.parametrize("side", [8, 28, 32, 80])
def test_features_for_any_size_of_image(cls, side):
    net = cls(cls.Params(), (1, side, side)).eval()
    assert net(torch.zeros(2, 1, side, side)).shape == (2, net.feature_dim)
    with pytest.raises(DataError, match="takes"):
        net(torch.zeros(2, 3, side, side))


def test_patches_must_divide_the_image():
    with pytest.raises(DataError, match="patches of 3 pixels must divide"):
        ViT(ViT.Params(patch=3), (1, 8, 8))


def test_attention_depends_on_where_a_patch_is_and_samples_do_not_mix():
    torch.manual_seed(0)
    net = ViT(ViT.Params(), (1, 8, 8)).eval()
    x = torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        whole = net(x)
        alone = torch.cat([net(each.unsqueeze(0)) for each in x])
        moved = net(x.roll(2, dims=3))
    torch.testing.assert_close(whole, alone, rtol=1e-5, atol=1e-6)
    assert (whole - moved).abs().max() > 1e-4
