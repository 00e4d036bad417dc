"""The run store: a run is whole or it is not there.

A run is written into a hidden partial folder beside its target, the manifest comes last, and one
rename makes it visible; an earlier whole run of the same name is replaced only then. Whatever a
killed process leaves behind has a hidden name with its process id, is never listed or loaded, and
is cleared away by the next writer in that folder.
"""

from __future__ import annotations

import contextlib
import datetime
import difflib
import hashlib
import json
import os
import re
import shutil
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ecsim.core.errors import StoreError
from ecsim.records import shown
from ecsim.records.metrics import Summary, metric, to_json
from ecsim.records.tables import (
    BATTERIES,
    ENERGY,
    MARKS,
    PROBE,
    PROBE_BINS,
    PROBE_CLASSES,
    QUEUES,
    SERIES,
    SPANS,
    TABLES,
    TASKS,
    UPDATES,
    WATCHED,
    Table,
)

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 3
ROOT = Path("results")
_FILES = (*(f"{table.name}.parquet" for table in TABLES), "summary.json")
_HIDDEN = re.compile(r"\.(?P<run>.+)\.(?P<what>partial|replaced)-(?P<pid>\d+)-(?P<host>[^-]*)-\w+")


class RunWriter:
    """Writes one run; a context manager that discards it unless `commit` was reached.

    Parameters
    ----------
    out_dir : folder of the runs, made when it does not exist.
    run_name : name of the run's folder in it.

    Raises
    ------
    StoreError : the name is no folder name, or a folder of that name is not a run.
    """

    def __init__(self, out_dir: str | Path, run_name: str):
        if not run_name or run_name.startswith(".") or re.search(r"[/\\\0]", run_name):
            raise StoreError(f"a run cannot be called {run_name!r}: not a visible folder name")
        self._out_dir = Path(out_dir)
        self.target = self._out_dir / run_name
        self.path = _hidden_beside(self.target, "partial")
        try:
            self._out_dir.mkdir(parents=True, exist_ok=True)
            clear_leftovers(self._out_dir)
            self._refuse_foreign_target()
            self.path.mkdir()
        except OSError as error:
            raise StoreError(f"cannot write runs to {self._out_dir}: {error.strerror}") from error
        self._is_open = True

    def commit(self, manifest: Mapping[str, Any], summary: Summary) -> Run:
        """Add the summary and the manifest, make the run visible, and give it.

        The manifest gets `format`, `run`, `finished` (UTC) and `files` (size and sha256 of each).

        Raises
        ------
        StoreError : a table is missing, or a folder of that name has appeared that is not a run.
        """
        (self.path / "summary.json").write_text(to_json(summary), encoding="utf-8")
        missing = [name for name in _FILES if not (self.path / name).is_file()]
        if missing:
            raise StoreError(f"run {self.target.name}: not written yet: {', '.join(missing)}")
        self._refuse_foreign_target()
        finished = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        about = {
            **manifest,
            "format": FORMAT,
            "run": self.target.name,
            "finished": finished,
            "files": {
                name: _fingerprint(self.path / name)
                for name in (*_FILES, *(f"{table.name}.parquet" for table in WATCHED))
                if (self.path / name).is_file()
            },
        }
        with (self.path / "manifest.json").open("w", encoding="utf-8") as file:
            json.dump(about, file, indent=2, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        self._publish()
        return Run.open(self.target)

    def abort(self) -> None:
        """Discard what was written; does nothing after a commit."""
        if self._is_open:
            shutil.rmtree(self.path, ignore_errors=True)
            self._is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def _refuse_foreign_target(self) -> None:
        if self.target.exists() and not (self.target / "manifest.json").is_file():
            raise StoreError(f"{self.target} exists and is not a run of ecsim; move it away first")

    def _publish(self) -> None:
        if self.target.exists():
            # a folder cannot replace a folder in one step; `clear_leftovers` undoes a half step
            aside = _hidden_beside(self.target, "replaced")
            self.target.replace(aside)
            self.path.replace(self.target)
            shutil.rmtree(aside, ignore_errors=True)
        else:
            self.path.replace(self.target)
        self._is_open = False


@dataclass(frozen=True)
class Run:
    """A finished run; tables are read when first asked for, as pandas frames.

    Attributes
    ----------
    path : its folder.
    manifest : how it was made: scenario, seeds, versions, hashes, times.
    summary : metrics by strategy label, see `ecsim.records.metrics`.
    """

    path: Path
    manifest: dict[str, Any] = field(repr=False)
    summary: Summary = field(repr=False)

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open the run in a folder; raise `StoreError` unless it is whole and of this format."""
        folder = Path(path)
        if not (folder / "manifest.json").is_file():
            raise StoreError(f"{folder} is not a whole run: it has no manifest.json")
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            if manifest["format"] != FORMAT:
                raise StoreError(
                    f"{folder} has format {manifest['format']}; this ecsim reads format {FORMAT}"
                )
            for name in dict.fromkeys((*_FILES, *manifest["files"])):
                about = manifest["files"][name]
                if (folder / name).stat().st_size != about["bytes"]:
                    raise StoreError(f"{folder / name} is not as long as it was written")
            summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{folder} is not a whole run: {error}") from error
        return cls(folder, manifest, summary)

    @cached_property
    def tasks(self) -> pd.DataFrame:
        """One row per task and strategy."""
        return self._read(TASKS)

    def some_tasks(self, *names: str, **equal: object) -> pd.DataFrame:
        """Read some columns of `tasks`, of the rows in which columns have given values; not kept.

        ``run.some_tasks("device", "latency_s", strategy="ecc_snn")`` takes a tenth of the memory.
        """
        from ecsim.records.arrow import read_frame

        if "tasks" not in self.__dict__:  # not read yet
            return read_frame(self.path / "tasks.parquet", TASKS, names, equal)
        tasks = self.tasks
        for name, value in equal.items():
            tasks = tasks[(tasks[name] == value).to_numpy()]
        return tasks[list(names or TASKS.names)]

    @cached_property
    def updates(self) -> pd.DataFrame:
        """One row per model version deployed after the start."""
        return self._read(UPDATES)

    @cached_property
    def energy(self) -> pd.DataFrame:
        """Seconds and joules per node, component and state."""
        return self._read(ENERGY)

    @cached_property
    def probe(self) -> pd.DataFrame:
        """Deployed versions on the whole probe pool."""
        return self._read(PROBE)

    @cached_property
    def probe_classes(self) -> pd.DataFrame:
        """The probe of each version, by true class."""
        return self._read(PROBE_CLASSES)

    @cached_property
    def probe_bins(self) -> pd.DataFrame:
        """The probe of each version, by how sure it is."""
        return self._read(PROBE_BINS)

    @cached_property
    def queues(self) -> pd.DataFrame:
        """Load, use, waits and lengths of every queue."""
        return self._read(QUEUES)

    @cached_property
    def series(self) -> pd.DataFrame:
        """Readings at equal distances in time; of a run with ``run: {probe: …}``."""
        return self._read(SERIES)

    @cached_property
    def spans(self) -> pd.DataFrame:
        """What the first tasks did when; of a run with ``run: {trace: …}``."""
        return self._read(SPANS)

    @cached_property
    def marks(self) -> pd.DataFrame:
        """What strategies kept with `ctx.record`."""
        return self._read(MARKS)

    @cached_property
    def batteries(self) -> pd.DataFrame:
        """What went into each battery and out of it."""
        return self._read(BATTERIES)

    @property
    def figures(self) -> dict[str, Path]:
        """The figures as PNG, by name."""
        return {path.stem: path for path in sorted((self.path / "figures").glob("*.png"))}

    def _read(self, table: Table) -> pd.DataFrame:
        from ecsim.records.arrow import read_frame

        if table in WATCHED and f"{table.name}.parquet" not in self.manifest["files"]:
            key = "probe: 1 s" if table is SERIES else "trace: 200"
            raise StoreError(f"{self.path.name} has no {table.name}: run it with run: {{{key}}}")
        return read_frame(self.path / f"{table.name}.parquet", table)

    def _repr_html_(self) -> str:
        heads = ("strategy", "n", *map(shown.named, shown.IN_NOTEBOOKS))
        rows = []
        for label, of in self.summary.items():
            values = {path: metric(self.summary, label, path) for path in shown.IN_NOTEBOOKS}
            cells = [shown.result(value, path, of.get("stable")) for path, value in values.items()]
            rows.append((label, of["n"], *cells))
        return shown.table(self.path.name, heads, rows)


def load(name: str | Path, root: str | Path = ROOT) -> Run:
    """Open a run by folder, or by its name or the beginning of its name under `root`.

    Raises `StoreError` naming near names when there is none, or all of them when several fit.
    """
    for folder in (Path(name), Path(root) / name):
        if (folder / "manifest.json").is_file():
            return Run.open(folder)
    known = [row.name for row in list_runs(root)]
    fitting = [known_name for known_name in known if known_name.startswith(str(name))]
    if len(fitting) == 1:
        return Run.open(Path(root) / fitting[0])
    if fitting:
        raise StoreError(f"{str(name)!r} is the beginning of several runs: {', '.join(fitting)}")
    if Path(name).is_dir():
        return Run.open(name)  # says why it is not a run
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"{root} has {len(known)} runs"
    raise StoreError(f"no run {str(name)!r}; {hint}")


@dataclass(frozen=True, slots=True)
class RunRow:
    """One line of a listing: name, UTC time it finished, its labels and number of task rows."""

    name: str
    path: Path
    finished: str
    labels: tuple[str, ...]
    n_tasks: int


def list_runs(root: str | Path = ROOT) -> list[RunRow]:
    """Give the whole runs in a folder, sorted by name; what is not whole is not there."""
    rows = []
    for folder in sorted(path for path in Path(root).glob("*") if not path.name.startswith(".")):
        with contextlib.suppress(StoreError):
            run = Run.open(folder)
            n_tasks = sum(of["n"] for of in run.summary.values())
            finished = run.manifest["finished"]
            rows.append(RunRow(folder.name, folder, finished, tuple(run.summary), n_tasks))
    return rows


def clear_leftovers(root: Path) -> None:
    """Remove what dead processes of this host left half written; put back a run set aside."""
    for folder in root.glob(".*"):
        match = _HIDDEN.fullmatch(folder.name)
        if match is None or match["host"] != _host() or _is_alive(int(match["pid"])):
            continue
        target = root / match["run"]
        if match["what"] == "replaced" and not target.exists():
            with contextlib.suppress(OSError):
                folder.replace(target)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _hidden_beside(target: Path, what: str) -> Path:
    name = f".{target.name}.{what}-{os.getpid()}-{_host()}-{uuid.uuid4().hex[:8]}"
    return target.with_name(name)


def _host() -> str:
    return re.sub(r"[^\w.]", "_", socket.gethostname())


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # signal 0 is Ctrl-C there: leave the folder rather than ask
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}
