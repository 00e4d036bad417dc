"""Values given beside the file: ``--set a.b=1``, `set=` in Python, or a cell of a sweep."""

from __future__ import annotations

import re

from ecsim.core.errors import Problem
from ecsim.scenario.messages import did_you_mean, show
from ecsim.scenario.tree import SET, Path, Tree, from_plain, path_text
from ecsim.scenario.yaml12 import read

_INDEX = re.compile(r"\[(\d+)\]")
_NAMED = ("topology", "nodes")  # where keys are the user's own names: a new one needs a whole entry


def override(tree: Tree, key: str, value: object) -> list[Problem]:
    """Put `value` at `key` into the tree, in place; give what is wrong.

    A text is read as YAML, a `Tree` keeps its origin. Steps of a key are separated by dots; an
    entry of a list is named by its index or, among strategies, by its label.
    """
    place = value.place if isinstance(value, Tree) else SET
    if isinstance(value, Tree):
        new = value.copy()
    elif isinstance(value, str):
        read_tree, problems = read(value, kind="--set")
        if read_tree is None or problems:
            return [Problem(p.message, key, "--set") for p in problems]
        new = read_tree
    else:
        try:
            new = from_plain(value, SET)
        except TypeError as error:
            return [Problem(str(error), key, "--set")]
    new.key = place
    steps = _INDEX.sub(r".\1", key).split(".")
    message = _put(tree, steps, new) if all(steps) else "expected a key such as stream.phase"
    if message is None:
        return []
    return [Problem(message, key, place.file or "--set", place.line, place.column)]


def path_of(tree: Tree, key: str) -> tuple[str, ...]:
    """Give the steps of a key, entries of lists by their index however they are named."""
    inner: Tree | None = tree
    path = []
    for step in _INDEX.sub(r".\1", key).split("."):
        if inner is not None and isinstance(inner.value, list):
            index = _index(inner, step)
            path.append(step if isinstance(index, str) else str(index))
            inner = None if isinstance(index, str) else inner.value[index]
        else:
            path.append(step)
            inner = inner.value.get(step) if inner and isinstance(inner.value, dict) else None
    return tuple(path)


def _put(tree: Tree, steps: list[str], new: Tree) -> str | None:
    path: Path = ()
    for n_left, step in zip(range(len(steps) - 1, -1, -1), steps, strict=True):
        where = path_text(path) or "the top"
        if isinstance(tree.value, dict):
            if path == _NAMED and n_left and step not in tree.value:
                hint = did_you_mean(step, tree.value)
                return f"expected one of {', '.join(tree.value)}, got {step!r}{hint}"
            if not n_left:
                tree.value[step] = new
                return None
            inner = tree.value.get(step)
            if inner is None or inner.value is None:
                inner = tree.value[step] = Tree({}, new.place, new.place)
            path = (*path, step)
        elif isinstance(tree.value, list):
            index = _index(tree, step)
            if isinstance(index, str):
                return f"expected {index} in {where}, got {step!r}"
            if not n_left:
                new.key = None
                tree.value[index] = new
                return None
            inner = tree.value[index]
            path = (*path, index)
        else:
            return f"expected a mapping or list at {where}, got {show(tree.value)}"
        tree = inner
    return None


def _index(tree: Tree, step: str) -> int | str:
    """Give the index that a step names, or the text of what was expected."""
    labels: dict[str, int] = {}
    for i, item in enumerate(tree.value):
        label = item.child("label") or item.child("name")
        if label is not None and isinstance(label.value, str):
            labels.setdefault(label.value, i)
    if step in labels:
        return labels[step]
    n_items = len(tree.value)
    if step.isdecimal() and int(step) < n_items:
        return int(step)
    indices = f"an index below {n_items}"
    if not labels:
        return indices
    hint = did_you_mean(step, labels).removeprefix(", ")
    return f"{indices} or one of {', '.join(labels)}" + (f" ({hint})" if hint else "")
