"""MNIST and Fashion-MNIST in their published IDX files, compressed or not."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ecsim.core.errors import DataError
from ecsim.data.dataset import Dataset, Pixels, fingerprint
from ecsim.data.decoded import Arrays, decoded
from ecsim.data.place import find
from ecsim.scenario.files import Place

_PARTS = ("train", "t10k")
_IMAGES, _LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"


class Mnist:
    """Handwritten digits of 28 x 28 grey pixels in 10 classes: 60,000, and 10,000 for tests.

    Grey values become -1 … 1. Source: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST
    database of handwritten digits, 1998.
    """

    name: ClassVar[str] = "mnist"
    class_names: ClassVar[tuple[str, ...]] = tuple("0123456789")
    checksums: ClassVar[dict[str, str]] = {  # MD5 of the files without compression
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }

    @dataclass(frozen=True)
    class Params:
        """Where the files are.

        Attributes
        ----------
        path : their folder, relative to the scenario; by default one by the set's name in
            `$ECSIM_DATA`.
        """

        path: Place | None = None

    def __init__(self, params: Params):
        self.params = params

    def files(self) -> list[Path]:
        """Give the four files; raise `DataError` that names those that are missing."""
        wanted = [f"{part}-{kind}" for part in _PARTS for kind in (_IMAGES, _LABELS)]
        names = [(f"{name}.gz", name, f"raw/{name}.gz", f"raw/{name}") for name in wanted]
        return find(self.name, self.params.path, names)

    def load(self) -> Dataset:
        """Read the set, decoded once; raise `DataError` for what is missing or does not fit."""
        files = self.files()
        arrays = decoded(files, "idx 1", lambda: _decode(files))
        images, labels = Pixels(arrays["x"]), np.asarray(arrays["y"])
        n_train = int(arrays["n_train"])
        return Dataset(
            self.name,
            images,
            labels,
            int(labels.max()) + 1,
            sample_bytes=float(np.prod(images.shape[1:])),
            test=np.arange(n_train, len(labels)),
            class_names=self.class_names,
            fingerprint=fingerprint(images, labels),
        )


class FashionMnist(Mnist):
    """Articles of clothing, 28 x 28 grey pixels in 10 classes: 60,000, and 10,000 for tests.

    Grey values become -1 … 1. Source: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST,
    arXiv:1708.07747, 2017.
    """

    name: ClassVar[str] = "fashion_mnist"
    class_names: ClassVar[tuple[str, ...]] = (
        "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
        "ankle boot",
    )  # fmt: skip
    checksums: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    }

    Params = Mnist.Params


def read_idx(path: Path, n_dims: int) -> npt.NDArray[np.uint8]:
    """Give the bytes of an IDX file with so many dimensions; raise `DataError` where it has not.

    The format: two zero bytes, 8 for unsigned bytes, the number of dimensions, each size as a
    big-endian 32-bit integer, then the values.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    start = 4 + 4 * n_dims
    if content[:4] != bytes([0, 0, 8, n_dims]) or len(content) < start:
        raise DataError(f"{path}: expected an IDX file of bytes in {n_dims} dimensions")
    shape = tuple(np.frombuffer(content, ">u4", n_dims, offset=4).tolist())
    if len(content) - start != int(np.prod(shape)):
        raise DataError(
            f"{path}: expected {int(np.prod(shape))} values for shape {shape}, "
            f"got {len(content) - start}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _decode(files: list[Path]) -> Arrays:
    images, labels = [], []
    for image_file, label_file in zip(files[::2], files[1::2], strict=True):
        x, y = read_idx(image_file, 3), read_idx(label_file, 1)
        if len(x) != len(y):
            raise DataError(f"{label_file}: expected {len(x)} labels, got {len(y)}")
        images.append(x)
        labels.append(y)
    everything: dict[str, Any] = {
        "x": np.concatenate(images)[:, None],  # (N, 1, H, W)
        "y": np.concatenate(labels).astype(np.int64),
        "n_train": np.array(len(labels[0])),
    }
    return everything
