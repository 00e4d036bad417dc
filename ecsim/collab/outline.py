"""What is known of a scenario before anything is trained, for strategies to check their keys by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecsim.core.errors import UserError
from ecsim.core.types import ExitPoint, ModelRef

if TYPE_CHECKING:
    from ecsim.collab.oracle import Predictor


@dataclass(frozen=True, eq=False)
class Outline:
    """The nodes and the untrained models of a scenario.

    Attributes
    ----------
    tiers : tier of each node by its name.
    devices : names of the nodes at which tasks arrive.
    first, predictors : per role ("edge", "cloud"), the first version and who predicts with it.
    has_deadlines : whether tasks have a deadline.
    learns : whether devices learn.
    """

    tiers: Mapping[str, str]
    devices: Sequence[str]
    first: Mapping[str, ModelRef]
    predictors: Mapping[str, Predictor]
    has_deadlines: bool = False
    learns: bool = False

    def exits(self, role: str) -> tuple[ExitPoint, ...]:
        """Give the exits of a role's model, its end included."""
        return self.predictors[role].exits(self.first[role])

    def layer_names(self, role: str) -> tuple[str, ...]:
        """Give the layers of a role's model in their order, `input` first; it is traced for it.

        Raises `UserError` for a model that has none that are known.
        """
        return self.predictors[role].layer_names(self.first[role])

    def check_tier(self, key: str, tier: str) -> None:
        """Raise `UserError` at a key that names a tier without nodes."""
        known = list(dict.fromkeys(self.tiers.values()))
        if tier not in known:
            raise UserError(
                f"{key}: expected a tier that has nodes, one of {', '.join(known)}, got {tier!r}"
            )

    def check_route(self, via: Sequence[str]) -> None:
        """Raise `UserError` where a route of tiers behind the device cannot be gone."""
        before = self.tiers[self.devices[0]]
        for tier in via:
            self.check_tier("via", tier)
            if tier == before:
                raise UserError(
                    f"via: expected another tier after {before!r}, whose nearest node is the one "
                    f"where the route is already, got {list(via)}"
                )
            before = tier
