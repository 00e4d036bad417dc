"""Split one model over a route, and move the cut when bandwidth or load changes.

Source: survey section V.A, whose open issue is that partitions fixed in advance do not follow the
environment; the mechanism (measuring, hysteresis, paid planning) is our own:
docs/how-to/adaptive-split.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ecsim.collab.context import Context
from ecsim.core import registry
from ecsim.scenario.messages import not_one_of
from ecsim.strategies.replanning import Option, Replanning, ReplanningParams


@dataclass(frozen=True)
class AdaptiveSplitParams(ReplanningParams):
    """What is split and how eagerly, and how what crosses is coded.

    Attributes
    ----------
    codec : how values are coded where they cross.
    """

    codec: str = "raw"

    def __post_init__(self) -> None:
        super().__post_init__()
        known = registry.names("codec")
        if self.codec not in known:
            raise ValueError(f"codec: {not_one_of(self.codec, known, 'codec')}")


class AdaptiveSplit(Replanning[AdaptiveSplitParams]):
    """The plan of a partitioner, made anew with what the device has seen."""

    Params = AdaptiveSplitParams

    def options(self, ctx: Context, route: Sequence[str]) -> list[Option]:
        """Give the one option: the whole model, with the codec."""
        return [Option(codec=self.params.codec)]
