"""What the commands print with."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table


def console(*, quiet: bool = False, stderr: bool = False) -> Console:
    """Give a console; numbers are not coloured, so that output reads the same in a file."""
    made = Console(quiet=quiet, stderr=stderr, highlight=False, soft_wrap=False)
    if not made.is_terminal:
        made.width = 160  # in a file or a pipe nothing needs to fit a screen
    return made


def shown(path: Path) -> Path:
    """Give a path as people read it: from the working folder on where it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def table(*heads: str) -> Table:
    """Give a plain table whose cells fold instead of being cut."""
    made = Table(box=SIMPLE, pad_edge=False)
    for head in heads:
        made.add_column(head, overflow="fold")
    return made
