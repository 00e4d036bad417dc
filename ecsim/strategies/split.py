"""Split one model over the nodes of a route: the device runs the first layers, the cloud the rest.

Source: Kang et al., ASPLOS 2017 (Neurosurgeon) for the idea; the survey, section III.B, for the
algorithms, which `partitioner:` names. Own model of execution: docs/decisions/0032-cuts.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, MinLen

from ecsim.collab.context import Context
from ecsim.collab.outline import Outline
from ecsim.collab.partitioning import Split as Cutting
from ecsim.collab.partitioning import problem_of, run_cut
from ecsim.collab.strategy import Background, Serving, Strategy
from ecsim.core import registry
from ecsim.core.errors import UserError
from ecsim.core.types import Task
from ecsim.core.units import Bytes
from ecsim.partition.problem import PartitionProblem, estimate, partitioner_named
from ecsim.scenario.messages import not_one_of


@dataclass(frozen=True)
class SplitParams:
    """What is split, over which tiers, where, and how what crosses is coded.

    Attributes
    ----------
    via : tiers that the route goes over behind the device, each the nearest node of its tier.
    partitioner : says where each layer runs, at the prices and rates of the start.
    settings : keys of the partitioner itself, such as `{objective: energy}`.
    after : instead of a partitioner, the last layer (in the order of the layer graph) that runs
        before each hop of the route; `input` is the sample itself.
    model : which of the scenario's models is split.
    codec : how values are coded where they cross.
    reply : size of the answer on its way back.
    """

    via: Annotated[tuple[Literal["end", "edge", "cloud"], ...], MinLen(1)] = ("cloud",)
    partitioner: str = "neurosurgeon"
    settings: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    model: Literal["cloud", "edge"] = "cloud"
    codec: str = "raw"
    reply: Annotated[Bytes, Ge(0)] = 100.0

    def __post_init__(self) -> None:
        for kind in ("partitioner", "codec"):
            known, name = registry.names(kind), getattr(self, kind)
            if name not in known:
                raise ValueError(f"{kind}: {not_one_of(name, known, kind)}")
        if self.after and len(self.after) != len(self.via):
            raise ValueError(
                f"after: expected one layer per hop, {len(self.via)}, got {len(self.after)}"
            )
        if not self.after:
            try:
                partitioner_named(self.partitioner, self.settings)
            except UserError as error:
                raise ValueError(f"settings: {error}") from error


class Split(Strategy[SplitParams]):
    """Run a model in parts along a route, by a plan made once, at the start."""

    Params = SplitParams

    def __init__(self, params: SplitParams):
        super().__init__(params)
        self._splits: dict[str, Cutting] = {}

    def check(self, outline: Outline) -> None:
        """See that the route can be gone, and that the model has the layers that are named."""
        outline.check_route(self.params.via)
        _ends(self.params.after, outline.layer_names(self.params.model))

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Run the parts one after the other and bring the answer back."""
        return (yield from run_cut(task, ctx, self._splits[task.device], self.params.reply))

    def background(self, ctx: Context) -> Iterable[Background]:
        """Plan for every device; nothing runs beside the tasks."""
        known: dict[bytes, tuple[int, ...]] = {}
        for device in ctx.devices:
            self._splits[device] = self._plan(device, ctx, known)
        return ()

    def _plan(self, device: str, ctx: Context, known: dict[bytes, tuple[int, ...]]) -> Cutting:
        params = self.params
        route = [device]
        for tier in params.via:
            route.append(ctx.near(route[-1], tier))
        if len(set(route)) < len(route):
            raise UserError(f"via: the route {' - '.join(route)} passes a node twice")
        model = ctx.model(device if params.model == "edge" else ctx.near(device, "cloud"))
        problem = problem_of(ctx, route, model, reply_bytes=params.reply, codec=params.codec)
        key = _alike(problem)
        if key not in known:
            known[key] = self._place(problem)
        found = estimate(problem, known[key])
        ctx.record("predicted_latency_s", found.latency_s)
        ctx.record("predicted_energy_j", found.energy_j)
        split = Cutting.of(route, model, found.cut, problem.graph)
        split.install(ctx)
        return split

    def _place(self, problem: PartitionProblem) -> tuple[int, ...]:
        """Give the node of each layer."""
        params = self.params
        if not params.after:
            return partitioner_named(params.partitioner, params.settings).plan(problem).node
        ends = _ends(params.after, problem.graph.names)
        return tuple(sum(i > end for end in ends) for i in range(len(problem.graph)))


def _ends(after: Sequence[str], names: Sequence[str]) -> list[int]:
    """Give the places of the named layers among all; raise `UserError` where they are wrong."""
    for name in after:
        if name not in names:
            raise UserError(f"after: {not_one_of(name, names, 'layer')}")
    ends = [names.index(name) for name in after]
    if ends != sorted(ends):
        raise UserError(f"after: expected layers in their order, got {', '.join(after)}")
    return ends


def _alike(problem: PartitionProblem) -> bytes:
    """Give what is equal for devices that one plan serves."""
    arrays = (problem.seconds, problem.joules, problem.fixed_s, problem.fixed_j, problem.idle_w,
              problem.memory_bytes, problem.out_bytes)  # fmt: skip
    return b"".join(a.tobytes() for a in arrays) + repr(problem.hops).encode()
