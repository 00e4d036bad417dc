"""How values are coded where a cut crosses a link; numpy only.

A codec turns one sample's values of one layer into bytes and back. Spikes are bits in every codec:
they are packed, eight to a byte. What a codec loses, the layers behind the cut really see.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from annotated_types import Interval

Values = npt.NDArray[np.floating[Any]]


class Codec(Protocol):
    """Codes one sample's values; registered as a "codec", made with its `Params`.

    `values` are (M,) in the dtype of the network's weights; `decode` gives M values back.
    """

    def encode(self, values: Values) -> bytes:
        """Give the bytes that travel."""

    def decode(self, data: bytes, like: Values) -> Values:
        """Give the values that arrive, with the number and dtype of `like`."""

    def pack(self, spikes: bytes) -> bytes:
        """Give the bytes that travel for spikes, which are packed bits already."""

    def unpack(self, data: bytes) -> bytes:
        """Give the packed bits back."""


class Plain:
    """What codecs share that leave packed spikes as they are."""

    @dataclass(frozen=True)
    class Params:
        """It has no parameters."""

    def __init__(self, params: Any = None):
        self.params = params

    def pack(self, spikes: bytes) -> bytes:
        """Give the bits as they are."""
        return spikes

    def unpack(self, data: bytes) -> bytes:
        """Give the bits as they are."""
        return data


class Raw(Plain):
    """The values as they are, in the dtype of the network's weights: 4 bytes each in float32."""

    def encode(self, values: Values) -> bytes:
        """Give the values' own bytes."""
        return values.tobytes()

    def decode(self, data: bytes, like: Values) -> Values:
        """Give the values back."""
        return np.frombuffer(data, like.dtype)


class Float16(Plain):
    """Half precision, 2 bytes per value; what does not fit becomes the largest number that does."""

    _LARGEST: ClassVar[float] = float(np.finfo(np.float16).max)

    def encode(self, values: Values) -> bytes:
        """Give the values rounded to half precision."""
        return values.clip(-self._LARGEST, self._LARGEST).astype(np.float16).tobytes()

    def decode(self, data: bytes, like: Values) -> Values:
        """Give the rounded values."""
        return np.frombuffer(data, np.float16).astype(like.dtype)


class Int8(Plain):
    """Affine quantisation per tensor and sample to 8 bits: 8 bytes for the range, 1 per value.

    ``q = round((x - low) / scale)`` with ``scale = (high - low) / 255``, so that an error is at
    most half a step of the sample's own range.
    """

    def encode(self, values: Values) -> bytes:
        """Give least value, step, and the steps."""
        low, high = float(values.min()), float(values.max())
        head = np.array([low, (high - low) / 255.0], np.float32)
        step = float(head[1]) or 1.0
        steps = np.rint((values.astype(np.float64) - float(head[0])) / step)
        return head.tobytes() + steps.clip(0, 255).astype(np.uint8).tobytes()

    def decode(self, data: bytes, like: Values) -> Values:
        """Give the least value plus the steps."""
        low, step = np.frombuffer(data[:8], np.float32).astype(np.float64)
        found: Values = (low + step * np.frombuffer(data[8:], np.uint8)).astype(like.dtype)
        return found


@dataclass(frozen=True)
class ZlibParams:
    """How hard it tries.

    Attributes
    ----------
    level : 1 (fast) to 9 (small).
    """

    level: Annotated[int, Interval(ge=1, le=9)] = 6


class Zlib:
    """Lossless: values or packed spikes through DEFLATE (RFC 1950); zeros are cheap."""

    Params = ZlibParams

    def __init__(self, params: ZlibParams | None = None):
        self.params = params or ZlibParams()

    def encode(self, values: Values) -> bytes:
        """Give the values' bytes, deflated."""
        return zlib.compress(values.tobytes(), self.params.level)

    def decode(self, data: bytes, like: Values) -> Values:
        """Give the values back."""
        return np.frombuffer(zlib.decompress(data), like.dtype)

    def pack(self, spikes: bytes) -> bytes:
        """Give the packed bits, deflated."""
        return zlib.compress(spikes, self.params.level)

    def unpack(self, data: bytes) -> bytes:
        """Give the packed bits back."""
        return zlib.decompress(data)


def coded(codec: Codec, rows: Values, is_spikes: bool) -> tuple[Values, npt.NDArray[np.float64]]:
    """Give what arrives of rows (N, M) and what each row took on the way, (N,), in bytes.

    Raises `ValueError` where what should be spikes is not 0 or 1.
    """
    arrived = np.empty_like(rows)
    sizes = np.empty(len(rows))
    if is_spikes and not ((rows == 0) | (rows == 1)).all():
        raise ValueError("expected spikes, 0 or 1")
    for i, row in enumerate(rows):
        if is_spikes:
            data = codec.pack(np.packbits(row != 0).tobytes())
            bits = np.frombuffer(codec.unpack(data), np.uint8)
            arrived[i] = np.unpackbits(bits, count=row.size)
        else:
            data = codec.encode(row)
            arrived[i] = codec.decode(data, row)
        sizes[i] = len(data)
    return arrived, sizes


def codec_named(name: str) -> Codec:
    """Give a codec by its registered name, with its default parameters."""
    from ecsim.core import registry

    cls = registry.resolve("codec", name)
    made: Codec = cls(cls.Params())
    return made
