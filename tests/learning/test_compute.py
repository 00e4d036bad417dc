import pytest
import torch

from ecsim.core.errors import UserError
from ecsim.learning.cloud import CloudTraining
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture


def test_settings_come_back():
    torch.set_num_threads(1)
    before = torch.backends.cudnn.deterministic
    with pytest.raises(KeyError), Compute(threads=2).active():
        assert torch.get_num_threads() == 2 and torch.backends.cudnn.deterministic
        raise KeyError
    assert torch.get_num_threads() == 1 and torch.backends.cudnn.deterministic == before


def test_the_tag_tells_executions_apart():
    tags = {Compute().tag, Compute(threads=2).tag, Compute(precision="bf16").tag}
    assert len(tags) == 3 and all(torch.__version__ in tag for tag in tags)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there():
    assert Compute(device="auto").kind == "cpu"
    with pytest.raises(UserError, match="finds no GPU"):
        _ = Compute(device="cuda").kind


def test_bf16_trains_float32_weights(data):
    compute = Compute(precision="bf16")
    net = Architecture("vgg", None, (1, 2, 2)).build([range(4)])
    training = CloudTraining(CloudTraining.Params(epochs=20, batch_size=16))
    training.fit(net, data.images, data.labels, 0, compute)
    predicted = net(torch.as_tensor(data.images)).argmax(1).numpy()
    assert (predicted == data.labels).mean() > 0.9
    assert all(p.dtype == torch.float32 for p in net.parameters())
    with compute.active():
        assert net.features(torch.as_tensor(data.images[:2])).dtype == torch.bfloat16
