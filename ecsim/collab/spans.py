"""Spans of traced tasks and updates: what waited, was served and propagated where, and when.

A traced flow gets another view of the context, whose operations note what becomes of them and
otherwise are the same: same entries on the heap, same books. Flows that are not traced meet none
of this, so that tracing costs nothing where it is off.
"""

from __future__ import annotations

import functools
from itertools import compress
from typing import Any

from ecsim.collab.context import Context
from ecsim.collab.operations import Account
from ecsim.core.types import Task
from ecsim.kernel import Hop, Operation, Train, Travel, Use
from ecsim.kernel.operations import PARKED, Waiter
from ecsim.kernel.travel import AGAIN

_COLUMNS = (
    "task_id", "device", "kind", "what", "place", "component", "t_start_s", "t_end_s",
)  # fmt: skip


class SpanLog:
    """The spans of one arm, column by column.

    Attributes
    ----------
    columns : the columns of the table ``spans``, without the strategy; a row without a kind has
        been taken back.
    before : since when a message stands before a link, by message and number of the link.
    """

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        self.before: dict[tuple[Travel, int], float] = {}
        self._written: dict[tuple[Travel, int], tuple[float, int, int]] = {}

    def add(
        self,
        of: TracedAccount,
        kind: str,
        what: str,
        where: tuple[str, str],
        t_start_s: float,
        t_end_s: float,
    ) -> None:
        """Note a span; one without a length is none, except the task itself."""
        if t_end_s > t_start_s or kind == "task":
            values = (of.task_id, of.device, kind, what, *where, t_start_s, t_end_s)
            for column, value in zip(self.columns.values(), values, strict=True):
                column.append(value)

    def stands(self, travel: Travel, now: float) -> None:
        """Note that a message stands before its next link."""
        self.before.setdefault((travel, travel._at), now)

    def sent(self, travel: Travel, t_end_s: float) -> None:
        """Note one attempt on one link; it has arrived, or is known to be lost, at `t_end_s`."""
        key = travel, travel._at - 1
        t_start_s, account = self.before.get(key), travel.ledger
        if t_start_s is None or not isinstance(account, TracedAccount):
            return
        if travel._end_s < t_start_s:  # it only waits until the radio is connected
            return
        del self.before[key]
        where = link_of(travel.hops[travel._at - 1])
        end_s = min(travel._end_s, t_end_s)
        begin_s = min(max(t_start_s, travel._end_s - travel._seconds), t_end_s)
        first = len(self.columns["kind"])
        self.add(account, "wait", "send", where, t_start_s, begin_s)
        self.add(account, "service", "send", where, begin_s, end_s)
        self.add(account, "propagation", "send", where, end_s, t_end_s)
        self._written[key] = t_start_s, first, len(self.columns["kind"])

    def forget(self, travel: Travel) -> None:
        """Take back what was noted of the present attempt, which goes otherwise now."""
        key = travel, travel._at - 1
        if key in self._written:
            self.before[key], first, last = self._written.pop(key)
            self.columns["kind"][first:last] = [""] * (last - first)

    def rows(self) -> dict[str, list[Any]]:
        """Give all columns, without what was taken back."""
        kinds = self.columns["kind"]
        return {name: list(compress(values, kinds)) for name, values in self.columns.items()}


class TracedAccount(Account):
    """The account of a traced task; of background work with task id -1."""

    __slots__ = ("device", "log", "task", "task_id")

    def __init__(self, log: SpanLog, task: Task | None = None):
        super().__init__()
        self.log = log
        self.task = task
        self.task_id = -1 if task is None else task.id
        self.device = "" if task is None else task.device


class TracingContext(Context):
    """A view of a context, sharing all its state, whose operations note their spans."""

    def __init__(self, context: Context):
        self.__dict__ = context.__dict__

    def infer(self, *args: Any, **kwargs: Any) -> Operation:
        """As in `Context`."""
        return _Noted(super().infer(*args, **kwargs), "infer")

    def compute(self, *args: Any, **kwargs: Any) -> Operation:
        """As in `Context`."""
        return _Noted(super().compute(*args, **kwargs), "compute")

    def train(self, *args: Any, **kwargs: Any) -> Operation:
        """As in `Context`."""
        return _Noted(super().train(*args, **kwargs), "train")

    def send(self, *args: Any, **kwargs: Any) -> Operation:
        """As in `Context`."""
        operation = super().send(*args, **kwargs)
        if isinstance(operation, Travel):
            operation.__class__ = _noting(type(operation))  # type: ignore[arg-type]
        return operation


class _Noted(Operation):
    """Stands between an operation on a server and its waiter, and notes its spans."""

    __slots__ = ("_begin_s", "inner", "ledger", "what", "world")

    def __init__(self, inner: Operation, what: str):
        super().__init__()
        self.inner = inner
        self.what = what

    def start(self, waiter: Waiter) -> None:
        """Start the operation."""
        self._require_fresh()
        self.eid = -1
        self.waiter = waiter
        self.world = waiter.world
        self.ledger = waiter.ledger
        self._begin_s = waiter.world._now
        self.inner.start(self)

    def wake(self, operation: Any) -> None:
        """Note the spans and resume the waiter."""
        self._note()
        self.value = operation.value
        self.waiter.wake(self)

    def fail(self, operation: Any, error: Exception) -> None:
        """Note what there was and raise the error in the waiter."""
        self._note()
        self.waiter.fail(self, error)

    def abandon(self) -> None:
        """Note what is known and abandon the operation."""
        self._note()
        self.inner.abandon()

    def _note(self) -> None:
        account, inner = self.ledger, self.inner
        if not isinstance(account, TracedAccount):
            return
        begin_s, now = self._begin_s, self.world._now
        if isinstance(inner, Use):
            where = _names(inner.server.name)
            service_s = min(now, begin_s + getattr(inner, "wait_s", 0.0))
            account.log.add(account, "wait", self.what, where, begin_s, service_s)
            account.log.add(account, "service", self.what, where, service_s, now)
        elif isinstance(inner, Train):
            where = _names(inner.engine.name)
            account.log.add(account, "service", self.what, where, begin_s, now)


@functools.cache
def _noting(cls: Any) -> Any:
    """Give the class of messages that tells each link it takes to the log of its account."""

    class Noting(cls):  # type: ignore[misc]
        __slots__ = ()

        def start(self, waiter: Any) -> None:
            account = waiter.ledger
            if not isinstance(account, TracedAccount) or not self.hops:
                super().start(waiter)
                return
            if waiter is not self and not self.eid:
                self._at = 0  # type: ignore[misc]
            log, at = account.log, self._at
            log.stands(self, self.hops[at].channel.world._now)
            super().start(waiter)
            if self._at > at and self.hops[at].line is None:
                log.sent(self, self.t)

        wake = start

        def _push(self, world: Any, t: float) -> None:
            super()._push(world, t)
            if not self._at or not isinstance(self.ledger, TracedAccount):
                return
            self.ledger.log.sent(self, t)
            if self.hops[self._at - 1].line is not None and self.attempt:
                self.ledger.log.before[self, self._at - 1] = t  # lost: from then on once more

        def put_off(self, delay_s: float, factor: float) -> None:
            if isinstance(self.ledger, TracedAccount):
                self.ledger.log.forget(self)
            super().put_off(delay_s, factor)

        def _take_back(self) -> None:
            account = self.ledger
            # one that waits until the link is up or its radio connected is not on its way yet
            is_on_it = self.waiter is not AGAIN and self._end_s > 0.0  # type: ignore[has-type]
            if not isinstance(account, TracedAccount) or not is_on_it:
                super()._take_back()
                return
            log, now = account.log, self.hops[0].channel.world._now
            is_parked, served_s = self.eid == PARKED, self.service_s
            if not is_parked:
                log.forget(self)
            super()._take_back()
            if is_parked:  # its airtime on a shared medium is known only now
                self._end_s, self._seconds = now, self.service_s - served_s  # type: ignore[misc]
            log.sent(self, now)

        def stand_back(self, until_s: float) -> None:
            super().stand_back(until_s)
            if isinstance(self.ledger, TracedAccount):
                self.ledger.log.before[self, self._at] = self.hops[0].channel.world._now

        def arrive_later(self, until_s: float) -> None:
            if isinstance(self.ledger, TracedAccount):
                self.ledger.log.forget(self)
            super().arrive_later(until_s)

    Noting.__name__ = Noting.__qualname__ = cls.__name__
    return Noting


def link_of(hop: Hop) -> tuple[str, str]:
    """Give the names of the link and the direction of a hop."""
    place, _, direction = hop.channel.name.rpartition(" ")
    return place, direction


def _names(server: str) -> tuple[str, str]:
    place, _, engine = server.partition("/")
    return place, engine
