"""The exits of a strategy at work: which criterion, and thresholds given or chosen.

A choice is made once, on the validation pool, when the first task asks for it. A learned gate and a
learned fusion are fitted to one half of the pool (its samples number 0, 2, 4, …), and a threshold
is then chosen on the other half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecsim.collab.criteria import (
    Criterion,
    CriterionName,
    ExitGate,
    choose_threshold,
    criterion,
    fit_exit_gate,
)
from ecsim.collab.fusion import LEARNED, Fusion, FusionName, fit_fusion
from ecsim.core.types import BoolArray, FloatArray, IntArray, ModelRef, Part, Prediction

if TYPE_CHECKING:
    from ecsim.collab.validation import Validation

TARGETS = {"accuracy", "early"}


@dataclass(frozen=True)
class Leaving:
    """When an exit answers.

    Attributes
    ----------
    criterion : what tells that an exit is sure: max_probability, margin, entropy (nats),
        entropy_bits, normalized_entropy, or learned (a gate's probability that it is right).
    threshold : an exit answers at or above it, of entropies strictly below it; one for all exits,
        or one for each but the last. Or what one is chosen for on the validation pool:
        `{accuracy: 0.9}`, with as many early exits as possible, or `{early: 0.6}`, the share of
        samples that leave before the last exit.
    """

    criterion: CriterionName = "normalized_entropy"
    threshold: float | tuple[float, ...] | dict[str, float] = 0.5

    def __post_init__(self) -> None:
        given = self.threshold
        if isinstance(given, dict):
            if len(given) != 1 or not {*given} <= TARGETS or not 0.0 <= min(given.values()) <= 1.0:
                raise ValueError(
                    "threshold: expected a number, a list of numbers, {accuracy: SHARE} or "
                    f"{{early: SHARE}} with a share between 0 and 1, got {given}"
                )
        elif min(given if isinstance(given, tuple) else (given,), default=0.0) < 0.0:
            raise ValueError(f"threshold: expected numbers from 0 on, got {given}")


@dataclass(frozen=True, slots=True)
class Asked:
    """One exit that is asked on a task's way: of which version, and which part of it."""

    model: ModelRef
    part: Part


class Exiting:
    """Tells whether an exit may answer, for exits asked one after the other.

    Parameters
    ----------
    asked : the exits in their order, each from the sample on.
    variants : which variant of a sample each view shows, see `ecsim.core.variants`; one view (0)
        where a device sees the scene alone.
    """

    def __init__(
        self,
        keys: Leaving,
        fusion: FusionName,
        validation: Validation,
        asked: Sequence[Asked],
        variants: Sequence[int] = (0,),
    ):
        self._keys = keys
        self._rule = fusion
        self._validation = validation
        self._asked = tuple(asked)
        self._variants = tuple(variants)
        self._learns = keys.criterion == "learned" or (
            fusion in LEARNED and len(self._variants) > 1
        )
        self._seen: dict[int, FloatArray] = {}
        self._fusions: dict[int, Fusion] = {}
        self._criteria: dict[int, Criterion] = {}
        self._thresholds: tuple[float, ...] | None = None
        self._sure: dict[tuple[int, Prediction], bool] = {}

    def fused(self, exit: int, logits: Sequence[FloatArray]) -> FloatArray:
        """Give the logits (K,) of one sample of what the views' logits say together."""
        if len(logits) == 1:
            return logits[0]
        together: FloatArray = self._fusion(exit)(np.stack(logits)[:, None, :])[0]
        return together

    def is_sure(self, exit: int, said: Prediction) -> bool:
        """Whether the exit may answer with this (fused) prediction."""
        known = self._sure.get((exit, said))
        if known is None:
            rows = said.logits[None]
            known = bool(self._criterion(exit).is_sure(rows, self.thresholds[exit])[0])
            if len(self._variants) == 1:  # the same object whenever the sample comes again
                self._sure[exit, said] = known
        return known

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The threshold of each exit but the last."""
        if self._thresholds is None:
            given, n = self._keys.threshold, len(self._asked) - 1
            if isinstance(given, dict):
                given = self._chosen(given) if n else 0.0
            self._thresholds = given if isinstance(given, tuple) else (given,) * n
        return self._thresholds

    def _chosen(self, target: dict[str, float]) -> float:
        use = slice(1, None, 2) if self._learns else slice(None)
        logits = [self._fused_on_pool(k)[use] for k in range(len(self._asked))]
        scores = [self._criterion(k).score(rows) for k, rows in enumerate(logits[:-1])]
        right = [self._are_right(k, rows, use) for k, rows in enumerate(logits)]
        return choose_threshold(np.stack(scores), np.stack(right), self._criterion(0), **target)

    def _criterion(self, exit: int) -> Criterion:
        found = self._criteria.get(exit)
        if found is None:
            gate = self._gate(exit) if self._keys.criterion == "learned" else None
            found = self._criteria[exit] = criterion(self._keys.criterion, gate)
        return found

    def _gate(self, exit: int) -> ExitGate:
        half = slice(None, None, 2)
        logits = self._fused_on_pool(exit)[half]
        return fit_exit_gate(logits, self._are_right(exit, logits, half))

    def _fusion(self, exit: int) -> Fusion:
        found = self._fusions.get(exit)
        if found is None:
            if self._rule in LEARNED:
                columns = self._columns(exit)
                known = np.flatnonzero(columns >= 0)[::2]  # of classes that the version knows
                found = fit_fusion(self._rule, self._on_pool(exit)[:, known], columns[known])
            else:
                found = Fusion(self._rule)
            self._fusions[exit] = found
        return found

    def _fused_on_pool(self, exit: int) -> FloatArray:
        logits = self._on_pool(exit)
        return logits[0] if len(logits) == 1 else self._fusion(exit)(logits)

    def _on_pool(self, exit: int) -> FloatArray:
        """Give what an exit says of each view of the validation pool, shape (V, N, K)."""
        found = self._seen.get(exit)
        if found is None:
            asked = self._asked[exit]
            found = self._seen[exit] = np.stack(
                [
                    self._validation.of_part(asked.model, asked.part, variant).logits
                    for variant in self._variants
                ]
            )
        return found

    def _columns(self, exit: int) -> IntArray:
        """Give the true class's column of each sample of the pool, -1 where there is none."""
        place = {label: i for i, label in enumerate(self._asked[exit].model.classes)}
        return np.array([place.get(label, -1) for label in self._validation.labels.tolist()])

    def _are_right(self, exit: int, logits: FloatArray, use: slice) -> BoolArray:
        right: BoolArray = logits.argmax(axis=1) == self._columns(exit)[use]
        return right
