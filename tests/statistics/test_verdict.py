"""Each verdict from figures that call for it, by the rules fixed beforehand."""

import numpy as np
import pytest

from ecsim.statistics.verdict import Verdict, judge

STEADY = np.array([-0.01, 0.0, 0.01, -0.005, 0.005, 0.0])
WILD = np.array([-2.0, 1.5, -1.0, 2.2, -0.5, 0.3])


@pytest.mark.parametrize(
    ("effects", "criterion", "verdict"),
    [
        (0.07 + STEADY, "superior", "HOLDS"),
        (-0.07 + STEADY, "less", "HOLDS"),
        (0.07 + STEADY[:5], "superior", "INDICATED"),  # five are not six
        (0.07 + STEADY[:3], "superior", "INDICATED"),
        (0.07 + STEADY[:2], "superior", "NOT DETECTED"),
        (-0.07 + STEADY, "superior", "CONTRADICTED"),
        (-0.07 + STEADY[:3], "superior", "NOT DETECTED"),  # three cannot refute either
        (0.1 * STEADY, "superior", "EQUIVALENT"),
        (0.1 * STEADY, "equivalent", "EQUIVALENT"),
        (0.1 * STEADY[:3], "equivalent", "INDICATED"),
        (0.07 + STEADY, "equivalent", "CONTRADICTED"),
        (WILD, "equivalent", "NOT DETECTED"),
        (WILD, "superior", "NOT DETECTED"),
        (0.0199 + STEADY, "superior", "INDICATED"),  # there, but less than what matters
        ([0.2, 0.01, 0.01, 0.4, 0.02, 0.01], "superior", "INDICATED"),  # all above, not certain
        ([0.5], "superior", "NOT DETECTED"),
    ],
)
def test_verdicts(effects, criterion, verdict):
    assert judge(effects, criterion, 0.02).verdict == verdict


@pytest.mark.parametrize(
    ("paper", "verdict"),
    [
        (0.07, "HOLDS"),
        (0.30, "DIRECTION HOLDS, SIZE DIFFERS"),
        (-0.07, "CONTRADICTED"),
    ],
)
def test_a_magnitude_needs_the_papers_value_in_the_interval(paper, verdict):
    assert judge(0.07 + STEADY, "magnitude", 0.02, paper=paper).verdict == verdict
    assert judge(-0.07 - STEADY, "magnitude", 0.02, paper=-paper).verdict == verdict


def test_a_magnitude_without_the_papers_value():
    with pytest.raises(ValueError, match="paper's value"):
        judge(STEADY, "magnitude", 0.1)


def test_holms_correction_can_take_a_verdict_away():
    effects = 0.03 + 2 * STEADY
    assert judge(effects, "superior", 0.01).verdict == Verdict.HOLDS
    lost = judge(effects, "superior", 0.01, p_adjusted=0.2)
    assert lost.verdict == Verdict.INDICATED
    mixed = np.append(0.03 + 2 * STEADY, -0.001)
    assert judge(mixed, "superior", 0.01).verdict == Verdict.HOLDS
    assert judge(mixed, "superior", 0.01, p_adjusted=0.2).verdict == Verdict.NOT_DETECTED


def test_nothing_detected_tells_what_would_have_been():
    found = judge(WILD, "superior", 0.02)
    assert f"an effect of {found.detectable:.3g} would be found" in found.why
    assert found.detectable > found.interval.half_width


def test_of_true_nulls_one_in_forty_holds():
    """The claimed side only: 2.5 % of 1000, within 5 standard errors (.0247)."""
    d = np.random.default_rng(1).normal(0, 1, size=(1000, 6))
    held = np.mean([judge(row, "superior", 1e-9).verdict == Verdict.HOLDS for row in d])
    assert held == pytest.approx(0.025, abs=0.0247)
