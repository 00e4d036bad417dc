"""Commands that look at what is there: ls, show, cache."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecsim.cli.console import console, table
from ecsim.cli.options import as_json

if TYPE_CHECKING:
    from ecsim.records.opening import ResultRow
    from ecsim.records.store import Run
    from ecsim.records.sweeps import Sweep

_MOST_SHOWN = 10

root = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
    help="Folder of the runs.",
)  # fmt: skip


@click.command()
@root
@as_json
def ls(out: Path, as_json: bool) -> None:
    """List the results: runs, replications, sweeps and searches."""
    from ecsim.records.opening import list_results

    rows = list_results(out)
    if as_json:
        click.echo(json.dumps([_as_dict(row) for row in rows], indent=2))
        return
    if not rows:
        click.echo(f"no results in {out}; make one with: ecsim run FILE")
        return
    shown = table("result", "kind", "finished (UTC)", "runs", "strategies or swept keys")
    for row in rows:
        n_runs = str(row.n) if row.n_done == row.n else f"{row.n_done} of {row.n}"
        n_runs += f", {row.n_failed} failed" if row.n_failed else ""
        shown.add_row(row.name, row.kind, row.finished[:16], n_runs, ", ".join(row.varies))
    console().print(shown)


def _as_dict(row: ResultRow) -> dict[str, object]:
    said: dict[str, object] = {"name": row.name, "path": str(row.path), "kind": row.kind}
    if row.kind in ("sweep", "search"):
        return said | {
            "keys": row.varies, "cells": row.n, "done": row.n_done, "failed": row.n_failed,
        }  # fmt: skip
    said |= {"finished": row.finished, "labels": row.varies}
    return said | ({"runs": row.n} if row.n_tasks is None else {"n_tasks": row.n_tasks})


@click.command()
@click.argument("result")
@root
@as_json
def show(result: str, out: Path, as_json: bool) -> None:
    """Show the tables of RESULT, a folder or the beginning of its name.

    It may be a run, replications, a sweep or a search.
    """
    from ecsim.records.opening import kind_of, open_result
    from ecsim.records.replications import Replications
    from ecsim.records.sweeps import Sweep
    from ecsim.report import comparison

    found = open_result(result, out)
    if isinstance(found, Replications):
        if as_json:
            click.echo(json.dumps(found.manifest, indent=2))
            return
        console().print(comparison.replications(found.manifest))
        click.echo(f"{found.path}: replications, seeds {found.manifest['seeds']}")
    elif isinstance(found, Sweep):
        _show_sweep(found, kind_of(found), as_json)
    else:
        _show_run(found, as_json)


def _show_sweep(found: Sweep, kind: str, as_json: bool) -> None:
    from ecsim.report import comparison

    n, n_done, failures = len(found.planned), len(found.runs), found.failures
    if as_json:
        said = {
            "path": str(found.path), "kind": kind, "keys": found.keys, "cells": n, "done": n_done,
            "failed": list(failures),
        }  # fmt: skip
        click.echo(json.dumps(said, indent=2))
        return
    if n_done:
        console().print(comparison.cells(found), markup=False)
    for cell, failure in list(failures.items())[:_MOST_SHOWN]:
        values = ", ".join(f"{key}={value}" for key, value in found.planned[cell].items())
        click.echo(f"failed {cell} ({values}): {str(failure['error']).partition(chr(10))[0]}")
    click.echo(f"{found.path}: {kind} of {', '.join(found.keys)}")
    click.echo(f"{n_done} of {n} cells done, {len(failures)} failed; cells/CELL is a run each")


def _show_run(found: Run, as_json: bool) -> None:
    from ecsim.records.metrics import to_json
    from ecsim.report import terminal

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
    """Look at what is kept between runs: trained models, predictions, decoded data sets."""


@cache.command("ls")
@as_json
def cache_ls(as_json: bool) -> None:
    """List the entries of the cache."""
    from ecsim.core.cache import cache_folder
    from ecsim.data import decoded
    from ecsim.learning.cache import ArtefactCache

    entries = [("model", entry) for entry in ArtefactCache().entries()]
    entries += [("data", entry) for entry in decoded.entries()]
    if as_json:
        found = [
            {"kind": kind, "key": entry.key, "bytes": entry.size_bytes,
             "changed_s": entry.changed_s}
            for kind, entry in entries
        ]  # fmt: skip
        click.echo(json.dumps(found, indent=2))
        return
    for kind, entry in entries:
        changed = datetime.datetime.fromtimestamp(entry.changed_s).strftime("%Y-%m-%d %H:%M")
        click.echo(f"{kind:5}  {entry.key[:16]}  {entry.size_bytes / 1e3:10.1f} kB  {changed}")
    total = sum(entry.size_bytes for _kind, entry in entries)
    click.echo(f"{len(entries)} entries, {total / 1e6:.1f} MB in {cache_folder()}")


@cache.command("clear")
def cache_clear() -> None:
    """Remove all entries of the cache; what is needed again is trained and decoded again."""
    from ecsim.core.cache import cache_folder
    from ecsim.data import decoded
    from ecsim.learning.cache import ArtefactCache

    n = ArtefactCache().clear() + decoded.clear()
    click.echo(f"removed {n} entries from {cache_folder()}")


COMMANDS = (ls, show, cache)
