import pytest
import torch

from ecsim.core.errors import DataError
from ecsim.models import create
from ecsim.models.ann.mobilenet import MobileNet
from ecsim.models.work import dense_macs, param_bytes


def test_v2_at_224_has_the_published_size():
    net = create("mobilenet", MobileNet.Params("v2"), (3, 224, 224), [range(1000)])
    # Sandler et al. 2018, table 4: 300 M multiply-adds, 3.4 M parameters (rounded)
    assert dense_macs(net, (3, 224, 224)) == pytest.approx(300e6, rel=0.01)
    assert param_bytes(net) / 4 == pytest.approx(3.5e6, rel=0.02)


@pytest.mark.parametrize("side", [8, 32, 65])
def test_features_for_any_size_of_image(side):
    net = MobileNet(MobileNet.Params(), (1, side, side)).eval()
    assert net(torch.zeros(2, 1, side, side)).shape == (2, net.feature_dim)
    with pytest.raises(DataError, match="this MobileNet takes"):
        net(torch.zeros(2, 3, side, side))
