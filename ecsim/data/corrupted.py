"""Still images with their corrupted variants: noise, blur, brightness, contrast, occlusion.

A variant is a function of the sample, the kind and the severity alone, whatever the seeds: like a
published corrupted test set, and without its disk space. Own implementation.

Source: D. Hendrycks and T. Dietterich, Benchmarking neural network robustness to common
corruptions and perturbations, ICLR 2019: noise, brightness and contrast with the parameters of
ImageNet-C, blur (Gaussian) with those of CIFAR-10-C. Brightness is added to all channels rather
than to the V of HSV, which is the same for grey images. Occlusion is Cutout's (T. DeVries and
G. Taylor, 2017) grey square; its areas are our own choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from ecsim.core.errors import UserError
from ecsim.core.randomness import Streams
from ecsim.core.variants import N_VARIANTS, Kind, kind_and_severity
from ecsim.data.dataset import Images, Pixels

PARAMETERS: Mapping[Kind, tuple[float, ...]] = {
    "noise": (0.08, 0.12, 0.18, 0.26, 0.38),  # deviation, of pixels from 0 to 1
    "blur": (0.4, 0.6, 0.7, 0.8, 1.0),  # deviation in pixels
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),  # what is added
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),  # share of the distance to the mean that is left
    "occlusion": (0.05, 0.1, 0.2, 0.3, 0.4),  # share of the area
}
_STREAMS = Streams(0)

Floats = npt.NDArray[np.float64]


def corrupt(pixels: Floats, kind: Kind, severity: int, rng: np.random.Generator) -> Floats:
    """Give a corrupted copy of an image, (C, H, W) from 0 to 1.

    The same stream gives the same noise and the same place at each severity, only more of it.
    """
    strength = PARAMETERS[kind][severity - 1]
    if kind == "noise":
        return (pixels + strength * rng.standard_normal(pixels.shape)).clip(0, 1)
    if kind == "blur":
        return _blurred(_blurred(pixels, strength, 1), strength, 2)
    if kind == "brightness":
        return (pixels + strength).clip(0, 1)
    if kind == "contrast":
        mean: Floats = pixels.mean(axis=(1, 2), keepdims=True)
        return (mean + strength * (pixels - mean)).clip(0, 1)
    return _occluded(pixels, sqrt(strength), rng)


def _blurred(pixels: Floats, deviation: float, axis: int) -> Floats:
    """Give the image blurred along one axis; the borders go on as they end."""
    radius, length = ceil(3 * deviation), pixels.shape[axis]
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    weights /= weights.sum()
    pad = [(radius, radius) if i == axis else (0, 0) for i in range(pixels.ndim)]
    wide = np.pad(pixels, pad, mode="edge")
    parts = (
        weight * np.take(wide, range(i, i + length), axis=axis)
        for i, weight in enumerate(weights.tolist())
    )
    return sum(parts, start=np.zeros_like(pixels))


def _occluded(pixels: Floats, side: float, rng: np.random.Generator) -> Floats:
    """Give the image with a grey square that lies within it, round a random place."""
    covered, where = pixels.copy(), rng.random(2)
    spans = []
    for length, at in zip(pixels.shape[1:], where.tolist(), strict=True):
        size = max(1, round(side * length))
        begin = round(at * (length - size))
        spans.append(slice(begin, begin + size))
    covered[:, spans[0], spans[1]] = 0.5
    return covered


class Corrupted:
    """A data set's images followed by all their variants, made where they are read.

    Row ``variant * N + sample`` is a variant of a sample, see `ecsim.core.variants`. Behaves like
    an array for what a data set is read with: its shape, and an array of ids as the index.

    Parameters
    ----------
    images : (N, C, H, W); those that are no `Pixels` have their own smallest and largest value
        as black and white.

    Raises
    ------
    UserError : the samples are no still images.
    """

    def __init__(self, images: Images):
        if len(images.shape) != 4:
            raise UserError("corruptions: expected still images, the data set has frames of events")
        self._images = images
        self._n = images.shape[0]
        self.shape = (self._n * N_VARIANTS, *images.shape[1:])
        self._offset, self._range = (0.0, 1.0)
        if not isinstance(images, Pixels):
            self._offset = float(np.min(images))
            self._range = float(np.max(images)) - self._offset or 1.0

    def __getitem__(self, index: Any) -> npt.NDArray[np.float32]:
        variants, samples = np.divmod(np.asarray(index), self._n)
        found = np.array(self._images[samples], dtype=np.float32)
        for row in np.flatnonzero(variants).tolist():
            kind, severity = kind_and_severity(int(variants[row]))
            rng = _STREAMS("corruption", kind, str(int(samples[row])))
            pixels = self._to_pixels(found[row].astype(np.float64))
            found[row] = self._from_pixels(corrupt(pixels, kind, severity, rng))
        return found

    def _to_pixels(self, values: Floats) -> Floats:
        if isinstance(self._images, Pixels):
            return self._images.to_unit(values)
        return (values - self._offset) / self._range

    def _from_pixels(self, pixels: Floats) -> Floats:
        if isinstance(self._images, Pixels):
            return self._images.from_unit(pixels)
        return pixels * self._range + self._offset
