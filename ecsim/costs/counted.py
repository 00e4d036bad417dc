"""The default cost model: counted work at a card's rates, energy within one boundary.

Time: see `rates`. Energy, by boundary:

``op``
    arithmetic alone, 45 nm figures, whatever the device; no idle power.
``op_memory``
    ``op`` and the traffic of weights, activations and membranes (`Work.bytes_moved`) at one
    figure per byte; no idle power.
``device``
    a card with `joules_per_sop` (a neuromorphic chip): counted operations times their measured
    energies, static power as idle; any other card: (active - idle) power times busy time.
``wall``
    ``device`` and the device's share of the computer around it, times the power usage
    effectiveness (`pue`): what the plug delivers.

A radio has one figure, the device's: a transfer costs ``(slope x rate + base power) x time`` in
every boundary; ``op`` and ``op_memory`` have no tail, as they have no idle power.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from ecsim.core.errors import UserError
from ecsim.core.types import Work
from ecsim.costs import rates
from ecsim.costs.cards import Card, cards
from ecsim.costs.model import EngineCost, LinkCost


@dataclass(frozen=True)
class CountedParams:
    """The counted model has no parameters of its own."""


class Counted:
    """Prices from device and link cards within one energy boundary."""

    Params = CountedParams
    boundaries: ClassVar[tuple[str, ...]] = ("device", "op", "op_memory", "wall")

    def __init__(self, params: CountedParams, boundary: str = "device"):
        if boundary not in self.boundaries:
            raise UserError(
                f"energy boundary {boundary!r}: expected one of {', '.join(self.boundaries)}"
            )
        self.boundary = boundary

    def engine(self, card: Card, tier: str) -> EngineCost:
        """Price work on this device; the tier plays no part.

        Raises `UserError` when the card has no energy for the boundary.
        """
        self._check(card)
        seconds, basis, used = self._seconds(card)
        if card.calibration is not None:
            # its rate stays, for what lists no operations
            seconds, basis = rates.calibrated(card, seconds), rates.basis_of(card.calibration)
        idle_w, busy_w = self._powers(card)
        used += self._energies(card)
        return EngineCost(
            price=self._price(card, seconds, busy_w),
            idle_w=idle_w,
            can_train=card.can_train,
            busy_w=busy_w,
            batch_fixed=card["batch_fixed"] if "batch_fixed" in card.constants else None,
            basis=basis,
            assumed=tuple(name for name in card.assumed if name in used),
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
        tail_w = card.get("tail_power", 0.0) if self._has_power else 0.0
        up = card["up_rate"] if up_bit_per_s is None else up_bit_per_s
        down = card["down_rate"] if down_bit_per_s is None else down_bit_per_s
        return LinkCost(
            up_bit_per_s=up,
            down_bit_per_s=down,
            latency_s=card["latency"] if latency_s is None else latency_s,
            tx_w=card["up_slope"] * up + card["base_power"],
            rx_w=card["down_slope"] * down + card["base_power"],
            base_w=card["base_power"],
            tx_j_per_bit=card["up_slope"],
            rx_j_per_bit=card["down_slope"],
            promotion_s=card.get("promotion_time", 0.0),
            promotion_w=card.get("promotion_power", 0.0),
            tail_s=card.get("tail_time", 0.0),
            tail_w=tail_w,
        )

    def _seconds(self, card: Card) -> tuple[rates.Seconds, str, tuple[str, ...]]:
        """Give seconds of work, where they come from, and the constants behind them."""
        used = ("macs_per_s", "sops_per_s", "overhead")
        return rates.counted(card), "effective rates, uncalibrated", used

    @property
    def _has_power(self) -> bool:
        return self.boundary in ("device", "wall")

    def _energies(self, card: Card) -> tuple[str, ...]:
        """Give the constants of the card behind its joules."""
        if not self._has_power:
            return ()
        used = ("idle_power", "active_power", "joules_per_sop", "joules_per_mac")
        around = ("pue", "host_idle_power", "host_active_power")
        return used + around if self.boundary == "wall" else used

    def _check(self, card: Card) -> None:
        if not self._has_power:
            return
        needed = ["idle_power"]
        if "joules_per_sop" in card.constants:
            needed += ["joules_per_mac"]
        else:
            needed += ["active_power"]
        if self.boundary == "wall":
            needed += ["pue"]
        missing = [name for name in needed if name not in card.constants]
        if missing:
            raise UserError(
                f"the card {card.name} has no {' and no '.join(missing)}, which the energy "
                f"boundary {self.boundary} needs"
            )
        if card.get("active_power", card["idle_power"]) < card["idle_power"]:
            raise UserError(f"the card {card.name} draws less power active than idle")

    def _powers(self, card: Card) -> tuple[float, float]:
        """Give the power that is drawn always, and what work adds to it."""
        if not self._has_power:
            return 0.0, 0.0
        idle_w = card["idle_power"]
        busy_w = card.get("active_power", idle_w) - idle_w
        if self.boundary == "wall":
            host_w = card.get("host_idle_power", 0.0)
            busy_w += card.get("host_active_power", host_w) - host_w
            return (idle_w + host_w) * card["pue"], busy_w * card["pue"]
        return idle_w, busy_w

    def _price(
        self, card: Card, seconds_of: rates.Seconds, busy_w: float
    ) -> Callable[[Work], tuple[float, float]]:
        update_j = byte_j = mac_j = sop_j = less_j = 0.0
        if not self._has_power:
            op = cards("operations")["horowitz_45nm"]
            mac_j, sop_j = op["joules_per_mac"], op["joules_per_sop"]
            update_j = op["joules_per_neuron_update"]
            less_j = mac_j - op.get("joules_per_int8_mac", mac_j)
            if self.boundary == "op_memory":
                byte_j = op["joules_per_byte"]
        elif "joules_per_sop" in card.constants:  # its pJ per SOP includes the neuron's update
            scale = card["pue"] if self.boundary == "wall" else 1.0
            mac_j, sop_j = card["joules_per_mac"] * scale, card["joules_per_sop"] * scale

        def price(work: Work) -> tuple[float, float]:
            seconds = seconds_of(work)
            joules = (
                work.macs * mac_j
                - work.int8_macs * less_j
                + work.sops * sop_j
                + work.neuron_updates * update_j
                + work.bytes_moved * byte_j
                + busy_w * seconds
            )
            return seconds, joules

        return price


class Roofline(Counted):
    """Prices with what a data sheet allows: peak arithmetic or memory traffic, whichever is later.

    A lower bound on time, labelled uncalibrated; devices without both roofs go by counted rates.
    """

    def _seconds(self, card: Card) -> tuple[rates.Seconds, str, tuple[str, ...]]:
        if not rates.has_roofline(card):
            return super()._seconds(card)
        used = ("peak_macs_per_s", "memory_rate", "overhead")
        return rates.roofline(card), "roofline, uncalibrated", used
