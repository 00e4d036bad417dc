"""Weights that a user trained elsewhere, as a first version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecsim.core.errors import DataError
from ecsim.learning.keys import Architecture

if TYPE_CHECKING:
    from ecsim.models.incremental import IncrementalNet


def file_digest(path: Path) -> str:
    """Give the sha256 of a weight file in hexadecimal; raise `DataError` if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: weights cannot be read: {error}") from error


def load_weights(path: Path, architecture: Architecture, classes: Sequence[int]) -> IncrementalNet:
    """Give a network with the weights of a file, in eval mode; only tensors are read from it.

    The file holds what ``torch.save`` wrote: the `state_dict` of an `IncrementalNet` with one
    head, or a dict with keys `state_dict` and `head_classes` (an entry of the cache is one).

    Parameters
    ----------
    classes : global class ids of its columns, where the file does not say them.

    Raises
    ------
    DataError : when the file is unreadable, or does not fit the architecture.
    """
    import torch

    try:
        stored: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds; each means: not a weight file
        raise DataError(f"{path}: not a file of plain weights: {error}") from error
    heads: Sequence[Sequence[int]] = [tuple(classes)]
    try:
        if isinstance(stored, dict) and "state_dict" in stored:
            heads = [[int(label) for label in head] for head in stored.get("head_classes", heads)]
            stored = stored["state_dict"]
        net = architecture.build(heads)
        net.load_state_dict(stored)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: does not fit {architecture.name}: {error}") from error
    return net.eval()
