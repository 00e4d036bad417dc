"""Versions of models: who has which weights, trained when they are first looked at."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ecsim.core.errors import EcsimError
from ecsim.core.types import ExitPoint, FloatArray, ModelRef
from ecsim.learning.cache import Artefact, ArtefactCache
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture, content_key
from ecsim.models.counted import Counted, CountedExits

if TYPE_CHECKING:
    from ecsim.models.incremental import IncrementalNet

Progress = Callable[[str, float | None], None]

R = TypeVar("R", Counted, CountedExits)


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """How a version comes about.

    Attributes
    ----------
    what : what it is, for a progress line: "update 2 of cam[1]".
    architecture : of the network.
    train : gives the trained network and the metrics of its training.
    n_samples, epochs : how much is trained, for estimates; 0 where nothing is, or it is not known.
    """

    what: str
    architecture: Architecture
    train: Callable[[], tuple[IncrementalNet, dict[str, float]]]
    n_samples: int = 0
    epochs: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """One version that was needed: what, its key, wall seconds, whether the cache had it."""

    what: str
    key: str
    seconds: float
    is_cached: bool
    metrics: dict[str, float]


class VersionStore:
    """Weights by content key; a training runs when its result is first read.

    Parameters
    ----------
    cache : where trained artefacts live between runs; None keeps them in memory only.
    progress : called as (what, None) when a training starts and (what, seconds) when it ends;
        what came from the cache is not reported.

    """

    def __init__(self, cache: ArtefactCache | None = None, progress: Progress | None = None):
        self._cache = cache
        self._progress = progress or (lambda what, seconds: None)
        self._recipes: dict[str, Recipe] = {}
        self._nets: dict[str, IncrementalNet] = {}
        self._made: dict[str, Made] = {}
        self._exits: dict[str, tuple[ExitPoint, ...]] = {}

    @property
    def made(self) -> list[Made]:
        """What was needed so far, in the order in which it was finished."""
        return list(self._made.values())

    @property
    def known(self) -> dict[str, Recipe]:
        """How each version that was added comes about, by its key."""
        return dict(self._recipes)

    def add(self, ref: ModelRef, recipe: Recipe) -> None:
        """Make a version known; nothing is trained. The first recipe of a key stays."""
        self._recipes.setdefault(ref.key, recipe)

    def __contains__(self, ref: ModelRef) -> bool:
        return ref.key in self._recipes

    def net(self, ref: ModelRef) -> IncrementalNet:
        """Give the network of a version, in eval mode on the CPU; the same object each time.

        Do not train it: copy it. Raises `KeyError` for a version that was not added.
        """
        if ref.key not in self._nets:
            self._nets[ref.key] = self._make(ref)
        return self._nets[ref.key]

    def predict(self, ref: ModelRef, images: FloatArray, compute: Compute) -> Counted:
        """Give what a version answers for images (N, C, H, W) and what that costs.

        The cache keeps it too: the network is needed, and trained, only when it has none.
        """

        def run() -> Counted:
            from ecsim.models.work import predict

            return predict(self.net(ref), images)

        return self._kept("predictions", Counted, ref, images, compute, run)

    def predict_exits(self, ref: ModelRef, images: FloatArray, compute: Compute) -> CountedExits:
        """Give the same of each exit of a version that has some."""

        def run() -> CountedExits:
            from ecsim.models.exit_work import predict_exits
            from ecsim.models.multi_exit import MultiExitNet

            return predict_exits(cast(MultiExitNet, self.net(ref)), images)

        return self._kept("exits", CountedExits, ref, images, compute, run)

    def exits(self, ref: ModelRef) -> tuple[ExitPoint, ...]:
        """Give the exits of a version; one that has no early ones has a single one, its end.

        Nothing is trained for it.
        """
        found = self._exits.get(ref.key)
        if found is None:
            architecture = self._recipes[ref.key].architecture
            if hasattr(architecture.backbone, "exit_features"):
                from ecsim.models.exit_work import exit_points
                from ecsim.models.multi_exit import MultiExitNet

                found = exit_points(cast(MultiExitNet, architecture.build((ref.classes,))))
            else:
                found = (ExitPoint("output", None, float(ref.param_bytes), 0.0),)
            self._exits[ref.key] = found
        return found

    def _kept(
        self,
        what: str,
        kind: type[R],
        ref: ModelRef,
        images: FloatArray,
        compute: Compute,
        run: Callable[[], R],
    ) -> R:
        """Read what was computed once from the cache, or compute and keep it."""
        names = {field.name for field in fields(kind)}
        key = content_key(compute, what, ref.key, images) if self._cache is not None else ""
        arrays: dict[str, Any] | None = None
        if self._cache is not None:
            arrays = self._cache.arrays(key)
        if arrays is not None and set(arrays) == names and self._is_made(ref):
            return kind(**arrays)
        with compute.active():
            made = run()
        if self._cache is not None:
            self._cache.keep_arrays(key, {name: getattr(made, name) for name in names})
        return made

    def _is_made(self, ref: ModelRef) -> bool:
        """Note a version as needed without reading its network, if enough is known of it."""
        if ref.key in self._made:
            return True
        about = self._cache.about(ref.key) if self._cache is not None else None
        if about is None:
            return False
        what = self._recipes[ref.key].what
        self._made[ref.key] = Made(what, ref.key, 0.0, True, about["metrics"])
        return True

    def _make(self, ref: ModelRef) -> IncrementalNet:
        recipe = self._recipes[ref.key]
        start = time.perf_counter()

        def train() -> Artefact:
            self._progress(recipe.what, None)
            net, metrics = recipe.train()
            self._progress(recipe.what, time.perf_counter() - start)
            return Artefact.of(net, metrics, recipe.what)

        def rebuilt(artefact: Artefact) -> IncrementalNet:
            net = recipe.architecture.build(artefact.head_classes)
            net.load_state_dict(artefact.state)
            net.memory = dict(artefact.memory)
            if net.classes != ref.classes:
                raise EcsimError(f"{recipe.what} knows {net.classes}, not {ref.classes}")
            return net.eval()

        if self._cache is None:
            artefact, is_cached = train(), False
        else:
            artefact, is_cached = self._cache.get_or_make(ref.key, train, rebuilt)
        net = rebuilt(artefact)
        seconds = time.perf_counter() - start
        made = Made(recipe.what, ref.key, seconds, is_cached, artefact.metrics)
        self._made.setdefault(ref.key, made)
        return net
