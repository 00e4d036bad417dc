"""The grammar of assertions and what they evaluate to."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecsim.scenario import AssertionSyntaxError, parse

VALUES = {
    ("ours", "accuracy"): 0.8,
    ("theirs", "accuracy"): 0.7,
    ("ours", "latency_s.p95"): 0.2,
    ("ours", "updates"): 3.0,
    ("ours", "none"): math.nan,
}


def look_up(label: str, metric: str) -> float:
    return VALUES[label, metric]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ours.accuracy > theirs.accuracy", True),
        ("ours.accuracy < theirs.accuracy", False),
        ("ours.accuracy>0.79", True),
        ("0.8 >= ours.accuracy", True),
        ("0.8 > ours.accuracy", False),
        ("ours.accuracy <= 0.8", True),
        ("ours.updates == 3", True),
        ("ours.updates != 3", False),
        ("ours.updates != 4", True),
        ("ours.latency_s.p95 < 2e-1", False),
        ("ours.latency_s.p95 <= .2", True),
        ("-1 < ours.accuracy", True),
        ("0.1 < ours.accuracy < 0.9", True),
        ("0.1 < ours.accuracy < 0.5", False),
        ("0.9 < ours.accuracy < 0.95", False),
        ("0.9 > ours.accuracy > theirs.accuracy > 0.1", True),
        ("  1<2  ", True),
        ("ours.none > 0", False),
        ("ours.none <= 0", False),
        ("ours.none != 0", False),
        ("ours.none == ours.none", False),
    ],
)
def test_evaluates(text: str, expected: bool) -> None:
    assert parse(text).evaluate(look_up) is expected


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "expected a number or label.metric, got the end"),
        ("ours.accuracy", 14, "expected one of > >= < <= == !=, got the end"),
        ("ours.accuracy >", 16, "expected a number or label.metric, got the end"),
        ("ours.accuracy > ", 16, "got the end"),
        ("accuracy > 0.5", 1, "expected a number or label.metric, got 'accuracy > 0.5'"),
        ("> 0.5", 1, "expected a number or label.metric, got '> 0.5'"),
        ("a.b 0.5", 5, "expected one of > >= < <= == !=, got '0.5'"),
        ("a.b > > 1", 7, "expected a number or label.metric, got '> 1'"),
        ("a.b = 1", 5, "expected one of > >= < <= == !=, got '= 1'"),
        ("a.b > 1 and a.c > 1", 9, "got 'and a.c > 1'"),
        ("a.b + 1 > 2", 5, "got '+ 1 > 2'"),
        ("a.b > 1.2.3", 7, "got '1.2.3'"),
        ("a.b > 3x", 7, "got '3x'"),
        ("a.b > nan", 7, "got 'nan'"),
        ("a.b > 0x1", 7, "got '0x1'"),
        ("a..b > 1", 1, "got 'a..b > 1'"),
        ("a.b() > 1", 4, "got '() > 1'"),
        ("__import__('os').x > 1", 1, "expected a number or label.metric"),
        ("(a.b) > 1", 1, "expected a number or label.metric"),
        ("a.b > é.c", 7, "got 'é.c'"),
    ],
)
def test_refuses_what_is_no_assertion(text: str, column: int, words: str) -> None:
    with pytest.raises(AssertionSyntaxError) as caught:
        parse(text)
    assert caught.value.column == column
    assert str(caught.value).startswith(f"column {column} of the text: ")
    assert words in str(caught.value)


def test_operands_and_their_columns() -> None:
    found = parse("0.5 < a.b <= long_label.latency_s.p95")
    assert [(m.label, m.path, m.column) for m in found.metrics] == [
        ("a", "b", 7),
        ("long_label", "latency_s.p95", 14),
    ]
    assert found.operators == ("<", "<=")


def test_the_message_gives_both_values() -> None:
    found = parse("0.1 < ours.accuracy >theirs.accuracy")
    assert found.values(look_up) == (0.1, 0.8, 0.7)
    assert found.describe(look_up) == "0.1 < ours.accuracy (0.8) > theirs.accuracy (0.7)"


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parse(text)
    except AssertionSyntaxError as error:
        assert 1 <= error.column <= len(text) + 1


OPERATORS = st.sampled_from([">", ">=", "<", "<=", "==", "!="])


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=4), st.data())
def test_a_chain_holds_when_each_of_its_links_does(
    values: list[float], data: st.DataObject
) -> None:
    ops = data.draw(st.lists(OPERATORS, min_size=len(values) - 1, max_size=len(values) - 1))
    text = repr(values[0]) + "".join(f" {op} {b!r}" for op, b in zip(ops, values[1:], strict=True))
    pairs = [f"{a!r} {op} {b!r}" for a, op, b in zip(values, ops, values[1:], strict=False)]
    assert parse(text).evaluate(look_up) is all(parse(pair).evaluate(look_up) for pair in pairs)
    assert parse(text).evaluate(look_up) is eval(text)
