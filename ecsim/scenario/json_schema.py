"""The scenario's JSON Schema, for editors: completion and marks while typing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema

from ecsim.scenario.lookup import Lookup
from ecsim.scenario.params import Param, params_spec
from ecsim.scenario.plugin import Plugin
from ecsim.scenario.schema import Scenario

_CARDS = {("Node", "card"): "device_card", ("Link", "card"): "link_card"}


def json_schema(lookup: Lookup) -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of a scenario file with the names that exist.

    Checks across sections are not in it: `load` is the judge.
    """
    schema = Scenario.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    texts = {"type": "array", "items": {"type": "string"}}
    schema["properties"]["include"] = {
        "description": "file or files laid under this one; relative to this file",
        "anyOf": [{"type": "string"}, texts],
    }
    schema["$defs"]["Topology"]["properties"]["graph"] = {
        "description": "GraphML or GML file whose nodes and edges, with their attributes as keys, "
        "are laid under `nodes` and before `links`",
        "type": "string",
    }
    schema["$defs"]["Topology"]["required"] = []  # a graph has nodes and links
    derived = {"seeds", "energy"}
    schema["required"] = [key for key in schema["required"] if key not in derived]
    schema["$defs"]["Seeds"].pop("required")
    schema["$defs"]["Energy"].pop("required")
    schema["$defs"]["Replications"].pop("required")  # max follows from min
    for (section, key), kind in _CARDS.items():
        schema["$defs"][section]["properties"][key]["enum"] = lookup.names(kind)
    for plugin in _subclasses(Plugin):
        if plugin.__name__ in schema["$defs"]:
            _fill(schema["$defs"][plugin.__name__], plugin, lookup)
    return schema


def _subclasses(cls: type[Plugin]) -> Iterator[type[Plugin]]:
    for inner in cls.__subclasses__():
        yield inner
        yield from _subclasses(inner)


def _fill(schema: dict[str, Any], plugin: type[Plugin], lookup: Lookup) -> None:
    """Write names and keys of the registered classes into the schema of a plugin section."""
    key = plugin.model_fields["name"].alias or "name"
    del schema["properties"]["params"]
    # what else is required has a default that depends on the name
    schema["required"] = [] if plugin.default_name else [key]
    del schema["additionalProperties"]
    schema["unevaluatedProperties"] = False
    names = lookup.names(plugin.registry)
    schema["properties"][key]["enum"] = names
    schema["allOf"] = [
        {
            "if": {"properties": {key: {"const": name}}, "required": [key]},
            "then": _params(params_spec(lookup.params_of(plugin.registry, name))),
        }
        for name in names
    ]


def _params(spec: dict[str, Param] | Any) -> dict[str, Any]:
    properties = {
        name: _of_type(param.adapter)
        | ({"description": param.description} if param.description else {})
        for name, param in spec.items()
    }
    required = [name for name, param in spec.items() if param.is_required]
    return {"properties": properties} | ({"required": required} if required else {})


def _of_type(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    try:
        schema = adapter.json_schema()
    except PydanticInvalidForJsonSchema:
        return {}
    return {} if "$defs" in schema else schema
