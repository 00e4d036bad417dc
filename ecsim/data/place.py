"""Where the files of a data set are, and what to say when they are not there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ecsim.core.errors import DataError
from ecsim.scenario.files import Place


def data_root() -> Path:
    """Give the folder of the user's data sets: `$ECSIM_DATA`, or a folder in the user's home."""
    chosen = os.environ.get("ECSIM_DATA")
    return Path(chosen).expanduser() if chosen else Path.home() / ".local" / "share" / "ecsim"


def folder_of(name: str, given: Place | None) -> Path:
    """Give the folder or file of a data set: the scenario's `data.path`, or one by its name."""
    return given.path if given is not None else data_root() / name


def find(name: str, given: Place | None, wanted: Sequence[Sequence[str]]) -> list[Path]:
    """Give the files of a data set, each under the first of its names that exists.

    Parameters
    ----------
    wanted : for each file its names, relative to the set's folder, the preferred one first.

    Raises
    ------
    DataError : a file is missing; the message names all that are, and where they belong.
    """
    folder = folder_of(name, given)
    found = [
        next((folder / option for option in names if (folder / option).is_file()), None)
        for names in wanted
    ]
    missing = [names[0] for names, path in zip(wanted, found, strict=True) if path is None]
    if missing:
        raise DataError(absent(name, folder, missing))
    return [path for path in found if path is not None]


def absent(name: str, folder: Path, missing: Sequence[str]) -> str:
    """Say which files of a data set are missing and where they belong."""
    return (
        f"the data set {name!r} is not there: expected {', '.join(missing)} in {folder}; put the "
        f"files there, or say where they are with data.path, or with ECSIM_DATA (a folder with "
        f"one folder per data set)"
    )
