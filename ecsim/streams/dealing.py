"""What one device shows at each arrival: from its hand, by the schedule, a deck at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecsim.core.errors import UserError
from ecsim.core.randomness import Streams
from ecsim.core.types import FloatArray, IntArray
from ecsim.streams.decks import Deck
from ecsim.streams.schedule import Mixing, Schedule


@dataclass(frozen=True, slots=True)
class Local:
    """The part of its samples that a device has at a time.

    Attributes
    ----------
    share : of what it may ever see, by class; at least one sample of each.
    replace : share of these that each new phase exchanges for others, the oldest first.

    >>> Local(0.5, 0.4).window(20, 0), Local(0.5, 0.4).window(20, 1)
    ((0, 10), (4, 10))
    """

    share: float
    replace: float

    def window(self, n: int, phase: int) -> tuple[int, int]:
        """Give begin and length of what it has of `n` samples of a class; they go in a ring."""
        length = max(1, round(self.share * n))
        return phase * round(self.replace * length) % n, length

    def of_phase(
        self, hand: IntArray, labels: IntArray, phase: int, data: Streams, device: str
    ) -> IntArray:
        """Give those samples of a hand that the device has in a phase, sorted."""
        held = []
        for label in np.unique(labels[hand]).tolist():
            ring = data("local", device, str(label)).permutation(hand[labels[hand] == label])
            begin, length = self.window(len(ring), phase)
            held.append(ring[(begin + np.arange(length)) % len(ring)])
        return np.sort(np.concatenate(held))


class Dealer:
    """Deals samples to one device, each of them as often as the schedule has it.

    Classes that a schedule mixes are drawn per task, with probabilities in proportion to how much
    of the class the device has (against the whole pool); samples come from a deck per class.

    Parameters
    ----------
    hand : the samples that the device may ever see, sorted.
    labels : class id of every sample of the data set.
    n_of_class : samples of each class in the whole pool, (n_classes,).
    data : streams of the `data` seed.
    position : place of each sample in the hand, where it is known; it is searched for otherwise.
    known : what a hand shows in a phase, kept for devices that have the same one.
    """

    def __init__(
        self,
        device: str,
        hand: IntArray,
        labels: IntArray,
        n_of_class: IntArray,
        schedule: Schedule,
        data: Streams,
        local: Local | None = None,
        position: IntArray | None = None,
        known: dict[tuple[int, int], IntArray] | None = None,
    ):
        self._device = device
        self.hand = hand
        self._labels = labels
        self._n_of_class = n_of_class
        self._schedule = schedule
        self._data = data
        self._local = local
        self._position = position
        self._known = {} if known is None else known
        self._visits = np.zeros(len(hand), dtype=np.int64)
        self._phase = -1
        self._decks: dict[int, Deck] = {}
        # by name: `isinstance` with a protocol takes 20 us, once per device
        mixes = hasattr(schedule, Mixing.mix.__name__)
        self._rng = data("classes", device) if mixes else None

    def deal(
        self, phase: int, share: FloatArray
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Give sample ids and visits for arrivals in one phase, at ascending shares of it.

        Raises `UserError` when the device has nothing to show.
        """
        if phase != self._phase:
            self._phase, self._decks = phase, {}
            self._shown = self.shown(phase)
        if self._rng is None:
            return self._draw(-1, self._shown, len(share))
        of = self._labels[self._shown]
        chosen = self._choose(phase, share, np.bincount(of, minlength=len(self._n_of_class)))
        samples, visits = np.empty((2, len(share)), dtype=np.int64)
        for label in np.unique(chosen).tolist():
            where = np.flatnonzero(chosen == label)
            samples[where], visits[where] = self._draw(label, self._shown[of == label], len(where))
        return samples, visits

    def shown(self, phase: int) -> IntArray:
        """Give the samples that the device may show in a phase; `UserError` when none."""
        if self._local is not None:
            held = self._local.of_phase(self.hand, self._labels, phase, self._data, self._device)
            found = self._of_classes(held, phase)
        else:
            key = id(self.hand), phase
            if key not in self._known:
                self._known[key] = self._of_classes(self.hand, phase)
            found = self._known[key]
        if not len(found):
            raise self._nothing(phase)
        return found

    def _of_classes(self, held: IntArray, phase: int) -> IntArray:
        is_shown = np.bincount(self._schedule.classes_in(phase), minlength=self._n_classes) > 0
        return held[is_shown[self._labels[held]]]

    def check(self) -> None:
        """Raise `UserError` when there is a phase, or a time in it, with nothing to show."""
        points = np.array([0.0, 0.5, 1.0])
        for phase in range(self._schedule.n_phases):
            shown = np.bincount(self._labels[self.shown(phase)], minlength=self._n_classes)
            if isinstance(self._schedule, Mixing):
                self._weights(phase, points, shown)

    @property
    def _n_classes(self) -> int:
        return len(self._n_of_class)

    def _weights(self, phase: int, share: FloatArray, n_shown: IntArray) -> FloatArray:
        """Give how likely each class is, up to a factor per row, (n, n_classes)."""
        assert isinstance(self._schedule, Mixing)
        has = n_shown / np.maximum(self._n_of_class, 1)
        weights: FloatArray = self._schedule.mix(phase, share) * has
        if not (weights > 0).any(axis=1).all():
            raise self._nothing(phase)
        return weights

    def _choose(self, phase: int, share: FloatArray, n_shown: IntArray) -> IntArray:
        """Draw the class of each arrival: one number each, however they come in blocks."""
        assert self._rng is not None
        weights = self._weights(phase, share, n_shown)
        up_to = np.cumsum(weights, axis=1)
        drawn = self._rng.random(len(share)) * up_to[:, -1]
        chosen = (up_to <= drawn[:, None]).sum(axis=1)
        last = weights.shape[1] - 1 - np.argmax(weights[:, ::-1] > 0, axis=1)
        within: IntArray = np.minimum(chosen, last)  # a product may have been rounded up
        return within

    def _draw(
        self, label: int, samples: IntArray, n: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Give samples from the deck of a class (-1: of all), and how often each was seen."""
        deck = self._decks.get(label)
        if deck is None:
            name = (str(self._phase),) if label < 0 else (str(self._phase), str(label))
            deck = self._decks[label] = Deck(samples, self._data("deck", self._device, *name))
        drawn, seen = [], []
        for piece in deck.deal(n):
            where = self.hand.searchsorted(piece) if self._position is None else (
                self._position[piece]
            )  # fmt: skip
            self._visits[where] += 1  # a piece has no sample twice
            drawn.append(piece)
            seen.append(self._visits[where])
        return np.concatenate(drawn), np.concatenate(seen)

    def _nothing(self, phase: int) -> UserError:
        return UserError(
            f"{self._device} has no sample of the classes that phase {phase} shows; expected a "
            "skew or schedule that leaves each device some in every phase"
        )
