"""What a data set is: samples that become normalised floats where they are read, and labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ecsim.core.types import IntArray

CENTRED = (0.5, 0.5)  # mean and deviation that bring pixels to -1 … 1


class Pixels:
    """Samples kept as bytes, given as float32: (value x scale - mean) / deviation.

    Behaves like an array (N, …, C, H, W) of float32 for what a data set is read with: its shape
    and an index along the first axis. The bytes may stay on disk (`numpy.memmap`).

    Parameters
    ----------
    raw : uint8, (N, …, C, H, W).
    mean, deviation : one number for all channels, or one for each.
    scale : what a byte is multiplied with first; 1/255 for pixels, 1 for counts.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        raw: npt.NDArray[np.uint8],
        mean: float | Sequence[float] = CENTRED[0],
        deviation: float | Sequence[float] = CENTRED[1],
        scale: float = 1 / 255,
    ):
        self.raw = raw
        self.shape = raw.shape
        self.ndim = raw.ndim
        self._mean, self._deviation = (
            np.asarray(value, np.float32).reshape(-1, 1, 1) for value in (mean, deviation)
        )
        self._scale = np.float32(scale)

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, index: Any) -> npt.NDArray[np.float32]:
        values = np.asarray(self.raw[index], dtype=np.float32)
        values *= self._scale
        values -= self._mean
        values /= self._deviation
        return values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=False)

    def to_unit(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Give normalised samples as what a byte is scaled to: pixels from 0 to 1."""
        return values * self._deviation + self._mean

    def from_unit(self, pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Give pixels from 0 to 1 as normalised samples."""
        return (pixels - self._mean) / self._deviation

    def constants(self) -> bytes:
        """Give mean, deviation and scale as bytes: with the raw values they are the content."""
        return b"".join(part.tobytes() for part in (self._mean, self._deviation, self._scale))


Images: TypeAlias = npt.NDArray[np.float32] | Pixels


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What a training may do to a sample of the set without changing its class.

    Attributes
    ----------
    pad : a random crop of the sample's own size after so many zeros on each side.
    flip : mirror left and right in half of the cases.
    """

    pad: int = 0
    flip: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled samples, ready for a network.

    Attributes
    ----------
    images : float32 once indexed, (N, C, H, W) or frames (N, T, C, H, W), normalised as the set
        declares it, with constants that owe nothing to the probe pool.
    labels : int64, (N,), global class ids 0 … n_classes - 1.
    sample_bytes : size of one sample as a device would send it, before any normalisation.
    test : ids of the published test part, ascending; empty where the set has none.
    class_names : one for each class, or none.
    groups : who each sample comes from (a speaker, a writer), (N,), or None; `group_names` says
        what the numbers stand for.
    fingerprint : sha256 over samples, constants and labels, in hexadecimal.
    """

    name: str
    images: Images
    labels: npt.NDArray[np.int64]
    n_classes: int
    sample_bytes: float
    test: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    class_names: tuple[str, ...] = ()
    groups: IntArray | None = None
    group_names: tuple[str, ...] = ()
    augmentation: Augmentation = Augmentation()
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", fingerprint(self.images, self.labels))


def fingerprint(images: Images, labels: npt.NDArray[np.int64]) -> str:
    """Give the content of samples and labels as a sha256 in hexadecimal."""
    digest = hashlib.sha256(str(images.shape).encode())
    if isinstance(images, Pixels):
        digest.update(images.constants())
        digest.update(cast(Any, np.ascontiguousarray(images.raw)))
    else:
        digest.update(np.ascontiguousarray(images, dtype="<f4").tobytes())
    digest.update(np.ascontiguousarray(labels, dtype="<i8").tobytes())
    return digest.hexdigest()
