"""Early exit over tiers: one network whose exits lie on device, edge and cloud.

Source: Teerapittayanon et al., BranchyNet (ICPR 2016) and DDNN (ICDCS 2017); Huang et al. for
branches with binary weights on the device, as the survey's section IV.B has them. How exits and
devices are modelled: docs/decisions/0035-exits-in-the-simulator.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecsim.collab.context import Context
from ecsim.collab.outline import Outline
from ecsim.core.errors import UserError
from ecsim.strategies.progressive import Progress, Progressive, Step, TierName, in_order


@dataclass(frozen=True)
class EarlyExitParams(Progress):
    """Where the exits of a network lie, and when each of them answers.

    Attributes
    ----------
    at : tier of each exit in its order: end, edge, cloud, edge_or_cloud (whichever is expected to
        answer sooner) or skip (it is not asked). Empty: all but the last on the devices, the last
        in the cloud.
    role : which of the `models` has the exits; all nodes that are asked have its weights.
    send : what goes to the next node: features (the tensor that the exit saw) or input (the
        sample, with which the network starts again there).
    """

    at: tuple[TierName | Literal["skip"], ...] = ()
    role: Literal["edge", "cloud"] = "cloud"
    send: Literal["features", "input"] = "features"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at and not in_order(self.at):
            raise ValueError(f"at: expected tiers from the device to the cloud, got {[*self.at]}")


class EarlyExit(Progressive[EarlyExitParams]):
    """Answer at the first exit that is sure, the next of which may lie on another node."""

    Params = EarlyExitParams

    def places(self, outline: Outline) -> list[str]:
        """Give the tiers that are asked, one per exit that is not skipped."""
        exits, at = outline.exits(self.params.role), self.params.at
        if at and len(at) != len(exits):
            names = ", ".join(point.name for point in exits)
            raise UserError(
                f"at: expected {len(exits)} tiers, one per exit of the {self.params.role} model "
                f"({names}), got {len(at)}"
            )
        return [tier for tier in at or ("edge",) * len(exits) if tier != "skip"]

    def steps(self, ctx: Context) -> list[Step]:
        """Give the exits that are asked, each with what the one before hands on."""
        params = self.params
        node = ctx.nodes("cloud")[0] if params.role == "cloud" else ctx.devices[0]
        model = ctx.model(node)
        exits = ctx.exits(model)
        own: TierName = "end" if ctx.devices[0] in ctx.nodes("end") else "edge"
        at = params.at or (own,) * (len(exits) - 1) + ("cloud",)
        found: list[Step] = []
        for exit, tier in enumerate(at):
            if tier == "skip":
                continue
            after = found[-1].exit if found else None
            size = None if after is None or params.send == "input" else exits[after].crossing_bytes
            found.append(Step(model, tier, exit, after, size))
        return found
