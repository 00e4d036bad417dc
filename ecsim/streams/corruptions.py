"""When which device sees its samples corrupted (covariate drift)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray, IntArray
from ecsim.core.variants import Kind, variant


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of time in which devices see corrupted samples.

    Attributes
    ----------
    severity : from 1 to 5.
    from_s, until_s : it holds in [from_s, until_s).
    is_gradual : the severity grows from 1 to `severity`, each for an equal part of the time.
    """

    kind: Kind
    severity: int
    from_s: float = 0.0
    until_s: float = inf
    is_gradual: bool = False

    def variants(self, t_s: FloatArray) -> npt.NDArray[np.int64]:
        """Give the variant that is seen at each time, 0 for the clean one."""
        severity = np.full(len(t_s), self.severity)
        if self.is_gradual:
            done = (t_s - self.from_s) / (self.until_s - self.from_s)
            severity = np.clip(1 + done * self.severity, 1, self.severity).astype(np.int64)
        is_inside = (self.from_s <= t_s) & (t_s < self.until_s)
        return np.where(is_inside, variant(self.kind, 1) + severity - 1, 0)

    @property
    def seen(self) -> range:
        """All variants that it may show."""
        first = 1 if self.is_gradual else self.severity
        return range(variant(self.kind, first), variant(self.kind, self.severity) + 1)


class Corruptions:
    """The spells of each device, at most one at a time.

    Parameters
    ----------
    n_samples : of the data set; a variant's id is ``variant * n_samples + sample``.
    """

    def __init__(self, n_samples: int):
        self.n_samples = n_samples
        self._spells: dict[str, list[Spell]] = {}

    def add(self, spell: Spell, devices: Sequence[str]) -> None:
        """Let devices see it; raises `UserError` where one has another at the same time."""
        for device in devices:
            for other in self._spells.setdefault(device, []):
                if spell.from_s < other.until_s and other.from_s < spell.until_s:
                    raise UserError(
                        f"{device} would have {spell.kind} and {other.kind} at the same time; "
                        "expected one corruption at a time on a device"
                    )
            self._spells[device].append(spell)

    @property
    def variants(self) -> list[int]:
        """All variants that some device may see, besides the clean one."""
        every = {number for spells in self._spells.values() for s in spells for number in s.seen}
        return sorted(every)

    def seen(self, device: str, t_s: FloatArray, samples: IntArray) -> npt.NDArray[np.int64]:
        """Give the ids of what a device sees of these samples at these times."""
        ids = np.array(samples, dtype=np.int64)
        for spell in self._spells.get(device, ()):
            ids += self.n_samples * spell.variants(t_s)
        return ids
