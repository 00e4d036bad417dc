"""Commands about scenario files: init, validate, explain, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from ecsim.cli.options import as_json, scenario_options
from ecsim.core.errors import UserError


def _load(file: Path, overrides: dict[str, str], plugins: tuple[Path, ...]) -> Any:
    from ecsim.core.registry import load_plugins
    from ecsim.runtime.lookup import lookup
    from ecsim.scenario.load import load

    load_plugins(plugins)
    return load(file, lookup=lookup(), overrides=overrides)


def _build(loaded: Any) -> None:
    """Find what only the data set and the models can tell; nothing is trained."""
    from ecsim.runtime.build import build
    from ecsim.runtime.progress import Progress

    class Notes(Progress):
        def note(self, message: str) -> None:
            click.echo(f"note: {message}", err=True)

    build(loaded, None, Notes())


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("scenario.yaml"))
@click.option(
    "--template", default="quickstart", show_default=True, help="Which one to start from."
)
def init(file: Path, template: str) -> None:
    """Write a commented scenario to start from (FILE, by default scenario.yaml)."""
    from ecsim.scenario import templates

    text = templates.text(template)
    if file.exists():
        raise UserError(f"{file} exists already; name another file")
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from error
    click.echo(f"wrote {file}; run it with: ecsim run {file}")


@click.command()
@scenario_options
@as_json
def validate(
    file: Path, overrides: dict[str, str], plugins: tuple[Path, ...], as_json: bool
) -> None:
    """Check a scenario and say everything that is wrong with it; nothing is run."""
    loaded = _load(file, overrides, plugins)
    _build(loaded)
    if as_json:
        from ecsim.scenario.dump import dump

        click.echo(json.dumps(dump(loaded.scenario), indent=2))
    else:
        n = len(loaded.scenario.strategies)
        click.echo(f"{file}: valid, {n} {'strategy' if n == 1 else 'strategies'}")


@click.command()
@scenario_options
@click.argument("key", default="")
@as_json
def explain(
    file: Path, key: str, overrides: dict[str, str], plugins: tuple[Path, ...], as_json: bool
) -> None:
    """Say for each value (below KEY) its unit, origin and meaning, and a constant's source."""
    from dataclasses import asdict
    from functools import partial

    from ecsim.cli.console import console, table
    from ecsim.runtime.lookup import costs_of, source_of
    from ecsim.scenario.explain import explain as rows_of

    loaded = _load(file, overrides, plugins)
    own = loaded.scenario.cards.path if loaded.scenario.cards else None
    rows = rows_of(loaded, key, partial(source_of, file=own, costs=costs_of(loaded)))
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    shown = table("key", "value", "origin", "meaning")
    for row in rows:
        meaning = f"{row.description}\n{row.source}" if row.source else row.description
        cells = (row.path, f"{row.value} {row.unit}".strip(), row.origin, meaning)
        shown.add_row(*map(escape, cells))
    console().print(shown)


@click.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from ecsim.runtime.lookup import lookup
    from ecsim.scenario.json_schema import json_schema

    click.echo(json.dumps(json_schema(lookup()), indent=2))


COMMANDS = (init, validate, explain, schema)
