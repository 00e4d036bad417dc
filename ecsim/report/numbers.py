"""How reports write numbers: three significant digits, without an exponent where that is readable.

Stored results are never rounded; only what is shown is.
"""

from __future__ import annotations

import math
from typing import Any

NONE = "-"
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def percent(value: Any) -> str:
    """Write a share as a percentage with one digit after the point; `NONE` for None or NaN."""
    return NONE if _is_nothing(value) else f"{100 * value:.1f}"


def number(value: Any, scale: float = 1.0) -> str:
    """Write value * scale with three significant digits; `NONE` for None or NaN.

    >>> number(0.01234, 1e3), number(2e-6), number(1234.5), number(None)
    ('12.3', '2.0e-06', '1234', '-')
    """
    if _is_nothing(value):
        return NONE
    scaled = value * scale
    if scaled == 0 or 0.01 <= abs(scaled) < 1e6:
        digits = 0 if abs(scaled) >= 100 or scaled == 0 else 1 if abs(scaled) >= 10 else 2
        return f"{scaled:.{digits}f}"
    return f"{scaled:.1e}"


def brief(value: float) -> str:
    """Write a number where there is room for three characters.

    >>> brief(0.001), brief(0.123), brief(4.56), brief(123.4), brief(0.0)
    ('<.01', '0.12', '4.6', '123', '0')
    """
    if 0 < value < 0.01:
        return "<.01"
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def prefix(largest: float, unit: str = "") -> tuple[float, str]:
    """Give the size and sign of the SI prefix that shows a value with one to three digits.

    >>> prefix(0.025), prefix(2500.0), prefix(2500.0, "s"), prefix(0.0)
    ((0.001, 'm'), (1000.0, 'k'), (1.0, ''), (1.0, ''))
    """
    size = abs(largest)
    if size == 0 or not math.isfinite(size) or (unit == "s" and size > 1):
        return 1.0, ""  # nobody reads kiloseconds
    return next((entry for entry in _PREFIXES if size >= 0.9995 * entry[0]), (1e-12, "p"))


def with_unit(value: Any, unit: str) -> str:
    """Write a value with its unit, prefixed where it has one.

    >>> with_unit(0.0264, "s"), with_unit(60000.0, "B"), with_unit(0.5, "")
    ('26.4 ms', '60.0 kB', '0.50')
    """
    if _is_nothing(value) or not unit:
        return number(value)
    size, sign = prefix(value, unit)
    return f"{number(value / size)} {sign}{unit}"


def _is_nothing(value: Any) -> bool:
    return value is None or value != value
