"""The driver of a strategy: a generator, resumed from the heap without a SimPy process."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, cast

import simpy

from ecsim.core.errors import FlowError, StrategyError
from ecsim.kernel.ledger import Ledger
from ecsim.kernel.operations import Operation, Waiter

if TYPE_CHECKING:
    from ecsim.kernel.world import World


class Flow:
    """A generator on its way through the world: each yielded operation resumes it when over.

    A flow is started by `World.spawn`, or as a branch of a join, which it then resumes. Both fill
    a blank one: a constructor in Python takes longer than the slots it fills.

    Attributes
    ----------
    world : the world it runs in.
    ledger : account its operations charge; None charges `World.unowned_j`.
    item : whatever the caller of `spawn` attached, e.g. the task.
    value : what the generator returned, once it is done; or the `FlowError` that ended it.
    id : serial number, from 1; branches of joins have 0.
    """

    __slots__ = (
        "_generator", "_on_done", "_operation", "_waiter", "id", "index", "item", "ledger", "value",
        "world",
    )  # fmt: skip

    world: World
    ledger: Ledger | None
    id: int
    index: int
    item: Any
    value: Any
    _generator: Generator[Any, Any, Any] | None
    _on_done: Callable[[Flow], None] | None
    _operation: Operation | None
    _waiter: Waiter | None

    @classmethod
    def branch(
        cls,
        world: World,
        generator: Generator[Any, Any, Any],
        ledger: Ledger | None,
        waiter: Waiter,
        index: int,
    ) -> Flow:
        """Give a flow that has not started and resumes `waiter` when it is done."""
        flow = cls()
        flow.world = world
        flow.ledger = ledger
        flow.id = 0
        flow.index = index
        flow.item = flow.value = flow._on_done = flow._operation = None
        flow._generator = generator
        flow._waiter = waiter
        return flow

    @property
    def is_done(self) -> bool:
        """Whether the generator has returned (or was closed as the loser of a race)."""
        return self._generator is None

    def wake(self, operation: Any) -> None:
        """Send the operation's value into the generator and start what it yields next.

        `World._loop` has the same lines once more, flat.
        """
        try:
            following = self._generator.send(operation.value)  # type: ignore[union-attr]
        except StopIteration as stop:
            self._finish(stop.value)
            return
        except Exception as error:
            self._fail(error)
            return
        self._operation = following
        try:
            following.start(self)
        except Exception as error:
            self._refused(following, error)

    def _refused(self, following: Any, error: Exception) -> None:
        """Raise the error of an operation's start; start what only stands for an operation."""
        if isinstance(following, Operation):
            self.fail(following, error)
            return
        try:
            self._start_other(following)
        except Exception as refused:
            self.fail(following, refused)

    def fail(self, operation: Any, error: Exception) -> None:
        """Raise `error` in the generator where it yielded the operation."""
        while self._generator is not None:
            try:
                following = self._generator.throw(error)
            except StopIteration as stop:
                self._finish(stop.value)
                return
            except Exception as raised:
                self._fail(raised)
                return
            try:
                self._start_other(following)
                return
            except Exception as refused:
                error = refused
        raise error  # the flow has ended meanwhile

    def abandon(self) -> None:
        """Close the generator; what its present operation reserved still runs, as wasted."""
        generator = self._generator
        if generator is None:
            return
        self._generator = None
        if self._operation is not None:
            self._operation.abandon()
        try:
            generator.close()
        except RuntimeError as error:
            raise StrategyError(f"{self!r} yielded while it was closed: {error}") from error

    def _start_other(self, yielded: Any) -> None:
        self._operation = operation = as_operation(yielded)
        if operation is None:
            raise StrategyError(not_an_operation(yielded))
        operation.start(self)

    def _finish(self, value: Any) -> None:
        self.value = value
        self._generator = self._operation = None
        if self._waiter is not None:
            self._waiter.wake(self)
            return
        self.world.n_done += 1
        if self._on_done is not None:
            self._on_done(self)

    def _fail(self, error: Exception) -> None:
        if self._waiter is None and self._on_done is not None and isinstance(error, FlowError):
            self._finish(error)  # part of the simulated world: how this flow ended
            return
        if not isinstance(error, FlowError) or self._waiter is None:
            error.add_note(f"in {self!r} at t = {self.world._now} s")
        self._generator = self._operation = None
        if self._waiter is None:
            raise error
        self._waiter.fail(self, error)

    def __repr__(self) -> str:
        name = getattr(self._generator, "__qualname__", "generator")
        number = f" {self.id}" if self.id else " (branch)"
        of = "" if self.item is None else f" of {self.item!r}"
        return f"<flow{number}: {name}{of}>"


class OnEvent(Operation):
    """Resume when an ordinary SimPy event has been processed, with its value or its exception."""

    __slots__ = ("event",)

    def __init__(self, event: simpy.Event) -> None:
        super().__init__()
        self.event = event

    def start(self, waiter: Waiter) -> None:
        """Register with the event; one that is already processed resumes at the present time."""
        self._require_fresh()
        self.waiter = waiter
        self.eid = -1
        if self.event.callbacks is not None:
            self.event.callbacks.append(self._on_event)
        elif self.event.ok:
            self.value = self.event.value
            self._push(waiter.world, waiter.world._now)
        else:
            waiter.fail(self, cast(Exception, self.event.value))

    def abandon(self) -> None:
        """Leave the event."""
        self.eid = 0
        if self.event.callbacks is not None and self._on_event in self.event.callbacks:
            self.event.callbacks.remove(self._on_event)

    def _on_event(self, event: simpy.Event) -> None:
        if self.eid == 0:
            return
        if event.ok:
            self.value = event.value
            self.waiter.wake(self)
        else:
            event.defused = True
            self.waiter.fail(self, event.value)


def as_operation(yielded: Any) -> Operation | None:
    """Give the operation that a yielded object stands for; None when it is none."""
    if isinstance(yielded, Operation):
        return yielded
    if isinstance(yielded, simpy.Event):
        return OnEvent(yielded)
    return None


def not_an_operation(yielded: Any) -> str:
    """Say what was yielded instead of an operation, and what was probably meant."""
    hint = "; use `yield from` for a generator" if isinstance(yielded, Generator) else ""
    return f"expected an operation, got {yielded!r} of type {type(yielded).__name__}{hint}"


class _Start(Operation):
    __slots__ = ()


START = _Start()
