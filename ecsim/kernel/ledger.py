"""The account of one task: what it waited, used, sent and wasted, by stage.

Operations charge it when they start, because a FIFO reservation knows its wait and its finish at
arrival. Branches of a join charge the ledger of the flow that yielded the join.
"""

from __future__ import annotations


class Ledger:
    """Times, energy and bytes of one task.

    Parameters
    ----------
    n_stages : how many stages the task's way has; an operation names its stage by index.

    Attributes
    ----------
    wait_s, service_s : seconds in queue and in service, per stage (serialisation is service).
    joules : marginal energy, per stage, without what was wasted.
    bytes : bytes put on the network, per stage; a message counts once, however many links.
    propagation_s : seconds on the way over all links.
    wasted_s, wasted_j : service and energy of operations whose flow had lost a race; their wait
        and service are taken out of the stages, their bytes stay (they were really sent).
    is_closed : its row is written; what comes after (abandoned work that is still under way, or
        is cut short) is charged to `World.unowned_j`.
    """

    __slots__ = (
        "bytes", "is_closed", "joules", "propagation_s", "service_s", "wait_s", "wasted_j",
        "wasted_s",
    )  # fmt: skip

    def __init__(self, n_stages: int = 1) -> None:
        self.wait_s = [0.0] * n_stages
        self.service_s = [0.0] * n_stages
        self.joules = [0.0] * n_stages
        self.bytes = [0.0] * n_stages
        self.propagation_s = 0.0
        self.wasted_s = 0.0
        self.wasted_j = 0.0
        self.is_closed = False

    @property
    def total_j(self) -> float:
        """All energy charged here, wasted included, in J."""
        return sum(self.joules) + self.wasted_j

    def waste(self, stage: int, wait_s: float, service_s: float, joules: float) -> None:
        """Move what an abandoned operation was charged from its stage to the wasted account."""
        # never below zero: the order of additions may leave a last bit
        self.wait_s[stage] = max(0.0, self.wait_s[stage] - wait_s)
        self.service_s[stage] = max(0.0, self.service_s[stage] - service_s)
        self.joules[stage] = max(0.0, self.joules[stage] - joules)
        self.wasted_s += service_s
        self.wasted_j += joules
