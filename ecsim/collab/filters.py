"""Filters: which samples a device's own answer is too unsure for (ECC-SNN's Fig. 8).

A filter gives each prediction a score, larger for less sure, and a threshold; what exceeds it is
uploaded. The threshold is a number, or chosen anew for each version on the validation pool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ecsim.collab import thresholds
from ecsim.collab.validation import Validated, Validation
from ecsim.core import scores
from ecsim.core.entropy import normalized_entropy
from ecsim.core.types import BoolArray, FloatArray, ModelRef, Prediction
from ecsim.learning.gate import Gate, fit_gate

TARGETS = {"cur", "accuracy", "error"}
_SCORES = {
    "max_probability": scores.max_probability, "margin": scores.margin, "energy": scores.energy,
}  # fmt: skip


@dataclass(frozen=True)
class Filtered:
    """The keys of a filter.

    Attributes
    ----------
    filter : what tells ambiguous samples: entropy, max_probability (1 minus it), margin (1 minus
        the distance of the two largest), energy (-log sum exp of the logits), learned (a gate's
        probability that the edge is wrong), or oracle (is wrong, which no device can know).
    normalise : entropy over the log of the classes known, or of those there are finally.
    entropy : of all classes together, or the minimum of the heads' own entropies.
    threshold : delta of Eq. 4; a score above it sends the sample to the cloud. Or what it is chosen
        for on the validation pool, for each version: `{cur: 0.3}`, the largest share that may be
        uploaded; with as few uploads as possible `{accuracy: 0.95}` of edge and cloud together, or
        `{error: 0.05}`, the largest share of wrong ones among the edge's own answers to samples
        of classes that it knows.
    """

    filter: Literal["entropy", "max_probability", "margin", "energy", "learned", "oracle"] = (
        "entropy"
    )
    normalise: Literal["known", "final"] = "known"
    entropy: Literal["all_classes", "min_over_heads"] = "all_classes"
    threshold: float | dict[str, float] = 0.3

    def __post_init__(self) -> None:
        given = self.threshold
        if isinstance(given, dict):
            if len(given) != 1 or not {*given} <= TARGETS or not 0.0 <= min(given.values()) <= 1.0:
                raise ValueError(
                    "threshold: expected a number, {cur: SHARE}, {accuracy: SHARE} or "
                    f"{{error: SHARE}} with a share between 0 and 1, got {given}"
                )
            if self.filter == "oracle":
                raise ValueError("threshold: has no effect with filter: oracle")
        elif self.filter != "energy" and not 0.0 <= given <= 1.0:
            raise ValueError(f"threshold: expected a number between 0 and 1, got {given:g}")
        if self.filter != "entropy":
            for key, default in (("normalise", "known"), ("entropy", "all_classes")):
                if getattr(self, key) != default:
                    raise ValueError(f"{key}: has no effect with filter: {self.filter}")
        if self.normalise == "final" and self.entropy == "min_over_heads":
            raise ValueError("normalise: expected known with entropy: min_over_heads, got final")


class Filter:
    """A filter at work: scores of predictions, and a threshold per version.

    A learned gate is fitted to one half of the validation pool (its samples number 0, 2, 4, …); a
    threshold for it is chosen on the other half.
    """

    def __init__(self, keys: Filtered):
        self._keys = keys
        self._validation: Validation | None = None
        self._known: dict[Prediction, float] = {}
        self._thresholds: dict[str, float] = {}
        self._gates: dict[str, Gate] = {}

    def prepare(self, validation: Validation) -> None:
        """Say what may be looked at."""
        self._validation = validation

    def score(self, edge: Prediction, sample_id: int) -> float:
        """Give how unsure a prediction is; of the oracle 1 for a wrong one and 0 for a right one.

        A prediction is the same object whenever the same version meets the same sample.
        """
        keys = self._keys
        if keys.filter == "entropy" and keys.normalise == "known" and keys.entropy == "all_classes":
            return edge.normalized_entropy
        if keys.filter == "oracle":
            return float(not self._asked().is_right(sample_id, edge))
        found = self._known.get(edge)
        if found is None:
            found = self._known[edge] = float(self._scores(edge.model, edge.logits[None])[0])
        return found

    def threshold(self, model: ModelRef) -> float:
        """Give the threshold of a version; of the oracle 0.5."""
        asked = self._keys.threshold
        if self._keys.filter == "oracle":
            return 0.5
        if not isinstance(asked, dict):
            return asked
        found = self._thresholds.get(model.key)
        if found is None:
            found = self._thresholds[model.key] = self._chosen(model, asked)
        return found

    def _chosen(self, model: ModelRef, target: dict[str, float]) -> float:
        mine = self._asked().of(model)
        use = slice(1, None, 2) if self._keys.filter == "learned" else slice(None)
        values = self._scores(model, mine.logits)[use]
        if "cur" in target:
            return thresholds.for_cur(values, target["cur"])
        if "error" in target:
            known = np.isin(self._asked().labels[use], model.classes)
            return thresholds.for_error(values[known], mine.is_right[use][known], target["error"])
        cloud_right: BoolArray = self._asked().of_cloud().is_right[use]
        return thresholds.for_accuracy(values, mine.is_right[use], cloud_right, target["accuracy"])

    def _scores(self, model: ModelRef, logits: FloatArray) -> FloatArray:
        keys = self._keys
        if keys.filter == "learned":
            return self._gate(model)(logits)
        if keys.filter != "entropy":
            return _SCORES[keys.filter](logits)
        if keys.entropy == "min_over_heads":
            return normalized_entropy(logits, min_over_heads=self._asked().heads_of(model))
        if keys.normalise == "final":
            return scores.entropy_of_all(logits, self._asked().n_classes)
        return normalized_entropy(logits)

    def _gate(self, model: ModelRef) -> Gate:
        found = self._gates.get(model.key)
        if found is None:
            half = _first_half(self._asked().of(model))
            found = self._gates[model.key] = fit_gate(half[0], ~half[1])
        return found

    def _asked(self) -> Validation:
        assert self._validation is not None, "prepare() has not been called"
        return self._validation


def _first_half(of: Validated) -> tuple[FloatArray, BoolArray]:
    return np.asarray(of.logits[::2]), of.is_right[::2]
