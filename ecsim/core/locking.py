"""Locks on files, for processes that must not do the same thing at the same time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file inside the block; wait for it as long as it takes.

    The file is made when it does not exist, and stays. Its lock is freed with the block or with
    the process, however that dies, so that there is no stale lock. A file system without locks
    leaves the block unprotected. Raises `OSError` when the file cannot be opened.
    """
    with path.open("ab") as file:
        with suppress(OSError):
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX)
        yield
