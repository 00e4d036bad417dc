"""What messages occupy while they are serialised: one direction of a link, or a whole medium."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecsim.kernel.topology import Hop
    from ecsim.kernel.world import World


class Channel:
    """A FIFO server of messages: one direction of a medium, or both in half duplex.

    Attributes
    ----------
    free_s : time from which it is free.
    max_wait_s : the longest wait of a message since a `QueueWindow` was opened.
    halted_until_s : end of the outage during which its messages stand still, if there is one.
    hops : the directed links that use it, one unless the medium is shared; they keep its books.
    """

    __slots__ = ("free_s", "halted_until_s", "hops", "max_wait_s", "name", "world")

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.free_s = 0.0
        self.halted_until_s = 0.0
        self.max_wait_s = 0.0
        self.hops: list[Hop] = []

    @property
    def work_s(self) -> float:
        """Seconds of serialisation reserved so far."""
        hops = self.hops
        return hops[0].work_s if len(hops) == 1 else sum(hop.work_s for hop in hops)

    def backlog_s(self) -> float:
        """Give how long a message that joins now would wait, in s."""
        backlog_s = self.free_s - self.world._now
        return backlog_s if backlog_s > 0.0 else 0.0

    def __repr__(self) -> str:
        return f"<Channel {self.name}>"
