"""The table of verdicts of a suite: plain rows, and the files they are written to."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ecsim
from ecsim.records import shown
from ecsim.records.store import FORMAT
from ecsim.scenario.claims import Claim
from ecsim.statistics.verdict import Judgement, Verdict

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Row:
    """One claim with its verdict; what does not exist is NaN, or an empty text.

    Attributes
    ----------
    effect, low, high : mean over the replicates with its interval, in the unit of the claim.
    paper, ratio : the source's effect, and ours over it.
    p_holm : p after the correction over the suite's primary claims; NaN for others.
    detectable : the true effect that would have been found in 80 of 100 cases.
    effects : of each replicate.
    """

    id: str
    claim: str
    source: str
    verdict: str
    why: str
    measure: str
    effect: float
    low: float
    high: float
    n: int
    paper: float
    ratio: float
    sei: float
    criterion: str
    primary: bool
    p: float
    p_holm: float
    p_equivalent: float
    detectable: float
    scale: str
    effects: tuple[float, ...]

    @classmethod
    def of(
        cls,
        claim: Claim,
        found: Judgement | None,
        effects: tuple[float, ...],
        scale: str,
        p_holm: float | None,
    ) -> Row:
        """Give the row of a claim; `found` is None where nothing was measured."""
        verdict, why = Verdict.NOT_DETECTED, "the metric has no value in any replicate"
        if (claim.metric or "").startswith("latency"):
            why += ", as where a queue cannot keep up"
        if found is not None:
            verdict, why = found.verdict, found.why
            if n_lost := sum(not math.isfinite(value) for value in effects):
                why += f"; without a value in {n_lost} of {len(effects)} replicates"
        if claim.by_construction is not None:
            is_against = verdict is Verdict.CONTRADICTED and claim.criterion != "superior"
            verdict, why = Verdict.BY_CONSTRUCTION, claim.by_construction
            if is_against:  # the default criterion may not have been meant
                why += "; and yet the effect measured here lies wholly on the other side"
        if claim.not_testable is not None:
            verdict, why = Verdict.NOT_TESTABLE, claim.not_testable
        nan = math.nan
        mean = found.interval.mean if found else nan
        paper = nan if claim.paper is None else claim.paper
        return cls(
            id=claim.id,
            claim=claim.text,
            source=claim.source,
            verdict=verdict.value,
            why=why,
            measure=measure(claim),
            effect=mean,
            low=found.interval.low if found else nan,
            high=found.interval.high if found else nan,
            n=found.interval.n if found else 0,
            paper=paper,
            ratio=mean / paper if paper else nan,
            sei=nan if claim.sei is None else claim.sei,
            criterion=claim.criterion,
            primary=claim.primary,
            p=found.p if found else nan,
            p_holm=nan if p_holm is None else p_holm,
            p_equivalent=found.p_equivalent if found else nan,
            detectable=found.detectable if found else nan,
            scale=scale,
            effects=effects,
        )

    @classmethod
    def over(cls, claim: Claim, parts: Sequence[Row]) -> Row:
        """Give the row that tells the verdicts of a claim's parts, such as ``op: HOLDS``."""
        told = "; ".join(f"{part.id.partition('/')[2]}: {part.verdict}" for part in parts)
        nothing = cls.of(claim, None, (), parts[0].scale, None)
        why = "judged apart under each, below"
        return replace(nothing, verdict=told, why=why, n=min(part.n for part in parts))


def measure(claim: Claim) -> str:
    """Write what is measured, such as ``accuracy: ecc_snn - random_offload``."""
    if claim.metric is None:
        return ""
    other = "" if claim.value is None else f"{claim.value:g}"
    if (against := claim.against) is not None:
        own = "" if against.metric in (None, claim.metric) else f"its {against.metric}"
        other = _labelled(against.arm, own, _changes(against.changes))
    text = claim.arm or ""
    if other:
        text += f" / {other} - 1" if claim.effect == "relative" else f" - {other}"
    if claim.elsewhere is not None:
        there = [claim.elsewhere.arm] if claim.elsewhere.arm else []
        if (facing := claim.elsewhere.against) is not None:
            there.append(_labelled(facing.arm, _changes(facing.changes)))
        place = ", ".join(filter(None, (" - ".join(there), _changes(claim.elsewhere.changes))))
        how = "minus the same with" if claim.interaction else "averaged with the same with"
        text += f", {how} {place}"
    metric = claim.metric + ("" if claim.phase is None else f" in phase {claim.phase}")
    return f"{metric}: {f'slope over {claim.over} of ' if claim.over else ''}{text}"


def _labelled(arm: str, *about: str) -> str:
    told = ", ".join(filter(None, about))
    return f"{arm} ({told})" if told else arm


def _changes(changes: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key}={'null' if value is None else value}" for key, value in changes.items()
    )


_COLUMNS = (
    "id", "claim", "verdict", "measure", "effect", "low", "high", "n", "paper", "ratio", "sei",
    "scale", "why",
)  # fmt: skip


@dataclass(frozen=True)
class Verdicts:
    """The verdicts of a suite.

    Attributes
    ----------
    name : of the suite.
    path : its folder.
    level : confidence of the intervals.
    rows : one per claim.
    about : what they rest on: the suite's sha256, and of each run its seed, commit and CPU time.
    """

    name: str
    path: Path
    level: float
    rows: tuple[Row, ...]
    about: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The rows as a frame."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows])

    def to_json(self) -> str:
        """Write them as strict JSON: what does not exist is null, nothing is rounded."""
        about = {
            "kind": "claims",
            "format": FORMAT,
            "name": self.name,
            "ecsim": ecsim.__version__,
            "level": self.level,
            **self.about,
            "claims": [_strict(asdict(row)) for row in self.rows],
        }
        return json.dumps(about, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        """Write the main columns as a table."""
        lines = [f"| {' | '.join(_COLUMNS)} |", "|" + "---|" * len(_COLUMNS)]
        for row in self.rows:
            cells = [_text(getattr(row, name)) for name in _COLUMNS]
            lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
        return "\n".join(lines) + "\n"

    def write(self) -> None:
        """Write `verdicts.csv`, `verdicts.md` and, last, `claims.json` into the folder."""
        self.path.mkdir(parents=True, exist_ok=True)
        rows = [{**asdict(row), "effects": " ".join(map(repr, row.effects))} for row in self.rows]
        with _replacing(self.path / "verdicts.csv") as part, part.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        with _replacing(self.path / "verdicts.md") as part:
            part.write_text(self.to_markdown(), encoding="utf-8")
        with _replacing(self.path / "claims.json") as part:
            part.write_text(self.to_json(), encoding="utf-8")

    def _repr_html_(self) -> str:
        rows = [[getattr(row, name) for name in _COLUMNS] for row in self.rows]
        note = f"{100 * self.level:g} % intervals; effects in the SI unit of the metric."
        return shown.table(self.name, _COLUMNS, rows, note)


def _strict(row: Mapping[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(each) for each in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {key: plain(value) for key, value in row.items()}


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else "–"
    return " ".join(str(value).split())


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a hidden name to write to, which replaces the file only when it is whole."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
