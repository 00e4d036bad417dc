"""Samples that were decoded once, kept as plain arrays in the user's cache and mapped from there.

An entry is a folder of .npy files, written beside its place and renamed when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecsim.core.cache import Entry, cache_folder
from ecsim.core.errors import DataError

Arrays = Mapping[str, npt.NDArray[Any]]


def decoded(files: Iterable[Path], how: str, decode: Callable[[], Arrays]) -> Arrays:
    """Give the arrays that `decode` makes of the files, mapped from the cache when it can be.

    Parameters
    ----------
    files : what they are made of; a file with another size or time of change is decoded anew.
    how : names the format, its version and its parameters.
    decode : reads the files; called when the cache has no entry.

    Raises
    ------
    DataError : a file cannot be read.
    """
    entry = _folder() / _key(files, how)
    if not entry.is_dir():
        arrays = decode()
        try:
            _write(entry, arrays)
        except OSError:
            return arrays  # a cache that cannot be written is only slower
    return _read(entry)


def entries() -> list[Entry]:
    """Give what has been decoded, sorted by key; nothing is opened."""
    found = []
    for entry in sorted(_folder().glob("[!.]*")):
        with suppress(OSError):  # removed meanwhile
            sizes = [path.stat().st_size for path in entry.glob("*.npy")]
            found.append(Entry(entry.name, sum(sizes), entry.stat().st_mtime))
    return found


def clear() -> int:
    """Remove what has been decoded, and what was left half written; give the number of entries.

    A run that has mapped an entry keeps it until it ends.
    """
    n = len(entries())
    shutil.rmtree(_folder(), ignore_errors=True)
    return n


def _folder() -> Path:
    return cache_folder() / "data"


def _key(files: Iterable[Path], how: str) -> str:
    digest = hashlib.sha256(how.encode())
    for path in files:
        try:
            about = path.stat()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        digest.update(json.dumps([str(path), about.st_size, about.st_mtime_ns]).encode())
    return digest.hexdigest()[:32]


def _write(entry: Path, arrays: Arrays) -> None:
    partial = entry.with_name(f".{entry.name}-{uuid.uuid4().hex}")
    partial.mkdir(parents=True)
    try:
        for name, array in arrays.items():
            np.save(partial / f"{name}.npy", array, allow_pickle=False)
        try:
            partial.rename(entry)
        except OSError:
            if not entry.is_dir():  # another process was first
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _read(entry: Path) -> Arrays:
    try:
        return {
            path.stem: np.load(path, mmap_mode="r", allow_pickle=False)
            for path in sorted(entry.glob("*.npy"))
        }
    except (OSError, ValueError, EOFError) as error:
        shutil.rmtree(entry, ignore_errors=True)
        raise DataError(
            f"the decoded copy {entry} was damaged and is removed; run the command again"
        ) from error
