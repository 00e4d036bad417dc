"""The keys of a claims suite: what is claimed, how it is measured, and what would count.

Everything that decides a verdict stands in the file, before anything is run.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ecsim.core.errors import Problem
from ecsim.core.units import quantity
from ecsim.scenario.links import Finding, items_at
from ecsim.scenario.load import located, read_as
from ecsim.scenario.lookup import Lookup
from ecsim.scenario.messages import not_one_of, show
from ecsim.scenario.names import run_name
from ecsim.scenario.section import Section
from ecsim.scenario.tree import Path, Tree

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MEASURED = ("metric", "arm", "sei")

Changes = Annotated[
    Mapping[str, Any],
    Field(description="values that replace the scenario's, by key, as --set"),
]


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError(f"expected an id of letters, digits, '.', '_' and '-', got {text!r}")
    return text


def _point(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"expected a number or a quantity, got {show(value)}")
    return float(quantity(value) if isinstance(value, str) else value)


class Other(Section):
    """The other side of a comparison, in a changed scenario or by another metric."""

    arm: str = Field(description="label of the strategy")
    metric: str | None = Field(default=None, description="its metric; by default the claim's")
    changes: Changes = Field(default_factory=dict, alias="set")


def _other(value: Any) -> Any:
    return {"arm": value} if isinstance(value, str) else value


class There(Section):
    """The other side where the effect is measured a second time."""

    arm: str = Field(description="label of the strategy")
    changes: Changes = Field(
        default_factory=dict,
        alias="set",
        description="changes of this side alone; by default those of the claim's `against`",
    )


class Elsewhere(Section):
    """Where the same effect is measured a second time."""

    arm: str | None = Field(default=None, description="label of the strategy; default: the same")
    against: Annotated[There | None, BeforeValidator(_other)] = Field(
        default=None, description="label of the other, or {arm, set}; default: the claim's"
    )
    changes: Changes = Field(default_factory=dict, alias="set")


class Claim(Section):
    """One claim, with its measure and its criterion."""

    id: Annotated[str, AfterValidator(_id)] = Field(description="short name, unique in the suite")
    text: str = Field(description="what is claimed")
    source: str = Field(default="", description="where: paper, figure, table")
    scenario: str | None = Field(
        default=None, description="scenario file, in the suite's folder; by default the suite's"
    )
    changes: Changes = Field(default_factory=dict, alias="set")
    is_apart: bool = Field(
        default=False,
        alias="apart",
        description="whether the suite's `set` leaves this claim alone",
    )
    metric: str | None = Field(default=None, description="metric that is compared")
    arm: str | None = Field(default=None, description="label of the strategy that is spoken of")
    against: Annotated[Other | None, BeforeValidator(_other)] = Field(
        default=None, description="label of the other strategy, or {arm, metric, set}"
    )
    value: float | None = Field(default=None, description="number that it is compared with")
    over: str | None = Field(
        default=None,
        description="phase, or a key of the scenario: the effect is then the slope over it",
    )
    phase: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="phase that is looked at; by default the whole run"
    )
    at: Annotated[tuple[Any, ...], Field(strict=False)] = Field(
        default=(), description="values of the key `over`"
    )
    interaction: Elsewhere | None = Field(
        default=None, description="where the same effect is measured and then subtracted"
    )
    averaged_with: Elsewhere | None = Field(
        default=None, description="where it is measured to give the mean of both (a main effect)"
    )
    effect: Literal["difference", "relative"] = Field(
        default="difference", description="arm - other, or arm / other - 1"
    )
    criterion: Literal["superior", "less", "equivalent", "magnitude"] = Field(
        default="superior",
        description="effect above 0, below 0, within the sei, or that of the paper",
    )
    per: Mapping[Annotated[str, AfterValidator(_id)], Changes] = Field(
        default_factory=dict,
        description="changes by name, as `set`: the claim is judged apart under each",
    )
    sei: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="smallest effect that matters, in the unit of the effect"
    )
    paper: float | None = Field(default=None, description="the effect that the source reports")
    primary: bool = Field(
        default=False, description="whether it is judged after Holm's correction over the suite"
    )
    n: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="number of replicates; by default the suite's"
    )
    scale: str | None = Field(default=None, description="at which scale it is tested here")
    by_construction: str | None = Field(
        default=None, description="why it is true by definition; nothing is voted on"
    )
    not_testable: str | None = Field(default=None, description="why it is not tested here")

    @property
    def elsewhere(self) -> Elsewhere | None:
        """Where the effect is measured a second time."""
        return self.interaction or self.averaged_with

    def parts(self) -> tuple[Claim, ...]:
        """Give the claims that are judged: one for each change of `per`, else itself."""
        return tuple(
            self.model_copy(
                update={
                    "id": f"{self.id}/{name}",
                    "changes": {**self.changes, **changes},
                    "per": {},
                }
            )
            for name, changes in self.per.items()
        ) or (self,)

    @property
    def points(self) -> tuple[float, ...]:
        """The values of `at` in SI units."""
        return tuple(map(_point, self.at))


class Suite(Section):
    """A list of claims that are judged together."""

    version: Literal[1] = Field(default=1, description="version of this format")
    name: Annotated[str, AfterValidator(run_name)] = Field(description="name of the suite")
    scenario: str | None = Field(default=None, description="scenario file, in the suite's folder")
    changes: Changes = Field(default_factory=dict, alias="set")
    n: Annotated[int, Field(ge=1, le=1000)] = Field(default=6, description="replicates")
    confirmatory_n: Annotated[int, Field(ge=5, le=1000)] = Field(
        default=6, description="fewer replicates than this are an indication at most"
    )
    level: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        default=0.95, description="confidence of the intervals"
    )
    scale: str = Field(default="", description="at which scale the claims are tested here")
    claims: Annotated[tuple[Claim, ...], Field(strict=False)] = Field(description="the claims")


@dataclass(frozen=True)
class LoadedSuite:
    """A suite and the file it comes from."""

    suite: Suite
    path: pathlib.Path
    tree: Tree = field(repr=False, compare=False)

    def problem(self, path: Path, message: str) -> Problem:
        """Give a problem with the position of `path` in the file."""
        return located(self.tree, path, message)

    def scenario_of(self, claim: Claim) -> pathlib.Path:
        """Give the file of a claim's scenario."""
        return self.path.parent / (claim.scenario or self.suite.scenario or "")


def load_suite(path: str | os.PathLike[str], *, lookup: Lookup) -> LoadedSuite:
    """Read a claims suite; raise `ScenarioError` with every problem found.

    The scenarios themselves, and whether they have the arms, are not looked at here.
    """
    file = pathlib.Path(path)
    suite, tree = read_as(Suite, file, lookup, lambda data: _check(data, file, lookup), "claims")
    return LoadedSuite(suite, file, tree)


def _check(data: dict[str, Any], file: pathlib.Path, lookup: Lookup) -> Iterator[Finding]:
    claims = items_at(data, "claims")
    if data.get("claims") == []:
        yield ("claims",), "expected at least one claim, got an empty list"
    yield from _scenario(data, (), file)
    ids: dict[str, int] = {}
    for i, claim in claims:
        if not isinstance(claim, dict):
            continue
        where: Path = ("claims", i)
        if isinstance(claim.get("id"), str):
            if claim["id"] in ids:
                yield (*where, "id"), f"expected an id of its own, got {claim['id']!r} again"
            ids[claim["id"]] = i
        yield from _scenario(claim, where, file)
        is_tested = not isinstance(claim.get("not_testable"), str)
        is_voted = is_tested and not isinstance(claim.get("by_construction"), str)
        if not is_tested and isinstance(claim.get("by_construction"), str):
            yield where, "expected by_construction or not_testable, got both"
        if is_tested and "scenario" not in data and "scenario" not in claim:
            yield where, "expected a scenario, of the claim or of the suite, got none"
        for key in _MEASURED if is_voted else ():
            if key not in claim:
                yield where, f"missing {key!r}; expected: {_meaning(key)}"
        against = claim.get("against")
        of = {
            ("metric",): claim,
            ("against", "metric"): against if isinstance(against, dict) else {},
        }
        for at, section in of.items():
            if (metric := section.get("metric")) is not None and metric not in lookup.metrics():
                yield (*where, *at), not_one_of(metric, lookup.metrics(), "metric")
        yield from _comparison(claim, where)


def _comparison(claim: dict[str, Any], where: Path) -> Iterator[Finding]:
    """Find what is compared with too much, or with nothing."""
    if "metric" not in claim:
        return
    if "against" in claim and "value" in claim:
        yield where, "expected against or value, got both"
    if not {"against", "value", "over"} & claim.keys():
        yield where, "expected what it is compared with: against, value or over, got none of them"
    if "value" in claim and "over" in claim:
        yield where, "expected value or over, got both"
    if claim.get("effect") == "relative" and not {"against", "value"} & claim.keys():
        yield (*where, "effect"), "expected against or value with a relative effect, got neither"
    if claim.get("criterion") == "magnitude" and "paper" not in claim:
        yield (*where, "criterion"), "expected the paper's value with magnitude, got none"
    if {"interaction", "averaged_with"} <= claim.keys():
        yield where, "expected interaction or averaged_with, got both"
    for key in ("interaction", "averaged_with"):
        if isinstance(of := claim.get(key), dict) and "against" in of and "against" not in claim:
            yield (*where, key, "against"), "expected against in the claim itself too, got none"
    over, at = claim.get("over"), claim.get("at", [])
    if over == "phase" and "phase" in claim:
        yield (*where, "phase"), "expected no phase with a slope over phase, got one"
    if over == "phase" and at:
        yield (*where, "at"), "expected no values for phase: the schedule's are taken"
    if over is None and at:
        yield (*where, "at"), "expected over, the key that takes these values, got none"
    if over not in (None, "phase") and isinstance(at, list):
        points = set()
        for j, value in enumerate(at):
            try:
                points.add(_point(value))
            except ValueError as error:
                yield (*where, "at", j), str(error)
                return
        if len(points) < 2:
            yield (*where, "over"), f"expected at least two values under at, got {len(points)}"


def _scenario(data: dict[str, Any], where: Path, file: pathlib.Path) -> Iterator[Finding]:
    name = data.get("scenario")
    if not isinstance(name, str):
        return
    path = (file.parent / name).resolve()
    if not path.is_relative_to(file.parent.resolve()):
        yield (*where, "scenario"), f"expected a file in the suite's folder, got {name!r}"
    elif not path.is_file():
        yield (*where, "scenario"), f"expected an existing scenario file, got {name!r}"


def _meaning(key: str) -> str:
    return Claim.fields_by_key()[key].description or key
