"""What is shown is what is stored, to three significant digits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecsim.report.numbers import number, percent, prefix, with_unit

SIZES = {"G": 1e9, "M": 1e6, "k": 1e3, "": 1.0, "m": 1e-3, "µ": 1e-6, "n": 1e-9, "p": 1e-12}


@given(st.floats(1e-11, 1e11), st.sampled_from([1, -1]))
def test_a_number_with_its_unit_reads_as_the_value(value, sign):
    text, unit = with_unit(sign * value, "J").split()
    assert float(text) * SIZES[unit[:-1]] == pytest.approx(sign * value, rel=0.051 if value < 1e-11
                                                           else 0.0051)  # fmt: skip
    assert unit.endswith("J")
    assert "e" not in text and len(text.lstrip("-")) <= 5


def test_long_times_stay_in_seconds():
    assert [with_unit(of, "s") for of in (0.5, 7200.0)] == ["500 ms", "7200 s"]


@given(st.floats(1e-9, 1e9))
def test_a_number_reads_as_the_value(value):
    assert float(number(value)) == pytest.approx(value, rel=0.051, abs=0.0051)
    if value >= 0.1:
        assert float(number(value)) == pytest.approx(value, rel=0.051)


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_nothing_is_a_dash(nothing):
    assert number(nothing) == percent(nothing) == with_unit(nothing, "s") == "-"


def test_examples():
    assert percent(0.12345) == "12.3"
    assert prefix(0.9996) == (1.0, "")  # 1.00, not 1000 m
    assert with_unit(0, "J") == "0 J"
    assert number(float("inf")) == "inf"
