"""What a sweep or search will run: read, expanded and checked before anything runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from ecsim.core.errors import Problem, ScenarioError, UserError
from ecsim.core.randomness import replicate_seed
from ecsim.experiment.cells import Cell
from ecsim.experiment.design import Setting, n_settings, settings
from ecsim.runtime.build import build
from ecsim.runtime.lookup import lookup
from ecsim.runtime.progress import Progress
from ecsim.scenario.load import Loaded, Source, command_for, from_validation
from ecsim.scenario.messages import show
from ecsim.scenario.override import path_of
from ecsim.scenario.section import Context
from ecsim.scenario.sweep import Search, Sweep, SweepFile, Trials
from ecsim.scenario.tree import SET, Tree, from_plain
from ecsim.scenario.tree import Path as TreePath

MOST_CELLS = 100_000
REPLICATE = "replicate"
_N_DIGITS = 12  # of a cell's digest, in its name
_SECTIONS = ("sweep", "search")
_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True)
class Study:
    """A file that says what to vary, and the scenario that it varies.

    Attributes
    ----------
    name : of the results.
    source : the scenario, without the sections that vary it.
    overrides : values of the command line, for every cell.
    sweep, search : the sections; None where the file has none.
    """

    path: Path
    name: str
    source: Source
    tree: Tree = field(repr=False)
    overrides: Mapping[str, object]
    sweep: Sweep | None
    search: Search | None

    @classmethod
    def read(
        cls, path: str | os.PathLike[str], overrides: Mapping[str, object] = _NOTHING
    ) -> Study:
        """Read a scenario with such a section, or a file of its own that names a scenario.

        Raises `ScenarioError` for what is wrong in the sections or in reading the files.
        """
        source = Source.read(path)
        tree = source.tree
        given = tree.plain()
        if command_for(given) == "claims":
            message = (
                "expected a file for `ecsim sweep` or `ecsim search`, got one for `ecsim claims`"
            )
            raise ScenarioError([tree.find(("claims",))[0].origin.problem(("claims",), message)])
        is_own = "scenario" in given or (bool(given) and {*given} <= {"name", *_SECTIONS})
        data = given if is_own else {key: given[key] for key in _SECTIONS if key in given}
        context = Context(lookup(), source.path.resolve().parent)
        try:
            whole = data if is_own else {"scenario": "."} | data
            sections = SweepFile.model_validate(whole, context=context)
        except ValidationError as error:
            raise ScenarioError([*source.problems, *from_validation(error, tree)]) from None
        if is_own and source.problems:
            raise ScenarioError(source.problems)
        if is_own:
            name = sections.name or source.path.stem
            source = Source.read(_inside(tree, source.path, sections.scenario))
        else:
            name = str(given.get("name", source.path.stem))
        many = source.tree.child("replications")
        if many is not None and many.value is not None:
            message = f"expected none here; vary the key {REPLICATE!r} instead"
            raise ScenarioError([many.place.problem(("replications",), message)])
        rest = {key: child for key, child in source.tree.value.items() if key not in _SECTIONS}
        source = replace(source, tree=Tree(rest, source.tree.origin))
        return cls(
            Path(path), name, source, tree, overrides, sections.sweep, sections.search
        )  # fmt: skip

    def without(self, section: str) -> UserError:
        """Give the error for a file that lacks the section of a command."""
        return UserError(
            f"{self.path}: expected a section {section}, got none; see docs/how-to/sweep.md, or "
            f"run it with `ecsim {command_for(self.tree.plain())}`"
        )

    def cell(self, section: Trials, setting: Mapping[str, Tree | Any]) -> tuple[Cell, Loaded]:
        """Give a cell with its scenario; raise `ScenarioError` for what is wrong with it.

        Parameters
        ----------
        setting : values by key, as trees with their origin or as plain data.
        """
        which = "sweep" if isinstance(section, Sweep) else "search"
        self._check_keys(section, which, setting)
        given: dict[str, object] = {
            key: self.placed(value, (which, "set", key)) for key, value in section.fixed.items()
        }
        given |= self.overrides
        given |= {key: _as_tree(value) for key, value in setting.items()}
        for key, value in given.items():
            if key.partition(".")[0] == "replications":
                message = f"expected none here; vary the key {REPLICATE!r} instead"
                raise ScenarioError([_as_tree(value).origin.problem((key,), message)])
        if REPLICATE in given:
            given |= {"seed": self._replicate(given, given.pop(REPLICATE))}
        given |= dict.fromkeys(_SECTIONS)
        cell, loaded = Cell.of(self.source.path, given)
        values = {key: of.plain() if isinstance(of, Tree) else of for key, of in setting.items()}
        file, name = cell.file.resolve(), cell.digest[:_N_DIGITS]  # of any folder, in any process
        return replace(cell, file=file, name=name, values=values), loaded

    def _check_keys(self, section: Trials, which: str, setting: Mapping[str, Tree | Any]) -> None:
        """Refuse a key that has a value already, which the setting's would replace unseen."""
        tree = self.source.tree
        swept: dict[tuple[str, ...], str] = {}
        for key, value in setting.items():
            path = path_of(tree, key)
            if path in swept:
                message = f"expected each key once, got {swept[path]} again by another name"
                raise ScenarioError([_as_tree(value).origin.problem((key,), message)])
            swept[path] = key
        for key in (*self.overrides, *section.fixed):
            path = path_of(tree, key)
            over = next((swept[path[:n]] for n in range(len(path) + 1) if path[:n] in swept), None)
            if over is not None:
                message = f"has no effect, as the {which} varies {over}; leave one of them out"
                if key in self.overrides:
                    raise ScenarioError([SET.problem((key,), message)])
                raise ScenarioError([self.problem((which, "set", key), message)])

    def problem(self, path: TreePath, message: str) -> Problem:
        """Give a problem at a place of the file."""
        return self.tree.find(path)[0].place.problem(path, message)

    def trees(self, setting: Setting) -> dict[str, Tree]:
        """Give a setting with the place of each value in the file."""
        return {key: self.placed(value.plain, value.path) for key, value in setting.items()}

    def placed(self, plain: Any, path: TreePath) -> Tree:
        """Give a value with the place in the file that it comes from."""
        return from_plain(plain, self.tree.find(path)[0].origin)

    def _replicate(self, given: Mapping[str, object], value: object) -> Tree:
        tree = _as_tree(value)
        number = tree.value
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            message = f"expected a whole number from 0 on, got {show(number)}"
            raise ScenarioError([tree.origin.problem((REPLICATE,), message)])
        message = "expected no single seeds beside replicates, which vary all of them"
        if (seeds := self.source.tree.child("seeds")) is not None:
            raise ScenarioError([seeds.place.problem(("seeds",), message)])
        for key, single in given.items():
            if key.partition(".")[0] == "seeds":
                raise ScenarioError([_as_tree(single).origin.problem((key,), message)])
        base = given.get("seed", self.source.tree.child("seed"))
        seed = _as_tree(base).value if base is not None else 0
        is_seed = isinstance(seed, int) and not isinstance(seed, bool)
        return from_plain(replicate_seed(seed, number) if is_seed else seed, tree.origin)


@dataclass(frozen=True)
class Plan:
    """The cells of a sweep.

    Attributes
    ----------
    cells : in the order of the axes; settings that mean the same scenario are one cell.
    keys : what varies.
    """

    study: Study
    sweep: Sweep
    cells: tuple[Cell, ...]
    keys: tuple[str, ...]

    @property
    def folder_name(self) -> str:
        """Name of the folder of its results."""
        return folder_name(self.study.name, [*self.keys, *(cell.name for cell in self.cells)])


def folder_name(name: str, parts: Iterable[str]) -> str:
    """Give a name with a hash of what the folder is for."""
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{name}-{digest[:8]}"


def read_plan(path: str | os.PathLike[str], overrides: Mapping[str, object] = _NOTHING) -> Plan:
    """Read what to sweep and check every cell.

    All cells are loaded; each value of each key is, once, also built into a system, which finds
    what only the data can tell.

    Raises
    ------
    ScenarioError : with every problem, at its place in the files.
    """
    study = Study.read(path, overrides)
    if study.sweep is None:
        raise study.without("sweep")
    n = n_settings(study.sweep)
    if n > MOST_CELLS:
        message = f"expected at most {MOST_CELLS} cells, got {n}"
        raise ScenarioError([study.problem(("sweep", "axes"), message)])
    problems: dict[Problem, None] = {}
    cells: dict[str, Cell] = {}
    to_build: list[Loaded] = []
    built: set[tuple[str, str]] = set()
    for setting in settings(study.sweep):
        try:
            cell, loaded = study.cell(study.sweep, study.trees(setting))
        except ScenarioError as error:
            problems |= dict.fromkeys(error.problems)
            continue
        cells.setdefault(cell.name, cell)
        new = {(key, repr(value)) for key, value in cell.values.items()} - built
        if new:
            built |= new
            to_build.append(loaded)
    for loaded in to_build if not problems else ():
        try:
            build(loaded, None, Progress())
        except ScenarioError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise ScenarioError(sorted(problems, key=lambda p: (p.file, p.line or 0, p.column or 0)))
    keys = tuple(key for axis in study.sweep.axes for key in axis.names)
    return Plan(study, study.sweep, tuple(cells.values()), keys)


def _as_tree(value: object) -> Tree:
    return value if isinstance(value, Tree) else from_plain(value, SET)


def _inside(tree: Tree, path: Path, name: str) -> Path:
    """Give the scenario that a file of its own names; it must lie in its folder or below."""
    found, folder = path.parent / name, path.parent.resolve()
    if Path(name).is_absolute() or not found.resolve().is_relative_to(folder):
        message = f"expected a path inside the folder of this file, got {name!r}"
        raise ScenarioError([tree.find(("scenario",))[0].origin.problem(("scenario",), message)])
    if not found.is_file():
        message = f"expected an existing file, got {name!r}"
        raise ScenarioError([tree.find(("scenario",))[0].origin.problem(("scenario",), message)])
    return found
