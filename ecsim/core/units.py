"""Quantities: text with a unit outside, SI floats inside.

A field annotated with `Seconds`, `BitPerSecond`, … is a plain float in code; in a scenario it is
written with a unit (``20 Mbit/s``), because a bare number does not say what it is. `format_si`
writes a value so that reading it again gives the same float.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

_PREFIX = {
    "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12,
}  # fmt: skip
_SMALL = (*"fpnuµm", "")
_LARGE = ("", *"kMGT")
_NUMBER = re.compile(r"\s*([-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*(.*?)\s*$")


def _prefixed(
    unit: str, prefixes: tuple[str, ...] = (*_SMALL, *_LARGE), scale: Fraction = Fraction(1)
) -> dict[str, Fraction]:
    return {prefix + unit: scale * Fraction(10) ** _PREFIX[prefix] for prefix in prefixes}


_TIME = _prefixed("s", _SMALL) | {"min": Fraction(60), "h": Fraction(3600), "d": Fraction(86400)}
_BYTES = _prefixed("B", _LARGE) | {
    f"{prefix}iB": Fraction(1024) ** power for power, prefix in enumerate("KMGT", start=1)
}

# dimension -> (SI symbol, an example, unit -> factor); exact factors, so that reading rounds once
_DIMENSIONS: dict[str, tuple[str, str, dict[str, Fraction]]] = {
    "time": ("s", "60 s", _TIME),
    "rate": ("/s", "2 /s", {f"/{unit}": 1 / factor for unit, factor in _TIME.items()}
             | _prefixed("Hz", _LARGE)),
    "bit rate": ("bit/s", "20 Mbit/s", _prefixed("bit/s", _LARGE) | _prefixed("bps", _LARGE)
                 | {f"{unit}/s": 8 * factor for unit, factor in _BYTES.items()}),
    "size": ("B", "60 kB", _BYTES | _prefixed("bit", _LARGE, Fraction(1, 8))),
    "energy": ("J", "0.9 pJ", _prefixed("J") | _prefixed("Wh", scale=Fraction(3600))),
    "power": ("W", "350 mW", _prefixed("W")),
    "throughput": ("op/s", "34 Gop/s", _prefixed("op/s", _LARGE)),
    "energy per bit": ("J/bit", "76.7 nJ/bit", _prefixed("J/bit")),
}  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """Annotation that gives a float its dimension; pydantic reads text with a unit through it."""

    dimension: str

    @property
    def symbol(self) -> str:
        """The SI unit's symbol."""
        return _DIMENSIONS[self.dimension][0]

    def parse(self, text: Any) -> float:
        """Give the SI value of ``"<number> <unit>"``; raise `ValueError` saying what was expected.

        >>> Unit("bit rate").parse("20 Mbit/s")
        20000000.0
        """
        _symbol, example, factors = _DIMENSIONS[self.dimension]
        expected = f"expected a {self.dimension} such as '{example}'"
        if not isinstance(text, str):
            raise ValueError(f"{expected}, got {text!r} without a unit")
        match = _NUMBER.match(text)
        if match is None or match[2] not in factors:
            unit = match[2] if match else ""
            hint = f"; {unit!r} is not a unit of {self.dimension}" if unit else ""
            raise ValueError(f"{expected}, got {text!r}{hint}")
        try:
            return float(Fraction(match[1].replace("_", "")) * factors[match[2]])
        except OverflowError:
            raise ValueError(f"{expected}, got {text!r}, which is too large") from None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(
            self.parse,
            handler(source),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: format_si(value, self.symbol)
            ),
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> Any:
        return {
            "type": "string",
            "description": f"a {self.dimension} such as '{_DIMENSIONS[self.dimension][1]}'",
        }


def quantity(text: str) -> float:
    """Give the SI value of a number with a unit of whatever dimension; raise `ValueError`.

    >>> quantity("20 Mbit/s"), quantity("5 ms")
    (20000000.0, 0.005)
    """
    match = _NUMBER.match(text)
    for dimension, (_symbol, _example, factors) in _DIMENSIONS.items():
        if match is not None and match[2] in factors:
            return Unit(dimension).parse(text)
    raise ValueError(f"expected a quantity such as '20 Mbit/s', got {text!r}")


def between(low: str, high: str) -> tuple[float, float, str] | None:
    """Give two quantities of one dimension as numbers of the unit of `high`; None for others.

    >>> between("500 kbit/s", "20 Mbit/s")
    (0.5, 20.0, 'Mbit/s')
    """
    ends = [_NUMBER.match(text) for text in (low, high)]
    for _symbol, _example, factors in _DIMENSIONS.values():
        if all(end is not None and end[2] in factors for end in ends):
            unit = ends[1][2]  # type: ignore[index]
            numbers = [Fraction(end[1].replace("_", "")) * factors[end[2]] for end in ends if end]
            return float(numbers[0] / factors[unit]), float(numbers[1] / factors[unit]), unit
    return None


def format_si(value: float, symbol: str) -> str:
    """Write a value with its SI unit so that reading it gives the same float.

    >>> format_si(20e6, "bit/s")
    '20000000.0 bit/s'
    """
    return f"{float(value)!r} {symbol}"


def parsed(text: str) -> tuple[float, str] | None:
    """Give the SI value and unit of a number with any known unit or none; None for other text.

    >>> parsed("20 Mbit/s"), parsed("0.5"), parsed("fifo")
    ((20000000.0, 'bit/s'), (0.5, ''), None)
    """
    for dimension in _DIMENSIONS:
        with suppress(ValueError):
            return Unit(dimension).parse(text), Unit(dimension).symbol
    with suppress(ValueError):
        return float(text), ""
    return None


Seconds = Annotated[float, Unit("time")]
PerSecond = Annotated[float, Unit("rate")]
BitPerSecond = Annotated[float, Unit("bit rate")]
Bytes = Annotated[float, Unit("size")]
Joules = Annotated[float, Unit("energy")]
Watts = Annotated[float, Unit("power")]
OpsPerSecond = Annotated[float, Unit("throughput")]
JoulesPerBit = Annotated[float, Unit("energy per bit")]
