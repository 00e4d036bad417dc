"""The exceptions of ecsim, in one tree.

::

    EcsimError                      exit 70 (an internal error, unless a subclass says otherwise)
    ├── UserError                   exit 2: the user can mend it; shown without a traceback
    │   ├── ScenarioError           a list of problems, each with file, line, column and path
    │   ├── DataError               a data set, weight file or prediction file that does not fit
    │   └── StoreError              a run or cache entry that is missing or not whole
    ├── FalseAssertionError         exit 3: an `assert:` entry of the scenario is false
    ├── ConservationError           exit 70: the run's own books do not balance
    └── StrategyError               exit 70: a strategy broke the contract of its operations
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
