"""Scenarios to start from, for ``ecsim init``."""

from __future__ import annotations

from importlib.resources import files

from ecsim.core.errors import UserError
from ecsim.scenario.messages import not_one_of

_FOLDER = files("ecsim.scenario") / "templates"


def names() -> list[str]:
    """Give the names of the templates.

    >>> names()
    ['quickstart']
    """
    found = (item.name for item in _FOLDER.iterdir() if item.name.endswith(".yaml"))
    return sorted(name.removesuffix(".yaml") for name in found)


def text(name: str) -> str:
    """Give the text of a template; raise `UserError` for an unknown name."""
    if name not in names():
        raise UserError(not_one_of(name, names(), "template"))
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
