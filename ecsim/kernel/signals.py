"""Flows that wake each other: signals (to all who wait) and mailboxes (one item to one taker)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from ecsim.kernel.operations import Operation, Waiter

if TYPE_CHECKING:
    from ecsim.kernel.world import World


class Signal:
    """Something that happens from time to time; each firing wakes those who wait at that moment.

    A firing is not remembered: who waits later waits for the next one.
    """

    __slots__ = ("_waiting", "world")

    def __init__(self, world: World) -> None:
        self.world = world
        self._waiting: dict[Wait, None] = {}

    @property
    def has_waiters(self) -> bool:
        """Whether a firing would wake anyone."""
        return bool(self._waiting)

    def wait(self) -> Wait:
        """Give the operation that parks until the next firing."""
        return Wait(self)

    def fire(self, value: Any = None) -> None:
        """Wake all waiting flows at the present time, in the order in which they came.

        They run after the flow that fires has gone on to its own next operation.
        """
        waiting, self._waiting = self._waiting, {}
        for wait in waiting:
            wait.value = value
            wait._push(self.world, self.world._now)


class Wait(Operation):
    """Park until the signal fires; gives the value it fires with."""

    __slots__ = ("signal",)

    def __init__(self, signal: Signal) -> None:
        super().__init__()
        self.signal = signal

    def start(self, waiter: Waiter) -> None:
        """Join those who wait."""
        self._require_fresh()
        self.waiter = waiter
        self.eid = -1
        self.signal._waiting[self] = None

    def abandon(self) -> None:
        """Leave the signal; a firing that is already under way wakes nobody."""
        self.eid = 0
        self.signal._waiting.pop(self, None)


class Mailbox:
    """Items in order of arrival; each goes to one taker, takers are served in order of asking."""

    __slots__ = ("_items", "_takers", "world")

    def __init__(self, world: World) -> None:
        self.world = world
        self._items: deque[Any] = deque()
        self._takers: deque[Get] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Any) -> None:
        """Hand the item to the first taker, or keep it. Takes no time."""
        if self._takers:
            self._takers.popleft()._take(item)
        else:
            self._items.append(item)

    def get(self) -> Get:
        """Give the operation that takes the next item, parking until there is one."""
        return Get(self)

    def _return(self, item: Any) -> None:
        if self._takers:
            self._takers.popleft()._take(item)
        else:
            self._items.appendleft(item)


class Get(Operation):
    """Take the next item of a mailbox; gives the item."""

    __slots__ = ("mailbox",)

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__()
        self.mailbox = mailbox

    def start(self, waiter: Waiter) -> None:
        """Take an item that lies there, or join the takers."""
        self._require_fresh()
        self.waiter = waiter
        self.eid = -1
        if self.mailbox._items:
            self._take(self.mailbox._items.popleft())
        else:
            self.mailbox._takers.append(self)

    def abandon(self) -> None:
        """Leave the takers; an item already handed over goes back to the front."""
        was_given = self.eid > 0
        self.eid = 0
        if was_given:
            self.mailbox._return(self.value)
        else:
            self.mailbox._takers.remove(self)

    def _take(self, item: Any) -> None:
        self.value = item
        self._push(self.mailbox.world, self.mailbox.world._now)
