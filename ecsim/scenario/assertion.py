"""The only expression of a scenario: a chain of comparisons of metrics and numbers.

::

    assertion := operand (op operand)+
    op        := ">" | ">=" | "<" | "<=" | "==" | "!="
    operand   := number | label "." metric ("." metric)*

Nothing is computed or evaluated as code. A comparison with a NaN is false, also ``!=``: a metric
that has no value proves nothing.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
         | (?P<metric>[A-Za-z_]\w*(?:\.\w+)+)
         | (?P<op>[<>]=?|==|!=))""",
    re.VERBOSE | re.ASCII,
)
_OPS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
MetricLookup = Callable[[str, str], float]


class AssertionSyntaxError(ValueError):
    """A text that is no assertion; `column` counts from 1 inside the text."""

    def __init__(self, message: str, column: int):
        super().__init__(f"column {column} of the text: {message}")
        self.column = column


@dataclass(frozen=True, slots=True)
class Metric:
    """An operand ``label.path``; `column` is where it starts in the text, from 1."""

    label: str
    path: str
    column: int

    def __str__(self) -> str:
        return f"{self.label}.{self.path}"


@dataclass(frozen=True, slots=True)
class Assertion:
    """A parsed assertion: n operands and the n - 1 operators between them."""

    text: str
    operands: tuple[Metric | float, ...]
    operators: tuple[str, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The operands that are metrics, in order."""
        return tuple(operand for operand in self.operands if isinstance(operand, Metric))

    def values(self, lookup: MetricLookup) -> tuple[float, ...]:
        """Give the value of each operand; `lookup` gives that of (label, metric path)."""
        return tuple(
            lookup(operand.label, operand.path) if isinstance(operand, Metric) else operand
            for operand in self.operands
        )

    def evaluate(self, lookup: MetricLookup) -> bool:
        """Give whether every comparison of the chain holds."""
        values = self.values(lookup)
        pairs = zip(values, values[1:], self.operators, strict=False)
        return not any(map(math.isnan, values)) and all(_OPS[op](a, b) for a, b, op in pairs)

    def describe(self, lookup: MetricLookup) -> str:
        """Write the assertion with the metrics' values.

        >>> parse("ours.accuracy > 0.9").describe(lambda label, metric: 0.5)
        'ours.accuracy (0.5) > 0.9'
        """
        parts = [
            f"{operand} ({value!r})" if isinstance(operand, Metric) else f"{value!r}"
            for operand, value in zip(self.operands, self.values(lookup), strict=True)
        ]
        rest = zip(self.operators, parts[1:], strict=True)
        return " ".join([parts[0], *(f"{op} {part}" for op, part in rest)])


def parse(text: str) -> Assertion:
    """Give the assertion of a text; raise `AssertionSyntaxError` where it is none.

    >>> parse("0.1 < ecc_snn.cur <= 0.9").operators
    ('<', '<=')
    """
    operands: list[Metric | float] = []
    operators: list[str] = []
    end, stop = 0, len(text.rstrip())
    while end < stop:
        match = _TOKEN.match(text, end)
        wants_operand = len(operands) == len(operators)
        expected = (
            "expected a number or label.metric"
            if wants_operand
            else "expected one of > >= < <= == !="
        )
        start = match.start(match.lastgroup or 0) if match else _skip(text, end)
        if match is None or (match["op"] is None) is not wants_operand:
            raise AssertionSyntaxError(f"{expected}, got {text[start:stop]!r}", start + 1)
        if match["op"]:
            operators.append(match["op"])
        elif match["number"]:
            operands.append(float(match["number"]))
        else:
            label, _, path = match["metric"].partition(".")
            operands.append(Metric(label, path, start + 1))
        end = match.end()
    if len(operands) == len(operators):
        raise AssertionSyntaxError("expected a number or label.metric, got the end", stop + 1)
    if not operators:
        raise AssertionSyntaxError("expected one of > >= < <= == !=, got the end", stop + 1)
    return Assertion(text, tuple(operands), tuple(operators))


def _skip(text: str, start: int) -> int:
    return start + len(text[start:]) - len(text[start:].lstrip())
