"""A scenario as plain data, and the hash of what it means."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from ecsim.scenario.files import File
from ecsim.scenario.plugin import Plugin
from ecsim.scenario.schema import Scenario


def dump(scenario: Scenario) -> dict[str, Any]:
    """Give the scenario with every default written out, as data that loads to an equal one."""
    return scenario.model_dump(mode="json", by_alias=True)


def scenario_hash(scenario: Scenario) -> str:
    """Give 64 hexadecimal digits that depend on the scenario's meaning alone.

    Not on the order of keys, nor on whether a time is written as ``5 ms`` or ``0.005 s``, nor on
    whether a default is written out; but on the content of the files that it names.
    """
    text = json.dumps(dump(scenario), sort_keys=True, separators=(",", ":"), allow_nan=False)
    digest = hashlib.sha256(text.encode())
    for file in files_of(scenario):
        digest.update(hashlib.sha256(file.path.read_bytes()).digest())
    return digest.hexdigest()


def files_of(value: Any) -> list[File]:
    """Give the files that a scenario (or a part of one) names, in order."""
    if isinstance(value, File):
        return [value]
    if isinstance(value, BaseModel):
        parts = [getattr(value, name) for name in type(value).model_fields]
    elif is_dataclass(value):
        parts = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, Mapping):
        parts = [value[key] for key in sorted(value)]
    elif isinstance(value, tuple | list):
        parts = list(value)
    else:
        parts = []
    return [file for part in parts for file in files_of(part)]


def chosen_names(section: Any) -> Iterator[tuple[str, str]]:
    """Give (kind, name) of everything that a scenario (or a part of one) chooses by name."""
    if isinstance(section, Plugin):
        yield section.registry, section.name
    if isinstance(section, BaseModel):
        for field in type(section).model_fields:
            yield from chosen_names(getattr(section, field))
    elif isinstance(section, tuple):
        for part in section:
            yield from chosen_names(part)
