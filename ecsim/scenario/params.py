"""Keys that belong to a registered class: its frozen dataclass `Params`, checked field by field."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails

from ecsim.core.errors import UserError
from ecsim.core.units import Unit
from ecsim.scenario.messages import (
    expectation,
    nearest,
    sentence,
    show,
    unit_of,
    unknown_key,
)
from ecsim.scenario.section import AT_KEY, MISSING, Context, mistake

_CONFIG = ConfigDict(strict=True, allow_inf_nan=False)
_ENTRY = re.compile(r"(\w+(?:, \w+)*) : ?(.*)")


@dataclasses.dataclass(frozen=True, slots=True)
class Param:
    """One field of a `Params`."""

    adapter: TypeAdapter[Any]
    is_required: bool
    default: Any
    unit: Unit | None
    description: str


def params_spec(params: type[Any]) -> Mapping[str, Param]:
    """Give the fields of a `Params` dataclass by name."""
    return _spec(cast(Hashable, params))


@functools.cache
def _spec(params: Hashable) -> Mapping[str, Param]:
    assert isinstance(params, type)
    hints = get_type_hints(params, include_extras=True)
    docs: dict[str, str] = {}
    for base in reversed(params.__mro__):
        docs |= _attributes(inspect.cleandoc(base.__doc__ or ""))
    return {
        field.name: Param(
            adapter=_adapter(hints[field.name]),
            is_required=field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING,
            default=None if field.default is dataclasses.MISSING else field.default,
            unit=unit_of(hints[field.name]),
            description=docs.get(field.name, ""),
        )
        for field in dataclasses.fields(params)
        if field.init
    }


def build_params(
    params: type[Any], given: Mapping[str, Any], context: Context, other_keys: Iterable[str] = ()
) -> tuple[Any, list[InitErrorDetails]]:
    """Give an instance of `params` from plain data, and every mistake in the data.

    `other_keys` may stand beside them; they count when a near name is looked for. A `ValueError`
    of the class itself is a mistake too, at the key that its message starts with (``key: …``). The
    instance is None when there is a mistake.
    """
    spec = params_spec(params)
    values: dict[str, Any] = {}
    mistakes: list[InitErrorDetails] = []
    valid = [*spec, *other_keys]
    meant = {nearest(key, valid) for key in given if key not in spec}
    mistakes += [mistake(unknown_key(k, valid), k, at=AT_KEY) for k in given if k not in spec]
    for name, param in spec.items():
        if name in given:
            try:
                # as JSON, where a list may become a tuple although nothing else is converted
                text = json.dumps(given[name])
                values[name] = param.adapter.validate_json(text, context=context)
            except ValidationError as error:
                mistakes += _reworded(error, name, given[name], param.unit)
        elif param.is_required and name not in meant:
            meaning = f"; expected: {param.description}" if param.description else ""
            mistakes.append(mistake(f"missing{meaning}", name, at=MISSING))
    if mistakes:
        return None, mistakes
    try:
        return params(**values), []
    except ValueError as error:
        name, _, rest = str(error).partition(": ")
        return None, [mistake(rest, name) if name in spec else mistake(str(error))]


def checked_params(params: type[Any], given: Mapping[str, Any]) -> Any:
    """Give an instance of `params` from plain data that stands in no file.

    Raises `UserError` with every mistake in the data.
    """
    from ecsim.scenario.lookup import RegistryLookup

    made, mistakes = build_params(params, given, Context(RegistryLookup(), Path()))
    if mistakes:
        lines = []
        for found in mistakes:
            kind = found["type"]
            message = kind if isinstance(kind, str) else kind.message()
            lines.append(f"{'.'.join(map(str, found['loc']))}: {message}")
        raise UserError("\n".join(lines))
    return made


def dump_params(params: Any) -> dict[str, Any]:
    """Give the instance as plain data that `build_params` turns into an equal one."""
    return {
        name: param.adapter.dump_python(value, mode="json")
        for name, param in params_spec(type(params)).items()
        if (value := getattr(params, name)) is not None or param.default is not None
    }


def _adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint, config=_CONFIG)
    except PydanticUserError:  # a dataclass brings its own configuration
        return TypeAdapter(hint)


def _reworded(
    error: ValidationError, name: str, given: Any, unit: Unit | None
) -> list[InitErrorDetails]:
    # pydantic adds the tried member of a union to the location: such errors become one
    at: dict[tuple[int | str, ...], list[Any]] = {}
    for line in error.errors(include_url=False):
        loc = line["loc"] if line["type"] == "missing" else _existing(line["loc"], given)
        at.setdefault(loc, []).append(line)
    # what lies deeper is of the member that fits the given value so far, and says more
    at = {
        loc: lines
        for loc, lines in at.items()
        if not any(len(other) > len(loc) and other[: len(loc)] == loc for other in at)
    }
    result = []
    for loc, lines in at.items():
        expected = [expectation(line, unit) for line in lines]
        if lines[0]["type"] == "missing":
            message = "missing"
        elif len(lines) > 1 and all(expected):
            either = " or ".join(dict.fromkeys(str(part) for part in expected))
            message = f"expected {either}, got {show(lines[0]['input'])}"
        else:
            message = sentence(lines[0], unit)
        result.append(mistake(message, name, *loc))
    return result


def _existing(loc: tuple[int | str, ...], given: Any) -> tuple[int | str, ...]:
    """Give the steps of `loc` that the given value has; the others name members of a union."""
    found: list[int | str] = []
    for step in loc:
        try:
            given = given[step]
        except (LookupError, TypeError):
            continue
        found.append(step)
    return tuple(found)


def _attributes(doc: str) -> dict[str, str]:
    """Read ``name : meaning`` entries, or numpy's ``name : type`` with the meaning below."""
    entries: dict[str, list[str]] = {}
    names: list[str] = []
    is_below = False
    for line in doc.splitlines():
        if match := _ENTRY.fullmatch(line):
            names, is_below = match[1].split(", "), False
            entries |= {name: [match[2]] for name in names}
        elif names and line.startswith("    "):
            for name in names:
                is_typed = not is_below and not entries[name][0].endswith((",", ";"))
                continues = is_below or line.strip()[:1].islower() or not is_typed
                entries[name] = [*entries[name], line.strip()] if continues else [line.strip()]
            is_below = True
        else:
            names = []
    return {name: " ".join(parts).strip().rstrip(".") for name, parts in entries.items()}
