"""One thread, so that figures and floats do not depend on the machine's cores."""

from pathlib import Path

import numpy as np
import pytest
import torch

torch.set_num_threads(1)

_VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors"


@pytest.fixture
def vector():
    """Give a loader of published test vectors: name -> dict of float64 (or integer) arrays."""
    if not _VECTORS.is_dir():
        pytest.skip("the published test vectors are not beside this checkout")

    def load(name):
        with np.load(_VECTORS / f"{name}.npz", allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}

    return load
