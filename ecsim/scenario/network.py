"""What a link may do beside carrying bytes at a constant rate: traces, changes, jitter and loss."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ecsim.core.units import BitPerSecond, Seconds, Unit
from ecsim.scenario.files import File
from ecsim.scenario.section import Section

Positive = Field(gt=0)
Quantity = Literal["uplink", "downlink", "latency"]
QUANTITIES: tuple[Quantity, ...] = ("uplink", "downlink", "latency")


@dataclass(frozen=True, slots=True)
class Course:
    """A quantity over time: values in SI from `times` on, repeating after `period_s` if given."""

    times: tuple[float, ...]
    values: tuple[float, ...]
    period_s: float | None = None


class Trace(Section):
    """Rates and latencies from a CSV file with a line of column names."""

    file: File = Field(description="CSV file with a line of column names")
    every: Annotated[Seconds, Positive] | None = Field(
        default=None, description="time that each row lasts; or give `time`"
    )
    time: str | None = Field(
        default=None, description="column of the times, which count from the first row's on"
    )
    time_unit: Literal["us", "ms", "s", "min", "h"] = Field(
        default="s", description="unit of the column `time`"
    )
    uplink: str | None = Field(default=None, description="column of the uplink's rate")
    downlink: str | None = Field(default=None, description="column of the downlink's rate")
    latency: str | None = Field(default=None, description="column of the one-way latency")
    unit: Literal["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "B/s", "kB/s", "MB/s"] = Field(
        default="Mbit/s", description="unit of the rates"
    )
    latency_unit: Literal["us", "ms", "s"] = Field(default="ms", description="unit of the latency")
    at_end: Literal["repeat", "hold"] = Field(
        default="repeat", description="what follows the last row: the first again, or itself"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.every is None) == (self.time is None):
            raise ValueError("expected either `every` (a time per row) or `time` (a column)")
        if not self.given:
            raise ValueError("expected a column for at least one of uplink, downlink and latency")
        self.courses()
        return self

    @property
    def given(self) -> tuple[Quantity, ...]:
        """The quantities that have a column."""
        return tuple(name for name in QUANTITIES if getattr(self, name) is not None)

    def courses(self) -> dict[Quantity, Course]:
        """Read the file; raise `ValueError` with file, line and column of what is wrong in it."""
        path = self.file.path
        columns = {name: getattr(self, name) for name in self.given}
        table = _read(path, {*columns.values(), *([self.time] if self.time else [])})
        times, period_s = self._times(path, table)
        found: dict[Quantity, Course] = {}
        for name, column in columns.items():
            unit = self.latency_unit if name == "latency" else self.unit
            parse = Unit("time" if name == "latency" else "bit rate").parse
            values = []
            for line, text in table[column]:
                value = _number(path, line, column, text, lambda t, u=unit, p=parse: p(f"{t} {u}"))
                if value < 0.0:
                    raise ValueError(f"{path.name}:{line}: {column}: expected >= 0, got {text}")
                values.append(value)
            if name != "latency":
                _require_rate(path, column, values, self.at_end)
            found[name] = Course(tuple(times), tuple(values), period_s)
        return found

    def _times(
        self, path: Path, table: dict[str, list[tuple[int, str]]]
    ) -> tuple[list[float], float | None]:
        if self.every is not None:
            n = len(next(iter(table.values())))
            times = [i * self.every for i in range(n)]
            period_s = n * self.every
        else:
            assert self.time is not None
            parse = Unit("time").parse
            unit = self.time_unit
            stamps: list[float] = []
            for line, text in table[self.time]:
                stamp = _number(path, line, self.time, text, lambda t: parse(f"{t} {unit}"))
                if stamps and stamp <= stamps[-1]:
                    raise ValueError(
                        f"{path.name}:{line}: {self.time}: expected times that rise, got {text} "
                        f"after {stamps[-1]:g} s"
                    )
                stamps.append(stamp)
            times = [stamp - stamps[0] for stamp in stamps]
            # the last row lasts as long as the one before it
            period_s = times[-1] + (times[-1] - times[-2] if len(times) > 1 else 1.0)
        return times, period_s if self.at_end == "repeat" else None


def _read(path: Path, columns: set[str]) -> dict[str, list[tuple[int, str]]]:
    """Give (line, text) of each row of the columns."""
    table: dict[str, list[tuple[int, str]]] = {column: [] for column in columns}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            heads = [head.strip() for head in rows.fieldnames or []]
            rows.fieldnames = heads
            for column in sorted(columns - set(heads)):
                raise ValueError(
                    f"{path.name}:1: expected a column {column!r}, got {', '.join(heads)}"
                )
            for row in rows:
                for column in columns:
                    table[column].append((rows.line_num, (row[column] or "").strip()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path.name}: not a readable CSV file: {error}") from None
    if not next(iter(table.values())):
        raise ValueError(f"{path.name}: expected at least one row below the column names")
    return table


def _number(path: Path, line: int, column: str, text: str, parse: object) -> float:
    where = f"{path.name}:{line}: {column}"
    try:
        if not isfinite(float(text)):
            raise ValueError
        value: float = parse(text)  # type: ignore[operator]
    except ValueError:
        raise ValueError(f"{where}: expected a finite number, got {text!r}") from None
    return value


def _require_rate(path: Path, column: str, values: list[float], at_end: str) -> None:
    if not any(values):
        raise ValueError(f"{path.name}: {column}: expected a rate above zero, got zero throughout")
    if at_end == "hold" and not values[-1]:
        raise ValueError(
            f"{path.name}: {column}: expected a last rate above zero, which holds for ever, got 0"
        )


class Change(Section):
    """A change of a link at a known time, in force until the next."""

    at: Annotated[Seconds, Positive] = Field(description="time of the change")
    uplink: Annotated[BitPerSecond, Field(ge=0)] | None = Field(
        default=None, description="rate from the first to the second from then on"
    )
    downlink: Annotated[BitPerSecond, Field(ge=0)] | None = Field(
        default=None, description="rate from the second to the first from then on"
    )
    latency: Annotated[Seconds, Field(ge=0)] | None = Field(
        default=None, description="one-way latency from then on"
    )

    @model_validator(mode="after")
    def _changes(self) -> Self:
        if all(getattr(self, name) is None for name in QUANTITIES):
            raise ValueError("expected at least one of uplink, downlink and latency")
        return self


def rising(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Give the changes; raise `ValueError` unless their times rise and no rate ends at zero."""
    for i, (before, after) in enumerate(pairwise(changes), start=1):
        if after.at <= before.at:
            raise ValueError(
                f"expected times that rise, got {after.at:g} s after {before.at:g} s (change {i})"
            )
    for name in ("uplink", "downlink"):
        rates = [getattr(c, name) for c in changes if getattr(c, name) is not None]
        if rates and not rates[-1]:
            raise ValueError(f"expected a last {name} above zero, which holds for ever, got 0")
    return changes


_NEEDS = {
    "uniform": ("low", "high"),
    "normal": ("deviation",),
    "lognormal": ("mean", "deviation"),
    "exponential": ("mean",),
}


class Jitter(Section):
    """A random delay of each message, added to the link's latency."""

    kind: Literal["uniform", "normal", "lognormal", "exponential"] = Field(
        description="distribution; normal is about zero and truncated where nothing would arrive "
        "before it is sent"
    )
    low: Annotated[Seconds, Field(ge=0)] | None = Field(
        default=None, description="least delay (uniform)"
    )
    high: Annotated[Seconds, Field(ge=0)] | None = Field(
        default=None, description="largest delay (uniform)"
    )
    mean: Annotated[Seconds, Positive] | None = Field(
        default=None, description="mean of the delay (lognormal, exponential)"
    )
    deviation: Annotated[Seconds, Positive] | None = Field(
        default=None, description="standard deviation of the delay (normal, lognormal)"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        needs = _NEEDS[self.kind]
        for name in ("low", "high", "mean", "deviation"):
            is_given = getattr(self, name) is not None
            if is_given != (name in needs):
                raise ValueError(
                    f"expected {' and '.join(needs)} of a jitter of kind {self.kind}, "
                    f"got {'' if is_given else 'no '}{name}"
                )
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"expected low <= high, got {self.low:g} s and {self.high:g} s")
        return self


class Loss(Section):
    """Loss of whole messages, and their retransmission."""

    probability: Annotated[float, Field(ge=0, le=1)] = Field(
        description="probability that an attempt to send a message is lost"
    )
    timeout: Annotated[Seconds, Field(ge=0)] = Field(
        description="time after the end of an attempt until it is repeated"
    )
    backoff: Annotated[float, Field(ge=1, le=100)] = Field(
        default=2.0, description="factor on the time-out from one attempt to the next"
    )
    attempts: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=8, description="attempts after which a message is given up"
    )
