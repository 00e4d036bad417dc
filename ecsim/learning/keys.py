"""Content keys: one hash over everything that determines a version's weights, code included."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import ecsim.learning
import ecsim.models
from ecsim.core import registry
from ecsim.learning.compute import Compute

if TYPE_CHECKING:
    from ecsim.models.incremental import IncrementalNet


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network without weights: a registered name, its params, the shape of one sample."""

    name: str
    params: Any
    in_shape: tuple[int, ...]

    @property
    def backbone(self) -> type[Any]:
        """The class behind the name."""
        return registry.resolve("model", self.name)

    def build(self, head_classes: Sequence[Sequence[int]], seed: int = 0) -> IncrementalNet:
        """Give a network with fresh weights that `seed` alone determines."""
        return ecsim.models.create(self.name, self.params, self.in_shape, head_classes, seed)


def content_key(compute: Compute, *parts: Any) -> str:
    """Give a sha256 in hexadecimal over the parts in order, the execution and the code.

    A part is an array; a class, which counts by its name and its module's source, so that an
    edited plugin is trained anew; or a value whose `repr` says all (text, numbers, tuples and
    frozen dataclasses of such). Each part is hashed by itself, so that none runs into the next.
    """
    digest = hashlib.sha256(f"{compute.tag}/{_own_code()}".encode())
    for part in parts:
        digest.update(hashlib.sha256(_content(part)).digest())
    return digest.hexdigest()


def _content(part: Any) -> bytes:
    if isinstance(part, np.ndarray):
        plain = np.ascontiguousarray(part)
        return f"{plain.dtype.str} {plain.shape} ".encode() + plain.tobytes()
    if isinstance(part, type):
        return f"{part.__qualname__} {_source(part)}".encode()
    return repr(part).encode()


def _source(cls: type[Any]) -> str:
    try:
        return Path(inspect.getfile(cls)).read_text(encoding="utf-8")
    except (OSError, TypeError):  # defined interactively: its name is all there is
        return ""


@cache
def _own_code() -> str:
    """Hash the source of the packages that trainings run through."""
    digest = hashlib.sha256()
    for package in (ecsim.models, ecsim.learning):
        for folder in package.__path__:
            for path in sorted(Path(folder).rglob("*.py")):
                digest.update(path.read_bytes())
    return digest.hexdigest()
