"""Charts say what the numbers say: positions are decoded again from the pictures."""

import math
import re
from importlib.resources import files
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from ecsim.report import style
from ecsim.report.html.charts import bars, heat, lines, marks
from ecsim.report.html.charts.axes import Frame, linear, logarithmic, positions, shorten
from ecsim.report.html.charts.timeline import Stay, timeline

FLOATS = st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-9)


@given(st.lists(FLOATS, min_size=1, max_size=5))
def test_ticks_are_round_even_and_around_the_values(values):
    axis = linear("x", values)
    ticks = [value for value, _ in axis.ticks]
    steps = [b - a for a, b in pairwise(ticks)]
    assert 2 <= len(ticks) <= 12
    rounding = 1e-9 * max(abs(axis.low), abs(axis.high))
    assert max(steps) - min(steps) <= rounding
    assert axis.low <= min(values) + rounding and max(values) <= axis.high + rounding
    assert ticks[0] == axis.low and ticks[-1] == axis.high
    for value, text in axis.ticks:
        assert float(text) == pytest.approx(value, rel=1e-4, abs=1e-9)


def test_the_unit_has_the_prefix_of_the_ticks():
    axis = linear("latency", [0.0, 0.0253], "s")
    assert axis.label == "latency (ms)"
    assert [float(text) / 1e3 for _, text in axis.ticks] == pytest.approx(
        [value for value, _ in axis.ticks]
    )
    axis = logarithmic("latency", [0.0005, 0.2], "s")
    assert [text for _, text in axis.ticks] == ["100 µs", "1 ms", "10 ms", "100 ms", "1 s"]
    assert axis.at(0.01) == pytest.approx(0.5)


def test_ends_that_are_given_are_kept():
    axis = linear("accuracy (%)", [], low=38.0, high=102.0)
    assert (axis.low, axis.high) == (38.0, 102.0)
    assert [text for _, text in axis.ticks] == ["40", "60", "80", "100"]
    axis = positions("phase", [str(i) for i in range(30)])
    assert len(axis.ticks) <= 9 and axis.at(0) > 0


def numbers(pattern, text):
    return [float(found) for found in re.findall(pattern, text)]


def test_bars_are_as_long_as_their_pieces():
    axis = linear("energy", [0.0, 10.0], "J")
    pieces = [bars.Piece(2.0, "url(#a)", "two"), bars.Piece(5.0, "url(#b)", "five")]
    drawn = bars.stacked("energy", axis, [("one", "7 J", pieces), ("none", "0 J", [])])
    widths = numbers(r'width="([\d.]+)" height="16"', drawn)
    assert widths[1] / widths[0] == pytest.approx(2.5, rel=1e-2)
    x = numbers(r'<rect x="([\d.]+)"', drawn)
    assert x[1] == pytest.approx(x[0] + widths[0], abs=0.02)
    assert "<title>two</title>" in drawn and "7 J" in drawn


def test_points_stand_where_their_values_are_on_the_axes():
    frame = Frame(linear("x", [0, 10]), linear("y", [0, 100]))
    points = [lines.Point(2.0, 30.0, "a", 20.0, 40.0), lines.Point(7.5, 80.0, "b")]
    drawn = lines.lines("chart", frame, [lines.Series(1, points)])
    places = re.search(r'polyline points="([^"]+)"', drawn)[1].split()
    data_x = [(float(p.split(",")[0]) - 52) / (400 - 64) * 10 for p in places]
    data_y = [(250 - 44 - float(p.split(",")[1])) / (250 - 56) * 100 for p in places]
    assert data_x == pytest.approx([2.0, 7.5], abs=0.02)
    assert data_y == pytest.approx([30.0, 80.0], abs=0.1)
    assert drawn.count('class="bar c1"') == 1  # only where there is an interval
    assert drawn.count("<title>") == 2


def test_heat_maps_have_each_value_as_shade_text_and_hint():
    values = {(0, 0): (1.0, "1.0", "low"), (1, 0): (9.0, "9.0", "high"),
              (0, 1): (math.nan, "unst.", "unstable")}  # fmt: skip
    drawn = heat.heat_map("m", ("a", "b"), ["x", "y"], ["u", "v"], values, (1.0, 9.0))
    shades = re.findall(r'class="cell h-(\w+)"', drawn)
    assert shades == ["0", "none", "8", "none"]
    assert drawn.count("no value") == 1 and "unst." in drawn
    assert [heat.shade_of(v, 0, 9) for v in range(10)] == [*"012345678", "8"]


def test_a_timeline_shows_services_where_they_are():
    stays = [Stay(0, 3, 1.0, 1.5, False, "served"), Stay(0, 4, 1.5, 2.0, True, "waits")]
    drawn = timeline("t", (1.0, 2.0), ["cloud inference"], stays)
    x, width = re.search(r'<rect x="([\d.]+)" y="11" width="([\d.]+)"', drawn).groups()
    left = len("cloud inference") * 6.7 + 14
    assert float(x) == pytest.approx(left, abs=0.01)
    assert float(width) == pytest.approx((920 - 14 - left) / 2, abs=0.01)
    assert 'fill="url(#task-3)"' in drawn and ">3</text>" in drawn
    assert re.search(r'class="wait c4"', drawn)


def test_a_strategy_looks_the_same_here_and_on_paper():
    css = files("ecsim.report.html").joinpath("style.css").read_text()
    light = css.split("@media")[0]
    colours = dict(re.findall(r"--(c\d): (#\w+);", light))
    on_paper = style.line_styles([str(i) for i in range(7)]).values()
    assert [colours[f"c{i}"] for i in range(7)] == [to_hex(s.color) for s in on_paper]
    for part, (colour, _) in marks.AREAS.items():
        assert colours[colour] == to_hex(style.area(part)["facecolor"])
    shapes = ["circle", "square", "triangle", "diamond", "pointing down", "plus", "cross"]
    assert len({str(marks.marker(i, 0, 0)).split("class")[0] for i in range(7)}) == len(shapes)


def test_nothing_is_told_by_colour_alone():
    drawn = {(marks.dashes(i), str(marks.marker(i, 0, 0)).split("class")[0]) for i in range(14)}
    assert len(drawn) == 14
    defined = str(marks.patterns())
    assert defined.count("<pattern") == 2 * len(marks.AREAS) + 28
    assert len(set(re.findall(r'id="([^"]+)"', defined))) == defined.count("<pattern")


def test_long_names_are_cut_with_an_ellipsis():
    assert shorten("short", 100) == "short"
    assert shorten("a" * 50, 100).endswith("…") and len(shorten("a" * 50, 100)) <= 100 / 6.7
