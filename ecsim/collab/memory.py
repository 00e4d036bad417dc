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
    """

    __slots__ = ("_resident", "capacity_bytes", "load_byte_per_s", "load_w", "node")

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
        self._resident: OrderedDict[str, int] = OrderedDict()  # bytes by key; the latest last

    @property
    def resident(self) -> tuple[str, ...]:
        """Keys of the versions in it, the least recently used first."""
        return tuple(self._resident)

    def fits(self, size_bytes: float) -> bool:
        """Whether so many bytes fit into it when nothing else is there."""
        return size_bytes <= self.capacity_bytes

    def use(self, model: ModelRef) -> float:
        """Have a version in memory now; give the time of loading it in s, 0 where it was there.

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
            raise Refused(
                f"version {model.version} of {model.role} has {size_bytes} bytes, the memory of "
                f"{self.node} {self.capacity_bytes:g}"
            )
        while sum(resident.values()) + size_bytes > self.capacity_bytes:
            resident.popitem(last=False)
        resident[model.key] = size_bytes
        return size_bytes / self.load_byte_per_s


class Loading:
    """The answers of a version whose weights must be in memory before it is asked.

    Looking an answer up is a use of the memory: the time and energy of a load are added to those
    of the inference that causes it.
    """

    __slots__ = ("_answers", "_memory", "_model")

    def __init__(
        self,
        answers: Mapping[int, tuple[Prediction, float, float]],
        memory: Memory,
        model: ModelRef,
    ):
        self._answers = answers
        self._memory = memory
        self._model = model

    def __getitem__(self, sample_id: int) -> tuple[Prediction, float, float]:
        load_s = self._memory.use(self._model)
        prediction, seconds, joules = self._answers[sample_id]
        return prediction, seconds + load_s, joules + load_s * self._memory.load_w
