"""A data set of the user's own: plain arrays in a .npz file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from zipfile import BadZipFile
from zlib import error as zlib_error

import numpy as np
import numpy.typing as npt

from ecsim.core.errors import DataError
from ecsim.data.dataset import Dataset, Images, Pixels
from ecsim.scenario.files import File


class Npz:
    """A data set of the user's own: a .npz file with images `x` and integer labels `y`.

    `x` has shape (N, C, H, W) or (N, H, W). uint8 images become -1 … 1 as (x / 255 - 0.5) / 0.5;
    float images are taken as they are, so normalise them before saving. One sample has the
    bytes it has in the file's array.
    """

    name: ClassVar[str] = "npz"

    @dataclass(frozen=True)
    class Params:
        """Where the file is, and how its arrays are called.

        Attributes
        ----------
        path : the .npz file, relative to the scenario.
        x : name of the array of samples.
        y : name of the array of labels.
        group : name of an array (N,) that says who each sample comes from, such as a speaker.
        """

        path: File
        x: str = "x"
        y: str = "y"
        group: str | None = None

    def __init__(self, params: Params):
        self.params = params

    def load(self) -> Dataset:
        """Read and check the file; raise `DataError` saying what does not fit."""
        p = self.params
        path = p.path.path
        x, y, *others = read_npz(path, p.x, p.y, *([p.group] if p.group is not None else []))
        images, labels = _images(x, path, p.x), _labels(y, len(x), path, p.y)
        groups, names = _groups(others[0], len(x), path, p.group) if others else (None, ())
        return Dataset(
            path.stem, images, labels, int(labels.max()) + 1, sample_bytes=float(x[0].nbytes),
            groups=groups, group_names=names,
        )  # fmt: skip


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


def _images(x: npt.NDArray[Any], path: Path, name: str) -> Images:
    if x.ndim not in (3, 4) or 0 in x.shape:
        raise DataError(
            f"{path}: expected {name!r} of shape (N, C, H, W) or (N, H, W), got {x.shape}"
        )
    x = x if x.ndim == 4 else x[:, None]
    if x.dtype == np.uint8:
        return Pixels(x)
    if not np.issubdtype(x.dtype, np.floating):
        raise DataError(f"{path}: expected {name!r} of uint8 or float values, got {x.dtype}")
    images = x.astype(np.float32)
    if not np.isfinite(images).all():
        raise DataError(f"{path}: {name!r} holds values that are not finite float32 numbers")
    return images


def _labels(y: npt.NDArray[Any], n: int, path: Path, name: str) -> npt.NDArray[np.int64]:
    if y.shape != (n,) or not np.issubdtype(y.dtype, np.integer):
        raise DataError(
            f"{path}: expected {name!r} of {n} integers, got {y.dtype} of shape {y.shape}"
        )
    y = y.astype(np.int64)
    absent = np.setdiff1d(np.arange(max(int(y.max()) + 1, 2)), y)
    if y.min() < 0 or absent.size:
        raise DataError(
            f"{path}: expected labels 0 … K-1, each at least once and K >= 2, "
            f"got {int(y.min())} … {int(y.max())} with {absent.size} of them absent"
        )
    return y


def _groups(
    values: npt.NDArray[Any], n: int, path: Path, name: str | None
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    if values.shape != (n,):
        raise DataError(f"{path}: expected {name!r} of shape ({n},), got {values.shape}")
    names, numbers = np.unique(values, return_inverse=True)
    return numbers.astype(np.int64), tuple(map(str, names.tolist()))
