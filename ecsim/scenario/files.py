"""Paths that a scenario names, relative to the scenario's own folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class _Named:
    text: str
    path: Path = field(compare=False)
    _kind: ClassVar[str]

    @staticmethod
    def _is_there(path: Path) -> bool:
        return path.exists()

    @classmethod
    def _read(cls, value: Any, info: Any) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str) or not value:
            raise ValueError(f"expected the path of a {cls._kind}, got {value!r}")
        folder = info.context.folder if info.context is not None else Path()
        path = Path(folder / value).resolve()
        if not cls._is_there(path):
            raise ValueError(
                f"expected an existing {cls._kind}, got {value!r} (there is no {path})"
            )
        return cls(value, path)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.with_info_plain_validator_function(
            cls._read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: value.text
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        return {"type": "string", "description": f"path of a {cls._kind}, relative to the scenario"}


class File(_Named):
    """A file named in a scenario: `text` as written, `path` absolute.

    Two of them are equal when they are written alike, so that a scenario means the same wherever
    its folder stands. Plugins may use it as the type of a field of their `Params`.
    """

    __slots__ = ()
    _kind = "file"

    @staticmethod
    def _is_there(path: Path) -> bool:
        return path.is_file()


class Place(_Named):
    """A file or a folder of data named in a scenario: `text` as written, `path` absolute.

    What lies there counts by the fingerprint of the data set that is read from it, not by bytes.
    """

    __slots__ = ()
    _kind = "file or folder"
