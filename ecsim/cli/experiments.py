"""Commands about many runs: compare, claims."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ecsim.cli.console import console
from ecsim.cli.options import as_json, plugins


def _names(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


folder = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
    help="Folder of the results.",
)  # fmt: skip


@click.command()
@click.argument("results", nargs=-1, required=True, metavar="RUN...")
@click.option("--arms", callback=_names, default="", metavar="A,B,...", help="Labels; default all.")
@click.option(
    "--metrics", callback=_names, default="", metavar="M,N,...",
    help="Metrics such as accuracy,latency_s.p95; by default the main ones.",
)  # fmt: skip
@click.option(
    "--level", type=click.FloatRange(0.5, 0.9999), default=0.95, show_default=True,
    help="Confidence of intervals and tests.",
)  # fmt: skip
@folder
@as_json
def compare(
    results: tuple[str, ...],
    arms: tuple[str, ...],
    metrics: tuple[str, ...],
    level: float,
    out: Path,
    as_json: bool,
) -> None:
    """Compare strategies of a scenario, or a strategy in several.

    Each RUN is a run, replications or a sweep. Differences are paired by replicate where both met
    the same tasks; intervals, p-values after Holm's correction, effect sizes, and the smallest
    difference that would have been found.
    """
    from ecsim.experiment import compare as experiment
    from ecsim.report import comparison

    found = experiment.compare(*results, arms=arms, metrics=metrics, level=level, out=out)
    if as_json:
        click.echo(found.to_json(), nl=False)
        return
    console().print(comparison.comparison(found.rows, level), markup=False)
    for note in found.notes:
        click.echo(note)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@plugins
@click.option("--dry-run", is_flag=True, help="Say what would be run, and run nothing.")
@click.option("--finished", is_flag=True, help="Run nothing; judge the replicates that are done.")
@click.option("--jobs", "-j", type=click.IntRange(1, 1024), default=1, help="Processes.")
@folder
@as_json
def claims(
    file: Path, plugins: tuple[Path, ...], dry_run: bool, finished: bool, jobs: int, out: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """Judge the claims of a suite (FILE): run what is missing, print and write the verdicts."""
    from dataclasses import asdict

    from ecsim.cli.simulate import Live
    from ecsim.core.registry import load_plugins
    from ecsim.experiment import claims as experiment
    from ecsim.report import comparison

    if dry_run:
        load_plugins(plugins)
        wanted = experiment.plan(file, out=out)
        click.echo(wanted.describe())
        for cell in wanted.missing:
            given = {key: cell.overrides[key] for key in cell.overrides if key != "replications"}
            text = " ".join(f"{key}={json.dumps(value)}" for key, value in given.items())
            click.echo(f"missing {cell.name}: {cell.file.name} {text}")
        return
    with Live(console(stderr=True)) as live:
        found = experiment.claims(
            file, plugins=plugins, out=out, jobs=jobs, finished=finished, progress=live,
            planned=lambda plan: live.step(plan.describe()),
        )  # fmt: skip
    if as_json:
        click.echo(found.to_json(), nl=False)
        return
    rows = [asdict(row) for row in found.rows]
    console().print(comparison.verdicts(rows, found.level), markup=False)
    for row in found.rows:
        click.echo(f"{row.id}: {row.measure}{': ' if row.measure else ''}{row.why}")
    click.echo(f"verdicts written to {found.path}")


COMMANDS = (compare, claims)
