"""The library's front door: the same thing as the commands, for Python and notebooks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from ecsim.core.registry import load_plugins
from ecsim.records.metrics import Summary
from ecsim.records.replications import Replications
from ecsim.records.store import ROOT, Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ecsim.experiment.progress import SweepProgress
    from ecsim.records.sweeps import Sweep
    from ecsim.report.plots.drawing import Drawn
    from ecsim.runtime.progress import Progress

__all__ = ["load_plugins", "plot", "run", "search", "sweep", "table"]

_NOTHING: Mapping[str, object] = MappingProxyType({})
_NO_WHERE: Mapping[str, str] = MappingProxyType({})


def run(
    path: str | os.PathLike[str],
    *,
    set: Mapping[str, object] = _NOTHING,  # spelled like the command's --set
    plugins: Iterable[str | os.PathLike[str]] = (),
    out: str | Path = ROOT,
    progress: Progress | None = None,
) -> Run | Replications:
    """Simulate a scenario file and give the finished run, as ``ecsim run`` does.

    A scenario with ``replications`` gives all of its runs, with intervals.

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
    files = tuple(map(Path, plugins))
    load_plugins(files)
    from ecsim.runtime.lookup import lookup
    from ecsim.runtime.run import run_scenario
    from ecsim.scenario.load import load

    loaded = load(path, lookup=lookup(), overrides=set)
    if loaded.scenario.replications is not None:
        from ecsim.experiment.replicate import replicate

        return replicate(loaded, overrides=set, out=out, plugins=files, progress=progress)
    return run_scenario(path, overrides=set, out=out, progress=progress, decorate=_draw)


def sweep(
    path: str | os.PathLike[str],
    *,
    set: Mapping[str, object] = _NOTHING,
    jobs: int = 1,
    engine: str | None = None,
    scheduler: str | None = None,
    retries: int = 2,
    keep_going: bool = True,
    plugins: Iterable[str | os.PathLike[str]] = (),
    out: str | Path = ROOT,
    progress: SweepProgress | None = None,
) -> Sweep:
    """Run the cells of a sweep that are not done and give all of them, as ``ecsim sweep`` does.

    Parameters
    ----------
    path : a scenario with a section `sweep`, or a file that names one.
    set : values that replace the scenario's in every cell, by key.
    jobs : worker processes on this machine.
    engine : serial, loky or dask; by default what fits jobs and scheduler.
    scheduler : address of a running dask scheduler.
    retries : further tries of a cell whose worker died, or that failed by chance.
    keep_going : whether other cells are still run when one has failed.
    plugins, out, progress : as for `run`.

    Raises
    ------
    UserError : the input is wrong; nothing was run.
    """
    load_plugins(plugins)
    from ecsim.experiment import engines
    from ecsim.experiment.plan import read_plan
    from ecsim.experiment.sweep import run_sweep

    chosen = engines.make(engine, jobs, retries, scheduler)
    return run_sweep(
        read_plan(path, set), chosen, out=out, plugins=plugins, keep_going=keep_going,
        progress=progress,
    )  # fmt: skip


def search(
    path: str | os.PathLike[str],
    *,
    set: Mapping[str, object] = _NOTHING,
    jobs: int = 1,
    engine: str | None = None,
    scheduler: str | None = None,
    retries: int = 2,
    plugins: Iterable[str | os.PathLike[str]] = (),
    out: str | Path = ROOT,
    progress: SweepProgress | None = None,
) -> Sweep:
    """Run the trials of a search that are left and give all of them, as ``ecsim search`` does.

    The parameters are those of `sweep`; `path` has a section `search`. Needs Optuna.
    """
    load_plugins(plugins)
    from ecsim.experiment import engines
    from ecsim.experiment.search import search as run_search

    chosen = engines.make(engine, jobs, retries, scheduler)
    return run_search(
        path, chosen, overrides=set, out=out, plugins=plugins, progress=progress
    )  # fmt: skip


def plot(
    kind: str,
    *results: Any,
    metrics: Sequence[str] = (),
    keys: Sequence[str] = (),
    arms: Sequence[str] = (),
    where: Mapping[str, str] = _NO_WHERE,
    width: Literal["single", "double"] = "single",
    out: str | Path = ROOT,
) -> Drawn:
    """Draw a figure of runs, replications or sweeps, as ``ecsim plot`` does; nothing is written.

    Gives an object with `figure` (matplotlib's) and `frame` (the numbers in it); it shows itself in
    a notebook.

    Parameters
    ----------
    kind : pareto, latency-cdf, accuracy, energy, queues, queues-over-time, heatmap or parallel.
    results : what `run` and `load` give, or names as for `load`.
    metrics, keys : which to show, for kinds that show any.
    arms, where : labels of strategies, and values of swept keys, to choose.
    width : of one or two columns of a paper.
    out : folder in which names are looked up.

    Raises
    ------
    UserError : there is no such kind, metric or result, or it does not fit the kind.
    """
    from ecsim.core.errors import UserError
    from ecsim.report.material import gather
    from ecsim.report.plots import drawing
    from ecsim.report.style import paper

    if width not in drawing.WIDTHS_IN:
        raise UserError(f"expected a width, single or double, got {width!r}")
    options = drawing.Options(drawing.WIDTHS_IN[width], tuple(metrics), tuple(keys))
    with paper():
        return drawing.draw(kind, gather(_opened(results, out)).only(arms, where), options)


def table(
    *results: Any,
    metrics: Sequence[str] = (),
    arms: Sequence[str] = (),
    where: Mapping[str, str] = _NO_WHERE,
    form: str = "latex",
    out: str | Path = ROOT,
) -> str:
    """Give a table of runs, replications or sweeps as text, as ``ecsim table`` does.

    The parameters are those of `plot`; `form` is latex, markdown or csv.
    """
    from ecsim.report.material import gather
    from ecsim.report.tables import render

    return render(gather(_opened(results, out)).only(arms, where), metrics, form)


def _opened(results: Iterable[Any], out: str | Path) -> list[Any]:
    from ecsim.records.opening import open_result

    return [open_result(of, out) if isinstance(of, str | Path) else of for of in results]


def _draw(summary: Summary, folder: Path) -> None:
    from ecsim.report import figures

    figures.write(summary, folder / "figures")
