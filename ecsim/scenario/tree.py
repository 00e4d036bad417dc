"""Plain data in which every value remembers where it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ecsim.core.errors import Problem

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from; `line` and `column` count from 1 and are None outside files."""

    kind: Literal["file", "include", "--set", "default"]
    file: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        if self.line is None:
            return self.kind
        where = f"{self.file}:{self.line}:{self.column}"
        return f"{where} (include)" if self.kind == "include" else where

    def problem(self, path: Path, message: str) -> Problem:
        """Give the problem `message` at this place."""
        file = self.file or self.kind
        return Problem(message, path_text(path), file, self.line, self.column)


SET = Origin("--set")
DEFAULT = Origin("default")


@dataclass(slots=True)
class Tree:
    """A value with its origin: `value` is a scalar, a list of trees or a dict of trees.

    `key` is the place of the key under which it stands, None in a list and at the top.
    """

    value: Any
    origin: Origin
    key: Origin | None = None

    @property
    def place(self) -> Origin:
        """The place of its key, or its own where it has none."""
        return self.key or self.origin

    def child(self, step: str | int) -> Tree | None:
        """Give the tree one step further in, None where there is none."""
        if isinstance(self.value, dict):
            found: Tree | None = self.value.get(step)
            return found
        if isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            inner: Tree = self.value[step]
            return inner
        return None

    def find(self, path: Path) -> tuple[Tree, bool]:
        """Give the tree at `path` and True, or its nearest existing parent and False."""
        tree = self
        for step in path:
            inner = tree.child(step)
            if inner is None:
                return tree, False
            tree = inner
        return tree, True

    def copy(self) -> Tree:
        """Give a tree of its own, to be changed."""
        value = self.value
        if isinstance(value, dict):
            value = {key: inner.copy() for key, inner in value.items()}
        elif isinstance(value, list):
            value = [inner.copy() for inner in value]
        return Tree(value, self.origin, self.key)

    def plain(self) -> Any:
        """Give the data without origins."""
        if isinstance(self.value, dict):
            return {key: inner.plain() for key, inner in self.value.items()}
        if isinstance(self.value, list):
            return [inner.plain() for inner in self.value]
        return self.value


_SELECTORS = ("name", "kind", "predictions")


def merge(base: Tree, top: Tree) -> Tree:
    """Lay `top` over `base`: mappings merge deeply, anything else of `top` replaces.

    A section of `top` that chooses something else than `base` by its name replaces it too: keys of
    the thing that was not chosen would not fit.
    """
    if not (isinstance(base.value, dict) and isinstance(top.value, dict)):
        return top
    both = {
        key: top.value[key]
        if _chooses_another(below, top.value[key])
        else merge(below, top.value[key])
        for key, below in base.value.items()
        if key in top.value
    }
    return Tree({**base.value, **top.value, **both}, top.origin, top.key)


def _chooses_another(base: Tree, top: Tree) -> bool:
    return any(
        (chosen := top.child(key)) is not None
        and ((before := base.child(key)) is None or before.value != chosen.value)
        for key in _SELECTORS
    )


def from_plain(value: Any, origin: Origin) -> Tree:
    """Wrap plain data of one origin; raise `TypeError` for what a scenario cannot say."""
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("expected keys of text")
        return Tree({key: from_plain(inner, origin) for key, inner in value.items()}, origin)
    if isinstance(value, list | tuple):
        return Tree([from_plain(inner, origin) for inner in value], origin)
    if value is None or isinstance(value, str | bool | int | float):
        return Tree(value, origin)
    if hasattr(value, "__fspath__"):
        return Tree(value.__fspath__(), origin)
    if hasattr(value, "item"):  # a numpy scalar
        return from_plain(value.item(), origin)
    raise TypeError(f"expected text, a number, a list or a mapping, got {type(value).__name__}")


def path_text(path: Path) -> str:
    """Write a path as messages show it.

    >>> path_text(("strategies", 0, "threshold"))
    'strategies[0].threshold'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
