import subprocess
import sys

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


FAULTS = """
import ctypes, resource, sys
import numpy as np
from ecsim.learning.compute import keep_freed_memory

if not hasattr(ctypes.CDLL(None), "mallopt"):
    sys.exit(77)
if sys.argv[1] == "keep":
    keep_freed_memory()
np.ones(2**22)  # 32 MB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(2**22)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_kept_for_the_next_block():
    def faults(how):
        done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True)
        if done.returncode == 77:
            pytest.skip("not glibc")
        return int(done.stdout)

    assert faults("keep") < 100
    assert faults("usual") > 100  # or there is nothing to do
