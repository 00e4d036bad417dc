"""Errors in our own words: what was expected, what was given, what may have been meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from ecsim.core.units import Unit

_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping of keys",
    "mapping_type": "a mapping of keys",
    "dataclass_type": "a mapping of keys",
    "none_required": "nothing",
    "unexpected_keyword_argument": "no key of this name",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least {min_length} in the list",
    "too_long": "at most {max_length} in the list",
    "string_too_short": "text of at least {min_length} letters",
    "string_too_long": "text of at most {max_length} letters",
    "string_pattern_mismatch": "text of the form {pattern}",
}


def did_you_mean(given: object, valid: Iterable[str]) -> str:
    """Give ``", did you mean 'x'?"``, or nothing when no valid name is near.

    >>> did_you_mean("cuont", ["count", "card"])
    ", did you mean 'count'?"
    """
    near = nearest(given, valid)
    return f", did you mean {near!r}?" if near else ""


def nearest(given: object, valid: Iterable[str]) -> str | None:
    """Give the valid name closest to what was given, None when none is close."""
    by_lower = {name.lower(): name for name in valid}
    close = difflib.get_close_matches(str(given).lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def not_one_of(given: object, valid: Iterable[str], what: str = "") -> str:
    """Say that a name is none of the valid ones."""
    valid = sorted(valid)
    expected = f"{a(what)} ({', '.join(valid)})" if what else f"one of {', '.join(valid)}"
    return f"expected {expected}, got {show(given)}{did_you_mean(given, valid)}"


def a(noun: str) -> str:
    """Give a noun with its article.

    >>> a("arrival process")
    'an arrival process'
    """
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def unknown_key(key: str, valid: Iterable[str]) -> str:
    """Say that a key is unknown at its place, where `valid` ones could stand."""
    valid = sorted(valid)
    hint = did_you_mean(key, valid)
    keys = f"expected one of {', '.join(valid)}" if valid else "expected no more keys"
    return f"unknown key{hint}" if hint else f"unknown key, {keys}"


def show(value: object) -> str:
    """Write a value shortly, as a scenario's author knows it.

    >>> show(None), show(True), show({"a": 1}), show("x")
    ('nothing', 'true', 'a mapping', "'x'")
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…{text[-1]}"


def unit_of(annotation: Any, metadata: Iterable[Any] = ()) -> Unit | None:
    """Give the unit of a type annotation, None when it has none."""
    for item in (*metadata, *getattr(annotation, "__metadata__", ())):
        if isinstance(item, Unit):
            return item
    for inner in get_args(annotation):
        if not isinstance(inner, str | int) and (found := unit_of(inner)):
            return found
    return None


def expectation(error: Mapping[str, Any], unit: Unit | None = None) -> str | None:
    """Say what a pydantic error expected; None for an error that carries its own sentence."""
    if error["type"] not in _EXPECTED:
        return None
    context = dict(error.get("ctx", {}))
    symbol = f" {unit.symbol}" if unit else ""
    for bound in ("gt", "ge", "lt", "le"):
        if isinstance(context.get(bound), int | float):
            context[bound] = f"{context[bound]:g}{symbol}"
    return _EXPECTED[error["type"]].format_map(context)


def sentence(error: Mapping[str, Any], unit: Unit | None = None) -> str:
    """Write a pydantic error as ``expected …, got …[, did you mean …?]``."""
    expected = expectation(error, unit)
    if expected is not None:
        hint = ""
        if error["type"] == "literal_error" and isinstance(error["input"], str):
            hint = did_you_mean(error["input"], re.findall(r"'([^']*)'", expected))
        return f"expected {expected}, got {show(error['input'])}{hint}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    message: str = error["msg"]
    return message.replace("Input should be", "expected", 1)
