"""Fixtures of the learning tests."""

import numpy as np
import pytest
import torch
from tiny_net import Tiny

from ecsim.core import registry
from ecsim.core.types import ModelRef
from ecsim.data.dataset import Dataset
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _tiny_is_registered(monkeypatch):
    monkeypatch.setitem(registry._PLUGINS["model"], "tiny", Tiny)


@pytest.fixture
def compute():
    return Compute()


@pytest.fixture
def tiny():
    return Architecture("tiny", Tiny.Params(), (1, 2, 2))


@pytest.fixture
def data():
    """Four classes of 2 x 2 images, easily told apart: class k lights pixel k."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 4
    images = rng.normal(0, 0.1, (120, 1, 2, 2)).astype(np.float32)
    images.reshape(120, 4)[np.arange(120), labels] += 1
    return Dataset("four", images, labels.astype(np.int64), 4, 4.0)


@pytest.fixture
def parent():
    """A reference to a model that knows classes 2 and 0."""
    return ModelRef("edge", 3, "parent", (2, 0), 1000)
