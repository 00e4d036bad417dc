"""The command `report`."""

from __future__ import annotations

from pathlib import Path

import click

from ecsim.cli.look import root


@click.command()
@click.argument("results", nargs=-1, required=True, metavar="RESULT...")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), default=Path("report.html"),
    show_default=True, help="Where to write it.",
)  # fmt: skip
@root
def report(results: tuple[str, ...], output: Path, out: Path) -> None:
    """Write one HTML file about each RESULT: a run, replications or a sweep.

    The file needs no network and no other file; open it in any browser.
    """
    from ecsim.records.opening import open_result
    from ecsim.report.html.page import write

    write([open_result(name, out) for name in results], output)
    click.echo(f"wrote {output} ({output.stat().st_size / 1e3:.0f} kB)")


COMMANDS = (report,)
