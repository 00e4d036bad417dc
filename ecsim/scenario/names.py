"""Names that become folders."""

from __future__ import annotations

import re

_RUN_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")


def run_name(text: str) -> str:
    """Give back a text that can be part of a folder's name; raise `ValueError` for another."""
    if not _RUN_NAME.fullmatch(text):
        raise ValueError(
            f"expected a name for a folder (letters, digits, '.', '_', '-'), got {text!r}"
        )
    return text
