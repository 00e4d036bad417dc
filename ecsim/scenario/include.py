"""A scenario file with what it includes, as one tree."""

from __future__ import annotations

import os
from pathlib import Path

from ecsim.core.errors import Problem
from ecsim.scenario.messages import show
from ecsim.scenario.tree import Origin, Tree, merge
from ecsim.scenario.yaml12 import read_mapping

_KEY = "include"


class Reader:
    """Reads a file and, depth first, the files under its key `include`.

    Attributes
    ----------
    problems : what is wrong, in the order of reading.
    files : the files read, as messages name them, in the order of reading.
    is_whole : False when a file could not be read as a tree.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.files: list[str] = []
        self.is_whole = True

    def read(self, path: Path) -> Tree | None:
        """Give the merged tree of a file; None when it cannot be read."""
        return self._read(path, Origin("file", str(path)), ())

    def _read(self, path: Path, asked: Origin, chain: tuple[Path, ...]) -> Tree | None:
        if "\0" in str(path):
            self._fail(asked, "expected the path of a file, got text with a null character")
            return None
        if path.resolve() in chain:
            start = chain.index(path.resolve())
            names = " -> ".join(p.name for p in (*chain[start:], path.resolve()))
            self._fail(asked, f"expected files that do not include themselves, got {names}")
            return None
        try:
            content = path.read_bytes()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            self._fail(asked, f"expected a file, got '{path}': {reason}")
            return None
        name = os.path.normpath(path)
        self.files.append(name)
        tree, problems = read_mapping(content, name, "include" if chain else "file")
        self.problems += problems
        if tree is None:
            self.is_whole = False
            return None
        base: Tree | None = None
        for included, place in self._included(tree):
            below = self._read(path.parent / included, place, (*chain, path.resolve()))
            if below is not None:
                base = below if base is None else merge(base, below)
        return tree if base is None else merge(base, tree)

    def _included(self, tree: Tree) -> list[tuple[str, Origin]]:
        entry = tree.value.pop(_KEY, None)
        if entry is None:
            return []
        items = entry.value if isinstance(entry.value, list) else [entry]
        result = []
        for item in items:
            if isinstance(item.value, str) and item.value:
                result.append((item.value, item.origin))
            else:
                got = show(item.plain())
                self._fail(item.origin, f"expected the path of a file or a list of them, got {got}")
        return result

    def _fail(self, place: Origin, message: str) -> None:
        self.is_whole = False
        self.problems.append(place.problem((_KEY,) if place.line else (), message))
