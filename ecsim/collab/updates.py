"""Updates: how the scenario wants them, and the log of what was deployed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ecsim.core.types import Batch, ModelRef, Plan
from ecsim.kernel import Mode

if TYPE_CHECKING:
    from ecsim.learning.update import Learner

Condition = Literal["end_of_phase", "buffer_full", "charging"]


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
    """

    when: Condition
    mode: Mode
    capacity: int
    learner: Learner
    add: Callable[[Any, ModelRef, Plan, Batch, str], None]
    only_while_charging: bool = False


@dataclass(frozen=True, slots=True)
class Deployment:
    """A version that began to serve on a device.

    `parent_key`, `n_samples`, `new_classes`, `seconds`, `joules`, `macs` tell of its training;
    they are those of the original where the deployment was replayed.
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
