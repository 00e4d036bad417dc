"""A node as strategies see it: its model version, its price lists, its place in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ecsim.core.errors import StrategyError
from ecsim.core.types import ModelRef, Work
from ecsim.kernel import Engine, EventEngine, Node
from ecsim.kernel.charger import Charger

if TYPE_CHECKING:
    from ecsim.collab.oracle import Predictor

Price = Callable[[Work], tuple[float, float]]


@dataclass(slots=True)
class Place:
    """One node of one arm: the kernel's node and what the learning plane has put on it.

    Attributes
    ----------
    stage : index of the ledger's stage that its engines are charged to.
    price, host_price : give (seconds, joules) of work on its inference engine and its host.
    model : the version that it serves.
    held : content keys of the versions whose bytes it has.
    inference : the engine that serves inference.
    is_cloud : whether its tier is the cloud.
    levels : operating points by name, as (speed, power, seconds to go over to it).
    level : the present one; None: the card's own.
    charger : what charges its battery; None without a battery, or for one that is never charged.
    """

    node: Node
    stage: int
    price: Price
    host_price: Price
    predictor: Predictor
    model: ModelRef
    held: set[str] = field(default_factory=set)
    levels: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    level: str | None = None
    charger: Charger | None = None
    inference: Engine = field(init=False)
    is_cloud: bool = field(init=False)

    def __post_init__(self) -> None:
        self.inference = self.node.engines["inference"]
        self.is_cloud = self.node.tier == "cloud"

    @property
    def host(self) -> Engine:
        """The engine that trains: the node's own, or its host's where it cannot."""
        return self.node.engines.get("host", self.inference)

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
