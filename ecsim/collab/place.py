"""A node as strategies see it: its model version, its price lists, its place in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ecsim.collab.memory import Loading, Memory
from ecsim.core.errors import StrategyError
from ecsim.core.types import ModelRef, Part, Prediction, Work
from ecsim.kernel import Engine, EventEngine, Node
from ecsim.kernel.charger import Charger

if TYPE_CHECKING:
    from ecsim.collab.oracle import Predictor

_PART = "a part of "  # what of a version must be in memory, for messages
Price = Callable[[Work], tuple[float, float]]


class Answers(dict[int, tuple[Prediction, float, float]]):
    """What a version answers for each sample, and its (seconds, joules); filled when asked."""

    __slots__ = ("_model", "_predictor", "_price")

    def __init__(self, predictor: Predictor, model: ModelRef, price: Price):
        super().__init__()
        self._predictor = predictor
        self._model = model
        self._price = price

    def __missing__(self, sample_id: int) -> tuple[Prediction, float, float]:
        prediction = self._predictor.predict(self._model, sample_id)
        found = self[sample_id] = (prediction, *self._price(prediction.work))
        return found


class PartAnswers(Answers):
    """The same for a part of a version's forward pass."""

    __slots__ = ("_part",)

    def __init__(self, predictor: Predictor, model: ModelRef, price: Price, part: Part):
        super().__init__(predictor, model, price)
        self._part = part

    def __missing__(self, sample_id: int) -> tuple[Prediction, float, float]:
        prediction = self._predictor.predict(self._model, sample_id, self._part)
        found = self[sample_id] = (prediction, *self._price(prediction.work))
        return found


Shelf = MutableMapping[tuple[Any, ...], Answers]


class Place:
    """One node of one arm: the kernel's node and what the learning plane has put on it.

    Parameters
    ----------
    shelf : answers by price list, version and part, shared by the places of one arm and role.

    Attributes
    ----------
    stage : index of the ledger's stage that its engines are charged to.
    host_price : gives (seconds, joules) of work on its host.
    held : content keys of the versions whose bytes it has.
    inference : the engine that serves inference.
    is_cloud : whether its tier is the cloud.
    levels : operating points by name, as (speed, power, seconds to go over to it).
    level : the present one; None: the card's own.
    charger : what charges its battery; None without a battery, or for one that is never charged.
    memory : where versions must lie to be asked; None: there is room for all, and no load.
    answers : what it answers with its version at its price.
    """

    __slots__ = (
        "_model", "_predictors", "_price", "_shelf", "answers", "charger", "held", "host_price",
        "inference", "is_cloud", "level", "levels", "memory", "node", "predictor", "stage",
    )  # fmt: skip

    def __init__(
        self,
        node: Node,
        stage: int,
        price: Price,
        host_price: Price,
        predictor: Predictor,
        model: ModelRef,
        held: set[str],
        shelf: Shelf | None = None,
        levels: Mapping[str, tuple[float, float, float]] | None = None,
        memory: Memory | None = None,
    ):
        self.node = node
        self.stage = stage
        self.host_price = host_price
        self.predictor = predictor
        self.held = held
        self.levels = levels or {}
        self.memory = memory
        self.level: str | None = None
        self.charger: Charger | None = None
        self.inference: Engine = node.engines["inference"]
        self.is_cloud = node.tier == "cloud"
        self._predictors: dict[str, Predictor] = {}  # of versions that others predict for
        self._shelf: Shelf = {} if shelf is None else shelf
        self._price = price
        self._model = model
        self.answers = self.answers_of(model)

    @property
    def model(self) -> ModelRef:
        """The version that it serves."""
        return self._model

    @model.setter
    def model(self, model: ModelRef) -> None:
        self._model = model
        self.answers = self.answers_of(model)

    @property
    def price(self) -> Price:
        """Gives (seconds, joules) of work on its inference engine."""
        return self._price

    @price.setter
    def price(self, price: Price) -> None:
        self._price = price
        self.answers = self.answers_of(self._model)

    @property
    def host(self) -> Engine:
        """The engine that trains: the node's own, or its host's where it cannot."""
        return self.node.engines.get("host", self.inference)

    def answers_of(self, model: ModelRef, part: Part | None = None) -> Answers | Loading:
        """Give what a version, or a part of it, answers here."""
        if part is not None:
            return self._answers_of_part(model, part)
        found = self._shelf.get((self._price, model.key))
        if found is None:
            found = self._shelf[self._price, model.key] = Answers(
                self.predictor_of(model), model, self._price
            )
        return found if self.memory is None else Loading(found, self.memory, model)

    def _answers_of_part(self, model: ModelRef, part: Part) -> Answers | Loading:
        found = self._shelf.get((self._price, model.key, part))
        if found is None:
            found = self._shelf[self._price, model.key, part] = PartAnswers(
                self.predictor_of(model), model, self._price, part
            )
        if self.memory is None:
            return found
        if part.cut is None:
            return Loading(found, self.memory, self._weights_to(model, part), _PART)
        graph = self.predictor_of(model).layers(model)
        size = sum(graph[name].param_bytes for name in part.vertices)
        key = f"{model.key}/{'/'.join(part.vertices)}"
        weights = replace(model, key=key, param_bytes=round(size))
        return Loading(found, self.memory, weights, _PART)

    def _weights_to(self, model: ModelRef, part: Part) -> ModelRef:
        """Give the weights between two exits, and the later one's branch, as a version."""
        exits = self.predictor_of(model).exits(model)
        exit = len(exits) - 1 if part.exit is None else part.exit
        first = 0 if part.after is None else part.after + 1
        size = sum(point.trunk_bytes for point in exits[first : exit + 1])
        size += exits[exit].branch_bytes
        return replace(model, key=f"{model.key}/exits/{first}/{exit}", param_bytes=round(size))

    def predictor_of(self, model: ModelRef) -> Predictor:
        """Give who predicts for a version that the node has."""
        return self._predictors.get(model.key, self.predictor)

    def install(self, model: ModelRef, predictor: Predictor) -> None:
        """Let the node have a version of another role beside its own."""
        self.held.add(model.key)
        self._predictors[model.key] = predictor

    def start_at(self, level: str) -> None:
        """Begin at an operating point."""
        speed, power, _transition_s = self.levels[level]
        self._set(level, speed, power, 0.0)

    def go_over(self, level: str | None) -> None:
        """Go over to an operating point, None being the card's own; see `Context.set_level`."""
        if level is not None and level not in self.levels:
            known = ", ".join(self.levels) or "none"
            raise StrategyError(f"{self.node.name} has no level {level!r}; it has: {known}")
        if level != self.level:
            self._set(level, *(self.levels[level] if level is not None else (1.0, 1.0, 0.0)))

    def _set(self, level: str | None, speed: float, power: float, transition_s: float) -> None:
        self.level = level
        for engine in self.node.engines.values():
            assert isinstance(engine, EventEngine)  # as a node with levels has
            engine.go_over(speed, power, transition_s)
