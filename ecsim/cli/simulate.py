"""The command `run`, and what it shows while it goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import progress

from ecsim.cli.console import console
from ecsim.cli.options import as_json, scenario_options
from ecsim.core.errors import FalseAssertionError
from ecsim.runtime import progress as runtime

if TYPE_CHECKING:
    from rich.console import Console

    from ecsim.records.store import Run


class Live(runtime.Progress):
    """Shows trainings and simulated time on the terminal (stderr)."""

    def __init__(self, to: Console):
        self._console = to
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TextColumn("{task.percentage:>3.0f} %"),
            progress.TimeElapsedColumn(),
            console=to,
            transient=True,
        )
        self._tasks: dict[str, progress.TaskID] = {}

    def __enter__(self) -> Live:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def training(self, what: str, seconds: float | None) -> None:
        """Print a finished training; show the one that runs."""
        if seconds is None:
            self._tasks[what] = self._bars.add_task(f"training: {what}", total=None)
            return
        self._bars.remove_task(self._tasks.pop(what))
        self._console.print(f"trained {what} in {seconds:.1f} s")

    def arm(self, label: str, share: float) -> None:
        """Move the bar of a strategy."""
        if label not in self._tasks:
            self._tasks[label] = self._bars.add_task(f"simulating {label}", total=1.0)
        self._bars.update(self._tasks[label], completed=share)
        if share >= 1.0:
            self._bars.remove_task(self._tasks.pop(label))
            self._console.print(f"simulated {label}")

    def step(self, message: str) -> None:
        """Print which of several runs is there."""
        self._console.print(message, markup=False)

    def note(self, message: str) -> None:
        """Print a warning."""
        self._console.print(f"note: {message}", style="yellow")


@click.command()
@scenario_options
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
    help="Folder of the runs.",
)  # fmt: skip
@as_json
@click.option("--quiet", "-q", is_flag=True, help="Print errors only.")
def run(
    file: Path,
    overrides: dict[str, str],
    plugins: tuple[Path, ...],
    out: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Simulate a scenario or its replications: train, stream, compare, write tables, figures."""
    from ecsim import api
    from ecsim.records.metrics import to_json
    from ecsim.records.replications import Replications
    from ecsim.report import comparison, terminal

    with Live(console(quiet=quiet, stderr=True)) as live:
        finished = api.run(file, set=overrides, plugins=plugins, out=out, progress=live)
    if isinstance(finished, Replications):
        if as_json:
            click.echo(json.dumps(finished.manifest, indent=2))
        elif not quiet:
            console().print(comparison.replications(finished.manifest))
            click.echo(f"replications written to {finished.path}")
        _insist(finished.runs)
        return
    if as_json:
        click.echo(to_json(finished.summary), nl=False)
    elif not quiet:
        terminal.show(finished.summary, console())
        for warning in finished.manifest["warnings"]:
            click.echo(f"note: {warning}")
        click.echo(f"run written to {finished.path}")
        for figure in finished.figures.values():
            click.echo(f"figure {figure} (and .pdf)")
    _insist([finished])


def _insist(runs: Sequence[Run]) -> None:
    """Raise `FalseAssertionError` naming what is false, and in which of several runs."""
    lines = [
        f"assertion is false{f' in {run.path.name}' if len(runs) > 1 else ''}: {entry['values']}"
        for run in runs
        for entry in run.manifest["assertions"]
        if not entry["holds"]
    ]
    if lines:
        raise FalseAssertionError("\n".join(lines))


COMMANDS = (run,)
