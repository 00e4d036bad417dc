"""Data sets: labelled images with a fingerprint, normalised the same way for every user."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zlib import error as zlib_error

import numpy as np
import numpy.typing as npt

from ecsim.core.errors import DataError
from ecsim.scenario.files import File


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled images, ready for a network.

    Attributes
    ----------
    images : float32, shape (N, C, H, W), normalised as its loader says.
    labels : int64, shape (N,), global class ids 0 … n_classes - 1.
    sample_bytes : size of one sample as a device would send it, before any normalisation.
    fingerprint : sha256 over images and labels, in hexadecimal.
    """

    name: str
    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    n_classes: int
    sample_bytes: float
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256(str(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images, dtype="<f4").tobytes())
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        object.__setattr__(self, "fingerprint", digest.hexdigest())


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


class Npz:
    """A data set of the user's own: a .npz file with images `x` and integer labels `y`.

    `x` has shape (N, C, H, W) or (N, H, W). uint8 images become -1 … 1 as (x / 255 - 0.5) / 0.5;
    float images are taken as they are, so normalise them before saving. One sample has the
    bytes it has in the file's array.
    """

    @dataclass(frozen=True)
    class Params:
        """Where the file is.

        Attributes
        ----------
        path : the .npz file, relative to the scenario.
        """

        path: File

    def __init__(self, params: Params):
        self.params = params

    def load(self) -> Dataset:
        """Read and check the file; raise `DataError` saying what does not fit."""
        path = self.params.path.path
        x, y = read_npz(path, "x", "y")
        return Dataset(path.stem, _images(x, path), _labels(y, len(x), path),
                       int(y.max()) + 1, sample_bytes=float(x[0].nbytes))  # fmt: skip


_UNREADABLE = (OSError, ValueError, EOFError, TypeError, BadZipFile, zlib_error)


def read_npz(path: Path, *names: str) -> list[npt.NDArray[Any]]:
    """Give the named arrays of a .npz file; raise `DataError` where that cannot be."""
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                raise DataError(f"{path}: expected a .npz file, got one array without a name")
            if set(names) - set(arrays.files):
                wanted = " and ".join(map(repr, names))
                found = ", ".join(arrays.files)
                raise DataError(f"{path}: expected arrays {wanted}, got {found}")
            return [arrays[name] for name in names]
    except _UNREADABLE as error:
        raise DataError(f"{path}: not a readable .npz file of plain arrays: {error}") from error


def _images(x: npt.NDArray[Any], path: Path) -> npt.NDArray[np.float32]:
    if x.ndim not in (3, 4) or 0 in x.shape:
        raise DataError(f"{path}: expected 'x' of shape (N, C, H, W) or (N, H, W), got {x.shape}")
    if x.dtype == np.uint8:
        images = ((x.astype(np.float32) / 255 - 0.5) / 0.5).astype(np.float32)
    elif np.issubdtype(x.dtype, np.floating):
        images = x.astype(np.float32)
    else:
        raise DataError(f"{path}: expected 'x' of uint8 or float values, got {x.dtype}")
    if not np.isfinite(images).all():
        raise DataError(f"{path}: 'x' holds values that are not finite float32 numbers")
    return images if x.ndim == 4 else images[:, None]


def _labels(y: npt.NDArray[Any], n: int, path: Path) -> npt.NDArray[np.int64]:
    if y.shape != (n,) or not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"{path}: expected 'y' of {n} integers, got {y.dtype} of shape {y.shape}")
    absent = np.setdiff1d(np.arange(max(int(y.max()) + 1, 2)), y)
    if y.min() < 0 or absent.size:
        raise DataError(
            f"{path}: expected labels 0 … K-1, each at least once and K >= 2, "
            f"got {int(y.min())} … {int(y.max())} with {absent.size} of them absent"
        )
    return y.astype(np.int64)
