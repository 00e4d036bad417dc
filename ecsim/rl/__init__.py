"""Learning when to offload: the decision as a Gymnasium environment (extra `rl`).

Above `runtime`; nothing imports it. `OffloadingEnv` is the environment, `Worlds` the same without
Gymnasium, for evaluation and for search over whole episodes. Start at `worlds`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecsim.rl.env import OffloadingEnv
    from ecsim.rl.worlds import Result, Worlds

__all__ = ["OffloadingEnv", "Result", "Worlds"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ecsim.rl' has no attribute {name!r}")
    import importlib

    from ecsim.core.errors import UserError

    try:
        module = importlib.import_module(
            f"ecsim.rl.{'env' if name == 'OffloadingEnv' else 'worlds'}"
        )
    except ModuleNotFoundError as error:
        if error.name != "gymnasium":
            raise
        raise UserError("ecsim.rl needs Gymnasium: pip install 'ecsim[rl]'") from error
    return getattr(module, name)
