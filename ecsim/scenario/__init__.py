"""What a user writes: strict YAML in, a checked and frozen `Scenario` out.

May be imported by every package but `core`; the only home of pydantic. Start at `load` (file,
includes and ``--set`` to a `Scenario` with the origin of every value), then `schema` (the keys and
what they mean), `plugin` (keys that belong to a registered class) and `assertion`.
"""

from ecsim.scenario.assertion import Assertion, AssertionSyntaxError, parse
from ecsim.scenario.dump import dump, scenario_hash
from ecsim.scenario.explain import Row, explain
from ecsim.scenario.files import File
from ecsim.scenario.json_schema import json_schema
from ecsim.scenario.load import Loaded, load
from ecsim.scenario.lookup import Lookup, RegistryLookup
from ecsim.scenario.schema import Scenario
from ecsim.scenario.tree import Origin

__all__ = [
    "Assertion",
    "AssertionSyntaxError",
    "File",
    "Loaded",
    "Lookup",
    "Origin",
    "RegistryLookup",
    "Row",
    "Scenario",
    "dump",
    "explain",
    "json_schema",
    "load",
    "parse",
    "scenario_hash",
]
