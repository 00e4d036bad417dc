"""A scenario as plain data, and the hash of what it means."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ecsim.scenario.schema import Scenario


def dump(scenario: Scenario) -> dict[str, Any]:
    """Give the scenario with every default written out, as data that loads to an equal one."""
    return scenario.model_dump(mode="json", by_alias=True)


def scenario_hash(scenario: Scenario) -> str:
    """Give 64 hexadecimal digits that depend on the scenario's meaning alone.

    Not on the order of keys, nor on whether a time is written as ``5 ms`` or ``0.005 s``, nor on
    whether a default is written out.
    """
    text = json.dumps(dump(scenario), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
