"""The library's front door: the same thing as the commands, for Python and notebooks."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from ecsim.core.errors import UserError
from ecsim.records.metrics import Summary
from ecsim.records.store import ROOT, Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ecsim.runtime.progress import Progress

_NOTHING: Mapping[str, object] = MappingProxyType({})


def run(
    path: str | os.PathLike[str],
    *,
    set: Mapping[str, object] = _NOTHING,  # spelled like the command's --set
    plugins: Iterable[str | os.PathLike[str]] = (),
    out: str | Path = ROOT,
    progress: Progress | None = None,
) -> Run:
    """Simulate a scenario file and give the finished run, as ``ecsim run`` does.

    Parameters
    ----------
    path : the scenario, a YAML file.
    set : values that replace the file's, by key: ``{"stream.phase": "10 s"}``.
    plugins : Python files that register names of your own; they are executed.
    out : folder of the runs.
    progress : told what is going on.

    Raises
    ------
    UserError : the input is wrong; its message says where and what was expected.
    """
    load_plugins(plugins)
    from ecsim.runtime.run import run_scenario

    return run_scenario(path, overrides=set, out=out, progress=progress, decorate=_draw)


def load_plugins(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Execute Python files that register strategies, models, … of the user's own.

    Raises `UserError` for a file that does not exist or fails.
    """
    for path in map(Path, paths):
        name = f"ecsim_plugin_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise UserError(f"--plugin: expected a Python file, got {str(path)!r}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise UserError(f"--plugin {path}: {type(error).__name__}: {error}") from error


def _draw(summary: Summary, folder: Path) -> None:
    from ecsim.report import figures

    figures.write(summary, folder / "figures")
