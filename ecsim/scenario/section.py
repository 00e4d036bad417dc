"""The base of all sections: every mistake of a section at once, in our own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from ecsim.scenario.lookup import Lookup
from ecsim.scenario.messages import nearest, sentence, show, unit_of, unknown_key

AT_KEY = "at_key"
AT_VALUE = "at_value"
MISSING = "is_missing"


@dataclass(frozen=True, slots=True)
class Context:
    """What validation needs beside the data: the names that exist, the scenario's folder."""

    lookup: Lookup
    folder: Path


def mistake(
    message: str, *loc: str | int, at: str = AT_VALUE, given: Any = None
) -> InitErrorDetails:
    """Give an error whose message is final; `at` says whether it stands at the key."""
    kind = PydanticCustomError(at, "{message}", {"message": message})
    return InitErrorDetails(type=kind, loc=loc, input=given)


def context_of(info: ValidationInfo) -> Context:
    """Give the context of a validation, which `load` always sets."""
    assert isinstance(info.context, Context), "a section is validated with a Context"
    return info.context


class Section(BaseModel):
    """A frozen mapping of known keys. Each field's description says what the key means."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )

    @classmethod
    def fields_by_key(cls) -> dict[str, FieldInfo]:
        """Give the keys as they are written, with their fields."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}

    @classmethod
    def completed(cls, given: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """Give the data with those defaults filled in that depend on other keys."""
        return dict(given)

    @classmethod
    def split(
        cls, given: dict[str, Any], context: Context
    ) -> tuple[dict[str, Any], list[InitErrorDetails]]:
        """Give the section's own data, and a mistake for every key that is not."""
        keys = cls.fields_by_key()
        unknown = [
            mistake(unknown_key(key, keys), key, at=AT_KEY) for key in given if key not in keys
        ]
        return {key: value for key, value in given.items() if key in keys}, unknown

    @model_validator(mode="wrap")
    @classmethod
    def _collect(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict):
            raise ValueError(f"expected a mapping of keys, got {show(value)}")
        context = context_of(info)
        data, mistakes = cls.split(cls.completed(value, context), context)
        meant = {
            nearest(key, cls.fields_by_key()) for key in value if key not in cls.fields_by_key()
        }
        try:
            result = handler(data)
        except ValidationError as error:
            found = [cls._reworded(line) for line in error.errors(include_url=False)]
            mistakes += [
                line
                for line in found
                if not (_type(line) == MISSING and line["loc"][0] in meant)  # said once already
            ]
        if mistakes:
            raise ValidationError.from_exception_data(cls.__name__, mistakes)
        return result

    @classmethod
    def _reworded(cls, error: Any) -> InitErrorDetails:
        loc, kind = error["loc"], error["type"]
        if kind in (AT_KEY, AT_VALUE, MISSING):
            return mistake(error["msg"], *loc, at=kind, given=error["input"])
        field = cls.fields_by_key().get(str(loc[0])) if loc else None
        if kind == "missing":
            meaning = f"; expected: {field.description}" if field and field.description else ""
            return mistake(f"missing{meaning}", *loc, at=MISSING)
        unit = unit_of(field.annotation, field.metadata) if field else None
        if loc and loc[-1] == "[key]":
            return mistake(sentence(error, unit), *loc[:-1], at=AT_KEY)
        return mistake(sentence(error, unit), *loc, given=error["input"])

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        return {
            key: value
            for key, value in data.items()
            if value is not None or self.fields_by_key()[key].default is not None
        }


def _type(error: InitErrorDetails) -> str:
    return error["type"].type if isinstance(error["type"], PydanticCustomError) else error["type"]
