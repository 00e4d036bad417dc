"""Conditions that start something on a device, such as the end of a phase."""

from __future__ import annotations

from ecsim.kernel import Signal, Wait
from ecsim.kernel.operations import Waiter


class Condition:
    """Something that becomes true; who waits for it is woken, and nothing is missed.

    When nobody waits (a device that still trains), the next one to wait finds it true. Becoming
    true twice meanwhile is being true once.
    """

    __slots__ = ("is_pending", "signal")

    def __init__(self, signal: Signal):
        self.signal = signal
        self.is_pending = False

    def fire(self) -> None:
        """Become true."""
        if self.signal.has_waiters:
            self.signal.fire()
        else:
            self.is_pending = True

    def wait(self) -> Until:
        """Give the operation that waits until it is true."""
        return Until(self)


class Until(Wait):
    """Park until the condition holds; at once when it became true while nobody waited."""

    __slots__ = ("condition",)

    def __init__(self, condition: Condition):
        super().__init__(condition.signal)
        self.condition = condition

    def start(self, waiter: Waiter) -> None:
        """Take what is pending, or join those who wait."""
        super().start(waiter)
        if self.condition.is_pending:
            self.condition.is_pending = False
            self.condition.signal.fire()
