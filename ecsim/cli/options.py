"""Options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ecsim.core.errors import UserError
from ecsim.core.units import Unit

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


def sample_shape(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    """Read the value of an option as the shape of one sample."""
    try:
        shape = tuple(int(part) for part in value.split(","))
    except ValueError:
        shape = ()
    if len(shape) != 3 or min(shape) < 1:
        raise UserError(f"--{param.name}: expected C,H,W such as 3,32,32, got {value!r}")
    return shape


def keys_and_values(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any]:
    """Read a repeatable option's KEY=VALUE; values as JSON where they are, else as text."""
    given: dict[str, Any] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise UserError(f"--{param.name}: expected KEY=VALUE such as steps=4, got {value!r}")
        try:
            given[key] = json.loads(text)
        except ValueError:
            given[key] = text
    return given


def in_unit(dimension: str) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    """Give a callback that reads a quantity to its SI value: none below 0, no rate of 0."""
    is_rate = dimension == "bit rate"

    def read(_: click.Context, param: click.Parameter, text: str | None) -> float | None:
        try:
            value = None if text is None else Unit(dimension).parse(text)
        except ValueError as error:
            raise UserError(f"--{param.name}: {error}") from None
        if value is not None and (value < 0 or (is_rate and value == 0)):
            least = "more than 0" if is_rate else "at least 0"
            raise UserError(f"--{param.name}: expected {least}, got {text!r}")
        return value

    return read
