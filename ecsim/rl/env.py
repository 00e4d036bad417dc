"""The offloading decision as a Gymnasium environment.

A step decides one task (0: keep the device's answer, 1: upload) and lets the world go on until
the next decision. Its reward is the sum over the tasks that *ended* meanwhile, which others'
decisions may have begun: over an episode every task counts once, so that the return is exact,
while the credit for one decision comes late. ``info["outcomes"]`` names each of these
tasks, its decision and its reward, for learners that want to put it right. The episode ends when
all tasks have.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, ClassVar

import gymnasium
import numpy as np

from ecsim.core.errors import UserError
from ecsim.learning.cache import ArtefactCache
from ecsim.rl.worlds import Worlds
from ecsim.runtime.episode import Episode, Request
from ecsim.strategies.learned import highest

_NOTHING: Mapping[str, object] = MappingProxyType({})
_MOST_SEEDS = 2**31

Observation = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


class OffloadingEnv(gymnasium.Env[Observation, np.int64]):
    """One strategy `learned` of a scenario; parameters as `ecsim.rl.Worlds`.

    `reset` takes the world's seed: with the same one, the same tasks arrive at the same times.
    Without one, the next seed is drawn from the environment's own generator.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}  # type: ignore[misc]

    def __init__(
        self,
        path: str | os.PathLike[str],
        label: str | None = None,
        *,
        set: Mapping[str, object] = _NOTHING,
        cache: ArtefactCache | None = None,
    ):
        self._worlds = Worlds(path, label, set=set, cache=cache)
        high = highest(self._worlds.params.observe).astype(np.float32)
        self.observation_space = gymnasium.spaces.Box(np.zeros_like(high), high, dtype=np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)
        self._episode: Episode | None = None
        self._request: Request | None = None
        self._earned = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a world; give the first decision's observation, and in `info` when and where."""
        super().reset(seed=seed)
        world_seed = seed if seed is not None else int(self.np_random.integers(_MOST_SEEDS))
        self._episode = self._worlds.episode(world_seed)
        self._earned = 0.0
        info = self._go_on()
        return self._observation(), info | {"world_seed": world_seed}

    def step(self, action: np.int64 | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Decide the present task; give what follows. Raises `UserError` after the end."""
        if self._episode is None or self._request is None:
            raise UserError("the episode has ended, or has not begun: call reset() first")
        if not self.action_space.contains(np.int64(action)):
            raise UserError(f"expected an action of 0 (keep) or 1 (upload), got {action!r}")
        self._episode.decide(self._request, bool(action))
        info = self._go_on()
        reward, self._earned = self._earned, 0.0
        return self._observation(), reward, self._request is None, False, info

    def _go_on(self) -> dict[str, Any]:
        """Run to the next decision; collect what was earned and say what happened."""
        assert self._episode is not None
        self._request = self._episode.advance()
        outcomes = self._episode.take_outcomes()
        self._earned += sum(outcome.reward for outcome in outcomes)
        info: dict[str, Any] = {"t_s": self._episode.now}
        info["outcomes"] = [asdict(outcome) for outcome in outcomes]
        if self._request is not None:
            info |= {"task_id": self._request.task.id, "device": self._request.task.device}
        return info

    def _observation(self) -> Observation:
        space = self.observation_space
        if self._request is None:
            return np.zeros(space.shape or (), dtype=np.float32)
        return self._request.features.astype(np.float32)


gymnasium.register("ecsim/Offloading-v0", entry_point="ecsim.rl.env:OffloadingEnv")
