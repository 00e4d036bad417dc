"""The commands `sweep`, `search` and `collect`, and what they show while they go on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import progress
from rich.markup import escape

from ecsim.cli.console import console, shown
from ecsim.cli.look import root
from ecsim.cli.options import F, as_json, scenario_options
from ecsim.experiment.progress import SweepProgress

if TYPE_CHECKING:
    from rich.console import Console

    from ecsim.experiment.job import Outcome
    from ecsim.records.sweeps import Sweep


class LiveCells(SweepProgress):
    """Shows cells done, the time that is left, and failures on the terminal (stderr)."""

    def __init__(self, to: Console):
        self._console = to
        self._bars = progress.Progress(
            progress.TextColumn("cells"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[failed]} failed"),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
            console=to,
            transient=True,
        )
        self._task: Any = None
        self._n_failed = 0

    def __enter__(self) -> LiveCells:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def begin(self, n_cells: int, n_done: int) -> None:
        """Show the bar; cells done before do not count for the time that is left."""
        if n_done:
            self._console.print(f"{n_done} of {n_cells} cells are done already")
        self._task = self._bars.add_task("", total=n_cells - n_done, failed=0)

    def end_of_cell(self, outcome: Outcome) -> None:
        """Move the bar; print a failure."""
        if outcome.failed:
            self._n_failed += 1
            first = outcome.error.partition("\n")[0]
            self._console.print(f"cell {outcome.id} failed: {escape(first)}", style="red")
        self._bars.update(self._task, advance=1, failed=self._n_failed)


workers = click.option(
    "--jobs", "-j", type=click.IntRange(1), default=1, show_default=True,
    help="Worker processes on this machine.",
)  # fmt: skip
engine = click.option(
    "--engine", type=click.Choice(["serial", "loky", "dask"]),
    help="What runs the cells; by default serial for one job, loky for more.",
)  # fmt: skip
scheduler = click.option(
    "--scheduler", metavar="tcp://HOST:PORT",
    help="A running dask scheduler whose workers run the cells.",
)  # fmt: skip
retries = click.option(
    "--retries", type=click.IntRange(0), default=2, show_default=True,
    help="Further tries of a cell whose worker died, or that failed by chance.",
)  # fmt: skip


def _engine_options(command: F) -> F:
    """Add what says who runs the cells."""
    return workers(engine(scheduler(command)))


@click.command()
@scenario_options
@_engine_options
@click.option("--dry-run", is_flag=True, help="Say what would run and what it costs; run nothing.")
@click.option(
    "--keep-going/--fail-fast", default=True, show_default=True,
    help="Whether other cells still run when one has failed.",
)  # fmt: skip
@retries
@root
@as_json
def sweep(dry_run: bool, as_json: bool, **given: Any) -> None:
    """Run the cells of a sweep that are not done; the same command goes on after a stop.

    FILE is a scenario with a section `sweep`, or names one. Exit code 1: some cells failed.
    """
    from ecsim import api

    if dry_run:
        _dry_run(given["file"], given["overrides"], given["plugins"], given["out"], as_json)
        return
    report(_live(api.sweep, **given), as_json)


@click.command()
@scenario_options
@_engine_options
@retries
@root
@as_json
def search(as_json: bool, **given: Any) -> None:
    """Run the trials of a search that are left; the same command goes on after a stop.

    FILE is a scenario with a section `search`, or names one. Needs: pip install 'ecsim[search]'.
    """
    from ecsim import api

    found = _live(api.search, **given)
    report(found, as_json)
    if not as_json:
        click.echo((found.path / "pareto.csv").read_text(), nl=False)


@click.command()
@click.argument("sweep")
@root
@as_json
def collect(sweep: str, out: Path, as_json: bool) -> None:
    """Write the cells of SWEEP that are done as one tidy table, cells.parquet and cells.csv."""
    from ecsim.core.errors import UserError
    from ecsim.experiment.collect import collect as write
    from ecsim.records.opening import kind_of, open_result
    from ecsim.records.sweeps import Sweep

    found = open_result(sweep, out)
    if not isinstance(found, Sweep):
        raise UserError(f"expected a sweep or a search, got the {kind_of(found)} {found.path}")
    report(write(found.path), as_json, is_final=False)


def _live(
    run: Callable[..., Sweep], file: Path, overrides: dict[str, str], **options: Any
) -> Sweep:
    """Run the cells, with what was given by the names that `run` has for it, and show them."""
    with LiveCells(console(stderr=True)) as live, stopping():
        return run(file, set=overrides, progress=live, **options)


@contextmanager
def stopping() -> Iterator[None]:
    """Leave with the shell's code for Ctrl-C; what is done stays."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("stopped; cells that are done stay, the same command goes on", err=True)
        sys.exit(130)


def report(found: Sweep, as_json: bool, is_final: bool = True) -> None:
    """Say what a sweep has; leave with 1 where cells failed, and when they should all be there."""
    folder = shown(found.path)
    n, n_done, n_failed = len(found.planned), len(found.runs), len(found.failures)
    if as_json:
        said = {"path": str(found.path), "cells": n, "done": n_done, "failed": list(found.failures)}
        click.echo(json.dumps(said, indent=2))
    else:
        click.echo(f"{n_done} of {n} cells done, {n_failed} failed: {folder / 'cells.csv'}")
        for cell in list(found.failures)[:10]:
            click.echo(f"  {folder / 'failures' / cell}.json", err=True)
    if is_final and n_done < n:
        sys.exit(1)


def _dry_run(
    file: Path,
    overrides: dict[str, str],
    plugins: tuple[Path, ...],
    out: Path,
    as_json: bool,
) -> None:
    from ecsim.core.registry import load_plugins
    from ecsim.experiment.estimate import estimate
    from ecsim.experiment.plan import read_plan

    load_plugins(plugins)
    found = estimate(read_plan(file, overrides), out)
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
    else:
        click.echo("\n".join(found.lines()))


COMMANDS = (sweep, search, collect)
