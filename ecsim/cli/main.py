"""The `ecsim` command and the exit codes.

0; 1 some cells of a sweep failed; 2 user error; 3 false assertion; 70 internal error; 130 Ctrl-C.
"""

from __future__ import annotations

import signal
import sys

import click

import ecsim
from ecsim.cli import (
    costs,
    data,
    experiments,
    figures,
    look,
    partition,
    report,
    scenarios,
    simulate,
    sweeps,
    trace,
)
from ecsim.core.errors import EcsimError, UserError


class Commands(click.Group):
    """A group that turns our exceptions into messages and exit codes."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; no traceback for what the user can mend."""
        try:
            return super().invoke(ctx)
        except EcsimError as error:
            if not isinstance(error, UserError) and error.exit_code == 70:
                raise
            click.echo(str(error), err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("interrupted; only what was finished is written", err=True)
            sys.exit(130)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(0)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(ecsim.__version__, prog_name="ecsim")
def cli() -> None:
    """Simulate edge-cloud AI: real models in one world of devices, queues and links."""


for module in (
    scenarios,
    simulate,
    look,
    partition,
    experiments,
    sweeps,
    figures,
    report,
    trace,
    data,
    costs,
):
    for command in module.COMMANDS:
        cli.add_command(command)


def main() -> None:
    """Run the command line; an internal error shows its traceback and exits with 70."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that half a run is cleared away
    try:
        cli()
    except Exception as error:
        import traceback

        traceback.print_exc()
        of_strategy = any(note.startswith("in <flow") for note in getattr(error, "__notes__", ()))
        ours = "internal error: please report it with the lines above"
        theirs = "a strategy failed; the last lines above say where and at which task"
        click.echo(theirs if of_strategy else ours, err=True)
        sys.exit(70)
