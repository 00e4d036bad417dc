"""What each layer of a split network took, from the marks that strategies keep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ecsim.core.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from ecsim.records.store import Run

PREFIX = "layer "
_LEAST = 1e-3  # of the longest layer's time; what takes less is left out


def layer_times(run: Run, strategy: str) -> pd.DataFrame:
    """Give the layers of a strategy in their order: layer, layer_kind, and mean seconds.

    Layers that take hardly any time, such as normalisations, are left out. Empty without such
    marks.
    """
    marks = run.marks
    names = marks["name"].astype(str)
    mine = marks[(marks["strategy"] == strategy).to_numpy() & names.str.startswith(PREFIX)]
    means = mine.groupby(mine["name"].astype(str), sort=True)["value"].mean()
    means = means[means > _LEAST * means.max()]
    words = [name.removeprefix(PREFIX).split(" ", 2) for name in means.index]
    import pandas as pd

    return pd.DataFrame(
        {
            "layer": [word[2] for word in words],
            "layer_kind": [word[1] for word in words],
            "seconds": means.to_numpy(),
        }
    )


def by_network(runs: Iterable[tuple[str, pd.DataFrame]]) -> list[list[tuple[str, pd.DataFrame]]]:
    """Group labelled layers by network: those with the same layers stand together.

    Raises `UserError` where none has any.
    """
    groups: dict[tuple[str, ...], list[tuple[str, pd.DataFrame]]] = {}
    for label, layers in runs:
        if len(layers):
            groups.setdefault(tuple(layers["layer"]), []).append((label, layers))
    if not groups:
        raise UserError("expected strategies that keep their layers' times (`layer_times: true`)")
    return list(groups.values())
