"""Seconds of work on a device, three ways; a calibrated card always goes by its measurements.

``counted`` (default)
    ``overhead + macs / macs_per_s + sops / sops_per_s``: effective rates, uncalibrated. A card
    without `sops_per_s` runs a synaptic operation as one MAC.
``roofline``
    ``overhead + max(macs / peak_macs_per_s, bytes / memory_rate)``: what the data sheet allows,
    a lower bound; uncalibrated. Dense devices only: any other goes by its counted rates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ecsim.core.types import Operations, Work
from ecsim.costs.calibration import Calibration
from ecsim.costs.cards import Card

Seconds: TypeAlias = Callable[[Work], float]


def counted(card: Card) -> Seconds:
    """Give the seconds of work at the card's effective rates."""
    overhead_s = card["overhead"]
    mac_s = 1.0 / card["macs_per_s"]
    sop_s = 1.0 / card.get("sops_per_s", card["macs_per_s"])

    def seconds(work: Work) -> float:
        return overhead_s * work.steps + work.macs * mac_s + work.sops * sop_s

    return seconds


def roofline(card: Card) -> Seconds:
    """Give the seconds of work under the card's roofs."""
    overhead_s = card["overhead"]
    mac_s = 1.0 / card["peak_macs_per_s"]
    byte_s = 8.0 / card["memory_rate"]

    def seconds(work: Work) -> float:
        compute_s, memory_s = (work.macs + work.sops) * mac_s, work.bytes_moved * byte_s
        return overhead_s * work.steps + max(compute_s, memory_s)

    return seconds


def has_roofline(card: Card) -> bool:
    """Give whether a card has both roofs."""
    return "peak_macs_per_s" in card.constants and "memory_rate" in card.constants


def basis_of(calibration: Calibration) -> str:
    """Say what a calibrated card prices work by, first what is tried first."""
    if not calibration.table:
        return "calibrated model"
    return "calibrated: measured table, else model"


def calibrated(card: Card, otherwise: Seconds) -> Seconds:
    """Give the seconds of work by the card's own measurements.

    A training takes its MACs at the rate of the forward pass whose operations it lists: forward
    and backward passes are counted in its MACs, and are dense work of the same layers. Measured
    one sample at a time, this takes no profit of a mini-batch. Work whose operations nobody
    listed (predictions of a user) goes by `otherwise`.
    """
    calibration = card.calibration
    assert calibration is not None
    known: dict[Operations, tuple[float, float]] = {}

    def seconds(work: Work) -> float:
        operations = work.operations
        if operations is None:
            return otherwise(work)
        found = known.get(operations)
        if found is None:
            macs = sum(row.calls * row.macs for row in operations.rows)
            found = sum(map(calibration.time_s, operations.rows)), macs
            known[operations] = found
        forward_s, macs = found
        if not work.is_training:
            return forward_s
        return forward_s * work.macs / macs if macs else otherwise(work)

    return seconds
