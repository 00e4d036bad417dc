"""The worlds of one scenario, one per seed, and what a policy earns in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray
from ecsim.learning.cache import ArtefactCache
from ecsim.runtime.build import build
from ecsim.runtime.episode import Episode
from ecsim.runtime.lookup import lookup
from ecsim.runtime.progress import Progress
from ecsim.scenario.load import load
from ecsim.strategies.learned import LearnedParams

Policy = Callable[[FloatArray], bool | int]
"""Given the features in the order of ``observe``, whether to upload."""

_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Result:
    """What a policy earned in one world; means are over its tasks."""

    n: int
    reward: float
    accuracy: float
    offloaded: float
    latency_s: float
    energy_j: float


class Worlds:
    """A scenario with a strategy `learned` that is decided from outside.

    Parameters
    ----------
    path : the scenario, a YAML file.
    label : of the strategy; by default the only one that is `learned`.
    set : values that replace the file's, by key.
    cache : of trained artefacts; by default the user's.

    Raises
    ------
    UserError : the file is wrong, or has not exactly one such strategy and `label` is not given.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        label: str | None = None,
        *,
        set: Mapping[str, object] = _NOTHING,  # spelled like the command's --set
        cache: ArtefactCache | None = None,
    ):
        loaded = load(path, lookup=lookup(), overrides=set)
        learned = [
            entry
            for entry in loaded.scenario.strategies
            if isinstance(entry.params, LearnedParams) and label in (None, entry.label)
        ]
        if len(learned) != 1:
            which = f"called {label!r}" if label else "(name its label where there are more)"
            raise UserError(
                f"{Path(path).name}: expected one strategy learned {which}, got {len(learned)}"
            )
        (self._entry,) = learned
        self._system = build(loaded, cache or ArtefactCache(), Progress())

    @property
    def params(self) -> LearnedParams:
        """What the policy sees and is paid."""
        params: LearnedParams = self._entry.params
        return params

    def episode(self, world_seed: int) -> Episode:
        """Give a fresh world."""
        return Episode(self._system, self._entry, world_seed)

    def play(self, policy: Policy, world_seed: int) -> Result:
        """Let a policy decide every task of a world."""
        episode = self.episode(world_seed)
        while (request := episode.advance()) is not None:
            episode.decide(request, bool(policy(request.features)))
        outcomes = episode.take_outcomes()
        n = max(1, len(outcomes))
        return Result(
            n=len(outcomes),
            reward=sum(o.reward for o in outcomes) / n,
            accuracy=sum(o.correct for o in outcomes) / n,
            offloaded=sum(bool(o.offloaded) for o in outcomes) / n,
            latency_s=sum(o.latency_s for o in outcomes) / n,
            energy_j=sum(o.energy_j for o in outcomes) / n,
        )

    def play_all(self, policy: Policy, world_seeds: Iterable[int]) -> list[Result]:
        """Let a policy decide in several worlds, in the order of the seeds."""
        return [self.play(policy, seed) for seed in world_seeds]
