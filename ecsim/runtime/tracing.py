"""Tracing of the first tasks of an arm, and of its updates."""

from __future__ import annotations

from ecsim.collab.context import Context
from ecsim.collab.spans import SpanLog, TracedAccount, TracingContext
from ecsim.core.types import Task
from ecsim.kernel import Ledger
from ecsim.records.recorder import Recorder


class Tracing:
    """The accounts and the context of traced tasks, and their spans.

    Attributes
    ----------
    n_tasks : tasks with a number below it are traced.
    context : what traced tasks and background flows are given instead of the arm's own.
    """

    def __init__(self, n_tasks: int, context: Context):
        self.n_tasks = n_tasks
        self.context = TracingContext(context)
        self._log = SpanLog()

    def account(self, task: Task | None = None) -> TracedAccount:
        """Give the account of a task, or of a background flow."""
        return TracedAccount(self._log, task)

    def end(self, account: Ledger, status: str, now: float) -> None:
        """Note the task itself, from its arrival to now."""
        if isinstance(account, TracedAccount) and account.task is not None:
            where = account.task.device, ""
            self._log.add(account, "task", status, where, account.task.t_arrive_s, now)

    def write(self, recorder: Recorder, label: str) -> None:
        """Hand all spans to the recorder."""
        columns = self._log.rows()
        recorder.add_columns("spans", columns | {"strategy": [label] * len(columns["kind"])})
