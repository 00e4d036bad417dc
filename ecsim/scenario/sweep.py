"""The sections `sweep:` and `search:`: which values of which keys are tried."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    model_validator,
)

from ecsim.core.units import between
from ecsim.scenario import assertion
from ecsim.scenario.messages import did_you_mean, show
from ecsim.scenario.names import run_name
from ecsim.scenario.section import Section

SAMPLED = ("random", "latin_hypercube", "sobol")
_MOST_CELLS = 100_000

Number = int | float
Count = Annotated[int, Field(ge=1, le=_MOST_CELLS)]


class Range(Section):
    """Values from one end to the other."""

    start: Any = Field(alias="from", description="lower end: a number or a quantity with its unit")
    end: Any = Field(alias="to", description="upper end")
    n: Count | None = Field(
        default=None, description="number of values, ends included; in a grid or zip"
    )
    scale: Literal["linear", "log"] = Field(default="linear", description="how they are spaced")
    whole: bool = Field(default=False, description="whether they are rounded to whole numbers")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        low, high, _ = self.ends
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"expected 'from' below 'to', got {self.start!r} and {self.end!r}")
        if self.scale == "log" and low <= 0:
            raise ValueError(f"expected 'from' above 0 on a log scale, got {self.start!r}")
        return self

    @property
    def ends(self) -> tuple[float, float, str]:
        """Both ends as numbers, and the unit that they have in common, empty where none."""
        if isinstance(self.start, str) and isinstance(self.end, str):
            found = between(self.start, self.end)
            if found is not None:
                return found
        elif _is_number(self.start) and _is_number(self.end):
            return float(self.start), float(self.end), ""
        raise ValueError(
            "expected two numbers or two quantities of one dimension such as '1 Mbit/s', "
            f"got {show(self.start)} and {show(self.end)}"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _values(value: Any, info: ValidationInfo) -> Range | tuple[Any, ...]:
    if isinstance(value, dict) and {"from", "to"} & {*value}:
        return Range.model_validate(value, context=info.context)
    if not isinstance(value, list):
        raise ValueError(
            f"expected a list of values or a range such as {{from: 1, to: 5, n: 5}}, "
            f"got {show(value)}"
        )
    if not value:
        raise ValueError("expected at least one value, got an empty list")
    return tuple(value)


Values = Annotated[
    Range | tuple[Any, ...],
    PlainValidator(_values, json_schema_input_type=Range | list[Any]),
    PlainSerializer(
        lambda values: (
            values.model_dump(mode="json", by_alias=True)
            if isinstance(values, Range)
            else list(values)
        )
    ),
]


class Axis(Section):
    """Settings of some keys; a sweep has every combination of its axes' settings."""

    kind: Literal["grid", "zip", "list", "random", "latin_hypercube", "sobol"] = Field(
        default="grid",
        description="grid (every combination of the values), zip (the first values of all keys, "
        "then the second, …), list (explicit cells), or n points drawn between the ends: random, "
        "latin_hypercube, sobol",
    )
    keys: dict[str, Values] = Field(
        default_factory=dict,
        description="values by key, such as strategies.ecc_snn.threshold; `replicate` takes whole "
        "numbers and gives each its own seeds",
    )
    cells: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = Field(
        default=(), description="of a list: one mapping of keys to values for each cell"
    )
    n: Count | None = Field(default=None, description="number of points of a drawn axis")
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(
        default=0, description="seed of a drawn axis"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        what = "cells" if self.kind == "list" else "keys"
        if not getattr(self, what):
            raise ValueError(f"expected {what} in an axis of kind {self.kind}, got none")
        if getattr(self, other := "keys" if what == "cells" else "cells"):
            raise ValueError(
                f"expected no {other} in an axis of kind {self.kind}, which has {what}"
            )
        if (self.n is None) is (self.kind in SAMPLED):
            expected = "n points" if self.n is None else "no n beside the keys"
            raise ValueError(f"expected {expected} in an axis of kind {self.kind}")
        ranges = {key: of for key, of in self.keys.items() if isinstance(of, Range)}
        for key, of in ranges.items():
            if (of.n is None) is (self.kind not in SAMPLED):
                expected = "an n in the range" if of.n is None else "no n in the range"
                raise ValueError(f"expected {expected} of {key} in an axis of kind {self.kind}")
        lengths = {key: of.n if isinstance(of, Range) else len(of) for key, of in self.keys.items()}
        if self.kind == "zip" and len({*lengths.values()}) > 1:
            got = ", ".join(f"{n} of {key}" for key, n in lengths.items())
            raise ValueError(f"expected as many values of each key in a zip, got {got}")
        if any(not cell for cell in self.cells):
            raise ValueError("expected at least one key in each cell, got an empty mapping")
        if len({frozenset(cell) for cell in self.cells}) > 1:
            raise ValueError("expected the same keys in each cell of a list")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The keys that it sets."""
        return tuple(self.keys) or tuple(self.cells[0])


class Trials(Section):
    """What sweeps and searches have in common."""

    fixed: dict[str, Any] = Field(
        default_factory=dict, alias="set", description="values of further keys, in every cell"
    )


def _own_keys(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    if not axes:
        raise ValueError("expected at least one axis, got an empty list")
    seen: set[str] = set()
    for axis in axes:
        for key in axis.names:
            if key in seen:
                raise ValueError(f"expected each key on one axis, got {key!r} again")
            seen.add(key)
    return axes


class Sweep(Trials):
    """Every combination of the settings of its axes is a cell."""

    axes: Annotated[tuple[Axis, ...], Field(strict=False), AfterValidator(_own_keys)] = Field(
        description="what varies; the last axis varies fastest"
    )


def _objective(text: str) -> str:
    words = text.split()
    if len(words) != 2 or words[0] not in ("minimize", "maximize") or "." not in words[1]:
        hint = did_you_mean(words[0], ("minimize", "maximize")) if words else ""
        raise ValueError(
            f"expected an objective such as 'maximize ecc_snn.accuracy', got {text!r}{hint}"
        )
    return text


def _constraint(text: str) -> str:
    try:
        assertion.parse(text)
    except assertion.AssertionSyntaxError as error:
        raise ValueError(str(error)) from None
    return text


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Search(Trials):
    """Values of keys that are best by one objective, or the front of several."""

    keys: dict[str, Values] = Field(description="lists to choose from, or ranges, by key")
    objectives: Annotated[
        tuple[Annotated[str, AfterValidator(_objective)], ...],
        Field(strict=False),
        BeforeValidator(_listed),
    ] = Field(description="such as maximize ecc_snn.accuracy; of several the front is kept")
    constraints: Annotated[
        tuple[Annotated[str, AfterValidator(_constraint)], ...], Field(strict=False)
    ] = Field(default=(), description="comparisons as in `assert:` that a result must satisfy")
    trials: Count = Field(default=50, description="number of trials")
    batch: Count = Field(
        default=1,
        description="trials that are chosen together and may run side by side; the choice of the "
        "next ones knows their results",
    )
    sampler: Literal["tpe", "nsga2", "random"] = Field(
        default="tpe",
        description="how values are chosen: tree-structured Parzen estimator, genetic, or random",
    )
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(
        default=0, description="seed of the choice"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.keys:
            raise ValueError("expected keys to search over, got none")
        if not self.objectives:
            raise ValueError("expected at least one objective, got an empty list")
        for key, of in self.keys.items():
            if isinstance(of, Range) and of.n is not None:
                raise ValueError(f"expected no n in the range of {key} in a search")
        return self


class SweepFile(Section):
    """A file of its own: the scenario that it varies, and how."""

    name: Annotated[str, AfterValidator(run_name)] | None = Field(
        default=None, description="name of the results; by default the file's"
    )
    scenario: str = Field(
        description="path of the scenario, relative to this file, in its folder or below"
    )
    sweep: Sweep | None = Field(default=None, description="what `ecsim sweep` runs")
    search: Search | None = Field(default=None, description="what `ecsim search` runs")
