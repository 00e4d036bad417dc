"""Cards: named sets of constants of a device, a link or a paper's table, each with its source.

The files under `tables/` are data; a user's own file has the same form below the keys `devices`
and `links`. A constant without a source is an error; a guess is marked `assumed` and can be
listed for the report. All mistakes of a file are told at once, each with its position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ecsim.core.errors import Problem, ScenarioError, UserError
from ecsim.core.units import Unit
from ecsim.costs.calibration import Calibration
from ecsim.costs.constants import CONSTANTS, FORMS, REQUIRED
from ecsim.scenario.messages import show, unknown_key
from ecsim.scenario.tree import Path as At
from ecsim.scenario.tree import Tree
from ecsim.scenario.yaml12 import read_mapping

FOLDER = Path(__file__).parent / "tables"
KINDS = ("devices", "links", "operations", "published")
_CARD_KEYS = ("title", "constants", "can_train", "host", "calibration")
_CONSTANT_KEYS = ("value", "source", "assumed", "range")


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

    `host` names the card of the computer that a device without training is attached to;
    `calibration` is what was measured on the device itself, where it was.
    """

    name: str
    title: str
    constants: Mapping[str, Constant]
    can_train: bool = False
    host: str | None = None
    calibration: Calibration | None = None

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


@cache
def cards(kind: str) -> dict[str, Card]:
    """Give the built-in cards of a kind: devices, links, operations or published.

    >>> cards("links")["wifi_2012"]["up_rate"]
    18880000.0
    """
    return read_cards(FOLDER / f"{kind}.yaml", kind)


def all_cards(kind: str, file: Path | None) -> dict[str, Card]:
    """Give the built-in cards of a kind with those of a user's file, where there is one."""
    return cards(kind) if file is None else cards(kind) | user_cards(file)[kind]


def read_cards(path: Path, kind: str) -> dict[str, Card]:
    """Read a file of cards of one kind; raise `ScenarioError` with everything wrong in it."""
    tree, problems = _read(path)
    reader = _Reader(problems)
    found = reader.cards(tree, kind, ())
    reader.finish()
    return found


def user_cards(path: Path) -> dict[str, dict[str, Card]]:
    """Read a user's file of cards: ``devices:`` and ``links:``, each a mapping of cards.

    Raises
    ------
    ScenarioError : for a constant without a source, a wrong unit, an unknown constant, two forms
        of energy within one boundary, a name that is built in; all of them, with positions.
    """
    tree, problems = _read(path)
    reader = _Reader(problems)
    allowed = ("devices", "links")
    found: dict[str, dict[str, Card]] = {}
    for kind, inner in tree.value.items():
        if kind not in allowed:
            reader.add(inner, (kind,), unknown_key(kind, allowed), at_key=True)
            continue
        for name in sorted(set(reader.mapping(inner, (kind,))) & set(cards(kind))):
            taken = f"the card {name!r} is built in; give yours another name"
            reader.add(inner.value[name], (kind, name), taken, at_key=True)
        found[kind] = reader.cards(inner, kind, (kind,))
    known = set(cards("devices")) | set(found.get("devices", ()))
    for name, card in found.get("devices", {}).items():
        if card.host is not None and card.host not in known:
            place = tree.value["devices"].value[name].value["host"]
            reader.add(place, ("devices", name, "host"), f"there is no device card {card.host!r}")
    reader.finish()
    return {kind: found.get(kind, {}) for kind in allowed}


def _read(path: Path) -> tuple[Tree, list[Problem]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the cards in {path}: {error.strerror}") from None
    tree, problems = read_mapping(content, str(path), "file")
    if tree is None:
        raise ScenarioError(problems)
    return tree, problems


class _Reader:
    """Turns trees into cards and collects what is wrong with them."""

    def __init__(self, problems: list[Problem]):
        self._problems = problems

    def add(self, tree: Tree, path: At, message: str, at_key: bool = False) -> None:
        place = tree.place if at_key else tree.origin
        self._problems.append(place.problem(path, message))

    def finish(self) -> None:
        if self._problems:
            raise ScenarioError(self._problems)

    def mapping(self, tree: Tree, path: At) -> dict[str, Tree]:
        if isinstance(tree.value, dict):
            return tree.value
        self.add(tree, path, f"expected a mapping of keys, got {show(tree.plain())}")
        return {}

    def cards(self, tree: Tree, kind: str, path: At) -> dict[str, Card]:
        return {
            name: self._card(name, inner, kind, (*path, name))
            for name, inner in self.mapping(tree, path).items()
        }

    def _card(self, name: str, tree: Tree, kind: str, path: At) -> Card:
        given = self._known(tree, path, _CARD_KEYS)
        title = self._of_type(given, path, "title", str, "text", name)
        constants: dict[str, Constant] = {}
        if "constants" in given:
            constants = self._constants(given["constants"], kind, (*path, "constants"))
        missing = [key for key in REQUIRED[kind] if key not in constants]
        written = given["constants"].plain() if "constants" in given else None
        absent = [key for key in missing if not isinstance(written, dict) or key not in written]
        if absent:
            self.add(tree, path, f"missing constants: {', '.join(absent)}", at_key=True)
        for boundary, forms in FORMS.items() if kind == "devices" else ():
            if len(both := [form for form in forms if form in constants]) > 1:
                self.add(
                    given["constants"], path,
                    f"expected one form of energy for the boundary {boundary}, got "
                    f"{' and '.join(both)}",
                )  # fmt: skip
        calibration = None
        if "calibration" in given:
            try:
                calibration = Calibration.from_plain(given["calibration"].plain())
            except ValueError as error:
                self.add(given["calibration"], (*path, "calibration"), str(error))
        return Card(
            name=name,
            title=title,
            constants=constants,
            can_train=self._of_type(given, path, "can_train", bool, "true or false", False),
            host=self._of_type(given, path, "host", str, "the name of a device card", None),
            calibration=calibration,
        )

    def _constants(self, tree: Tree, kind: str, path: At) -> dict[str, Constant]:
        found = {}
        for name, inner in self.mapping(tree, path).items():
            if name not in CONSTANTS[kind]:
                message = f"{name!r} is not a constant of {kind}"
                self.add(inner, (*path, name), message, at_key=True)
                continue
            constant = self._constant(inner, CONSTANTS[kind][name], (*path, name))
            if constant is not None:
                found[name] = constant
        return found

    def _constant(self, tree: Tree, dimension: str, path: At) -> Constant | None:
        given = self._known(tree, path, _CONSTANT_KEYS)
        source = self._of_type(given, path, "source", str, "text", "")
        if not source.strip():
            self.add(tree, path, "has no source: say where the figure comes from", at_key=True)
        if "value" not in given:
            self.add(tree, path, "has no value", at_key=True)
            return None
        value = self._quantity(given["value"], dimension, (*path, "value"))
        low_high = None
        if "range" in given:
            ends = given["range"].value
            if not isinstance(ends, list) or len(ends) != 2:
                self.add(given["range"], (*path, "range"), "expected a list of two values")
            else:
                low, high = (self._quantity(end, dimension, (*path, "range")) for end in ends)
                if low is not None and high is not None and value is not None:
                    if not low <= value <= high:
                        message = "expected a range in which the value lies"
                        self.add(given["range"], (*path, "range"), message)
                    low_high = (low, high)
        assumed = self._of_type(given, path, "assumed", bool, "true or false", False)
        if value is None:
            return None
        return Constant(value, str(given["value"].value), source, assumed, low_high)

    def _quantity(self, tree: Tree, dimension: str, path: At) -> float | None:
        value = tree.value
        try:
            if dimension == "ratio":
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise ValueError(f"expected a number, got {show(tree.plain())}")
                number = float(value)
            else:
                number = Unit(dimension).parse(value if not isinstance(value, dict) else None)
            if not 0.0 <= number < float("inf"):
                raise ValueError(f"expected at least 0, got {show(value)}")
            if number == 0.0 and dimension == "throughput":
                raise ValueError(f"expected more than 0 op/s, got {show(value)}")
        except ValueError as error:
            self.add(tree, path, str(error))
            return None
        return number

    def _known(self, tree: Tree, path: At, keys: tuple[str, ...]) -> dict[str, Tree]:
        given = self.mapping(tree, path)
        for key in given:
            if key not in keys:
                self.add(given[key], (*path, key), unknown_key(key, keys), at_key=True)
        return given

    def _of_type(
        self, given: dict[str, Tree], path: At, key: str, kind: type, what: str, default: Any
    ) -> Any:
        if key not in given:
            return default
        value = given[key].value
        if kind is str and isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, kind):
            self.add(given[key], (*path, key), f"expected {what}, got {show(given[key].plain())}")
            return default
        return value
