"""Several branches at once: wait for all of them, or for the first.

A branch is an operation, a SimPy event or a generator; a generator runs as a flow of its own that
charges the ledger of the flow that yielded the join. Joins may be branches of joins.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from ecsim.core.errors import FlowError, StrategyError
from ecsim.kernel.flow import START, Flow, as_operation, not_an_operation
from ecsim.kernel.ledger import Ledger
from ecsim.kernel.operations import Operation, Waiter
from ecsim.kernel.timers import After

if TYPE_CHECKING:
    from ecsim.kernel.world import World


class Join(Operation):
    """Base of `All` and `First`: starts branches, and is what they resume.

    Raises `StrategyError` at construction when a branch is neither operation nor generator.
    """

    __slots__ = ("_is_over", "_is_starting", "branches", "ledger", "world")

    world: World
    ledger: Ledger | None

    def __init__(self, *branches: Any) -> None:
        self.eid = 0
        self.value = None
        self.branches: list[Any] = [*branches]
        for index, branch in enumerate(branches):
            if isinstance(branch, Operation):
                continue
            if not isinstance(branch, Generator):
                operation = as_operation(branch)
                if operation is None:
                    raise StrategyError(
                        f"branch of {type(self).__name__}: {not_an_operation(branch)}"
                    )
                self.branches[index] = operation
        self._is_over = False

    def start(self, waiter: Waiter) -> None:
        """Start all branches in order, at the present time."""
        if self.eid:
            self._require_fresh()
        self.waiter = waiter
        self.world = waiter.world
        self.ledger = waiter.ledger
        self.eid = -1
        self._is_starting = True
        for index, branch in enumerate(self.branches):
            if self._is_over:
                break
            if isinstance(branch, Operation):
                branch.index = index
                try:
                    if branch.__class__ is After:
                        branch.start_in_line(self)
                    else:
                        branch.start(self)
                except FlowError as error:  # refused at the door: the others have begun
                    self._is_starting = False
                    self.fail(branch, error)
                    return
            else:
                flow = Flow.branch(self.world, branch, self.ledger, self, index)
                self.branches[index] = flow
                flow.wake(START)
        self._is_starting = False

    def wake(self, operation: Any) -> None:
        """Take the result of a branch that is over."""
        raise NotImplementedError

    def fail(self, operation: Any, error: Exception) -> None:
        """Abandon the other branches and raise the branch's error in the flow that waits."""
        if self._is_over:
            raise error
        self._is_over = True
        self.branches[operation.index] = None
        self._abandon_rest()
        self.waiter.fail(self, error)

    def abandon(self) -> None:
        """Abandon every branch that is not over."""
        self.eid = 0
        self._is_over = True
        self._abandon_rest()

    def _abandon_rest(self) -> None:
        for index, branch in enumerate(self.branches):
            self.branches[index] = None
            if isinstance(branch, Operation):
                if branch.eid:
                    branch.abandon()
            elif isinstance(branch, Flow):
                branch.abandon()
            elif branch is not None:
                branch.close()

    def _complete(self) -> None:
        self._is_over = True
        if self._is_starting:
            # the waiter is still inside its own yield: resume it from the heap
            self._push(self.world, self.world._now)
        else:
            self.waiter.wake(self)


class All(Join):
    """Wait for every branch; gives the list of their values, in the order of the branches.

    An error in one branch abandons the others and is raised at the ``yield``.
    """

    __slots__ = ("_n_left",)

    def start(self, waiter: Waiter) -> None:
        """Start all branches."""
        self._n_left = len(self.branches)
        self.value = [None] * self._n_left
        super().start(waiter)
        if not self.branches:
            self._is_starting = True
            self._complete()

    def wake(self, operation: Any) -> None:
        """Note one value; after the last, resume."""
        index = operation.index
        self.value[index] = operation.value
        self.branches[index] = None
        self._n_left -= 1
        if not self._n_left:
            self._complete()


class First(Join):
    """Wait for the first branch; gives (its index, its value).

    The losers are abandoned: generators are closed, timers dropped, waits withdrawn; work that the
    loser's present operation has reserved still runs and is charged as wasted. Of branches that
    end at the same time, the one whose entry was made first wins.
    """

    __slots__ = ()

    def __init__(self, *branches: Any) -> None:
        if not branches:
            raise StrategyError("First needs at least one branch")
        super().__init__(*branches)

    def wake(self, operation: Any) -> None:
        """Take the winner and abandon the others."""
        index = operation.index
        self.value = (index, operation.value)
        self.branches[index] = None
        self._is_over = True
        self._abandon_rest()
        self._complete()
