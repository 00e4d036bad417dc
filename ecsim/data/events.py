"""Recordings of event cameras, binned to frames for a spiking network.

An event is (x, y, polarity, time); the events of a sample are dealt to T bins of equal length
over the recording, which gives frames (T, 2, H, W).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from ecsim.core.errors import DataError
from ecsim.data.dataset import Dataset, Pixels, fingerprint
from ecsim.data.decoded import Arrays, decoded
from ecsim.data.npz import read_npz
from ecsim.data.place import absent, folder_of
from ecsim.scenario.files import Place

_EVENT_BYTES = 5  # of an event in the published files: x, y, and 24 bits of polarity and time
_FIELDS = ("x", "y", "p", "t", "offset", "label")
_NPZ = tuple(f"{what}_{part}" for part in ("train", "test") for what in _FIELDS)

Events = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]


class NMnist:
    """N-MNIST: MNIST moved before an event camera, 34 x 34 pixels, two polarities, 10 classes.

    Read from the published folders (``Train/<digit>/<number>.bin`` and ``Test``) or from one .npz
    file with ragged arrays ``x_train, y_train, p_train, t_train, offset_train, label_train`` and
    the same for ``test``: events of sample i are offset[i] … offset[i + 1] - 1.

    Source: G. Orchard et al., Converting static image datasets to spiking neuromorphic datasets
    using saccades, Frontiers in Neuroscience 9:437, 2015 (40 bits per event: x, y, polarity and
    23 bits of time in microseconds).
    """

    name: ClassVar[str] = "nmnist"
    side: ClassVar[int] = 34

    @dataclass(frozen=True)
    class Params:
        """Where the recordings are, and how they become frames.

        Attributes
        ----------
        path : their folder or .npz file, relative to the scenario; by default a folder by the
            set's name in `$ECSIM_DATA`.
        steps : number of frames T; the spiking network's steps must be the same.
        values : `binary` says whether a pixel had an event in the bin, `count` how many (255 at
            most).
        """

        path: Place | None = None
        steps: Annotated[int, Ge(1)] = 4
        values: Literal["binary", "count"] = "binary"

    def __init__(self, params: Params):
        self.params = params

    def load(self) -> Dataset:
        """Read the frames, binned once; raise `DataError` for what is missing or does not fit."""
        files = self.files()
        steps = self.params.steps
        arrays = decoded(files, f"{self.name} 1, {steps} steps", lambda: self._decode(files))
        counts, labels = np.asarray(arrays["x"]), np.asarray(arrays["y"])
        raw = (counts > 0).astype(np.uint8) if self.params.values == "binary" else counts
        images = Pixels(raw, 0.0, 1.0, scale=1.0)
        return Dataset(
            self.name,
            images,
            labels,
            10,
            sample_bytes=float(np.mean(arrays["n_events"])) * _EVENT_BYTES,
            test=np.arange(int(arrays["n_train"]), len(labels)),
            class_names=tuple("0123456789"),
            fingerprint=fingerprint(images, labels),
        )

    def files(self) -> list[Path]:
        """Give the recordings, or the one .npz file; raise `DataError` when there are none."""
        place = folder_of(self.name, self.params.path)
        if place.is_file():
            return [place]
        found = sorted(place.glob("T*/?/*.bin")) or sorted(place.glob("*.npz"))[:1]
        if not found:
            wanted = ["Train/<digit>/<number>.bin and Test/…", "or one .npz file"]
            raise DataError(absent(self.name, place, wanted))
        return found

    def _decode(self, files: list[Path]) -> Arrays:
        if files[0].suffix == ".npz":
            parts = list(_of_npz(files[0]))
        else:
            ordered = sorted(files, key=lambda path: (path.parts[-3] != "Train", path))
            parts = [(path.parts[-3] != "Train", int(path.parts[-2]), _of_bin(path))
                     for path in ordered]  # fmt: skip
        return {
            "x": np.stack([frames(e, self.params.steps, self.side) for *_, e in parts]),
            "y": np.array([label for _, label, _ in parts], dtype=np.int64),
            "n_train": np.array(sum(not is_test for is_test, *_ in parts)),
            "n_events": np.array([len(e[0]) for *_, e in parts], dtype=np.float64),
        }


def frames(events: Events, steps: int, side: int) -> npt.NDArray[np.uint8]:
    """Give the events counted in bins of equal length over the recording: (steps, 2, side, side).

    A count above 255 stays 255; a recording without events is blank.

    >>> x, y, p, t = (np.array(v) for v in ([0, 1, 1], [0, 0, 0], [0, 1, 1], [10, 20, 30]))
    >>> frames((x, y, p, t), steps=2, side=2)[:, :, 0].tolist()
    [[[1, 0], [0, 0]], [[0, 0], [0, 2]]]
    """
    x, y, p, t = events
    counts = np.zeros((steps, 2, side, side), dtype=np.int64)
    if len(t):
        since = t.astype(np.float64) - float(t.min())
        length = max(float(since.max()), 1.0)
        bins = np.minimum((since / length * steps).astype(np.int64), steps - 1)
        np.add.at(counts, (bins, p.astype(np.int64), y.astype(np.int64), x.astype(np.int64)), 1)
    return np.minimum(counts, 255).astype(np.uint8)


def _of_npz(path: Path) -> Iterator[tuple[bool, int, Events]]:
    arrays = dict(zip(_NPZ, read_npz(path, *_NPZ), strict=True))
    for part in ("train", "test"):
        x, y, p, t, offset, label = (arrays[f"{what}_{part}"] for what in _FIELDS)
        if len(offset) != len(label) + 1 or not len(x) == len(y) == len(p) == len(t) == offset[-1]:
            raise DataError(f"{path}: the arrays of {part!r} do not fit together")
        if len(x) and (max(int(x.max()), int(y.max())) >= NMnist.side or int(p.max()) > 1):
            raise DataError(f"{path}: an event of {part!r} lies outside 34 x 34 pixels")
        for k, (a, b) in enumerate(zip(offset[:-1].tolist(), offset[1:].tolist(), strict=True)):
            yield part == "test", int(label[k]), (x[a:b], y[a:b], p[a:b], t[a:b])


def _of_bin(path: Path) -> Events:
    try:
        raw = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) % _EVENT_BYTES:
        raise DataError(f"{path}: expected events of 5 bytes, got {len(raw)} bytes")
    fields = raw.reshape(-1, _EVENT_BYTES).astype(np.int64)
    x, y = fields[:, 0], fields[:, 1]
    if len(x) and max(x.max(), y.max()) >= NMnist.side:
        raise DataError(f"{path}: an event lies outside 34 x 34 pixels")
    time = ((fields[:, 2] & 127) << 16) | (fields[:, 3] << 8) | fields[:, 4]
    return x, y, fields[:, 2] >> 7, time
