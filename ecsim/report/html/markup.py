"""HTML as text that is escaped once and for all: a plain string is never markup.

`tag` escapes its children and attributes unless they are `Markup`, so that a name from a user's
scenario cannot become an element.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

_CAMEL = frozenset({"viewBox", "patternUnits"})  # of SVG, which spells them so
_VOID = frozenset({"meta", "br", "wbr"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child: TypeAlias = "str | Markup | Iterable[Child] | None"
Value: TypeAlias = str | float | bool | None


def tag(name: str, /, *children: Child, **attributes: Value) -> Markup:
    """Give an element; `class_` is its class, other underscores are hyphens.

    An attribute that is None or False is left out, one that is True has no value; floats are
    written with two digits after the point, enough for a position in a picture.

    >>> tag("p", "a < b", tag("br"), class_="note", aria_hidden="true", hidden=False)
    '<p class="note" aria-hidden="true">a &lt; b<br></p>'
    """
    opened = "".join([name, *(_attribute(key, value) for key, value in attributes.items())])
    if name in _VOID:
        return Markup(f"<{opened}>")
    return Markup(f"<{opened}>{join(children)}</{name}>")


def join(children: Child) -> Markup:
    """Give the children one after the other, escaped where they are plain text."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(escape(children))
    return Markup("".join(map(join, children)))


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-") if key not in _CAMEL else key
    return f" {name}" if value is True else f' {name}="{escape(_text(value))}"'


def _text(value: str | float) -> str:
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        raise ValueError("a position in a picture must be a number")
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
