"""Claims suites: plan the runs, make those that are missing, judge by rules fixed before.

Runs are kept by their own name under the suite's folder, so that claims with the same scenario
and seed share them and a repeated command runs only what is missing.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecsim.core.errors import Problem, ScenarioError
from ecsim.core.randomness import SEED_NAMES, derive_seed, replicate_seed
from ecsim.core.registry import load_plugins
from ecsim.experiment.cells import Cell, one_run
from ecsim.experiment.effects import Point, Sides, effect_of
from ecsim.experiment.runs import runs_of
from ecsim.experiment.verdicts import Row, Verdicts
from ecsim.records.store import ROOT, Run
from ecsim.runtime.lookup import lookup
from ecsim.runtime.progress import Progress
from ecsim.scenario.claims import Claim, LoadedSuite, Suite, load_suite
from ecsim.scenario.load import Loaded
from ecsim.scenario.messages import not_one_of
from ecsim.statistics.tests import holm
from ecsim.statistics.verdict import judge


@dataclass(frozen=True)
class Plan:
    """What a suite needs.

    Attributes
    ----------
    loaded : the suite.
    parts : what is judged: the claims with their places in the suite, one for each change of `per`.
    points : of each part, one list per replicate; none for a claim that is not measured.
    cells : all distinct runs, in the order of the claims.
    folder : of the suite; the runs are below it.
    """

    loaded: LoadedSuite
    parts: Sequence[tuple[int, Claim]]
    points: Sequence[Sequence[Sequence[Point]]]
    cells: Sequence[Cell]
    folder: Path
    missing: Sequence[Cell] = field(default=())
    cpu_s: float = math.nan

    def describe(self) -> str:
        """Write what is to be done in one line."""
        n, suite = len(self.missing), self.loaded.suite
        text = f"{suite.name}: {len(suite.claims)} claims, {len(self.cells)} runs, {n} missing"
        if not n:
            return text
        if math.isnan(self.cpu_s):
            return f"{text}; how long they take is known after the first"
        return f"{text}; about {self.cpu_s:.0f} CPU-s, by the finished runs of these scenarios"


def plan(path: str | os.PathLike[str], *, out: str | Path = ROOT) -> Plan:
    """Read a suite and its scenarios, and say which runs it needs; nothing is run.

    Raises
    ------
    ScenarioError : the suite or one of its scenarios is wrong, at the place in the suite.
    """
    loaded = load_suite(path, lookup=lookup())
    folder = Path(out) / loaded.suite.name
    parts = [(i, part) for i, claim in enumerate(loaded.suite.claims) for part in claim.parts()]
    points: list[list[list[Point]]] = []
    problems: list[Problem] = []
    cells: dict[str, Cell] = {}
    for i, claim in parts:
        try:
            points.append(_points(loaded, i, claim))
        except ScenarioError as error:
            problems += error.problems
            points.append([])
    if problems:
        raise ScenarioError(problems)
    for each in (point for of in points for replicate in of for point in replicate):
        cells |= {cell.name: cell for cell in each.cells}
    runs = {cell.name: cell.finished(folder / "runs") for cell in cells.values()}
    missing = [cell for cell in cells.values() if runs[cell.name] is None]
    took: dict[Path, list[float]] = {}
    for cell in cells.values():
        if (run := runs[cell.name]) is not None:
            took.setdefault(cell.file, []).append(run.manifest["cpu_s"])
    estimates = [took.get(cell.file, [math.nan]) for cell in missing]
    cpu_s = sum(sum(of) / len(of) for of in estimates)
    return Plan(loaded, parts, points, list(cells.values()), folder, missing, cpu_s)


def claims(
    path: str | os.PathLike[str],
    *,
    plugins: Iterable[str | os.PathLike[str]] = (),
    out: str | Path = ROOT,
    jobs: int = 1,
    finished: bool = False,
    progress: Progress | None = None,
    planned: Callable[[Plan], object] = lambda plan: None,
) -> Verdicts:
    """Judge the claims of a suite, running what is missing, and write the verdicts.

    Parameters
    ----------
    path : the suite, a YAML file.
    plugins : Python files that register names of your own; they are executed.
    out : folder of the results; the suite's own folder is named after it.
    jobs : processes that run at the same time.
    finished : run nothing, and judge the replicates whose runs are all there.
    planned : told the plan before anything runs.

    Raises
    ------
    ScenarioError : the suite or one of its scenarios is wrong.
    """
    files, progress = tuple(map(Path, plugins)), progress or Progress()
    load_plugins(files)
    wanted = plan(path, out=out)
    planned(wanted)
    runs: dict[str, Run] = {}
    lacking = {cell.name for cell in wanted.missing} if finished else set()
    cells = [cell for cell in wanted.cells if cell.name not in lacking]
    for cell, run in zip(
        cells,
        runs_of(cells, wanted.folder / "runs", jobs=jobs, plugins=files, progress=progress),
        strict=True,
    ):
        runs[cell.name] = run
        progress.step(f"run {len(runs)} of {len(cells)}: {cell.name}")
    verdicts = judged(wanted, runs)
    verdicts.write()
    return verdicts


def judged(wanted: Plan, runs: Mapping[str, Run]) -> Verdicts:
    """Give the verdicts on finished runs; a replicate that lacks one has no effect."""
    suite, parts = wanted.loaded.suite, [claim for _, claim in wanted.parts]
    effects = [
        [effect_of(claim, replicate, runs) for replicate in points]
        for claim, points in zip(parts, wanted.points, strict=True)
    ]
    known = [[value for value in of if math.isfinite(value)] for of in effects]
    first = [_judge(suite, *of, None) for of in zip(parts, known, strict=True)]
    primary = [i for i, claim in enumerate(parts) if claim.primary and _is_voted(claim)]
    p_values = [
        math.nan
        if (found := first[i]) is None
        else found.p_equivalent
        if parts[i].criterion == "equivalent"
        else found.p
        for i in primary
    ]
    adjusted = dict(zip(primary, holm(p_values), strict=True))
    of_claim: dict[int, list[Row]] = {}
    for i, (place, claim) in enumerate(wanted.parts):
        p = adjusted.get(i)
        found = first[i] if p is None else _judge(suite, claim, known[i], p)
        scale = suite.scale if claim.scale is None else claim.scale
        of_claim.setdefault(place, []).append(Row.of(claim, found, tuple(effects[i]), scale, p))
    rows: list[Row] = []
    for place, of_parts in of_claim.items():
        claim = suite.claims[place]
        rows += [Row.over(claim, of_parts), *of_parts] if claim.per else of_parts
    return Verdicts(suite.name, wanted.folder, suite.level, tuple(rows), _about(wanted, runs))


def _about(wanted: Plan, runs: Mapping[str, Run]) -> dict[str, Any]:
    """Give what the verdicts rest on, so that they can be kept without their runs."""
    suite = wanted.loaded.path.read_bytes()
    manifests = {name: run.manifest for name, run in sorted(runs.items())}
    return {
        "suite_sha256": hashlib.sha256(suite).hexdigest(),
        "cpu_s": sum(of["cpu_s"] for of in manifests.values()),
        "runs": {
            name: {
                "seed": of["scenario"]["seed"],
                "scenario_sha256": of["scenario_sha256"],
                "git": of["git"],
                "cpu_s": of["cpu_s"],
            }
            for name, of in manifests.items()
        },
    }


def _judge(suite: Suite, claim: Claim, effects: Sequence[float], p: float | None) -> Any:
    if not effects:
        return None
    return judge(
        effects,
        claim.criterion,
        claim.sei or math.inf,
        paper=claim.paper,
        confirmatory_n=suite.confirmatory_n,
        level=suite.level,
        p_adjusted=p,
    )


def _is_voted(claim: Claim) -> bool:
    return claim.by_construction is None and claim.not_testable is None


def _points(loaded: LoadedSuite, i: int, claim: Claim) -> list[list[Point]]:
    """Give where a claim looks in each replicate; empty for one that is not measured."""
    if claim.not_testable is not None or claim.metric is None:
        return []
    suite, against, elsewhere = loaded.suite, claim.against, claim.elsewhere
    base = {**({} if claim.is_apart else suite.changes), **claim.changes}
    seed = _checked(loaded, i, claim, base, claim.arm, ("arm",)).scenario.seed
    # where it is measured: changes and label of one side and of the other, place in the suite
    places: list[tuple[dict[str, object], str, dict[str, object], str, tuple[str, ...]]] = []
    theirs = dict(against.changes) if against else {}
    other = against.arm if against else ""
    places.append((base, claim.arm or "", {**base, **theirs}, other, ()))
    if elsewhere is not None:
        here = {**base, **elsewhere.changes}
        if elsewhere.against is not None:
            other, theirs = elsewhere.against.arm, dict(elsewhere.against.changes) or theirs
        name = "interaction" if claim.interaction else "averaged_with"
        arm = elsewhere.arm or claim.arm or ""
        places.append((here, arm, {**here, **theirs}, other, (name,)))
    for here, arm, there, other, at in places:
        wanted = [(here, arm, at or ("arm",))]
        if against is not None:
            wanted.append((there, other, at or ("against",)))
        for changed, label, where in wanted:
            if _checked(loaded, i, claim, changed, label, where).scenario.seed != seed:
                message = "expected no seed of its own: both sides have those of the replicates"
                raise ScenarioError([loaded.problem(("claims", i, *where), message)])
    if claim.over and claim.over.partition(".")[0] in ("seed", "seeds", "replications"):
        message = f"expected a key that replicates have in common, got {claim.over!r}"
        raise ScenarioError([loaded.problem(("claims", i, "over"), message)])
    xs: list[tuple[float, dict[str, object]]] = [(math.nan, {})]
    if claim.over not in (None, "phase"):
        xs = [
            (x, {claim.over or "": value}) for x, value in zip(claim.points, claim.at, strict=True)
        ]
    file = loaded.scenario_of(claim)
    found = []
    for replicate in range(claim.n or suite.n):
        chosen = replicate_seed(seed, replicate)
        row = []
        for x, change in xs:
            sides = []
            for here, label, there, other, _ in places:
                cell = _cell(loaded, i, file, {**here, **change}, chosen)
                if against is None:
                    sides.append(Sides(cell, label))
                    continue
                facing = _cell(loaded, i, file, {**there, **change}, chosen)
                sides.append(Sides(cell, label, facing, other))
            row.append(Point(sides[0], sides[1] if elsewhere else None, x))
        found.append(row)
    return found


def _cell(
    loaded: LoadedSuite, i: int, file: Path, changes: Mapping[str, object], seed: int
) -> Cell:
    try:
        return Cell.of(file, one_run(changes, seed))[0]
    except ScenarioError as error:
        raise ScenarioError([_moved(loaded, i, problem) for problem in error.problems]) from None


def _checked(
    loaded: LoadedSuite,
    i: int,
    claim: Claim,
    changes: Mapping[str, object],
    arm: str | None,
    at: tuple[str, ...],
) -> Loaded:
    """Load the scenario of a claim and find whether it has the arm and seeds that vary."""
    try:
        found = Cell.of(loaded.scenario_of(claim), changes)[1]
    except ScenarioError as error:
        raise ScenarioError([_moved(loaded, i, problem) for problem in error.problems]) from None
    scenario, problems = found.scenario, []
    labels = [entry.label for entry in scenario.strategies]
    if arm not in labels:
        message = (
            not_one_of(arm, labels, "strategy's label") if arm else "missing; expected a label"
        )
        problems.append(loaded.problem(("claims", i, *at), message))
    for name in SEED_NAMES:
        if getattr(scenario.seeds, name) != derive_seed(scenario.seed, name):
            message = f"expected a scenario without seeds.{name}, which all replicates would share"
            problems.append(loaded.problem(("claims", i, "scenario"), message))
    if problems:
        raise ScenarioError(problems)
    return found


def _moved(loaded: LoadedSuite, i: int, problem: Problem) -> Problem:
    """Give a problem of a scenario at the claim that asks for it."""
    return loaded.problem(("claims", i), f"its scenario: {problem}")
