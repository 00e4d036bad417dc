"""Cards: named sets of constants of a device, a link or a paper's table, each with its source.

The files under `tables/` are data. A constant without a source is an error; a guess is marked
`assumed` and can be listed for the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ecsim.core.errors import UserError
from ecsim.core.units import Unit

FOLDER = Path(__file__).parent / "tables"

# name of a constant -> its dimension; the only names a card may use
DIMENSIONS = {
    "sops_per_s": "throughput",
    "macs_per_s": "throughput",
    "overhead": "time",
    "joules_per_sop": "energy",
    "joules_per_mac": "energy",
    "joules_per_neuron_update": "energy",
    "idle_power": "power",
    "active_power": "power",
    "up_rate": "bit rate",
    "down_rate": "bit rate",
    "latency": "time",
    "up_slope": "energy per bit",
    "down_slope": "energy per bit",
    "base_power": "power",
    "edge_time": "time",
    "edge_energy": "energy",
    "upload_time": "time",
    "upload_energy": "energy",
    "cloud_time": "time",
    "cloud_energy": "energy",
}


@dataclass(frozen=True, slots=True)
class Constant:
    """A figure in SI units with its source; `assumed` figures may lie in `range`."""

    value: float
    text: str
    source: str
    assumed: bool = False
    range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A named set of constants.

    `host` names the card of the computer that a device without training is attached to.
    """

    name: str
    title: str
    constants: Mapping[str, Constant]
    can_train: bool = False
    host: str | None = None

    def __getitem__(self, name: str) -> float:
        return self.constants[name].value

    def get(self, name: str, default: float) -> float:
        """Give a constant's SI value, or the default where the card does not have it."""
        found = self.constants.get(name)
        return default if found is None else found.value

    @property
    def assumed(self) -> tuple[str, ...]:
        """Names of the constants that are guesses or recollections."""
        return tuple(name for name, constant in self.constants.items() if constant.assumed)


def _constant(card: str, name: str, entry: Mapping[str, Any]) -> Constant:
    if name not in DIMENSIONS:
        raise UserError(f"card {card}: {name!r} is not a constant of any card")
    if not str(entry.get("source", "")).strip():
        raise UserError(f"card {card}: {name} has no source")
    unit = Unit(DIMENSIONS[name])
    low_high = entry.get("range")
    try:
        return Constant(
            value=unit.parse(entry.get("value")),
            text=str(entry["value"]),
            source=str(entry["source"]),
            assumed=bool(entry.get("assumed", False)),
            range=None if low_high is None else (unit.parse(low_high[0]), unit.parse(low_high[1])),
        )
    except ValueError as error:
        raise UserError(f"card {card}: {name}: {error}") from None


def read_cards(path: Path) -> dict[str, Card]:
    """Read a file of cards; raise `UserError` for a missing source or a wrong unit."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        name: Card(
            name=name,
            title=entry["title"],
            constants={
                key: _constant(name, key, value) for key, value in entry["constants"].items()
            },
            can_train=entry.get("can_train", False),
            host=entry.get("host"),
        )
        for name, entry in entries.items()
    }


@cache
def cards(kind: str) -> dict[str, Card]:
    """Give the built-in cards of a kind: devices, links, operations or published.

    >>> cards("links")["wifi_2012"]["up_rate"]
    18880000.0
    """
    return read_cards(FOLDER / f"{kind}.yaml")
