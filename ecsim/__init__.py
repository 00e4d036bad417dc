"""ecsim: discrete-event simulation of edge-cloud AI with real models in one clock.

`run` simulates a scenario, `load` opens a finished result, `compare` tells differences, `plot` and
`table` show them. Heavy packages are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecsim.api import plot, run, search, sweep, table
    from ecsim.core.registry import register
    from ecsim.experiment.claims import claims
    from ecsim.experiment.compare import compare
    from ecsim.models import list_models
    from ecsim.records.opening import open_result as load

__version__ = "0.1.0"
__all__ = [
    "__version__", "claims", "compare", "list_models", "load", "plot", "register", "run", "search",
    "sweep", "table",
]  # fmt: skip

_LAZY = {
    "claims": ("ecsim.experiment.claims", "claims"),
    "compare": ("ecsim.experiment.compare", "compare"),
    "load": ("ecsim.records.opening", "open_result"),
    "list_models": ("ecsim.models", "list_models"),
    "plot": ("ecsim.api", "plot"),
    "register": ("ecsim.core.registry", "register"),
    "run": ("ecsim.api", "run"),
    "search": ("ecsim.api", "search"),
    "sweep": ("ecsim.api", "sweep"),
    "table": ("ecsim.api", "table"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'ecsim' has no attribute {name!r}")
    import importlib

    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
