"""The strategies that a scenario compares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from ecsim.scenario.plugin import Plugin
from ecsim.scenario.section import Context

_MATCH = re.compile(r"match\s+(\S+)")
MATCHING = ("rate", "buffer")
"""Keys of strategies that may say ``match LABEL``; one of them at a time."""
_LABEL = re.compile(r"[a-z][a-z0-9_]*")


def _label(text: str) -> str:
    if not _LABEL.fullmatch(text) or text == "own":
        raise ValueError(
            f"expected a label of lower-case letters, digits and '_' other than 'own', got {text!r}"
        )
    return text


class StrategyEntry(Plugin):
    """A strategy to run in the scenario's world."""

    registry: ClassVar[str] = "strategy"
    noun: ClassVar[str] = "strategy"

    label: Annotated[str, AfterValidator(_label)] = Field(
        description="name in the results; by default the strategy's"
    )
    versions: str = Field(
        default="own", description="whose model versions it serves: own, or another's label"
    )

    @classmethod
    def completed(cls, given: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """Label it by its strategy where no label is given."""
        name = given.get("name")
        is_known = isinstance(name, str) and name in context.lookup.names(cls.registry)
        return {"label": name if is_known else "unknown"} | dict(given)

    @property
    def matches(self) -> str | None:
        """Label of the strategy whose uploads it repeats in number, None if none."""
        found = (matched_label(getattr(self.params, key, None)) for key in MATCHING)
        return next((label for label in found if label is not None), None)


def matched_label(rate: object) -> str | None:
    """Give LABEL of ``match LABEL``, None for anything else."""
    match = _MATCH.fullmatch(rate) if isinstance(rate, str) else None
    return match[1] if match else None
