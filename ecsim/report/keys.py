"""Swept keys: which of them replicate or change together, their order, how values are written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecsim.core.units import parsed

_QUANTITY = re.compile(r"([-+]?\d[\d_]*\.?\d*(?:[eE][-+]?\d+)?)\s*([^\d\s]\S*|)")


@dataclass(frozen=True, slots=True)
class Key:
    """A swept key with its distinct values in order, and each as a number where all are numbers.

    Numbers are in the SI unit `unit`, empty for plain ones.
    """

    name: str
    values: tuple[str, ...]
    numbers: tuple[float, ...] | None
    unit: str = ""

    @classmethod
    def of(cls, name: str, values: Iterable[Any]) -> Key:
        """Give a key with its values, from low to high where all are quantities of one unit."""
        texts = list(dict.fromkeys(map(show, values)))
        found = [parsed(text) for text in texts]
        known = [of for of in found if of is not None and math.isfinite(of[0])]
        if len(known) < len(found) or len({unit for _, unit in known}) != 1:
            return cls(name, tuple(texts), None)
        numbers = {text: number for text, (number, _) in zip(texts, known, strict=True)}
        ordered = sorted(texts, key=lambda text: numbers[text])
        return cls(name, tuple(ordered), tuple(numbers[text] for text in ordered), known[0][1])


def is_seed(key: str) -> bool:
    """Whether cells that differ in this key alone are replicates of each other."""
    return key in ("seed", "replicate") or key.startswith("seeds.")


def together(settings: Sequence[Mapping[Any, Any]], keys: Sequence[str]) -> dict[str, str]:
    """Give the keys that change only together with an earlier one, each with that one.

    >>> together([{"a": 1, "b": 5, "c": 0}, {"a": 2, "b": 6, "c": 0}], ["a", "b"])
    {'b': 'a'}
    """

    def n_values(*of: str) -> int:
        return len({tuple(show(setting.get(key)) for key in of) for setting in settings})

    found: dict[str, str] = {}
    for i, key in enumerate(keys):
        for other in keys[:i]:
            if other not in found and n_values(key, other) == n_values(key) == n_values(other):
                found.setdefault(key, other)
    return found


def number_of(value: object) -> float | None:
    """Give a swept value as a number, in SI units; None where it is a word.

    >>> number_of("5 Mbit/s"), number_of(0.3), number_of("edge")
    (5000000.0, 0.3, None)
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    found = parsed(str(value))
    return None if found is None else found[0]


def in_order(values: Iterable[Any]) -> list[Any]:
    """Give the distinct values: numbers by size, words as they come."""
    distinct = list(dict.fromkeys(values))
    numbers = {str(value): number_of(value) for value in distinct}
    if any(number is None for number in numbers.values()):
        return distinct
    return sorted(distinct, key=lambda value: numbers[str(value)] or 0.0)


def show(value: Any) -> str:
    """Write a value of a key as the sweep's file would have it.

    >>> show(0.1 + 0.2), show("5 Mbit/s"), show(3.0), show({"kind": "poisson"})
    ('0.3', '5 Mbit/s', '3', '{kind: poisson}')
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {show(of)}" for key, of in value.items()) + "}"
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else "-"
    return str(value)


def short(value: object) -> str:
    """Write a swept value with at most three significant digits.

    >>> short("14.4915786282 Mbit/s"), short(0.30000000000000004), short("fifo")
    ('14.5 Mbit/s', '0.3', 'fifo')
    """
    text = show(value)
    part = _QUANTITY.fullmatch(text)
    return f"{float(part[1]):.3g} {part[2]}".rstrip() if part else text


def brief_of(values: Iterable[object]) -> dict[str, str]:
    """Give short texts of swept values by `show`; of plugins the name, where it tells them apart.

    >>> brief_of([{"name": "ewc", "epochs": 9}, {"name": "lwf"}])["{name: ewc, epochs: 9}"]
    'ewc'
    >>> list(brief_of([{"name": "ewc", "epochs": 20}, {"name": "ewc", "epochs": 5}]).values())[1]
    '{name: ewc, epochs: 5}'
    """
    found = {show(value): value for value in values}
    names = [value.get("name") for value in found.values() if isinstance(value, Mapping)]
    if len(names) == len(found) == len({*names}) and None not in names:
        return dict(zip(found, map(str, names), strict=True))
    return {text: short(value) for text, value in found.items()}


def texts(key: Key) -> tuple[str, list[str]]:
    """Give a key's name for an axis and its values, short ones; a common unit goes to the name.

    >>> texts(Key("rate", ("2.0 Mbit/s", "3.28134142 Mbit/s"), None))
    ('rate (Mbit/s)', ['2', '3.28'])
    >>> texts(Key("kind", ("fifo", "0.123456"), None))
    ('kind', ['fifo', '0.123'])
    """
    parts = [_QUANTITY.fullmatch(text) for text in key.values]
    units = {part[2] if part else None for part in parts}
    if len(units) == 1 and (unit := units.pop()):
        return f"{key.name} ({unit})", [short(text).removesuffix(f" {unit}") for text in key.values]
    return key.name, [short(text) for text in key.values]
