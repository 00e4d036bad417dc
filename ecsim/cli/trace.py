"""The command `trace`."""

from __future__ import annotations

from pathlib import Path

import click

from ecsim.cli.look import root
from ecsim.core.errors import UserError


@click.command()
@click.argument("run")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), default=Path("trace.json"),
    show_default=True, help="Where to write it.",
)  # fmt: skip
@root
def trace(run: str, output: Path, out: Path) -> None:
    """Write the traced tasks of RUN for Perfetto or Chrome (ui.perfetto.dev, chrome://tracing).

    The run's scenario must have asked for them, e.g. with `run: {trace: 200}`.
    """
    from ecsim.records.opening import open_run
    from ecsim.report import trace as export

    found = open_run(run, out)
    text = export.to_json(found)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {output}: {error.strerror}") from error
    click.echo(f"wrote {output}; open it in https://ui.perfetto.dev")


COMMANDS = (trace,)
