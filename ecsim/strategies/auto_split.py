"""Auto-Split: choose the cut and the width of what crosses together, at a bounded loss of accuracy.

All cuts behind cut vertices are tried with all codecs; those whose accuracy on the validation pool
is more than `max_loss` below that of the uncoded network are left out; the fastest is taken. What a
codec costs in accuracy is thus measured at that very cut, not assumed.

Source: Banitalebi-Dehkordi et al., KDD 2021 (Auto-Split), which searches split and bit widths under
an accuracy threshold; quantised weights on the device are not modelled here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval, MinLen

from ecsim.collab.context import Context
from ecsim.collab.validation import Validation
from ecsim.core import registry
from ecsim.core.errors import UserError
from ecsim.core.types import ModelRef, Part
from ecsim.partition.partitioners.prices import Objective, prices
from ecsim.partition.problem import PartitionProblem, estimate
from ecsim.scenario.messages import not_one_of
from ecsim.strategies.replanning import Candidate, Option, Replanning, ReplanningParams, Seat


@dataclass(frozen=True)
class AutoSplitParams(ReplanningParams):
    """What is split and how eagerly, with which codecs, and what they may cost.

    Attributes
    ----------
    codecs : how values may be coded where they cross.
    max_loss : by how much the accuracy on the validation pool may fall, as a share of all samples.
    """

    codecs: Annotated[tuple[str, ...], MinLen(1)] = ("raw", "float16", "int8")
    max_loss: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        known = registry.names("codec")
        for codec in self.codecs:
            if codec not in known:
                raise ValueError(f"codecs: {not_one_of(codec, known, 'codec')}")
        if len(self.via) != 1 or self.partitioner != "neurosurgeon" or self.settings:
            raise ValueError("via: auto_split tries every cut of a route of two nodes by itself")


class AutoSplit(Replanning[AutoSplitParams]):
    """The fastest pair of cut and codec whose measured accuracy is good enough."""

    Params = AutoSplitParams

    def __init__(self, params: AutoSplitParams):
        super().__init__(params)
        self._validation: Validation | None = None
        self._allowed: dict[tuple[str, Option], list[tuple[int, ...]]] = {}

    def prepare(self, validation: Validation) -> None:
        """Keep the validation pool, to measure cuts and codecs on."""
        self._validation = validation

    def options(self, ctx: Context, route: Sequence[str]) -> list[Option]:
        """Give one option per codec."""
        return [Option(codec=codec) for codec in self.params.codecs]

    def candidates(self, seat: Seat) -> list[Candidate]:
        """Price every cut whose accuracy is good enough, with every codec."""
        found = []
        for option, problem in seat.problems.items():
            seen = seat.seen.applied(problem)
            for node in self._allowed_cuts(seat, option, problem):
                latency_s = estimate(seen, node).latency_s
                found.append(Candidate(option, node, latency_s, float(len(node))))
        if not found:
            raise UserError("auto_split: no cut with any codec loses as little as max_loss says")
        return found

    def _allowed_cuts(
        self, seat: Seat, option: Option, problem: PartitionProblem
    ) -> list[tuple[int, ...]]:
        key = seat.model.key, option
        if key not in self._allowed:
            priced = prices(problem, Objective())
            n = len(priced.blocks()) - 1
            cuts = [priced.spread(priced.of_blocks(np.arange(n) >= k)) for k in range(n + 1)]
            whole = self._accuracy(seat.model, problem, cuts[-1])
            self._allowed[key] = [
                node
                for node in cuts
                if self._accuracy(seat.model, problem, node) >= whole - self.params.max_loss
            ]
        return self._allowed[key]

    def _accuracy(self, model: ModelRef, problem: PartitionProblem, node: tuple[int, ...]) -> float:
        """Give the share of the validation pool that a cut really gets right, codec included."""
        assert self._validation is not None
        cut = estimate(problem, node).cut
        found = self._validation.of_part(model, Part(cut, len(cut.parts) - 1))
        return float(found.is_right.mean())
