"""The account of one task: what it waited, used, sent and wasted, by stage.

Operations charge it when they start, because a FIFO reservation knows its wait and its finish at
arrival. Branches of a join charge the ledger of the flow that yielded the join.

All amounts are cells of one list, which is copied from a list of zeros for each task and stored
as it is when the task ends. First come the amounts that have no stage, then four cells per stage:
``cells[HEAD + WIDTH * stage + WAIT]``.
"""

from __future__ import annotations

PROPAGATION, WASTED_S, WASTED_J, MARKED, HEAD = 0, 1, 2, 3, 4
WAIT, SERVICE, JOULES, BYTES, WIDTH = 0, 1, 2, 3, 4


class Ledger:
    """Times, energy and bytes of one task.

    Parameters
    ----------
    n_stages : how many stages the task's way has; an operation names its stage by index.

    Attributes
    ----------
    cells : all amounts, see above; the other attributes read them.
    is_closed : its row is written; what comes after (abandoned work that is still under way, or
        is cut short) is charged to `World.unowned_j`.
    """

    __slots__ = ("cells", "is_closed")

    def __init__(self, n_stages: int = 1) -> None:
        self.cells = [0.0] * (HEAD + WIDTH * n_stages)
        self.is_closed = False

    @property
    def wait_s(self) -> list[float]:
        """Seconds in queue, per stage."""
        return self._column(WAIT)

    @property
    def service_s(self) -> list[float]:
        """Seconds in service, per stage; serialisation is service."""
        return self._column(SERVICE)

    @property
    def joules(self) -> list[float]:
        """Marginal energy, per stage, without what was wasted."""
        return self._column(JOULES)

    @property
    def bytes(self) -> list[float]:
        """Bytes put on the network, per stage; a message counts once, however many links."""
        return self._column(BYTES)

    @property
    def propagation_s(self) -> float:
        """Seconds on the way over all links."""
        return self.cells[PROPAGATION]

    @property
    def wasted_s(self) -> float:
        """Service of operations whose flow had lost a race.

        Their wait and service are taken out of the stages; their bytes stay, they were sent.
        """
        return self.cells[WASTED_S]

    @property
    def wasted_j(self) -> float:
        """Energy of operations whose flow had lost a race, in J."""
        return self.cells[WASTED_J]

    @property
    def is_marked(self) -> bool:
        """Whether a message that marks its ledger was sent."""
        return self.cells[MARKED] != 0.0

    @property
    def total_j(self) -> float:
        """All energy charged here, wasted included, in J."""
        return sum(self.joules) + self.wasted_j

    def charge(self, stage: int, wait_s: float, service_s: float, joules: float) -> None:
        """Add signed amounts to a stage."""
        # never below zero: the order of additions may leave a last bit
        cells = self.cells
        at = HEAD + WIDTH * stage
        cells[at + WAIT] = max(0.0, cells[at + WAIT] + wait_s)
        cells[at + SERVICE] = max(0.0, cells[at + SERVICE] + service_s)
        cells[at + JOULES] = max(0.0, cells[at + JOULES] + joules)

    def propagate(self, seconds: float) -> None:
        """Add a signed time of propagation."""
        self.cells[PROPAGATION] = max(0.0, self.cells[PROPAGATION] + seconds)

    def send(self, stage: int, size_bytes: float, marks: bool = False) -> None:
        """Count bytes put on the network; the message may mark the ledger."""
        self.cells[HEAD + WIDTH * stage + BYTES] += size_bytes
        if marks:
            self.cells[MARKED] = 1.0

    def spoil(self, service_s: float, joules: float) -> None:
        """Add signed amounts to the wasted account."""
        self.cells[WASTED_S] = max(0.0, self.cells[WASTED_S] + service_s)
        self.cells[WASTED_J] = max(0.0, self.cells[WASTED_J] + joules)

    def waste(self, stage: int, wait_s: float, service_s: float, joules: float) -> None:
        """Move what an abandoned operation was charged from its stage to the wasted account."""
        self.charge(stage, -wait_s, -service_s, -joules)
        self.spoil(service_s, joules)

    def _column(self, which: int) -> list[float]:
        n_stages = (len(self.cells) - HEAD) // WIDTH
        return self.cells[HEAD + which : HEAD + n_stages * WIDTH : WIDTH]
