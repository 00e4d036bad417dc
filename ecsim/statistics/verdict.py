"""What the figures of a claim allow to say: rules that are fixed before the runs.

::

    HOLDS                  interval on the claimed side of 0, and at least the smallest effect
                           that matters; for a magnitude: the paper's value in the interval
    DIRECTION HOLDS,       the same side as the paper's value, which is outside the interval
      SIZE DIFFERS
    INDICATED              every replicate on the claimed side, but too few or too uncertain
    EQUIVALENT             no difference that matters: two one-sided tests (TOST)
    CONTRADICTED           interval wholly on the other side
    NOT DETECTED           none of these; the smallest detectable effect is told
    BY CONSTRUCTION        true by definition: nothing was voted on
    NOT TESTABLE HERE      no data, device or scale for it

Fewer than `confirmatory_n` replicates are an indication at most. A primary claim is judged by its
p-value after Holm's correction over the suite.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

import numpy as np

from ecsim.statistics.interval import LEVEL, Interval, Values, t_interval
from ecsim.statistics.tests import smallest_detectable, t_test, tost

Criterion = Literal["superior", "less", "equivalent", "magnitude"]
MIN_INDICATION = 3


class Verdict(StrEnum):
    """What can be said of a claim."""

    HOLDS = "HOLDS"
    DIRECTION = "DIRECTION HOLDS, SIZE DIFFERS"
    INDICATED = "INDICATED"
    EQUIVALENT = "EQUIVALENT"
    CONTRADICTED = "CONTRADICTED"
    NOT_DETECTED = "NOT DETECTED"
    BY_CONSTRUCTION = "BY CONSTRUCTION"
    NOT_TESTABLE = "NOT TESTABLE HERE"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with what it rests on.

    Attributes
    ----------
    verdict : see the module.
    why : one sentence.
    interval : of the effect.
    p, p_equivalent : two-sided p of no effect, and of `tost`; NaN where there is no test.
    detectable : the true effect that as many replicates find in 80 of 100 cases.
    """

    verdict: Verdict
    why: str
    interval: Interval
    p: float
    p_equivalent: float
    detectable: float


def judge(
    effects: Values,
    criterion: Criterion,
    sei: float,
    *,
    paper: float | None = None,
    confirmatory_n: int = 6,
    level: float = LEVEL,
    p_adjusted: float | None = None,
) -> Judgement:
    """Give the verdict on the effects of the replicates.

    Parameters
    ----------
    effects : one per replicate, in the unit of `sei`; claimed to be positive (superior), negative
        (less), between -sei and sei (equivalent) or as the paper's (magnitude).
    sei : the smallest effect that matters, more than 0.
    paper : the paper's value; needed for a magnitude.
    confirmatory_n : with fewer replicates nothing is more than indicated.
    p_adjusted : the p-value (of equivalence, for that criterion) after a correction for many
        tests, in place of the claim's own.

    Raises
    ------
    ValueError : a magnitude without the paper's value.
    """
    if criterion == "magnitude" and paper is None:
        raise ValueError("a claim of magnitude needs the paper's value")
    x = np.asarray(effects, dtype=np.float64)
    if (criterion == "magnitude" and (paper or 0.0) < 0) or criterion == "less":
        x, paper = -x, -paper if paper is not None else None  # the claimed side is above 0 now
        found = judge(
            x, "magnitude" if criterion == "magnitude" else "superior", sei, paper=paper,
            confirmatory_n=confirmatory_n, level=level, p_adjusted=p_adjusted,
        )  # fmt: skip
        return replace(found, interval=_mirrored(found.interval))
    n, alpha, interval = len(x), 1 - level, t_interval(x, level)
    p, p_equivalent = t_test(x), tost(x, sei)
    detectable = smallest_detectable(x, level)
    few = f"{n} of the {confirmatory_n} replicates that a confirmation needs"
    limit = f"an effect of {detectable:.3g} would be found in 80 of 100 cases"

    def say(verdict: Verdict, why: str) -> Judgement:
        return Judgement(verdict, why, interval, p, p_equivalent, detectable)

    if n < MIN_INDICATION:
        return say(Verdict.NOT_DETECTED, f"{few}; at least {MIN_INDICATION} for an indication")
    if n < confirmatory_n:
        if (np.abs(x) < sei if criterion == "equivalent" else x > 0).all():
            return say(Verdict.INDICATED, f"every replicate as claimed, but only {few}")
        if (np.abs(x) > sei if criterion == "equivalent" else x < 0).all():
            return say(Verdict.NOT_DETECTED, f"every replicate against it, but only {few}")
        return say(Verdict.NOT_DETECTED, f"replicates differ in sign or size; {limit}")
    is_found = interval.excludes(0.0) and (p if p_adjusted is None else p_adjusted) <= alpha
    if criterion == "equivalent":
        if (p_equivalent if p_adjusted is None else p_adjusted) <= alpha:
            return say(Verdict.EQUIVALENT, f"no difference of {sei:g} or more (TOST)")
        if interval.low > sei or interval.high < -sei:
            return say(Verdict.CONTRADICTED, f"the whole interval is beyond {sei:g}")
        return say(Verdict.NOT_DETECTED, f"neither within {sei:g} nor beyond; {limit}")
    if is_found and interval.mean >= sei:
        if criterion == "superior":
            return say(Verdict.HOLDS, f"interval on the claimed side, effect of {sei:g} or more")
        if paper is not None and not interval.excludes(paper):
            return say(Verdict.HOLDS, "the paper's value is in the interval")
        return say(Verdict.DIRECTION, "the paper's value is outside the interval")
    if p_equivalent <= alpha:
        return say(Verdict.EQUIVALENT, f"no difference of {sei:g} or more (TOST)")
    if is_found and interval.mean < 0:
        return say(Verdict.CONTRADICTED, "interval wholly on the other side")
    if is_found:
        return say(Verdict.INDICATED, f"an effect, but at best estimate less than {sei:g}")
    if (x > 0).all():
        return say(Verdict.INDICATED, f"every replicate as claimed, not confirmed; {limit}")
    if interval.excludes(0.0):
        return say(Verdict.NOT_DETECTED, f"not after the correction for many tests; {limit}")
    return say(Verdict.NOT_DETECTED, f"the interval contains 0; {limit}")


def _mirrored(of: Interval) -> Interval:
    return replace(of, mean=-of.mean, low=-of.high, high=-of.low)
