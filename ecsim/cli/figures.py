"""Commands that make figures, tables and stories of finished results: plot, table, explain-task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ecsim.cli.look import root
from ecsim.core.errors import UserError
from ecsim.report.plots import KINDS


def _list(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (value or "").split(",") if part.strip())


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    given = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--where: expected KEY=VALUE of a swept key, got {value!r}")
        given[key.strip()] = text.strip()
    return given


results = click.argument("results", nargs=-1, required=True, metavar="RESULT...")
metrics = click.option(
    "--metrics", callback=_list, metavar="A,B", help="Metrics, e.g. accuracy,latency_s.p95."
)
arms = click.option("--arms", callback=_list, metavar="A,B", help="Labels of strategies; all.")
where = click.option(
    "--where", multiple=True, callback=_pairs, metavar="KEY=VALUE",
    help="Only the cells of a sweep with this value. Repeatable.",
)  # fmt: skip


def _material(
    names: tuple[str, ...], out: Path, arms: tuple[str, ...], where: dict[str, str]
) -> Any:
    from ecsim.records.opening import open_result
    from ecsim.report.material import gather

    return gather(open_result(name, out) for name in names).only(arms, where)


@click.command(epilog="Kinds: " + "; ".join(f"{kind}: {what}" for kind, what in KINDS.items()))
@click.argument("kind")
@results
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), default=Path("figures"), show_default=True,
    help="Folder of the files.",
)  # fmt: skip
@click.option(
    "--width", type=click.Choice(("single", "double")), default="single", show_default=True,
    help="One or two columns of a paper: 3.5 or 7.16 inches.",
)  # fmt: skip
@click.option(
    "--formats", callback=_list, default="pdf,svg,png", show_default=True, help="Files to write."
)
@metrics
@click.option("--title", default="", help="Text above the figure, such as its scale.")
@click.option("--keys", callback=_list, metavar="A,B", help="Swept keys; the first that vary.")
@arms
@where
@root
def plot(
    kind: str,
    results: tuple[str, ...],
    output: Path,
    width: str,
    formats: tuple[str, ...],
    metrics: tuple[str, ...],
    title: str,
    keys: tuple[str, ...],
    arms: tuple[str, ...],
    where: dict[str, str],
    out: Path,
) -> None:
    """Draw a figure for a paper from runs, replications or sweeps, with its numbers as CSV."""
    from ecsim.report.plots import drawing

    options = drawing.Options(drawing.WIDTHS_IN[width], metrics, keys, title)
    material = _material(results, out, arms, where)
    for path in drawing.write(kind, material, output, options, formats):
        click.echo(f"wrote {path}")


@click.command()
@results
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="File to write; the terminal by default.",
)
@click.option(
    "--format", "form", default="latex", show_default=True, help="latex, markdown or csv."
)
@metrics
@arms
@where
@root
def table(
    results: tuple[str, ...],
    output: Path | None,
    form: str,
    metrics: tuple[str, ...],
    arms: tuple[str, ...],
    where: dict[str, str],
    out: Path,
) -> None:
    """Write a table for a paper: LaTeX (needs booktabs), Markdown or CSV."""
    from ecsim.report.tables import render

    text = render(_material(results, out, arms, where), metrics, form)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {output}: {error.strerror}") from error
    click.echo(f"wrote {output}")


@click.command("explain-task")
@click.argument("run")
@click.argument("task_id", type=int, metavar="ID")
@arms
@root
def explain_task(run: str, task_id: int, arms: tuple[str, ...], out: Path) -> None:
    """Tell the story of task ID of RUN, stage by stage, under each strategy."""
    from ecsim.records.opening import open_run
    from ecsim.report.story import story

    click.echo(story(open_run(run, out), task_id, arms), nl=False)


COMMANDS = (plot, table, explain_task)
