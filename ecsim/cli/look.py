"""Commands that look at what is there: ls, show, cache."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import click

from ecsim.cli.console import console, table
from ecsim.cli.options import as_json

root = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
    help="Folder of the runs.",
)  # fmt: skip


@click.command()
@root
@as_json
def ls(out: Path, as_json: bool) -> None:
    """List the finished runs."""
    from ecsim.records.store import list_runs

    rows = list_runs(out)
    if as_json:
        found = [
            {"name": row.name, "path": str(row.path), "finished": row.finished,
             "labels": row.labels, "n_tasks": row.n_tasks}
            for row in rows
        ]  # fmt: skip
        click.echo(json.dumps(found, indent=2))
        return
    if not rows:
        click.echo(f"no runs in {out}; make one with: ecsim run FILE")
        return
    shown = table("run", "finished (UTC)", "tasks", "strategies")
    for row in rows:
        shown.add_row(row.name, row.finished[:16], str(row.n_tasks), ", ".join(row.labels))
    console().print(shown)


@click.command()
@click.argument("run")
@root
@as_json
def show(run: str, out: Path, as_json: bool) -> None:
    """Show the tables of RUN, a folder or the beginning of a run's name."""
    from ecsim.records.metrics import to_json
    from ecsim.records.store import load
    from ecsim.report import terminal

    found = load(run, out)
    if as_json:
        click.echo(to_json(found.summary), nl=False)
        return
    terminal.show(found.summary, console())
    manifest = found.manifest
    if "queues.parquet" in manifest["files"]:
        console().print(terminal.queues(found.queues))
    click.echo(f"{found.path}: finished {manifest['finished']}, seeds {manifest['seeds']}")
    assumed = [name for name, constant in manifest["constants"].items() if constant["assumed"]]
    if assumed:
        click.echo(f"assumed constants: {', '.join(assumed)}")
    for warning in manifest["warnings"]:
        click.echo(f"note: {warning}")
    for entry in manifest["assertions"]:
        click.echo(f"assertion {'holds' if entry['holds'] else 'is FALSE'}: {entry['values']}")


@click.group()
def cache() -> None:
    """Look at the trained models that are kept between runs."""


@cache.command("ls")
@as_json
def cache_ls(as_json: bool) -> None:
    """List the entries of the cache."""
    from ecsim.learning.cache import ArtefactCache

    kept = ArtefactCache()
    entries = kept.entries()
    if as_json:
        found = [
            {"key": entry.key, "bytes": entry.size_bytes, "changed_s": entry.changed_s}
            for entry in entries
        ]
        click.echo(json.dumps(found, indent=2))
        return
    for entry in entries:
        changed = datetime.datetime.fromtimestamp(entry.changed_s).strftime("%Y-%m-%d %H:%M")
        click.echo(f"{entry.key[:16]}  {entry.size_bytes / 1e3:10.1f} kB  {changed}")
    total = sum(entry.size_bytes for entry in entries)
    click.echo(f"{len(entries)} entries, {total / 1e6:.1f} MB in {kept.folder}")


@cache.command("clear")
def cache_clear() -> None:
    """Remove all entries of the cache; what is needed again is trained again."""
    from ecsim.learning.cache import ArtefactCache

    kept = ArtefactCache()
    click.echo(f"removed {kept.clear()} entries from {kept.folder}")


COMMANDS = (ls, show, cache)
