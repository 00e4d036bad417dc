"""A paper's own cost table: fixed seconds and joules per inference and per upload.

Reproduces published figures as they are printed: no downlink, no propagation, no idle power and
no cost of updates. It is a boundary of its own and never mixed with another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ecsim.core.types import Work
from ecsim.costs.cards import Card, cards
from ecsim.costs.model import EngineCost, LinkCost

_IMMEDIATE_BIT_PER_S = 1e30  # a reply of any size takes less than the clock can resolve


@dataclass(frozen=True)
class PublishedParams:
    """Which paper's table to use; see the file tables/published.yaml."""

    table: str = "ecc_snn_cifar100"

    def __post_init__(self) -> None:
        known = sorted(cards("published"))
        if self.table not in known:
            raise ValueError(f"table: expected one of {', '.join(known)}, got {self.table!r}")


class Published:
    """Prices from a paper's per-sample table, whatever the device and the counted work."""

    Params = PublishedParams
    boundaries: ClassVar[tuple[str, ...]] = ("published",)

    def __init__(self, params: PublishedParams, boundary: str = "published"):
        self.boundary = "published"
        self.table = cards("published")[params.table]

    def engine(self, card: Card, tier: str) -> EngineCost:
        """Price every inference of the tier alike, and a training at nothing."""
        role = "cloud" if tier == "cloud" else "edge"
        inference = (self.table[f"{role}_time"], self.table[f"{role}_energy"])

        def price(work: Work) -> tuple[float, float]:
            return (0.0, 0.0) if work.is_training else inference

        return EngineCost(price=price, can_train=True, basis="published table")

    def link(
        self,
        card: Card,
        *,
        payload_bytes: float,
        up_bit_per_s: float | None = None,
        down_bit_per_s: float | None = None,
        latency_s: float | None = None,
    ) -> LinkCost:
        """Price one payload at the table's upload time and energy; the way back costs nothing."""
        seconds = self.table["upload_time"]
        return LinkCost(
            up_bit_per_s=payload_bytes * 8.0 / seconds,
            down_bit_per_s=_IMMEDIATE_BIT_PER_S,
            latency_s=0.0,
            tx_w=self.table["upload_energy"] / seconds,
            has_power_law=False,
        )
