"""Devices that do not go from phase to phase at once: each by a delay of its own."""

from __future__ import annotations

from collections.abc import Iterable

from ecsim.core.randomness import Streams


def delays(devices: Iterable[str], synchrony: float, phase_s: float, seed: int) -> dict[str, float]:
    """Give by how much the phases of each device begin later than the schedule has it, in s.

    A device draws a number in [0, 1) from a random stream of its own; its delay is that share of
    ``(1 - synchrony)`` phases. Its first phase is longer by it, and its last one shorter.

    Parameters
    ----------
    synchrony : 1: all at once; 0: a phase begins somewhere within one phase's length.

    >>> delays(["cam[0]", "cam[1]"], 1.0, 30.0, 7)
    {'cam[0]': 0.0, 'cam[1]': 0.0}
    >>> some, others = (delays(["cam[0]"], s, 30.0, 7)["cam[0]"] for s in (0.0, 0.5))
    >>> some == 2 * others < 30.0
    True
    """
    data = Streams(seed)
    spread_s = (1.0 - synchrony) * phase_s
    return {
        device: spread_s * float(data("synchrony", device).random()) if spread_s else 0.0
        for device in devices
    }
