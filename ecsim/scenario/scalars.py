"""What an unquoted word means: the core schema of YAML 1.2.

`on`, `yes` and `off` are text, `010` is ten, `1e9` a number. Source: YAML 1.2.2, section 10.3.2.
"""

from __future__ import annotations

import re

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NAN = {".nan", ".NaN", ".NAN"}
_MAX_DIGITS = 100

Scalar = str | int | float | bool | None


def resolve(text: str) -> Scalar:
    """Give the value of an unquoted word; raise `ValueError` for an absurdly long number.

    >>> [resolve(word) for word in ("1e9", "on", "010", "0o17", "true", "~")]
    [1000000000.0, 'on', 10, 15, True, None]
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    is_int, is_octal, is_hex = (p.fullmatch(text) for p in (_INT, _OCTAL, _HEX))
    if (is_int or is_octal or is_hex) and len(text) > _MAX_DIGITS:
        raise ValueError(f"expected a number of at most {_MAX_DIGITS} digits, got {len(text)}")
    if is_int:
        return int(text)
    if is_octal or is_hex:
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if match := _INF.fullmatch(text):
        return float(f"{match[1]}inf")
    return float("nan") if text in _NAN else text
