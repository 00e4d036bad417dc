"""What a loaded scenario's values are, where they come from and what they mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ecsim.core.errors import UserError
from ecsim.core.units import Unit
from ecsim.scenario.dump import dump
from ecsim.scenario.load import Loaded, leaves
from ecsim.scenario.messages import did_you_mean, unit_of
from ecsim.scenario.params import params_spec
from ecsim.scenario.plugin import Plugin
from ecsim.scenario.schema import Scenario
from ecsim.scenario.section import Section
from ecsim.scenario.tree import Path, path_text

Sources = Callable[[Path, object], str]


@dataclass(frozen=True, slots=True)
class Row:
    """One value of a scenario; `source` is that of a constant, empty where it has none."""

    path: str
    value: str
    unit: str
    origin: str
    description: str
    source: str = ""


def explain(loaded: Loaded, key: str = "", sources: Sources = lambda path, value: "") -> list[Row]:
    """Give a row for every value at or below `key`, all of them when it is empty.

    Parameters
    ----------
    key : such as ``stream.phase``, ``strategies[0]``, ``strategies.0`` or ``strategies.ecc_snn``.
    sources : gives the source of a value from its path and plain value.

    Raises
    ------
    UserError : when nothing has this key.
    """
    values = dict(leaves(dump(loaded.scenario)))
    labels = {entry.label: i for i, entry in enumerate(loaded.scenario.strategies)}
    wanted = _steps(key, labels)
    chosen = {path: value for path, value in values.items() if path[: len(wanted)] == wanted}
    if not chosen:
        known = {path_text(path[:n]) for path in values for n in range(1, len(path) + 1)}
        hint = did_you_mean(path_text(wanted), sorted(known))
        raise UserError(f"expected a key of {loaded.path}, got {key!r}{hint}")
    return [_row(loaded, path, value, sources) for path, value in chosen.items()]


def _steps(key: str, labels: Mapping[str, int]) -> Path:
    steps: list[str | int] = []
    for step in re.sub(r"\[(\d+)\]", r".\1", key).split(".") if key else ():
        if steps == ["strategies"] and step in labels:
            steps.append(labels[step])
        else:
            steps.append(int(step) if step.isdecimal() else step)
    return tuple(steps)


def _row(loaded: Loaded, path: Path, value: Any, sources: Sources) -> Row:
    unit, description = _meaning(loaded.scenario, path)
    text = "true" if value is True else "false" if value is False else str(value)
    if isinstance(value, list):
        text = f"[{', '.join(map(str, value))}]"
    if unit is not None and isinstance(value, str):
        text = text.removesuffix(unit.symbol).strip().removesuffix(".0")
    symbol = unit.symbol if unit else ""
    origin = str(loaded.origins[path])
    return Row(path_text(path), text, symbol, origin, description, sources(path, value))


def _meaning(scenario: Scenario, path: Path) -> tuple[Unit | None, str]:
    """Walk down the sections; the last key that has a description gives it."""
    at: Any = scenario
    unit, description = None, ""
    for step in path:
        if isinstance(at, Section):
            names = {field.alias or name: name for name, field in type(at).model_fields.items()}
            if step in names and step != "params":
                field = type(at).model_fields[names[str(step)]]
                unit = unit_of(field.annotation, field.metadata)
                description = field.description or ""
                at = getattr(at, names[str(step)])
            elif isinstance(at, Plugin):
                param = params_spec(type(at.params))[str(step)]
                return param.unit, param.description
        elif isinstance(at, Mapping | tuple):
            at = at[step]  # type: ignore[index]
    return unit, description
