"""From a file to a checked `Scenario` in which every value knows its origin."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from ecsim.core.errors import Problem, ScenarioError
from ecsim.scenario.checks import check
from ecsim.scenario.dump import dump
from ecsim.scenario.graph import lay_graph
from ecsim.scenario.include import Reader
from ecsim.scenario.lookup import Lookup, RegistryLookup
from ecsim.scenario.messages import sentence
from ecsim.scenario.override import override
from ecsim.scenario.schema import Scenario
from ecsim.scenario.section import AT_KEY, Context, Section
from ecsim.scenario.tree import DEFAULT, Origin, Path, Tree

_NOTHING: Mapping[str, object] = MappingProxyType({})
_GRAPH = "topology.graph"
_OTHERS = ("sweep", "search", "claims")  # sections of files that name a scenario and are none
_OWN = ("topology", "strategies", "include")  # a scenario has one of these
S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Loaded:
    """A scenario and where it comes from.

    Attributes
    ----------
    scenario : what was read, checked and completed with defaults.
    path : the scenario file.
    origins : origin of every value that is not a mapping, by its path.
    """

    scenario: Scenario
    path: pathlib.Path
    origins: Mapping[Path, Origin]
    tree: Tree = field(repr=False, compare=False)

    def problem(self, path: Path, message: str) -> Problem:
        """Give a problem that is found later, with the position of `path` in the file."""
        return located(self.tree, path, message)


@dataclass(frozen=True)
class Source:
    """A scenario file with what it includes, before any value is replaced.

    Attributes
    ----------
    path : the scenario file.
    tree : its data; not to be changed.
    files : the files read, in their order.
    problems : what is wrong already.
    """

    path: pathlib.Path
    tree: Tree = field(repr=False, compare=False)
    files: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Source:
        """Read the files; raise `ScenarioError` when one cannot be read as data."""
        file = pathlib.Path(path)
        reader = Reader()
        tree = reader.read(file)
        if tree is None or not reader.is_whole:
            raise ScenarioError(_sorted(reader.problems, reader.files))
        return cls(file, tree, tuple(reader.files), tuple(reader.problems))

    def load(self, *, lookup: Lookup, overrides: Mapping[str, object] = _NOTHING) -> Loaded:
        """Check the scenario with these values; the parameters are those of `load`."""
        tree, folder = self.tree.copy(), self.path.parent
        problems = list(self.problems)
        for key in (key for key in overrides if key == _GRAPH):
            problems += override(tree, key, overrides[key])
        problems += lay_graph(tree, folder)  # so that the others may name its nodes
        for key, value in overrides.items():
            problems += override(tree, key, value) if key != _GRAPH else []
        data = tree.plain()
        other = command_for(data)
        if other in _OTHERS:
            message = f"expected a scenario, got a file for `ecsim {other}`"
            where = "scenario" if "scenario" in data else other
            raise ScenarioError([located(tree, (where,), message)])
        found: list[Problem] = []
        scenario: Scenario | None = None
        try:
            lookup = _with_cards(lookup, data, folder)
            context = Context(lookup, folder.resolve())
            scenario = Scenario.model_validate(data, context=context)
        except ScenarioError as error:  # the cards: names in it cannot be judged without
            raise ScenarioError([*problems, *error.problems]) from None
        except ValidationError as error:
            found += from_validation(error, tree)
        found += [located(tree, where, message) for where, message in check(data, lookup)]
        said = {(problem.file, problem.line, problem.column) for problem in problems}
        problems += [p for p in found if p.line is None or (p.file, p.line, p.column) not in said]
        if problems or scenario is None:
            raise ScenarioError(_sorted(problems, self.files))
        origins = {where: _origin(tree, where) for where, _ in leaves(dump(scenario))}
        return Loaded(scenario, self.path, MappingProxyType(origins), tree)


def load(
    path: str | os.PathLike[str],
    *,
    lookup: Lookup,
    overrides: Mapping[str, object] = _NOTHING,
) -> Loaded:
    """Read a scenario file with its includes and overrides.

    Parameters
    ----------
    path : the scenario file.
    lookup : which names exist.
    overrides : values by key, such as ``{"stream.phase": "5 s"}``; text is read as YAML.

    Raises
    ------
    ScenarioError : with every problem found, in the order of the files.
    """
    return Source.read(path).load(lookup=lookup, overrides=overrides)


def read_as(
    section: type[S],
    path: pathlib.Path,
    lookup: Lookup,
    check: Callable[[dict[str, Any]], Iterable[tuple[Path, str]]],
    command: str,
) -> tuple[S, Tree]:
    """Read a file of another kind than a scenario: strict YAML into its section.

    Parameters
    ----------
    section : what the file's top level is.
    check : gives path and message of what does not fit together, from plain data that may be
        malformed.
    command : that takes such files.

    Raises
    ------
    ScenarioError : with every problem found, in the order of the files.
    """
    reader = Reader()
    tree = reader.read(path)
    if tree is None or not reader.is_whole:
        raise ScenarioError(_sorted(reader.problems, reader.files))
    data, found = tree.plain(), list(reader.problems)
    other = command_for(data)
    if command not in data and (other in _OTHERS or any(key in data for key in _OWN)):
        where = next(key for key in (other, *_OWN) if key in data)
        message = f"expected a file for `ecsim {command}`, got one for `ecsim {other}`"
        raise ScenarioError([located(tree, (where,), message)])
    try:
        read = section.model_validate(data, context=Context(lookup, path.resolve().parent))
    except ValidationError as error:
        found += from_validation(error, tree)
    found += [located(tree, where, message) for where, message in check(data)]
    if found:
        raise ScenarioError(_sorted(found, reader.files))
    return read, tree


def command_for(data: Mapping[str, Any]) -> str:
    """Give the command that runs a file with these keys at the top: run, sweep, search, claims.

    >>> command_for({"scenario": "base.yaml", "sweep": {}}), command_for({"topology": {}})
    ('sweep', 'run')
    """
    others = [kind for kind in _OTHERS if kind in data]
    is_own = "scenario" not in data and ("claims" not in data or any(key in data for key in _OWN))
    return "run" if is_own or not others else others[0]


def _with_cards(lookup: Lookup, data: Any, folder: pathlib.Path) -> Lookup:
    """Let the look-up know the cards of the file that the scenario names, if it can."""
    name = data.get("cards")
    if not isinstance(name, str) or not isinstance(lookup, RegistryLookup):
        return lookup
    path = folder / name
    return lookup.with_cards(path) if path.is_file() else lookup  # the schema reports the rest


def leaves(data: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Give path and value of everything in plain data that holds no mapping."""
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list) and any(isinstance(value, dict | list) for value in data):
        for i, value in enumerate(data):
            yield from leaves(value, (*path, i))
    else:
        yield path, data


def _origin(tree: Tree, path: Path) -> Origin:
    found, is_there = tree.find(path)
    return found.origin if is_there else DEFAULT


def from_validation(error: ValidationError, tree: Tree) -> Iterator[Problem]:
    """Give what pydantic found wrong with a tree's data as positioned problems."""
    for line in error.errors(include_url=False):
        message = sentence(line)
        yield located(tree, line["loc"], message, is_key=line["type"] == AT_KEY)


def located(tree: Tree, path: Path, message: str, is_key: bool = False) -> Problem:
    """Give a problem with the position of `path`, or of its nearest parent, in a file's tree."""
    found, is_there = tree.find(path)
    place = found.origin if is_there and not is_key else found.place
    return place.problem(path, message)


def _sorted(problems: Iterable[Problem], files: Sequence[str]) -> list[Problem]:
    def order(problem: Problem) -> tuple[int, int, int]:
        rank = files.index(problem.file) if problem.file in files else len(files)
        return rank, problem.line or 0, problem.column or 0

    return sorted(dict.fromkeys(problems), key=order)
