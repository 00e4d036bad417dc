"""How good a version's certainty is: calibration, risk and coverage, and what routing by it gains.

Functions of the table ``probe_bins``, for the rows of one version. Samples that its score finds
least sure are uploaded first; no version is ever trained in between, so that this is of routing
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Curve = npt.NDArray[np.float64]
SMALLEST_GAP = 0.02
"""AccI is not given where the cloud is less than two points better: it divides by that."""
CUR_RANGE = (0.05, 0.95)
SELECTIVE_CUR = 0.2
"""The upload rate at which the errors of versions are compared."""


def ece(bins: pd.DataFrame) -> float | None:
    """Give the expected calibration error over 15 equal bins of the largest probability.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, Eq. 3.
    """
    rows = bins[(bins["by"] == "confidence").to_numpy()]
    n = rows["n"].to_numpy(float)
    if not n.sum():
        return None
    sure = rows["n"] * rows["confidence"]
    gaps = (sure - rows["n_right"]).groupby(rows["bin"].to_numpy()).sum()
    return float(np.abs(gaps.to_numpy(float)).sum() / n.sum())


def risk_coverage(bins: pd.DataFrame) -> tuple[Curve, Curve]:
    """Give (coverage, risk): the share that the edge answers, and how much of it is wrong.

    Source: Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017.
    """
    n, right, _ = _by_score(bins)
    covered = np.cumsum(n)
    return covered / max(covered[-1:].sum(), 1), 1.0 - np.cumsum(right) / covered


def aurc(bins: pd.DataFrame) -> float | None:
    """Give the area under risk over coverage: the mean risk over the bins' coverages."""
    coverage, risk = risk_coverage(bins)
    return float(np.sum(risk * np.diff(coverage, prepend=0.0))) if len(risk) else None


def selective_error(bins: pd.DataFrame, cur: float = SELECTIVE_CUR) -> float | None:
    """Give the share of wrong answers that the edge gives itself while it uploads a share `cur`.

    Of rows of known classes alone it is the error on them while that share of them is uploaded.
    Within a bin wrong answers count as evenly spread. Source: as `risk_coverage`.
    """
    n, right, _ = _by_score(bins)
    if not n.sum():
        return None
    kept = np.concatenate([[0.0], np.cumsum(n)])
    wrong = np.concatenate([[0.0], np.cumsum(n - right)])
    at = (1.0 - cur) * kept[-1]
    return float(np.interp(at, kept, wrong) / at)


def accuracy_over_cur(bins: pd.DataFrame) -> tuple[Curve, Curve]:
    """Give (CUR, accuracy) of edge and cloud together, from no upload to all, bin by bin."""
    n, right, cloud = _by_score(bins)
    if not len(n) or np.isnan(cloud).any():
        return np.zeros(0), np.zeros(0)
    kept = np.concatenate([[0.0], np.cumsum(right)])
    sent = np.concatenate([np.cumsum(cloud[::-1])[::-1], [0.0]])
    covered = np.concatenate([[0.0], np.cumsum(n)])
    total = covered[-1]
    return (1.0 - covered / total)[::-1], ((kept + sent) / total)[::-1]


def routing_gain(bins: pd.DataFrame) -> float | None:
    """Give the mean accuracy above uploads at random, over CUR from .05 to .95.

    The area between the two curves, which are straight between the bins, over its width.
    """
    cur, accuracy = accuracy_over_cur(bins)
    if len(cur) < 2:
        return None
    low, high = CUR_RANGE
    at = np.concatenate([[low], cur[(cur > low) & (cur < high)], [high]])
    chance = accuracy[0] + at * (accuracy[-1] - accuracy[0])
    gain = np.interp(at, cur, accuracy) - chance
    return float(np.sum((gain[1:] + gain[:-1]) / 2.0 * np.diff(at)) / (high - low))


def acci(edge: float, system: float, cloud: float) -> float | None:
    """Give AccI: the share of the way from the edge's accuracy to the cloud's; None if too short.

    Source: ECC-SNN, section 5.3 (after Li et al., 2021).

    >>> acci(0.5, 0.75, 1.0), acci(0.5, 0.6, 0.51)
    (0.5, None)
    """
    # 1e-12: .95 - .93 is less than .02 by a last bit
    if not cloud - edge >= SMALLEST_GAP - 1e-12:
        return None
    return (system - edge) / (cloud - edge)


def _by_score(bins: pd.DataFrame) -> tuple[Curve, Curve, Curve]:
    """Give (samples, right at the edge, right in the cloud) by bin, the surest first."""
    rows = bins[(bins["by"] == "score").to_numpy()]
    if rows.empty:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    counts = rows[["n", "n_right", "n_cloud_right"]].astype(float)
    sums = counts.groupby(rows["bin"].to_numpy()).sum(min_count=1)
    n, right, cloud = sums.to_numpy(float).T
    return n, right, cloud
