"""Commands about data sets: ls, check, add."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ecsim.cli.console import console, table
from ecsim.cli.options import as_json


@click.group()
def data() -> None:
    """Look at the data sets that scenarios may name, and add one."""


@data.command("ls")
@as_json
def ls(as_json: bool) -> None:
    """List the known data sets and whether their files are there."""
    from ecsim.data.catalogue import states

    found = states()
    if as_json:
        rows = [
            {"name": s.name, "about": s.about, "is_there": not s.problem,
             "place": None if s.place is None else str(s.place)}
            for s in found
        ]  # fmt: skip
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    shown = table("name", "there", "what", "place")
    for s in found:
        place = "bundled" if s.place is None else str(s.place)
        shown.add_row(s.name, "no" if s.problem else "yes", s.about, place)
    console().print(shown)
    click.echo("your own: {name: npz, path: FILE} or {name: pictures, path: FOLDER}")


@data.command("check")
@click.argument("name")
@click.option("--path", type=click.Path(path_type=Path), help="Where it is, if not at its place.")
def check(name: str, path: Path | None) -> None:
    """Decode the data set NAME, count it, and compare it with the published checksums."""
    from ecsim.data.catalogue import differing, open_dataset

    found = open_dataset(name, path)
    shape = " x ".join(map(str, found.images.shape[1:]))
    click.echo(
        f"{found.name}: {len(found.labels)} samples of {shape} in {found.n_classes} classes, "
        f"{len(found.test)} of them for tests; {found.sample_bytes:.0f} bytes a sample"
    )
    click.echo(f"fingerprint {found.fingerprint}")
    for file in differing(name, path):
        click.echo(f"{file}: not the published file (its MD5 differs)")


@data.command("add")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="Which data set it is, when its checksums do not say so.")
def add(path: Path, name: str | None) -> None:
    """Copy the data set at PATH, a folder or an archive, to where scenarios find it."""
    from ecsim.data.catalogue import add as add_dataset

    added, place = add_dataset(path, name)
    click.echo(f"{added} is in {place}")


COMMANDS = (data,)
