"""CIFAR-10 and CIFAR-100 in their published Python batches.

The batches are pickles. They are read by an unpickler that knows four names, all of them needed
to rebuild an array of numbers, and refuses any other: a file of somebody else cannot run code.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ecsim.core.errors import DataError
from ecsim.data.dataset import Augmentation, Dataset, Pixels, fingerprint
from ecsim.data.decoded import Arrays, decoded
from ecsim.data.place import find
from ecsim.scenario.files import Place


class Cifar10:
    """Photographs of 32 x 32 pixels in 10 classes: 50,000, and 10,000 for tests.

    Channels are centred and scaled by the published training part's mean and deviation.
    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    name: ClassVar[str] = "cifar10"
    folder: ClassVar[str] = "cifar-10-batches-py"
    train: ClassVar[tuple[str, ...]] = tuple(f"data_batch_{i}" for i in range(1, 6))
    tests: ClassVar[tuple[str, ...]] = ("test_batch",)
    label_key: ClassVar[bytes] = b"labels"
    n_classes: ClassVar[int] = 10
    mean: ClassVar[tuple[float, ...]] = (0.4914, 0.4822, 0.4465)
    deviation: ClassVar[tuple[float, ...]] = (0.2470, 0.2435, 0.2616)
    class_names: ClassVar[tuple[str, ...]] = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    checksums: ClassVar[dict[str, str]] = {  # MD5
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    }

    @dataclass(frozen=True)
    class Params:
        """Where the files are.

        Attributes
        ----------
        path : the folder of the batches or the one above it, relative to the scenario; by
            default one by the set's name in `$ECSIM_DATA`.
        """

        path: Place | None = None

    def __init__(self, params: Params):
        self.params = params

    def files(self) -> list[Path]:
        """Give the batches; raise `DataError` that names those that are missing."""
        wanted = [(f"{self.folder}/{name}", name) for name in (*self.train, *self.tests)]
        return find(self.name, self.params.path, wanted)

    def load(self) -> Dataset:
        """Read the set, decoded once; raise `DataError` for what is missing or does not fit."""
        files = self.files()
        arrays = decoded(files, f"{self.name} 1", lambda: self._decode(files))
        images = Pixels(arrays["x"], self.mean, self.deviation)
        labels = np.asarray(arrays["y"])
        return Dataset(
            self.name,
            images,
            labels,
            self.n_classes,
            sample_bytes=float(np.prod(images.shape[1:])),
            test=np.arange(int(arrays["n_train"]), len(labels)),
            class_names=self.class_names,
            augmentation=Augmentation(pad=4, flip=True),
            fingerprint=fingerprint(images, labels),
        )

    def _decode(self, files: list[Path]) -> Arrays:
        batches = [self._read(path) for path in files]
        return {
            "x": np.concatenate([x for x, _ in batches]),
            "y": np.concatenate([y for _, y in batches]),
            "n_train": np.array(sum(len(y) for _, y in batches[: len(self.train)])),
        }

    def _read(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        content = read_batch(path)
        try:
            x = np.asarray(content[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32)
            y = np.asarray(content[self.label_key], dtype=np.int64)
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise DataError(f"{path}: not a batch of {self.name}: {error!r}") from error
        if y.shape != (len(x),) or y.min() < 0 or y.max() >= self.n_classes:
            raise DataError(f"{path}: expected {len(x)} labels below {self.n_classes}")
        return x, y


class Cifar100(Cifar10):
    """Photographs of 32 x 32 pixels in 100 fine classes: 50,000, and 10,000 for tests.

    Channels are centred and scaled by the published training part's mean and deviation.
    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    name: ClassVar[str] = "cifar100"
    folder: ClassVar[str] = "cifar-100-python"
    train: ClassVar[tuple[str, ...]] = ("train",)
    tests: ClassVar[tuple[str, ...]] = ("test",)
    label_key: ClassVar[bytes] = b"fine_labels"
    n_classes: ClassVar[int] = 100
    mean: ClassVar[tuple[float, ...]] = (0.5071, 0.4865, 0.4409)
    deviation: ClassVar[tuple[float, ...]] = (0.2673, 0.2564, 0.2762)
    class_names: ClassVar[tuple[str, ...]] = ()
    checksums: ClassVar[dict[str, str]] = {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    }

    Params = Cifar10.Params


def read_batch(path: Path) -> dict[bytes, Any]:
    """Give what a batch holds; raise `DataError` when it is none, or names anything but numbers."""
    try:
        content = _Numbers(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:  # a damaged pickle raises anything
        raise DataError(f"{path}: not a readable batch: {error!r}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a batch, got {type(content).__name__}")
    return content


class _Numbers(pickle.Unpickler):
    """Rebuilds arrays, lists, texts and numbers, and nothing else."""

    _allowed: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        **{
            (module, "_reconstruct"): np._core.multiarray._reconstruct  # type: ignore[attr-defined]
            for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        },
    }

    def find_class(self, module: str, name: str) -> Any:
        found = self._allowed.get((module, name))
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if found is None:
            raise DataError(f"refused: it names {module}.{name}, which is no array of numbers")
        return found


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise DataError(f"refused: it encodes text as {encoding!r}")
    return text.encode("latin1")
