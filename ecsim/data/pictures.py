"""Picture files in folders or in a tar archive, a folder per class.

Three layouts are known, in this order: parts with classes in them
(``train/<class>/…`` and ``test/`` or ``val/``, where ``val/val_annotations.txt`` may name the
classes, as in Tiny-ImageNet), and classes alone (``<class>/…``, as in Caltech-101 and -256),
below any number of folders that hold nothing else.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from ecsim.core.errors import DataError
from ecsim.data.dataset import Augmentation, Dataset, Pixels, fingerprint
from ecsim.data.decoded import Arrays, decoded
from ecsim.data.place import absent, folder_of
from ecsim.scenario.files import Place

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm")
_TRAIN, _TEST = ("train",), ("test", "val")
_NO_CLASS = ("BACKGROUND_Google", "257.clutter")  # clutter, by the authors of Caltech-101 and -256


class Pictures:
    """Pictures of the user's own: a folder, or a tar archive, with a folder per class.

    Pictures of another size are scaled to the smaller side and cropped to the middle. Values
    become -1 … 1. The parts ``test`` or ``val`` are the published test part.
    """

    name: ClassVar[str] = "pictures"

    @dataclass(frozen=True)
    class Params:
        """Where the pictures are, and their size.

        Attributes
        ----------
        path : a folder or a .tar, .tar.gz, .tar.xz archive, relative to the scenario.
        size : pixels of a side; by default that of the first picture, if it is square.
        grey : whether to keep brightness only (one channel).
        """

        path: Place
        size: Annotated[int, Ge(1)] | None = None
        grey: bool = False

    def __init__(self, params: Any):
        self.params = params

    def load(self) -> Dataset:
        """Read the pictures, decoded once; raise `DataError` for what does not fit."""
        p = self.params
        return pictures(self.place(), self.name, p.size, p.grey)

    def place(self) -> Path:
        """Give the folder or archive."""
        path: Path = self.params.path.path
        return path


class TinyImageNet(Pictures):
    """Tiny-ImageNet: 64 x 64 pixels in 200 classes: 100,000, and 10,000 for tests (its val part).

    Source: Y. Le and X. Yang, Tiny ImageNet Visual Recognition Challenge, CS 231N, 2015.
    """

    name: ClassVar[str] = "tiny_imagenet"
    wanted: ClassVar[str] = "the folder tiny-imagenet-200"
    size: ClassVar[int] = 64

    @dataclass(frozen=True)
    class Params:
        """Where the pictures are.

        Attributes
        ----------
        path : their folder, or its archive; by default one by the set's name in `$ECSIM_DATA`.
        """

        path: Place | None = None

    def load(self) -> Dataset:
        """Read the pictures, decoded once; raise `DataError` for what does not fit."""
        return pictures(self.place(), self.name, self.size, grey=False)

    def place(self) -> Path:
        """Give the folder or archive; raise `DataError` when it is not there."""
        place = folder_of(self.name, self.params.path)
        if not place.exists():
            raise DataError(absent(self.name, place, [self.wanted]))
        return place


class Caltech101(TinyImageNet):
    """Caltech-101: pictures of 101 classes, scaled to 64 x 64; without a test part of its own.

    Source: L. Fei-Fei, R. Fergus and P. Perona, Learning generative visual models from few
    training examples, CVPR workshop, 2004.
    """

    name: ClassVar[str] = "caltech101"
    wanted: ClassVar[str] = "the folder 101_ObjectCategories"

    Params = TinyImageNet.Params


class Cifar10Pictures(TinyImageNet):
    """CIFAR-10 as picture files: 32 x 32 pixels in 10 classes, ``train`` and ``test``.

    Where they are JPEG, pixels are not the published ones, and accuracies not those of papers.
    """

    name: ClassVar[str] = "cifar10_pictures"
    wanted: ClassVar[str] = "the folders train and test, with a folder per class in them"
    size: ClassVar[int] = 32

    Params = TinyImageNet.Params


def pictures(place: Path, name: str, size: int | None, grey: bool) -> Dataset:
    """Give the pictures below a folder or in an archive as a data set."""
    sources = [place] if place.is_file() else _files(place)
    if not sources:
        raise DataError(f"{place}: expected pictures ({', '.join(SUFFIXES)}) in folders by class")
    how = f"pictures 1, size {size}, grey {grey}"
    arrays = decoded(sources, how, lambda: _decode(place, size, grey))
    images, labels = Pixels(arrays["x"]), np.asarray(arrays["y"])
    names = bytes(np.asarray(arrays["names"])).decode().split("\n")
    return Dataset(
        name,
        images,
        labels,
        len(names),
        sample_bytes=float(np.mean(arrays["bytes"])),
        test=np.flatnonzero(arrays["is_test"]),
        class_names=tuple(names),
        augmentation=Augmentation(pad=max(images.shape[-1] // 8, 1), flip=True),
        fingerprint=fingerprint(images, labels),
    )


def _decode(place: Path, size: int | None, grey: bool) -> Arrays:
    members = _archive(place) if place.is_file() else _folder(place)
    found: list[_Picture] = []
    notes: dict[str, str] = {}
    for path, read in members:
        if path.endswith("val_annotations.txt"):
            notes |= _annotations(path, read())
        elif PurePosixPath(path).suffix.lower() in SUFFIXES:
            content = read()
            pixels = _pixels(path, content, size, grey)
            size = size or pixels.shape[1]
            found.append(_Picture(path, pixels, len(content)))
    placed = [(*_place_of(picture.path, notes), picture) for picture in found]
    placed = [entry for entry in placed if entry[1] not in _NO_CLASS]
    placed.sort(key=lambda entry: (entry[0], entry[2].path))  # the test part comes last
    names = sorted({label for _, label, _ in placed})
    if len(names) < 2:
        raise DataError(
            f"{place}: expected pictures ({', '.join(SUFFIXES)}) in folders by class, two classes "
            f"or more, got {names}"
        )
    number = {label: k for k, label in enumerate(names)}
    arrays: dict[str, Any] = {
        "x": np.stack([picture.pixels for *_, picture in placed]),
        "y": np.array([number[label] for _, label, _ in placed], dtype=np.int64),
        "is_test": np.array([is_test for is_test, *_ in placed]),
        "bytes": np.array([picture.n_bytes for *_, picture in placed], dtype=np.float64),
        "names": np.frombuffer("\n".join(names).encode(), np.uint8),
    }
    return arrays


class _Picture(NamedTuple):
    path: str
    pixels: npt.NDArray[np.uint8]
    n_bytes: int


def _place_of(path: str, notes: dict[str, str]) -> tuple[bool, str]:
    """Give whether a picture is of the test part, and its class."""
    folders = list(PurePosixPath(path).parts[:-1])
    part = next((k for k, name in enumerate(folders) if name in _TRAIN + _TEST), None)
    is_test = part is not None and folders[part] in _TEST
    if path in notes:
        return is_test, notes[path]
    classes = folders if part is None else folders[part + 1 :]
    if classes and classes[-1] == "images":  # Tiny-ImageNet keeps them one deeper
        classes.pop()
    if not classes:
        raise DataError(f"{path}: expected a folder per class around it")
    return is_test, classes[-1]


def _annotations(path: str, content: bytes) -> dict[str, str]:
    """Give the class of each picture beside a Tiny-ImageNet annotation file."""
    folder = PurePosixPath(path).parent / "images"
    rows = (line.split("\t") for line in content.decode(errors="replace").splitlines())
    return {str(folder / row[0]): row[1] for row in rows if len(row) > 1}


def _pixels(path: str, content: bytes, size: int | None, grey: bool) -> npt.NDArray[np.uint8]:
    """Give a decoded picture (C, size, size)."""
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(content)).convert("L" if grey else "RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a readable picture: {error}") from error
    if size is None and image.width != image.height:
        raise DataError(
            f"{path}: expected square pictures, or data.size, got {image.width} x {image.height}"
        )
    side = size or image.width
    if image.size != (side, side):
        scale = side / min(image.size)
        width, height = (max(round(length * scale), side) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


_Members = Iterator[tuple[str, Callable[[], bytes]]]


def _files(place: Path) -> list[Path]:
    wanted = (*SUFFIXES, ".txt")
    return sorted(path for path in place.rglob("*") if path.suffix.lower() in wanted)


def _folder(place: Path) -> _Members:
    for path in _files(place):
        yield path.relative_to(place).as_posix(), path.read_bytes


def _archive(place: Path) -> _Members:
    """Read an archive once from front to back; nothing is unpacked to the disk."""
    try:
        with tarfile.open(place, "r|*") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None:
                    yield member.name.removeprefix("./"), file.read
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{place}: not a readable archive: {error}") from error
