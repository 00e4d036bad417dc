"""Trained artefacts, and what they predict, on disk: found by content key, written whole or not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ecsim.core.cache import Entry, cache_folder
from ecsim.core.errors import StoreError
from ecsim.core.locking import locked

if TYPE_CHECKING:
    import torch

    from ecsim.models.incremental import IncrementalNet

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Artefact:
    """A trained network as plain values.

    Attributes
    ----------
    head_classes : global class ids per head, in the order of the columns.
    state : the network's state_dict, on the CPU.
    metrics : what its training reported.
    what : what it is, for a reader.
    memory : what its training left for the next update, on the CPU.
    """

    head_classes: tuple[tuple[int, ...], ...]
    state: dict[str, torch.Tensor]
    metrics: dict[str, float]
    what: str
    memory: dict[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, net: IncrementalNet, metrics: dict[str, float], what: str) -> Artefact:
        """Take a network's weights."""
        heads = tuple(tuple(int(label) for label in head) for head in net.head_classes)
        state = {name: tensor.detach().cpu() for name, tensor in net.state_dict().items()}
        memory = {name: tensor.detach().cpu() for name, tensor in net.memory.items()}
        return cls(heads, state, dict(metrics), what, memory)


class ArtefactCache:
    """A folder of artefacts that several processes may use at once.

    `<key>.pt` is an artefact, `<key>.json` says how it was trained; `<key>.npz` are arrays.

    Parameters
    ----------
    folder : where; by default `$ECSIM_CACHE`, else `.cache/ecsim` in the user's home.
    warn : told in one line about an entry that could not be used and is rebuilt.
    """

    def __init__(self, folder: Path | None = None, warn: Warn | None = None):
        self.folder = folder if folder is not None else cache_folder()
        self._warn = warn or (lambda message: None)

    def get_or_make(
        self,
        key: str,
        make: Callable[[], Artefact],
        check: Callable[[Artefact], object] = lambda artefact: None,
    ) -> tuple[Artefact, bool]:
        """Give the artefact of a key and whether it was there; make and keep it if it was not.

        Of several processes that ask at once one makes it, the others wait and read.

        Parameters
        ----------
        check : raises for an artefact that does not fit; it then counts as unreadable.

        Raises
        ------
        StoreError : when the folder cannot be written.
        """
        found = self._read(key, check)
        if found is not None:
            return found, True
        with self._alone(key):
            found = self._read(key, check)  # another process may have made it meanwhile
            if found is not None:
                return found, True
            self._discard(key)
            before_s = time.process_time()
            made = make()
            self._write(key, made, time.process_time() - before_s)
        return made, False

    def about(self, key: str) -> dict[str, Any] | None:
        """Give what is known of a training: `what`, `metrics`, `cpu_s`; None where nothing is."""
        try:
            found = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
            return {name: found[name] for name in ("what", "metrics", "cpu_s")}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def __contains__(self, key: str) -> bool:
        return (self.folder / f"{key}.pt").is_file()

    def arrays(self, key: str) -> dict[str, npt.NDArray[Any]] | None:
        """Give the arrays kept under a key; None when there are none that can be read."""
        try:
            path = self.folder / f"{key}.npz"
            with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
                return {name: found[name] for name in found.files}
        except Exception:  # numpy raises many kinds for a damaged file; each means: not usable
            return None

    def keep_arrays(self, key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Keep arrays under a key; raises `StoreError` when the folder cannot be written."""
        with self._writing():
            self._replace(
                f"{key}.npz",
                lambda file: np.savez(file, **arrays),  # type: ignore[arg-type]
            )

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Be the only process in such a block for this key."""
        with ExitStack() as stack:
            with self._writing():
                stack.enter_context(locked(self.folder / f"{key}.lock"))
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise StoreError(
                f"the cache folder {self.folder} cannot be written ({error.strerror}); "
                "set ECSIM_CACHE to one that can"
            ) from error

    def entries(self) -> list[Entry]:
        """Give what is there, sorted by key; nothing is opened."""
        found = []
        for path in sorted((*self.folder.glob("*.pt"), *self.folder.glob("*.npz"))):
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append(Entry(path.stem, status.st_size, status.st_mtime))
        return found

    def clear(self) -> int:
        """Remove all entries and give their number."""
        removed = 0
        for pattern in ("*.pt", "*.npz", "*.json", "*.lock", "*.part"):
            for path in self.folder.glob(pattern):
                _remove(path)
                removed += path.suffix in (".pt", ".npz")
        return removed

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.pt"

    def _discard(self, key: str) -> None:
        """Remove what stands under a key that could not be read, and say so."""
        path = self._path(key)
        if path.exists():
            self._warn(f"cache entry {path} was unreadable and is rebuilt")
            _remove(path)

    def _read(self, key: str, check: Callable[[Artefact], object]) -> Artefact | None:
        import torch

        try:
            stored: dict[str, Any] = torch.load(
                self._path(key), map_location="cpu", weights_only=True
            )
            artefact = Artefact(
                tuple(tuple(head) for head in stored["head_classes"]),
                stored["state_dict"],
                stored["metrics"],
                stored["what"],
                stored["memory"],
            )
            if stored["key"] != key or stored["digest"] != _digest(artefact):
                return None
            check(artefact)
            return artefact
        except Exception:  # torch raises many kinds for a damaged file; each means: not usable
            return None

    def _write(self, key: str, artefact: Artefact, cpu_s: float) -> None:
        import torch

        stored = {
            "key": key,
            "digest": _digest(artefact),
            "head_classes": [list(head) for head in artefact.head_classes],
            "state_dict": artefact.state,
            "memory": artefact.memory,
            "metrics": artefact.metrics,
            "what": artefact.what,
        }
        about = {"what": artefact.what, "metrics": artefact.metrics, "cpu_s": cpu_s}
        text = json.dumps(about).encode()
        self._replace(f"{key}.json", lambda file: file.write(text))
        self._replace(f"{key}.pt", lambda file: torch.save(stored, file))

    def _replace(self, name: str, write: Callable[[IO[bytes]], object]) -> None:
        """Write a file whole: under another name first, then renamed."""
        handle, part_name = tempfile.mkstemp(dir=self.folder, prefix=name[:16], suffix=".part")
        part = Path(part_name)
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
            part.replace(self.folder / name)
        finally:
            part.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    """Remove what stands there, whatever it is."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _digest(artefact: Artefact) -> str:
    import torch

    digest = hashlib.sha256()
    state = artefact.state | {f"memory/{name}": t for name, t in artefact.memory.items()}
    for name in sorted(state):
        tensor = state[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
