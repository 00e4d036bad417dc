"""Arrivals whose rate jumps: Markov-modulated Poisson processes and on/off bursts.

Both are a Poisson process under a piecewise constant rate. Unit-rate Poisson epochs are drawn and
carried through the inverse of the cumulated rate, which is exact: nothing is thinned or rounded.
The path of the rate and the epochs have generators of their own, so that a longer horizon only
adds arrivals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, MinLen

from ecsim.core.units import PerSecond, Seconds
from ecsim.streams.arrivals import BLOCK

_PIECES = 64  # of a path of rates, drawn at once

Floats = npt.NDArray[np.float64]
Path = Callable[[], tuple[Floats, Floats]]


def under_rates(rng: np.random.Generator, path: Path, horizon_s: float) -> Iterator[Floats]:
    """Give the arrivals in [0, horizon_s) of a Poisson process whose rate follows a path.

    Parameters
    ----------
    path : gives the next pieces of the rate on each call, as (lengths in s, rates per s); the
        pieces follow each other from time 0 on, without end.
    """
    # pieces that are still needed: when each ends, how many arrivals are expected by then, its rate
    ends_s, expected, rates = np.zeros(1), np.zeros(1), np.zeros(1)
    last = 0.0
    while ends_s[-1] < horizon_s or last < expected[-1]:
        epochs = last + np.cumsum(rng.exponential(1.0, BLOCK))
        last = float(epochs[-1])
        while expected[-1] < last and ends_s[-1] < horizon_s:
            lengths, more = path()
            ends_s = np.concatenate([ends_s, ends_s[-1] + np.cumsum(lengths)])
            expected = np.concatenate([expected, expected[-1] + np.cumsum(lengths * more)])
            rates = np.concatenate([rates, more])
        here = epochs[epochs <= expected[-1]]
        # the first piece by whose end the epoch is reached: its rate is not 0
        piece = np.searchsorted(expected, here, side="left")
        times = ends_s[piece - 1] + (here - expected[piece - 1]) / rates[piece]
        # the quotient may round past the end of its piece
        times = np.minimum(times, ends_s[piece])
        times = times[times < horizon_s]
        if times.size:
            yield times
        kept = max(int(np.searchsorted(expected, last, side="left")) - 1, 0)
        ends_s, expected, rates = ends_s[kept:], expected[kept:], rates[kept:]


class Mmpp:
    """A Poisson process whose rate follows a Markov chain (MMPP), one chain per device.

    The chain starts in its stationary distribution, so that the mean rate holds from time 0.

    Source: W. Fischer and K. Meier-Hellstern, "The Markov-modulated Poisson process (MMPP)
    cookbook", Performance Evaluation 18, 1993.
    """

    @dataclass(frozen=True, kw_only=True)
    class Params:
        """Rates of the states and of the changes between them.

        Attributes
        ----------
        rates : tasks per second and device in each state.
        transitions : rate of the change from each state (row) to each other; 0 /s to itself.
        """

        rates: Annotated[tuple[Annotated[PerSecond, Ge(0)], ...], MinLen(2)]
        transitions: tuple[tuple[Annotated[PerSecond, Ge(0)], ...], ...]

        def __post_init__(self) -> None:
            n = len(self.rates)
            if not any(self.rates):
                raise ValueError("rates: expected a rate of more than 0 /s, got none")
            if [len(row) for row in self.transitions] != [n] * n:
                raise ValueError(f"transitions: expected {n} rows of {n} rates, one per state")
            if any(self.transitions[state][state] for state in range(n)):
                raise ValueError("transitions: expected 0 /s from a state to itself")
            reached = np.linalg.matrix_power(np.eye(n) + (np.array(self.transitions) > 0), n)
            if not reached.all():
                raise ValueError("transitions: expected a way from every state to every other")

    def __init__(self, params: Params):
        self.params = params
        self._rates = np.array(params.rates)
        changes = np.array(params.transitions)
        self._leave_per_s = changes.sum(axis=1)
        self._next = np.cumsum(changes / self._leave_per_s[:, None], axis=1)
        self._next[:, -1] = 1.0
        generator = changes - np.diag(self._leave_per_s)
        system = np.vstack([generator.T, np.ones(len(changes))])
        wanted = np.append(np.zeros(len(changes)), 1.0)
        self.stationary: Floats = np.linalg.lstsq(system, wanted, rcond=None)[0].clip(0.0)

    @property
    def mean_per_s(self) -> float:
        """Mean rate of arrivals in the long run."""
        return float(self.stationary @ self._rates)

    def blocks(self, rng: np.random.Generator, horizon_s: float) -> Iterator[Floats]:
        """Draw the times before the horizon; a longer horizon only adds to them."""
        of_path, of_epochs = rng.spawn(2)
        edges = np.cumsum(self.stationary)
        state = int(np.searchsorted(edges[:-1], of_path.random(), side="right"))

        def path() -> tuple[Floats, Floats]:
            nonlocal state
            states = np.empty(_PIECES, dtype=np.int64)
            for i, uniform in enumerate(of_path.random(_PIECES).tolist()):
                states[i] = state
                state = int(np.searchsorted(self._next[state], uniform, side="right"))
            lengths = of_path.exponential(1.0, _PIECES) / self._leave_per_s[states]
            return lengths, self._rates[states]

        return under_rates(of_epochs, path, horizon_s)


class Bursts:
    """On/off arrivals: Poisson at one rate during bursts, at another (or none) between them."""

    @dataclass(frozen=True, kw_only=True)
    class Params:
        """Rates and lengths.

        Attributes
        ----------
        rate : tasks per second and device during a burst.
        idle_rate : tasks per second and device between two bursts.
        on : length of a burst; its mean where it is exponential.
        off : length of the pause after a burst, likewise.
        periods : `exponential` or `fixed` lengths.
        start : `random` begins each device at a random point of its cycle, so that the mean rate
            holds from time 0; `on` begins with a burst: with fixed lengths all devices burst at
            the same times.
        """

        rate: Annotated[PerSecond, Gt(0)]
        idle_rate: Annotated[PerSecond, Ge(0)] = 0.0
        on: Annotated[Seconds, Gt(0)]
        off: Annotated[Seconds, Gt(0)]
        periods: Literal["exponential", "fixed"] = "exponential"
        start: Literal["random", "on"] = "random"

    def __init__(self, params: Params):
        self.params = params

    @property
    def mean_per_s(self) -> float:
        """Mean rate of arrivals in the long run."""
        p = self.params
        return (p.rate * p.on + p.idle_rate * p.off) / (p.on + p.off)

    def blocks(self, rng: np.random.Generator, horizon_s: float) -> Iterator[Floats]:
        """Draw the times before the horizon; a longer horizon only adds to them."""
        p = self.params
        of_path, of_epochs = rng.spawn(2)
        rates = np.tile([p.rate, p.idle_rate], _PIECES // 2)
        means = np.tile([p.on, p.off], _PIECES // 2)
        place_s = of_path.random() * (p.on + p.off) if p.start == "random" else 0.0
        is_off = place_s >= p.on
        is_first = True

        def path() -> tuple[Floats, Floats]:
            nonlocal is_first
            lengths = means if p.periods == "fixed" else of_path.exponential(1.0, _PIECES) * means
            if is_first:
                is_first = False
                lengths = lengths.copy()
                if is_off:
                    lengths[0] = 0.0
                if p.periods == "fixed":  # an exponential rest is as long as a whole one
                    lengths[int(is_off)] = (p.on + p.off if is_off else p.on) - place_s
            return lengths, rates

        return under_rates(of_epochs, path, horizon_s)
