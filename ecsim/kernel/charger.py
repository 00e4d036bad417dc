"""When a battery is charged, and how strongly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from math import inf


@dataclass(frozen=True, slots=True)
class Charger:
    """Power into a battery within windows: given ones, periodic ones, or all the time.

    Attributes
    ----------
    power_w : power, >= 0.
    windows : (begin, end) in s, in order; None: periodic.
    at_s, every_s, for_s : begin of the first window, their period and length; with an infinite
        period there is one window.
    """

    power_w: float = 0.0
    windows: tuple[tuple[float, float], ...] | None = None
    at_s: float = 0.0
    every_s: float = inf
    for_s: float = inf

    def is_on(self, t: float) -> bool:
        """Whether `t` lies in a window."""
        begin, end = next(self.after(t), (inf, inf))
        return begin <= t < end

    def after(self, t: float) -> Iterator[tuple[float, float]]:
        """Give the windows that end after `t`, in order."""
        if self.windows is not None:
            yield from ((begin, end) for begin, end in self.windows if end > t)
        elif self.every_s == inf:
            if self.at_s + self.for_s > t:
                yield self.at_s, self.at_s + self.for_s
        else:
            first = max(0, int((t - self.at_s) // self.every_s) - 1)
            for number in count(first):
                begin = self.at_s + number * self.every_s
                if begin + self.for_s > t:
                    yield begin, begin + self.for_s
