"""Paths that a scenario names, relative to the scenario's own folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class File:
    """A file named in a scenario: `text` as written, `path` absolute.

    Two of them are equal when they are written alike, so that a scenario means the same wherever
    its folder stands. Plugins may use it as the type of a field of their `Params`.
    """

    text: str
    path: Path = field(compare=False)

    @classmethod
    def _read(cls, value: Any, info: Any) -> File:
        if isinstance(value, File):
            return value
        path = _absolute(value, info, "a file")
        if not path.is_file():
            raise ValueError(f"expected an existing file, got {value!r} (there is no {path})")
        return cls(value, path)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return _as_text(cls._read)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        return {"type": "string", "description": "path of a file, relative to the scenario"}


@dataclass(frozen=True, slots=True)
class Place:
    """A file or a folder of data named in a scenario: `text` as written, `path` absolute.

    What lies there counts by the fingerprint of the data set that is read from it, not by bytes.
    """

    text: str
    path: Path = field(compare=False)

    @classmethod
    def _read(cls, value: Any, info: Any) -> Place:
        if isinstance(value, Place):
            return value
        path = _absolute(value, info, "a file or folder")
        if not path.exists():
            raise ValueError(
                f"expected an existing file or folder, got {value!r} (there is no {path})"
            )
        return cls(value, path)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return _as_text(cls._read)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        return {
            "type": "string",
            "description": "path of a file or folder, relative to the scenario",
        }


def _absolute(value: Any, info: Any, what: str) -> Path:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected the path of {what}, got {value!r}")
    folder = info.context.folder if info.context is not None else Path()
    return Path(folder / value).resolve()


def _as_text(read: Any) -> Any:
    from pydantic_core import core_schema

    return core_schema.with_info_plain_validator_function(
        read,
        serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.text),
    )
