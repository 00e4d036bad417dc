"""From global class ids to columns of logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ecsim.core.types import IntArray


def columns_of(known: Sequence[int], wanted: Sequence[int] | IntArray) -> npt.NDArray[np.int64]:
    """Give, for each wanted class id, its column in a model that knows `known`.

    Raises
    ------
    ValueError : naming the classes that are not known.

    >>> columns_of((6, 1, 5), [5, 6]).tolist()
    [2, 0]
    """
    column = {label: position for position, label in enumerate(known)}
    missing = sorted({int(label) for label in wanted} - set(column))
    if missing:
        raise ValueError(f"classes {missing} are not among the known {sorted(column)}")
    return np.array([column[int(label)] for label in wanted], dtype=np.int64)
