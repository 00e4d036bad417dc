"""From measured networks to prices of operations: a table, and a model for other networks.

The model is linear in a call's sizes, with coefficients of at least zero, by kind of operation;
errors are weighed relative to the time of the call. What Python and the dispatcher spend between
operations is one figure per call, fitted on the difference between whole passes and their parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from scipy.optimize import nnls

from ecsim.core.types import Operation
from ecsim.costs.calibration import FEATURES, Calibration
from ecsim.profiling.timing import Measured


def gap_s(measured: Iterable[Measured]) -> float:
    """Give the seconds between two operations: least squares, relative to the whole passes.

    Negative where timing a call costs more than Python spends between two of them.
    """
    counts, rests = [], []
    for one in measured:
        counts.append(len(one.calls) / one.whole_s)
        rests.append((one.whole_s - sum(one.seconds)) / one.whole_s)
    return float(np.dot(counts, rests) / np.dot(counts, counts))


def fit(measured: Mapping[str, Measured], source: str) -> Calibration:
    """Fit the model on networks; its held-out error is nan until `errors` are known."""
    by_kind: dict[str, list[tuple[Operation, float]]] = {}
    for one in measured.values():
        for call, seconds, _ in one.by_signature().values():
            by_kind.setdefault(call.kind, []).append((call, max(seconds, 1e-7)))
    between_s = gap_s(measured.values())
    prices: dict[str, dict[str, float]] = {}
    for kind, rows in by_kind.items():
        sizes = np.array([_sizes(call) for call, _ in rows])
        times = np.array([took for _, took in rows])
        scale = sizes.max(axis=0)
        scale[scale == 0.0] = 1.0
        found, _ = nnls(sizes / scale / times[:, None], np.ones(len(rows)))
        per = dict(zip(FEATURES, (found / scale).tolist(), strict=True))
        per["call"] = max(0.0, per["call"] + between_s)
        prices[kind] = {key: value for key, value in per.items() if value > 0.0}
    return Calibration(source, float("nan"), prices)


def table(measured: Iterable[Measured]) -> dict[str, float]:
    """Give the measured seconds of each call, with what lies between two calls of its network.

    A call that several networks make takes the mean over them.
    """
    found: dict[str, list[float]] = {}
    for one in measured:
        between_s = gap_s([one])
        for signature, (_, seconds, _) in one.by_signature().items():
            found.setdefault(signature, []).append(max(0.0, seconds + between_s))
    return {signature: sum(values) / len(values) for signature, values in found.items()}


def time_s(calibration: Calibration, measured: Measured) -> float:
    """Give the time that a calibration expects for a network's pass."""
    return sum(map(calibration.time_s, measured.calls))


def errors(calibration: Calibration, measured: Mapping[str, Measured]) -> dict[str, float]:
    """Give the relative error of the expected time of each network's whole pass."""
    return {
        name: abs(time_s(calibration, one) - one.whole_s) / one.whole_s
        for name, one in measured.items()
    }


def _sizes(call: Operation) -> tuple[float, ...]:
    return (1.0, call.macs, call.read, call.written, call.weights)
