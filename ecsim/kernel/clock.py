"""Known functions of time: rates, speeds and latencies that change by a plan.

What a trace or a schedule says is known in advance, so a server whose rate changes by plan is
still a reservation: `WorkClock.end` inverts the integral of the rate, exactly, piece by piece.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf, nextafter

from ecsim.core.errors import UserError


class Steps:
    """A piecewise constant function of time.

    Parameters
    ----------
    times : start of each piece in s; the first is 0, each later than the one before.
    values : value of each piece, finite and >= 0.
    period_s : the function repeats after this time; None: the last value holds for ever.

    Raises
    ------
    UserError
        When there are no pieces, the times do not start at 0 or do not rise, the period ends
        before the last piece begins, or a value is negative or not finite.

    Examples
    --------
    >>> Steps([0.0, 2.0], [5.0, 1.0], period_s=3.0).at(7.0)
    5.0
    """

    __slots__ = ("period_s", "times", "values")

    def __init__(
        self, times: Sequence[float], values: Sequence[float], period_s: float | None = None
    ) -> None:
        if len(times) != len(values) or not times:
            raise UserError(f"expected a value for each time, got {len(values)} for {len(times)}")
        if times[0] != 0.0:
            raise UserError(f"expected the first piece at 0 s, got {times[0]!r} s")
        for i, (before, after) in enumerate(pairwise(times), start=1):
            if not before < after < inf:
                raise UserError(
                    f"expected times that rise, got {after!r} s after {before!r} s (piece {i})"
                )
        for i, value in enumerate(values):
            if not 0.0 <= value < inf:
                raise UserError(f"expected finite values >= 0, got {value!r} (piece {i})")
        if period_s is not None and not (times[-1] < period_s < inf):
            raise UserError(
                f"expected a period beyond the last piece at {times[-1]!r} s, got {period_s!r} s"
            )
        self.times = tuple(map(float, times))
        self.values = tuple(map(float, values))
        self.period_s = period_s

    def at(self, t: float) -> float:
        """Give the value at time `t` >= 0; a piece holds from its start on."""
        return self.values[self._piece(t)[0]]

    def _piece(self, t: float) -> tuple[int, float]:
        """Give the piece in force at `t`, and the time at which it ends (infinity: never)."""
        period = self.period_s
        times = self.times
        if period is None:
            i = bisect_right(times, t) - 1
            return i, times[i + 1] if i + 1 < len(times) else inf
        origin = t // period * period
        offset = t - origin
        if offset >= period:  # the division may round up to a whole turn
            origin += period
            offset = 0.0
        i = bisect_right(times, max(0.0, offset)) - 1
        return i, origin + (times[i + 1] if i + 1 < len(times) else period)

    def next_change(self, t: float) -> float:
        """Give the time after `t` at which the next piece begins (infinity: never)."""
        return max(self._piece(t)[1], nextafter(t, inf))  # a period's begin is rounded

    def stretches(self, begin: float, end: float) -> Iterator[tuple[float, float, float]]:
        """Give (begin, end, value) of each piece between two times."""
        t = begin
        while t < end:
            until = min(self.next_change(t), end)
            yield t, until, self.at(t)
            t = until

    def mean(self) -> float:
        """Give the mean over a period; without one, the mean over the pieces before the last.

        A function of a single piece has that piece's value.
        """
        end = self.times[-1] if self.period_s is None else self.period_s
        if not end:
            return self.values[0]
        ends = (*self.times[1:], end)
        parts = zip(self.times, ends, self.values, strict=True)
        return sum((until - since) * value for since, until, value in parts) / end

    def __repr__(self) -> str:
        turn = "" if self.period_s is None else f", repeating after {self.period_s} s"
        return f"<{type(self).__name__} of {len(self.times)} pieces{turn}>"


class WorkClock(Steps):
    """A rate that is a known function of time, its integral, and the integral's inverse.

    Within one piece the end of a job is ``begin + work / rate``, the very float that a server of
    constant rate gives; across pieces the rounding is relative to the job, not to the clock.

    Raises
    ------
    UserError
        As `Steps`, and when the rate stays at zero, so that work would never end.

    Examples
    --------
    >>> clock = WorkClock([0.0, 1.0], [2.0, 4.0])
    >>> clock.end(0.5, 5.0), clock.work(0.5, 2.0)
    (2.0, 5.0)
    """

    __slots__ = ("_per_period",)

    def __init__(
        self, times: Sequence[float], rates: Sequence[float], period_s: float | None = None
    ) -> None:
        super().__init__(times, rates, period_s)
        if not (any(self.values) if period_s is not None else self.values[-1]):
            raise UserError(
                "expected a rate above zero at some time of the period, got zero throughout"
                if period_s is not None
                else f"expected a last rate above zero, got zero for ever from {times[-1]!r} s on"
            )
        ends = (*self.times[1:], inf if period_s is None else period_s)
        self._per_period = (
            inf
            if period_s is None
            else sum(
                (until - since) * rate
                for since, until, rate in zip(self.times, ends, self.values, strict=True)
            )
        )

    def end(self, begin: float, work: float) -> float:
        """Give the time at which `work` that begins at `begin` is done; no work ends at once."""
        i, until = self._piece(begin)
        rate = self.values[i]
        if rate:
            t = begin + work / rate
            if t <= until:
                return t
        elif not work:
            return begin
        t = begin
        n = len(self.values)
        while True:
            work -= rate * (until - t)
            if work <= 0.0 and rate:  # rounding: the piece ends where the work does
                return until
            t = until
            i += 1
            if i == n:
                i = 0
                if work > self._per_period:
                    assert self.period_s is not None
                    turns = work // self._per_period
                    if turns * self._per_period >= work:
                        turns -= 1.0  # the last turn is walked: its end may be a pause
                    work -= turns * self._per_period
                    t += turns * self.period_s
            rate = self.values[i]
            until = self._after(i, t)
            if rate and t + work / rate <= until:
                return t + work / rate

    def _after(self, i: int, start: float) -> float:
        """Give the end of piece `i`, which starts at `start`."""
        if i + 1 < len(self.times):
            return start + (self.times[i + 1] - self.times[i])
        return inf if self.period_s is None else start + (self.period_s - self.times[i])

    def work(self, begin: float, end: float) -> float:
        """Give the work that is done between two times, 0 <= begin <= end."""
        total = 0.0
        t = begin
        i, until = self._piece(begin)
        n = len(self.values)
        while until < end:
            total += self.values[i] * (until - t)
            t = until
            i += 1
            if i == n:
                i = 0
                assert self.period_s is not None
                turns = (end - t) // self.period_s
                total += turns * self._per_period
                t += turns * self.period_s
            until = self._after(i, t)
        return total + self.values[i] * (end - t)
