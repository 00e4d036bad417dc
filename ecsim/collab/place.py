"""A node as strategies see it: its model version, its price lists, its place in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ecsim.core.types import ModelRef, Work
from ecsim.kernel import Engine, Node
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
    charger : what charges its battery; None without a battery, or for one that is never charged.
    """

    node: Node
    stage: int
    price: Price
    host_price: Price
    predictor: Predictor
    model: ModelRef
    held: set[str] = field(default_factory=set)
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
