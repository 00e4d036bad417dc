"""What a cost model gives to the simulator: a price list per engine and per link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ecsim.core.types import Work
from ecsim.costs.cards import Card


@dataclass(frozen=True, slots=True)
class EngineCost:
    """The price list of one engine of a node.

    `price` gives (seconds, marginal joules) of a piece of work; `idle_w` is the power it draws
    whether it works or not, accounted apart from the tasks; `busy_w` what it draws beyond that
    while it serves work that is not counted (other tenants).
    """

    price: Callable[[Work], tuple[float, float]]
    idle_w: float = 0.0
    can_train: bool = False
    busy_w: float = 0.0


@dataclass(frozen=True, slots=True)
class LinkCost:
    """The price list of one link; powers are those of the device's radio while it transfers."""

    up_bit_per_s: float
    down_bit_per_s: float
    latency_s: float
    tx_w: float = 0.0
    rx_w: float = 0.0


class CostModel(Protocol):
    """Turns counted work and bytes into seconds and joules within one energy boundary."""

    boundary: str

    def engine(self, card: Card, tier: str) -> EngineCost:
        """Price the work of a node with this device card in this tier."""

    def link(
        self,
        card: Card,
        *,
        payload_bytes: float,
        up_bit_per_s: float | None = None,
        down_bit_per_s: float | None = None,
        latency_s: float | None = None,
    ) -> LinkCost:
        """Price transfers over a link with this card; keywords replace the card's figures."""
