"""What a device keeps to learn from: samples and the cloud's answers, up to a capacity."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ecsim.core.types import Batch, Prediction
from ecsim.learning.columns import arranged


class Buffer:
    """Answers of the cloud by sample id; the latest answer for a sample wins.

    When full, a newcomer replaces a random one or is left out, so that what is kept is a uniform
    sample of what came since the last update (reservoir sampling, Vitter 1985, algorithm R).

    Parameters
    ----------
    capacity : samples kept at most.
    rng : the named stream that decides what a full buffer keeps.
    on_full : called after each new answer that finds the buffer full or makes it full.
    """

    def __init__(
        self, capacity: int, rng: np.random.Generator, on_full: Callable[[], None] | None = None
    ):
        self.capacity = capacity
        self._rng = rng
        self._on_full = on_full
        self._answers: dict[int, Prediction] = {}
        self._slots: list[int] = []  # sample ids, so that a random one can be replaced
        self._offered: set[int] = set()
        self._taken: dict[int, Prediction] = {}

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def is_full(self) -> bool:
        """Whether the next new sample would have to replace another."""
        return len(self._slots) >= self.capacity

    def put(self, sample_id: int, answer: Prediction) -> None:
        """Keep the cloud's answer for a sample."""
        if sample_id in self._answers:
            self._answers[sample_id] = answer
            return
        if sample_id not in self._offered:  # one that was left out once stays out
            self._offered.add(sample_id)
            if self._admit(sample_id):
                self._answers[sample_id] = answer
        if self.is_full and self._on_full is not None:
            self._on_full()

    def _admit(self, sample_id: int) -> bool:
        """Give the sample a slot, if need be another one's; whether it got one."""
        if not self.is_full:
            self._slots.append(sample_id)
            return True
        slot = int(self._rng.integers(len(self._offered)))
        if slot >= self.capacity:
            return False
        del self._answers[self._slots[slot]]
        self._slots[slot] = sample_id
        return True

    def batch(self) -> Batch | None:
        """Give what is kept, by sample id; None when there is nothing.

        Sorted, so that the order in which answers came back does not change a training. Where
        the cloud has learned classes meanwhile, earlier answers gave them no share.
        """
        if not self._answers:
            return None
        kept = sorted(self._answers.items())
        models = {answer.model.key: answer.model for _, answer in kept}
        classes = max((model.classes for model in models.values()), key=len)
        rows = [
            answer.logits
            if answer.model.classes == classes
            else arranged(answer.logits[None], answer.model.classes, classes)[0]
            for _, answer in kept
        ]
        return Batch.answered([sample_id for sample_id, _ in kept], np.stack(rows), classes)

    def discard(self, sample_ids: Iterable[int]) -> None:
        """Forget samples that are learned from; the sampling starts anew with what is left."""
        kept = self._answers
        self._taken = {sample: kept.pop(sample) for sample in sample_ids if sample in kept}
        self._slots = list(kept)
        self._offered = set(kept)

    def restore(self) -> None:
        """Offer what was discarded last once more, as what it was taken for came to nothing.

        An answer that came meanwhile for one of its samples is newer and stays. `on_full` is not
        called: the next new answer does.
        """
        taken, self._taken = self._taken, {}
        for sample_id, answer in taken.items():
            if sample_id not in self._answers:
                self._offered.add(sample_id)
                if self._admit(sample_id):
                    self._answers[sample_id] = answer
