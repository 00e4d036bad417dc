"""How well devices detected drift: from the marks that know when it really came."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

DRIFT_DELAY, DRIFT_FALSE_ALARM, DRIFT_MISSED = "drift_delay_s", "drift_false_alarm", "drift_missed"
"""Names of the marks: delay in s of a change that was found, 1 per false alarm, changes missed."""


def detection(marks: pd.DataFrame | None) -> dict[str, float | None]:
    """Give delay and counts over all devices of a strategy, from its marks of the whole run.

    Changes are the begins of phases but the first, on each device that watches for drift. Without
    such a device there is nothing to tell.
    """
    found: dict[str, float | None] = dict.fromkeys(("delay_s", "found", "missed", "false_alarms"))
    if marks is None:
        return found
    values = {name: marks.loc[(marks["name"] == name).to_numpy(), "value"].to_numpy(float)
              for name in (DRIFT_DELAY, DRIFT_FALSE_ALARM, DRIFT_MISSED)}  # fmt: skip
    if not len(values[DRIFT_MISSED]):  # each watching device leaves one
        return found
    delays = values[DRIFT_DELAY]
    return {
        "delay_s": float(delays.mean()) if len(delays) else None,
        "found": len(delays),
        "missed": int(values[DRIFT_MISSED].sum()),
        "false_alarms": len(values[DRIFT_FALSE_ALARM]),
    }
