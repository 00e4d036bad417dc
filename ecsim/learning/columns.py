"""From global class ids to columns of logits, and between models that know different classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ecsim.core.types import FloatArray, IntArray

UNKNOWN = -1e4
"""Logit of a class that a model does not know: no share of any softmax, and finite."""


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


def arranged(
    logits: FloatArray, known: Sequence[int], wanted: Sequence[int]
) -> npt.NDArray[np.float32]:
    """Give logits (N, len(known)) as columns of the wanted classes, `UNKNOWN` where there is none.

    >>> arranged(np.array([[1.0, 2.0]]), (6, 1), (1, 5, 6)).tolist()
    [[2.0, -10000.0, 1.0]]
    """
    found = np.full((len(logits), len(wanted)), UNKNOWN, dtype=np.float32)
    column = {label: position for position, label in enumerate(known)}
    shared = [position for position, label in enumerate(wanted) if label in column]
    found[:, shared] = logits[:, [column[wanted[position]] for position in shared]]
    return found
