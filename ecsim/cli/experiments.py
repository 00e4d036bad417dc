"""Commands about many runs: compare, claims."""

from __future__ import annotations

from pathlib import Path

import click

from ecsim.cli.console import console
from ecsim.cli.options import as_json


def _names(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


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
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
    help="Folder of the results.",
)  # fmt: skip
@as_json
def compare(
    results: tuple[str, ...],
    arms: tuple[str, ...],
    metrics: tuple[str, ...],
    level: float,
    out: Path,
    as_json: bool,
) -> None:
    """Compare strategies of a scenario, or a strategy in several: RUNs or replications.

    Differences are paired by replicate where both met the same tasks; intervals, p-values after
    Holm's correction, effect sizes, and the smallest difference that would have been found.
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


COMMANDS = (compare,)
