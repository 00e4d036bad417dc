"""What was measured on a device: seconds of the operations of a network's forward pass.

Two forms, both sums over the calls that one inference makes:

``table``
    seconds of one call, by its signature (operation and shapes), as measured inside a network;
``seconds``
    by kind of operation, seconds per call, per MAC, and per value read, written or held as a
    weight: a linear model fitted on other networks. An operation of a kind that was not fitted
    is taken as the kind "other".

A call that stands in the table is priced by it, any other by the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ecsim.core.types import Operation

FEATURES = ("call", "mac", "read", "written", "weight")
_KEYS = ("source", "held_out_error", "held_out", "seconds", "table", "table_error")


@dataclass(frozen=True, slots=True)
class Calibration:
    """A device's measured prices of operations.

    Attributes
    ----------
    source : on what machine, when and how it was measured.
    held_out_error : mean relative error of the end-to-end time of networks not used in the fit.
    held_out : that error of each such network.
    seconds : by kind of operation, then by feature, see `FEATURES`.
    table : by signature of a call.
    table_error : mean relative error of the end-to-end time of networks whose operations all stand
        in the table, in other rounds than those it was measured in; None without a table.
    """

    source: str
    held_out_error: float
    seconds: Mapping[str, Mapping[str, float]]
    held_out: Mapping[str, float] = field(default_factory=dict)
    table: Mapping[str, float] = field(default_factory=dict)
    table_error: float | None = None

    @property
    def text(self) -> str:
        """The errors in words."""
        model = f"held-out error {self.held_out_error:.1%}"
        if not self.table:
            return model
        error = "not known" if self.table_error is None else f"{self.table_error:.1%}"
        return f"{model}; table of {len(self.table)} operations, error {error}"

    def time_s(self, operation: Operation) -> float:
        """Give the seconds of all calls of an operation."""
        measured = self.table.get(operation.signature)
        if measured is not None:
            return operation.calls * measured
        per = self.seconds.get(operation.kind) or self.seconds["other"]
        one = (
            per.get("call", 0.0)
            + per.get("mac", 0.0) * operation.macs
            + per.get("read", 0.0) * operation.read
            + per.get("written", 0.0) * operation.written
            + per.get("weight", 0.0) * operation.weights
        )
        return operation.calls * one

    @classmethod
    def from_plain(cls, data: Any) -> Calibration:
        """Read the section `calibration` of a card; raise `ValueError` saying what is wrong."""
        if not isinstance(data, dict) or set(data) - set(_KEYS):
            raise ValueError(f"expected a mapping of {', '.join(_KEYS)}")
        source = data.get("source")
        if not isinstance(source, str) or not source.strip():
            raise ValueError("has no source: say on what machine and how it was measured")
        seconds = data.get("seconds")
        if not isinstance(seconds, dict) or "other" not in seconds:
            raise ValueError("seconds: expected a mapping by kind of operation, with 'other'")
        for kind, per in seconds.items():
            if not isinstance(per, dict) or set(per) - set(FEATURES):
                raise ValueError(f"seconds.{kind}: expected a mapping of {', '.join(FEATURES)}")
            _numbers(per, f"seconds.{kind}")
        for key in ("held_out", "table"):
            _numbers(data.get(key, {}), key)
        error = data.get("held_out_error")
        _numbers({"held_out_error": error}, "calibration")
        table_error = data.get("table_error")
        if table_error is not None:
            _numbers({"table_error": table_error}, "calibration")
        return cls(
            source=source,
            held_out_error=float(error),  # type: ignore[arg-type]  # checked above
            seconds=seconds,
            held_out=data.get("held_out", {}),
            table=data.get("table", {}),
            table_error=None if table_error is None else float(table_error),
        )

    def to_plain(self) -> dict[str, Any]:
        """Give the plain data that `from_plain` reads."""
        data: dict[str, Any] = {
            "source": self.source,
            "held_out_error": self.held_out_error,
            "held_out": dict(self.held_out),
            "seconds": {kind: dict(per) for kind, per in self.seconds.items()},
        }
        if self.table:
            data["table"] = dict(self.table)
            data["table_error"] = self.table_error
        return data


def _numbers(data: Any, where: str) -> None:
    if not isinstance(data, dict):
        raise ValueError(f"{where}: expected a mapping of numbers")
    for key, value in data.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or value < 0:
            raise ValueError(f"{where}.{key}: expected a finite number of at least 0, got {value}")
