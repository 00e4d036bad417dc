"""YAML 1.2 as the specification says it, and positions for all that is refused."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecsim.scenario.yaml12 import read, read_mapping


def value(text: str) -> Any:
    tree, problems = read(f"x: {text}\n")
    assert not problems
    assert tree is not None
    return tree.plain()["x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("nULL", "nULL"),
        ("true", True),
        ("FALSE", False),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("y", "y"),
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0o18", "0o18"),
        ("0x1F", 31),
        ("-0x1F", "-0x1F"),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1e9", 1e9),
        ("1E-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5e+3", -1500.0),
        (".", "."),
        ("e9", "e9"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("inf", "inf"),
        ("nan", "nan"),
        ("=", "="),
        ("'7'", "7"),
        ('"true"', "true"),
        ("!!str 7", "7"),
        ("!!float 7", 7.0),
        ("!!int 7", 7),
        ("!!null ''", None),
        ("!!seq [1]", [1]),
        ("!!map {a: 1}", {"a": 1}),
        ("[1, a, {b: ~}]", [1, "a", {"b": None}]),
        ("&a [1]", [1]),
        ("| \n  text\n", "text\n"),
    ],
)
def test_words_mean_what_yaml_12_says(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


def test_nan() -> None:
    assert math.isnan(value(".nan"))


def test_aliases_repeat_a_value() -> None:
    tree, problems = read("a: &x {b: 1}\nc: *x\n")
    assert tree is not None
    assert tree.plain() == {"a": {"b": 1}, "c": {"b": 1}}
    assert not problems


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", (3, 1), "a: expected each key once, got 'a' again (first on line 1"),
        ("a:\n  b: 1\n  b: 2\n", (3, 3), "a.b: expected each key once"),
        ("a: 1\n1: 2\n", (2, 1), "expected a key of text, got 1"),
        ("a: {true: 1}\n", (1, 5), "a: expected a key of text, got true"),
        ("? [a]\n: 1\n", (1, 3), "expected a key of text, got a list or mapping"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", (3, 3), "c: expected a key, got the merge key '<<'"),
        ("a: !!python/name:os.system x\n", (1, 4), "the tag !!python/name:os.system"),
        ("a: !foo [1]\n", (1, 4), "the tag !foo"),
        ("a: !!set {b}\n", (1, 4), "the tag !!set"),
        ("a: !!timestamp 2024-01-01\n", (1, 4), "the tag !!timestamp"),
        ("!!python/object:os.x\na: 1\n", (1, 1), "the tag !!python/object:os.x"),
        ("a: !!int x\n", (1, 4), "expected a value of the tag !!int, got 'x'"),
        ("a: !!int true\n", (1, 4), "expected a value of the tag !!int, got 'true'"),
        ("a: 1\n---\nb: 2\n", (2, 1), "expected one document"),
        ("a: 1\n\tb: 2\n", (2, 1), "expected YAML"),
        ("a: [1, 2\nb: 3\n", (2, 2), "expected YAML"),
        ("a: 'x\n", (2, 1), "expected YAML"),
        ("a: *nothing\n", (1, 4), "undefined alias"),
        ("a: b: c\n", (1, 5), "mapping values are not allowed here"),
        ("a: \x00\n", (1, 4), "expected printable text"),
        ('a: "\\ud800"\n', (1, 4), "half a surrogate pair"),
        (f"a: {'9' * 5000}\n", (1, 4), "at most 100 digits, got 5000"),
        ("", (1, 1), "got an empty file"),
        ("# nothing\n", (1, 1), "got an empty file"),
        ("- a\n", (1, 1), "got a list"),
        ("just text\n", (1, 1), "got 'just text'"),
        ("a: &x [*x]\n", (1, 4), "at most 64 levels"),
        ("a: " + "[" * 100 + "]" * 100, (1, 68), "at most 64 levels"),
        ("a: " + "[" * 5000 + "]" * 5000, (1, 1), "at most 64 levels"),
    ],
)
def test_what_is_refused_has_a_position(text: str, position: tuple[int, int], words: str) -> None:
    _tree, problems = read_mapping(text.encode(), "f.yaml", "file")
    assert [(p.line, p.column) for p in problems] == [position]
    assert words in str(problems[0])
    assert str(problems[0]).startswith(f"f.yaml:{position[0]}:{position[1]}: ")


def test_an_alias_bomb_is_stopped() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    _tree, problems = read("\n".join(lines))
    assert len(problems) == 1
    assert "at most 100000 values" in problems[0].message


def test_other_encodings() -> None:
    assert read_mapping("\ufeffa: ä\n".encode(), "f", "file")[0] is not None
    for content, position in ((b"a: 1\nb: \xe4\n", (2, 4)), ("a: 1".encode("utf-16"), (1, 1))):
        _tree, problems = read_mapping(content, "f", "file")
        assert (problems[0].line, problems[0].column) == position
        assert "expected UTF-8" in problems[0].message


def test_all_problems_of_a_file_are_told() -> None:
    text = "a: 1\na: 2\n3: 4\nb: !x y\n"
    _tree, problems = read(text)
    assert [problem.line for problem in problems] == [2, 3, 4]


def test_positions_of_keys_and_values() -> None:
    tree, _ = read("a:\n  b: [1, two]\n", "f.yaml")
    assert tree is not None
    found, is_there = tree.find(("a", "b", 1))
    assert is_there
    assert (found.origin.file, found.origin.line, found.origin.column) == ("f.yaml", 2, 10)
    inner = tree.find(("a", "b"))[0]
    assert inner.key is not None
    assert (inner.key.line, inner.key.column) == (2, 3)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    tree, problems = read(text)
    assert tree is not None or problems


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_in_words(content: bytes) -> None:
    tree, problems = read_mapping(content, "f", "file")
    assert (tree is None) == bool(problems) or tree is not None
