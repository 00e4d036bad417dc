"""Sections that name a registered class and give it its keys in the same place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import InitErrorDetails

from ecsim.scenario.messages import a, not_one_of
from ecsim.scenario.params import build_params, dump_params, params_spec
from ecsim.scenario.section import MISSING, Context, Section, mistake


class Plugin(Section):
    """A name from the registry with the keys of its class; `params` holds the class's `Params`.

    `registry` is the kind of name, `noun` what messages call it, `default_name` the name that may
    be left out. The section's own fields come first; every other key belongs to the class.
    """

    registry: ClassVar[str]
    noun: ClassVar[str]
    default_name: ClassVar[str] = ""

    name: str = Field(description="registered name")
    params: Any = Field(default=None, description="the named class's own keys")

    @classmethod
    def completed(cls, given: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """Fill in the default name, if there is one."""
        key = cls.model_fields["name"].alias or "name"
        return ({key: cls.default_name} if cls.default_name else {}) | dict(given)

    @classmethod
    def split(
        cls, given: dict[str, Any], context: Context
    ) -> tuple[dict[str, Any], list[InitErrorDetails]]:
        """Give the section's own data with `params` built from the other keys."""
        keys = [key for key in cls.fields_by_key() if key != "params"]
        name_key = cls.model_fields["name"].alias or "name"
        own = {key: value for key, value in given.items() if key in keys}
        others = {key: value for key, value in given.items() if key not in keys}
        names = context.lookup.names(cls.registry)
        name = given.get(name_key)
        if name_key not in given:
            message = f"missing; expected {a(cls.noun)}, one of {', '.join(names)}"
            return own | {name_key: ""}, [mistake(message, name_key, at=MISSING)]
        if name not in names:
            message = not_one_of(name, names, cls.noun)
            return own | {name_key: ""}, [mistake(message, name_key)]
        params = context.lookup.params_of(cls.registry, name)
        taken = sorted({*params_spec(params)} & {*keys})
        if taken:
            message = f"the {cls.noun} {name!r} declares the keys {taken}, which are not its own"
            return own, [mistake(message, name_key)]
        own["params"], mistakes = build_params(params, others, context, other_keys=keys)
        return own, mistakes

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        data.pop("params", None)
        keys = self.fields_by_key()
        own = {k: v for k, v in data.items() if v is not None or keys[k].default is not None}
        return own | dump_params(self.params)
