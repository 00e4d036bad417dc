"""The handwritten digits that are bundled with scikit-learn: real data without a download."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ecsim.core.errors import DataError
from ecsim.data.dataset import Dataset


class Digits:
    """1797 handwritten digits of 8 x 8 pixels in 10 classes, bundled with scikit-learn.

    Grey values 0 … 16 become -1 … 1: fixed constants, so that no statistics of the probe pool
    reach a training. One sample is 64 bytes, one per pixel.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998
    (its test part, as `sklearn.datasets.load_digits` gives it).
    """

    @dataclass(frozen=True)
    class Params:
        """No keys."""

    def __init__(self, params: Params):
        self.params = params

    def load(self) -> Dataset:
        """Read the data set from the installed scikit-learn; no download.

        The file is read by itself: importing scikit-learn, and SciPy with it, takes 60 MB.
        """
        found = find_spec("sklearn")  # imports nothing
        if found is None or found.origin is None:
            raise DataError("data: digits needs scikit-learn, which is not installed")
        path = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
        try:
            table = np.loadtxt(path, delimiter=",")  # (N, 65): 64 pixels and the label
        except (OSError, ValueError) as error:
            raise DataError(f"data: digits cannot be read from scikit-learn: {error}") from error
        grey = table[:, :-1].reshape(-1, 1, 8, 8)  # (N, 64) -> (N, 1, 8, 8)
        images = ((grey / 16 - 0.5) / 0.5).astype(np.float32)  # eighths: exact
        return Dataset("digits", images, table[:, -1].astype(np.int64), 10, sample_bytes=64.0)
