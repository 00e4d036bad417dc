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

    Attributes
    ----------
    price : gives (seconds, marginal joules) of a piece of work.
    idle_w : the power it draws whether it works or not, accounted apart from the tasks.
    busy_w : what it draws beyond that while it serves.
    batch_fixed : share of one sample's seconds that a batch pays once, see `batch_s`; None where
        the card says nothing of batches.
    basis : where the seconds come from: "calibrated", "roofline, uncalibrated", …
    assumed : names of the guesses among the constants behind the prices.
    """

    price: Callable[[Work], tuple[float, float]]
    idle_w: float = 0.0
    can_train: bool = False
    busy_w: float = 0.0
    batch_fixed: float | None = None
    basis: str = ""
    assumed: tuple[str, ...] = ()

    def batch_s(self, n: int, one_s: float) -> float:
        """Give the seconds of a batch of n samples that take `one_s` alone.

        ``one_s (f + (1 - f) n)``, with f = `batch_fixed`: launching and reading the weights are
        paid once, arithmetic by every sample. Own model; f = 0 where the card does not say.
        """
        fixed = self.batch_fixed or 0.0
        return one_s * (fixed + (1.0 - fixed) * n)

    def batch_j(self, n: int, one_j: float) -> float:
        """Give the marginal joules of a batch of n samples that take `one_j` alone.

        Power over time where the device draws `busy_w`; joules per operation are n times one's.
        """
        return self.batch_s(n, one_j) if self.busy_w > 0.0 else n * one_j


@dataclass(frozen=True, slots=True)
class LinkCost:
    """The price list of one link, at the device's end.

    Attributes
    ----------
    tx_w, rx_w : power of the device's radio while it transfers at the constant rates.
    base_w, tx_j_per_bit, rx_j_per_bit : the same taken apart, for rates that change.
    has_power_law : whether they can be; a table with fixed times per message cannot.
    promotion_s, promotion_w : time and power from sleep until the radio can transfer.
    tail_s, tail_w : time and power for which it stays connected after its last transfer.
    """

    up_bit_per_s: float
    down_bit_per_s: float
    latency_s: float
    tx_w: float = 0.0
    rx_w: float = 0.0
    base_w: float = 0.0
    tx_j_per_bit: float = 0.0
    rx_j_per_bit: float = 0.0
    promotion_s: float = 0.0
    promotion_w: float = 0.0
    tail_s: float = 0.0
    tail_w: float = 0.0
    has_power_law: bool = True


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
