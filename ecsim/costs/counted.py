"""The default cost model: counted work at a card's effective rates. Uncalibrated.

Time: ``overhead + macs / macs_per_s + sops / sops_per_s``. A card without `sops_per_s` runs a
synaptic operation as one MAC. Energy, by boundary:

``op``
    arithmetic alone, 45 nm figures, whatever the device; no idle power.
``device``
    a card with `joules_per_sop` (a neuromorphic chip): counted operations times their measured
    energies, static power as idle; any other card: (active - idle) power times busy time.

A radio transfer costs ``(slope x rate + base power) x time`` in every boundary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from ecsim.core.errors import UserError
from ecsim.core.types import Work
from ecsim.costs.cards import Card, cards
from ecsim.costs.model import EngineCost, LinkCost


@dataclass(frozen=True)
class CountedParams:
    """The counted model has no parameters of its own."""


class Counted:
    """Prices from device and link cards within one energy boundary."""

    Params = CountedParams
    boundaries: ClassVar[tuple[str, ...]] = ("device", "op")

    def __init__(self, params: CountedParams, boundary: str = "device"):
        if boundary not in self.boundaries:
            raise UserError(
                f"energy boundary {boundary!r}: expected one of {', '.join(self.boundaries)}"
            )
        self.boundary = boundary

    def engine(self, card: Card, tier: str) -> EngineCost:
        """Price work on this device; the tier plays no part."""
        return EngineCost(
            price=self._price(card),
            idle_w=card["idle_power"] if self.boundary == "device" else 0.0,
            can_train=card.can_train,
            busy_w=self._busy_w(card),
        )

    def link(
        self,
        card: Card,
        *,
        payload_bytes: float,
        up_bit_per_s: float | None = None,
        down_bit_per_s: float | None = None,
        latency_s: float | None = None,
    ) -> LinkCost:
        """Price transfers with the card's power law at the rate in force."""
        up = card["up_rate"] if up_bit_per_s is None else up_bit_per_s
        down = card["down_rate"] if down_bit_per_s is None else down_bit_per_s
        return LinkCost(
            up_bit_per_s=up,
            down_bit_per_s=down,
            latency_s=card["latency"] if latency_s is None else latency_s,
            tx_w=card["up_slope"] * up + card["base_power"],
            rx_w=card["down_slope"] * down + card["base_power"],
        )

    def _busy_w(self, card: Card) -> float:
        if self.boundary == "op" or "active_power" not in card.constants:
            return 0.0
        return card["active_power"] - card["idle_power"]

    def _price(self, card: Card) -> Callable[[Work], tuple[float, float]]:
        overhead_s = card["overhead"]
        mac_s = 1.0 / card["macs_per_s"]
        sop_s = 1.0 / card.get("sops_per_s", card["macs_per_s"])
        if self.boundary == "op":
            op = cards("operations")["horowitz_45nm"]
            mac_j, sop_j = op["joules_per_mac"], op["joules_per_sop"]
            update_j = op["joules_per_neuron_update"]
        elif "joules_per_sop" in card.constants:  # its pJ per SOP includes the neuron's update
            mac_j, sop_j = card["joules_per_mac"], card["joules_per_sop"]
            update_j = 0.0
        else:
            mac_j = sop_j = update_j = 0.0
        busy_w = self._busy_w(card)

        def price(work: Work) -> tuple[float, float]:
            seconds = overhead_s * work.steps + work.macs * mac_s + work.sops * sop_s
            joules = (
                work.macs * mac_j
                + work.sops * sop_j
                + work.neuron_updates * update_j
                + busy_w * seconds
            )
            return seconds, joules

        return price
