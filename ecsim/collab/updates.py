"""Updates: how the scenario wants them, and the log of what was deployed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ecsim.collab.drift import DriftTest
from ecsim.core.types import Batch, ModelRef, Plan
from ecsim.kernel import Mode

if TYPE_CHECKING:
    from ecsim.learning.update import Learner

Condition = Literal["end_of_phase", "buffer_full", "charging", "periodic", "drift_detected"]


@dataclass(frozen=True, slots=True)
class UpdatePolicy:
    """The scenario's ``learning.update``.

    Attributes
    ----------
    when : condition that starts an update on a device.
    mode : how inference goes on meanwhile.
    capacity : samples that a buffer keeps.
    learner : the update method.
    add : tells the version store how a planned version comes about:
        ``add(learner, parent, plan, batch, device)``.
    only_while_charging : whether an update waits until the device's battery is being charged.
    in_cloud : whether the training runs in the cloud, on samples that the device uploads.
    sample_bytes : size of one of these.
    every_s : time between two updates, for the condition ``periodic``.
    drift_test : gives a device's test, for the condition ``drift_detected``.
    truth : true class of every sample, for ``labels: oracle``; None: the cloud's answers.
    """

    when: Condition
    mode: Mode
    capacity: int
    learner: Learner
    add: Callable[[Any, ModelRef, Plan, Batch, str], None]
    only_while_charging: bool = False
    in_cloud: bool = False
    sample_bytes: float = 0.0
    every_s: float | None = None
    drift_test: Callable[[], DriftTest] | None = None
    truth: npt.NDArray[np.int64] | None = None

    def labelled(self, batch: Batch | None) -> Batch | None:
        """Give the batch with the labels that are to be learned."""
        if batch is None or self.truth is None:
            return batch
        return replace(batch, labels=self.truth[batch.sample_ids])


@dataclass(frozen=True, slots=True)
class Deployment:
    """A version that began to serve on a device.

    `parent_key`, `n_samples`, `new_classes`, `seconds`, `joules`, `macs`, `memory_bytes` tell of
    its training, on the node `at`; `sent_bytes` of the messages that it took. They are those of the
    original where the deployment was replayed.
    """

    device: str
    model: ModelRef
    t_start_s: float
    t_deploy_s: float = float("nan")
    parent_key: str = ""
    n_samples: int = 0
    new_classes: tuple[int, ...] = ()
    seconds: float = 0.0
    joules: float = 0.0
    macs: float = 0.0
    memory_bytes: float = 0.0
    at: str = ""
    sent_bytes: float = 0.0
