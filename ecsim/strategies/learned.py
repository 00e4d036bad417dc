"""Offloading by a policy that was learned: what it sees, what it is paid, and a linear rule.

What the policy sees and what a task pays are declared in the scenario, so that `ecsim.rl` can
train one and `ecsim run` can use it. A trained linear policy is data (``weights:``); any other is a
plugin that overrides `Learned.decide`. Own model: docs/how-to/learn-offloading.md.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from ecsim.collab.context import Context
from ecsim.collab.routines import Asking, ask, learn
from ecsim.collab.strategy import Background, Serving, Strategy
from ecsim.core.errors import UserError
from ecsim.core.types import Answer, FloatArray, Prediction, Task

Feature = Literal[
    "entropy", "margin", "uplink_wait_s", "cloud_wait_s", "transfer_s", "battery", "since_upload_s"
]
LONGEST_S = 10.0
"""Times longer than this are seen as this."""


@dataclass(frozen=True)
class Reward:
    """What a task pays when it ends: the sum of each figure times its weight.

    Attributes
    ----------
    correct : of an answer with the true class.
    deadline_met : of an answer by its deadline.
    latency_s : per second until it ended, with or without an answer; below 0 for a cost.
    energy_j : per joule of marginal energy; below 0 for a cost.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "extra": "forbid", "strict": True, "allow_inf_nan": False,
    }  # fmt: skip

    correct: float = 1.0
    deadline_met: float = 0.0
    latency_s: float = 0.0
    energy_j: float = 0.0

    def of(self, correct: bool, deadline_met: bool, latency_s: float, energy_j: float) -> float:
        """Give the reward of a task that ended.

        >>> Reward(correct=1.0, latency_s=-2.0).of(True, False, 0.1, 5.0)
        0.8
        """
        return (
            self.correct * correct
            + self.deadline_met * deadline_met
            + self.latency_s * latency_s
            + self.energy_j * energy_j
        )


@dataclass(frozen=True)
class LearnedParams(Asking):
    """What the policy sees and is paid, its weights, and how it asks the cloud.

    Attributes
    ----------
    observe : what it sees at a decision, in this order; entropy and margin of the device's answer,
        and battery, its charge, lie in [0, 1]; uplink_wait_s and cloud_wait_s are waits by the
        queues of now, transfer_s the sample's time on the links at today's rates, since_upload_s
        the time since the device's last upload, all cut at 10 s.
    reward : what a task pays when it ends.
    weights : of a linear policy: a bias, then one per feature; it uploads where bias + weights x
        features exceeds 0. Empty: the policy is yet to be trained, or is a plugin's.
    """

    observe: tuple[Feature, ...] = ("entropy",)
    reward: Reward = field(default_factory=Reward)
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.observe or len(set(self.observe)) < len(self.observe):
            raise ValueError("observe: expected at least one feature, and each once")
        n = 1 + len(self.observe)
        if self.weights and len(self.weights) != n:
            raise ValueError(
                f"weights: expected {n}, a bias and one per feature, got {len(self.weights)}"
            )


class Learned(Strategy[LearnedParams]):
    """Infer at the edge, then upload or not as a policy says; learn like ECC-SNN."""

    Params = LearnedParams

    def __init__(self, params: LearnedParams):
        super().__init__(params)
        self._uploaded_s: dict[str, float] = {}

    def decide(self, features: FloatArray) -> bool:
        """Whether to upload, given the features in the order of ``observe``; plugins replace it.

        Raises `UserError` when there are no weights.
        """
        weights = self.params.weights
        if not weights:
            raise UserError(
                f"learned: expected weights, a bias and one for each of "
                f"{', '.join(self.params.observe)}; train them with ecsim.rl"
            )
        return float(np.dot(weights[1:], features)) + weights[0] > 0.0

    def choose(self, task: Task, features: FloatArray) -> Generator[Any, Any, bool]:
        """Give the decision on a task; may yield operations. By default, that of `decide`."""
        return self.decide(features)
        yield

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Infer on the device, ask the policy, and the cloud where it says so."""
        edge = yield ctx.infer(task.device, task)
        if not (yield from self.choose(task, self.features(task, edge, ctx))):
            return Answer(edge.label, at=task.device, by=edge)
        self._uploaded_s[task.device] = ctx.now
        answer = yield from ask(task, ctx, self.params, edge)
        if answer.by is not edge:
            ctx.buffer(task.device).put(task.sample_id, answer.by)
        return answer

    def features(self, task: Task, edge: Prediction, ctx: Context) -> FloatArray:
        """Give what the policy sees, shape (n features,)."""
        return np.array([self._feature(name, task, edge, ctx) for name in self.params.observe])

    def _feature(self, name: Feature, task: Task, edge: Prediction, ctx: Context) -> float:
        device = task.device
        if name == "entropy":
            return edge.normalized_entropy
        if name == "margin":
            return _margin(edge.logits)
        if name == "battery":
            return ctx.charge_ratio(device)
        if name == "since_upload_s":
            seconds = ctx.now - self._uploaded_s.get(device, -LONGEST_S)
        elif name == "cloud_wait_s":
            seconds = ctx.inference_wait_s(ctx.near(device, "cloud"))
        elif name == "uplink_wait_s":
            seconds = ctx.sending_wait_s(device, ctx.near(device, "cloud"))
        else:
            cloud = ctx.near(device, "cloud")
            seconds = ctx.transfer_s(device, cloud, task.payload_bytes)
        return min(max(0.0, seconds), LONGEST_S)

    def background(self, ctx: Context) -> Iterable[Background]:
        """One learner per device, as in ECC-SNN."""
        return (learn(device, ctx) for device in ctx.devices if ctx.learns)


def highest(observe: Iterable[Feature]) -> FloatArray:
    """Give the largest value that each feature can have; the least is 0."""
    return np.array([LONGEST_S if name.endswith("_s") else 1.0 for name in observe])


def _margin(logits: FloatArray) -> float:
    """Give the difference between the two largest probabilities; 1 with a single class."""
    if len(logits) < 2:
        return 1.0
    shares = np.exp(logits - logits.max())
    second, first = np.sort(shares / shares.sum())[-2:]
    return float(first - second)


FEATURES: tuple[Feature, ...] = get_args(Feature)
