"""The exceptions of ecsim, in one tree.

::

    EcsimError                      exit 70 (an internal error, unless a subclass says otherwise)
    ├── UserError                   exit 2: the user can mend it; shown without a traceback
    │   ├── ScenarioError           a list of problems, each with file, line, column and path
    │   ├── DataError               a data set, weight file or prediction file that does not fit
    │   └── StoreError              a run or cache entry that is missing or not whole
    ├── FalseAssertionError         exit 3: an `assert:` entry of the scenario is false
    ├── ConservationError           exit 70: the run's own books do not balance
    ├── StrategyError               exit 70: a strategy broke the contract of its operations
    └── FlowError                   thrown into a strategy, which may catch it
        ├── Lost                    a message was given up on its way
        ├── Down                    a node or a link is out, or a battery is empty
        ├── TimedOut                the strategy's own patience ended
        └── Refused                 a finite buffer is full, or a model does not fit into memory
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class EcsimError(Exception):
    """Base of all errors raised on purpose by ecsim."""

    exit_code = 70


class UserError(EcsimError):
    """Something in the user's input is wrong; the message says what was expected."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a scenario: where it stands and what was expected.

    `line` and `column` count from 1; they are None for a value given by ``--set``.
    """

    message: str
    path: str = ""
    file: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = self.file
        if self.line is not None:
            where += f":{self.line}:{self.column}"
        return ": ".join(part for part in (where, self.path, self.message) if part)


class ScenarioError(UserError):
    """All problems of a scenario at once, one line each."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[ScenarioError], tuple[tuple[Problem, ...]]]:
        """Come whole out of another process, not rebuilt from the text."""
        return type(self), (self.problems,)


class DataError(UserError):
    """A data set, weight file or prediction file is missing or does not fit."""


class StoreError(UserError):
    """A run or a cache entry is missing or not whole."""


class FalseAssertionError(EcsimError):
    """At least one `assert:` entry of the scenario is false."""

    exit_code = 3


class ConservationError(EcsimError):
    """Tasks, time or energy do not add up at the end of a run."""


class StrategyError(EcsimError):
    """A strategy yielded something that is not an operation, or deployed what it does not hold."""


class FlowError(EcsimError):
    """Something failed in the simulated world; raised at the ``yield`` of the operation it failed.

    A strategy may catch it. A task whose strategy does not ends without an answer: its row has
    the status `status`, or ``died`` where its own device was down.
    """

    status = "dropped"


class Lost(FlowError):  # noqa: N818 (the word of the field)
    """A message was given up after its last attempt."""


class Down(FlowError):  # noqa: N818 (the word of the field)
    """A node or a link went out, or was out, while it was needed.

    Parameters
    ----------
    what : what is down, for the message.
    node : name of the node that is down; empty for a link.
    """

    def __init__(self, what: str, node: str = ""):
        super().__init__(f"{what} is down")
        self.node = node


class TimedOut(FlowError):  # noqa: N818 (the word of the field)
    """An answer did not come within the time that the strategy gave it."""


class Refused(FlowError):  # noqa: N818 (the word of the field)
    """A server's finite buffer was full, or a model did not fit into a node's memory."""
