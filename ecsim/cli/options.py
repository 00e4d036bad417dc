"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ecsim.core.errors import UserError

F = TypeVar("F", bound=Callable[..., Any])

scenario_file = click.argument("file", type=click.Path(path_type=Path))
plugins = click.option(
    "--plugin", "plugins", multiple=True, type=click.Path(path_type=Path), metavar="FILE.py",
    help="A Python file that registers names of your own; it is executed. Repeatable.",
)  # fmt: skip
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def _overrides(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    given = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set: expected KEY=VALUE such as stream.phase='10 s', got {value!r}")
        given[key.strip()] = text
    return given


overrides = click.option(
    "--set", "overrides", multiple=True, callback=_overrides, metavar="KEY=VALUE",
    help="Replace a value of the scenario, e.g. --set strategies.ecc_snn.threshold=0.5.",
)  # fmt: skip


def scenario_options(command: F) -> F:
    """Add FILE, --set and --plugin."""
    return scenario_file(overrides(plugins(command)))
