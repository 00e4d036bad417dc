"""What of the known data sets is there, whether it is what was published, and adding one."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ecsim.core import registry
from ecsim.core.errors import DataError
from ecsim.data.dataset import Dataset
from ecsim.data.place import data_root
from ecsim.scenario.files import Place

_NEED_A_PATH = ("npz", "pictures")  # the user's own, which have no place by their name


@dataclass(frozen=True, slots=True)
class State:
    """A data set that a scenario may name: `problem` is empty when it can be read."""

    name: str
    about: str
    place: Path | None
    problem: str


def known() -> list[str]:
    """Give the names of the data sets that have a place of their own."""
    return [name for name in registry.names("data") if name not in _NEED_A_PATH]


def states() -> list[State]:
    """Give for each known data set whether its files are there; nothing is decoded."""
    found = []
    for name in known():
        made = _make(name)
        about = (type(made).__doc__ or "").strip().split("\n")[0]
        place = None if name == "digits" else data_root() / name
        found.append(State(name, about, place, _problem(made)))
    return found


def open_dataset(name: str, path: Path | None = None) -> Dataset:
    """Give a known data set, from its place or from a path of the user's."""
    return _load(_make(name, path))


def differing(name: str, path: Path | None = None) -> list[str]:
    """Give the files of a data set whose checksum is not the published one."""
    made = _make(name, path)
    expected: dict[str, str] = getattr(made, "checksums", {})
    return [
        str(file)
        for file in (made.files() if expected else ())
        if _md5(file) != expected[file.name.removesuffix(".gz")]
    ]


def add(path: Path, name: str | None = None) -> tuple[str, Path]:
    """Copy a data set to its place and give its name and place.

    Parameters
    ----------
    path : a folder with its files, or an archive (.tar, .tar.gz, .tar.xz) of such a folder.
    name : which data set it is; without it, the one whose published files these are.

    Raises
    ------
    DataError : it is no known data set, or its place is taken.
    """
    if not path.exists():
        raise DataError(f"expected an existing file or folder, got {str(path)!r}")
    name = name or _recognised(path)
    if name not in known() or name == "digits":
        raise DataError(f"expected one of {', '.join(n for n in known() if n != 'digits')}")
    target = data_root() / name
    if target.exists() and any(target.iterdir()):
        raise DataError(f"{target} is not empty; remove it first to replace what is there")
    partial = target.with_name(f".{name}-partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        if path.is_dir():
            shutil.copytree(path, partial, dirs_exist_ok=True)
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                archive.extractall(partial, filter="data")  # refuses what leaves the folder
        else:
            shutil.copy2(path, partial)
        problem = _problem(_make(name, partial))
        if problem:
            raise DataError(problem.replace(str(partial), str(path)))
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rmdir()
        partial.rename(target)
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{path}: cannot be added: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return name, target


def _make(name: str, path: Path | None = None) -> Any:
    if name not in known():
        raise DataError(f"expected one of {', '.join(known())}, got {name!r}")
    made = registry.resolve("data", name)
    place = {} if path is None else {"path": Place(str(path), path.resolve())}
    if place and name == "digits":
        raise DataError("digits come with scikit-learn; they have no path")
    return made(made.Params(**place))


def _load(made: Any) -> Dataset:
    data: Dataset = made.load()
    return data


def _problem(made: Any) -> str:
    """Say what keeps a data set from being read, as far as the presence of its files goes."""
    look = getattr(made, "files", None) or getattr(made, "place", None)
    try:
        if look is not None:
            look()
    except DataError as error:
        return str(error)
    return ""


def _recognised(path: Path) -> str:
    """Give the data set that files of these names and checksums are."""
    sums = dict(_names_and_sums(path))
    for name in known():
        expected: dict[str, str] = getattr(registry.resolve("data", name), "checksums", {})
        if expected and all(sums.get(file) == digest for file, digest in expected.items()):
            return name
    raise DataError(
        f"{path}: not recognised by the checksums of a published data set; say which it is "
        f"with --name ({', '.join(n for n in known() if n != 'digits')})"
    )


def _names_and_sums(path: Path) -> Iterator[tuple[str, str]]:
    wanted = {
        file
        for name in known()
        for file in getattr(registry.resolve("data", name), "checksums", {})
    }
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and file.name.removesuffix(".gz") in wanted:
                yield file.name.removesuffix(".gz"), _md5(file)
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                stream = archive.extractfile(member) if name in wanted else None
                if stream is not None:
                    yield name, hashlib.md5(stream.read(), usedforsecurity=False).hexdigest()


def _md5(path: Path) -> str:
    """Give the MD5 of a file's content without compression: what its publishers printed."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return hashlib.md5(file.read(), usedforsecurity=False).hexdigest()
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
