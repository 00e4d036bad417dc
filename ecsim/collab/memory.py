"""The memory of a node's engine: which versions lie in it, and what it takes to load another."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from math import inf

from ecsim.core.errors import Refused
from ecsim.core.types import ModelRef, Prediction


class Memory:
    """Weights in an engine's memory; what was used least recently makes room for others.

    What is in memory is decided when a request joins the queue, which for a FIFO engine with one
    server is the order in which requests are served.

    Parameters
    ----------
    node : name, for messages.
    capacity_bytes : what fits into it; inf: all.
    load_byte_per_s : rate from storage into it; inf: at once.
    load_w : marginal power of the engine while it loads.

    Attributes
    ----------
    n_refused : how often something was larger than it.
    why : what the first of them needed, and what there is; empty without any.
    """

    __slots__ = (
        "_resident", "capacity_bytes", "load_byte_per_s", "load_w", "n_refused", "node", "why",
    )  # fmt: skip

    def __init__(
        self,
        node: str,
        capacity_bytes: float = inf,
        load_byte_per_s: float = inf,
        load_w: float = 0.0,
    ):
        self.node = node
        self.capacity_bytes = capacity_bytes
        self.load_byte_per_s = load_byte_per_s
        self.load_w = load_w
        self.n_refused = 0
        self.why = ""
        self._resident: OrderedDict[str, int] = OrderedDict()  # bytes by key; the latest last

    @property
    def resident(self) -> tuple[str, ...]:
        """Keys of the versions in it, the least recently used first."""
        return tuple(self._resident)

    def fits(self, size_bytes: float) -> bool:
        """Whether so many bytes fit into it when nothing else is there."""
        return size_bytes <= self.capacity_bytes

    def refuse(self, what: str, size_bytes: float) -> Refused:
        """Note that something does not fit, and give the error that says so."""
        there = _shown(self.capacity_bytes)
        why = f"{what} needs {_shown(size_bytes)}, the memory of {self.node} has {there}"
        self.n_refused += 1
        self.why = self.why or why
        return Refused(why)

    def use(self, model: ModelRef, what: str = "") -> float:
        """Have a version in memory now; give the time of loading it in s, 0 where it was there.

        `what` says which part of the version it is, for the message: "a part of ".

        Raises
        ------
        Refused : it is larger than the memory.
        """
        resident = self._resident
        if model.key in resident:
            resident.move_to_end(model.key)
            return 0.0
        size_bytes = model.param_bytes
        if not self.fits(size_bytes):
            raise self.refuse(f"{what}version {model.version} of {model.role}", size_bytes)
        while sum(resident.values()) + size_bytes > self.capacity_bytes:
            resident.popitem(last=False)
        resident[model.key] = size_bytes
        return size_bytes / self.load_byte_per_s


class Loading:
    """The answers of a version whose weights must be in memory before it is asked.

    Looking an answer up is a use of the memory: the time and energy of a load are added to those
    of the inference that causes it. `what` is as for `Memory.use`.
    """

    __slots__ = ("_answers", "_memory", "_model", "_what")

    def __init__(
        self,
        answers: Mapping[int, tuple[Prediction, float, float]],
        memory: Memory,
        model: ModelRef,
        what: str = "",
    ):
        self._answers = answers
        self._memory = memory
        self._model = model
        self._what = what

    def __getitem__(self, sample_id: int) -> tuple[Prediction, float, float]:
        load_s = self._memory.use(self._model, self._what)
        prediction, seconds, joules = self._answers[sample_id]
        return prediction, seconds + load_s, joules + load_s * self._memory.load_w


def _shown(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:.9g} MB" if size_bytes >= 1e5 else f"{size_bytes:g} B"
