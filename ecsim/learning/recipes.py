"""The versions of a run and how each comes about: cloud, set-up, update.

Each function makes a version known to the store and gives its reference; nothing is trained
until someone asks the store for the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecsim.core.randomness import derive_seed
from ecsim.core.types import Batch, IntArray, ModelRef, Plan, Samples
from ecsim.data.dataset import Dataset
from ecsim.learning.cloud import CloudTraining
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture, content_key
from ecsim.learning.setup import JointDistillation
from ecsim.learning.update import Learner
from ecsim.learning.versions import Recipe, VersionStore
from ecsim.learning.weights import file_digest, load_weights

if TYPE_CHECKING:
    from ecsim.models.incremental import IncrementalNet


def cloud_version(
    store: VersionStore,
    architecture: Architecture,
    training: CloudTraining,
    data: Dataset,
    samples: IntArray,
    train_seed: int,
    compute: Compute,
    classes: tuple[int, ...] | None = None,
    version: int = 0,
) -> ModelRef:
    """Add the cloud's network: some classes, by default all, trained on those of `samples`.

    All in one head. A version that knows more than another is trained anew and not from it.
    """
    classes = tuple(range(data.n_classes)) if classes is None else classes
    ids = np.asarray(samples, dtype=np.int64)
    ids = ids[np.isin(data.labels[ids], classes)]
    key = content_key(
        compute, "cloud", type(training), training.params, architecture, architecture.backbone,
        data.fingerprint, ids, classes, train_seed, *_augmentation(training, data).values(),
    )  # fmt: skip
    seed = derive_seed(train_seed, "cloud")

    def train() -> tuple[IncrementalNet, dict[str, float]]:
        net = architecture.build((classes,), seed)
        extra = _augmentation(training, data)
        return net, training.fit(net, data.images[ids], data.labels[ids], seed, compute, **extra)

    what = f"cloud training {version}" if version else "cloud training"
    recipe = Recipe(what, architecture, train, len(ids), _epochs(training))
    store.add(ref := replace(_first("cloud", key, architecture, classes), version=version), recipe)
    return ref


def setup_version(
    store: VersionStore,
    architecture: Architecture,
    setup: JointDistillation,
    teacher: ModelRef,
    data: Dataset,
    samples: IntArray,
    classes: tuple[int, ...],
    train_seed: int,
    compute: Compute,
) -> ModelRef:
    """Add the edge's first version: `classes` in one head, trained on those of `samples`."""
    ids = np.asarray(samples, dtype=np.int64)
    ids = ids[np.isin(data.labels[ids], classes)]
    key = content_key(
        compute, "set-up", type(setup), setup.params, architecture, architecture.backbone,
        teacher.key, data.fingerprint, ids, classes, train_seed,
        *_augmentation(setup, data).values(),
    )  # fmt: skip
    seed = derive_seed(train_seed, "set-up")

    def train() -> tuple[IncrementalNet, dict[str, float]]:
        net = architecture.build((classes,), seed)
        metrics = setup.fit(
            net, store.net(teacher), data.images[ids], data.labels[ids], seed, compute,
            **_augmentation(setup, data),
        )  # fmt: skip
        return net, metrics

    recipe = Recipe("set-up of the edge", architecture, train, len(ids), _epochs(setup))
    store.add(ref := _first("edge", key, architecture, classes), recipe)
    return ref


def weights_version(
    store: VersionStore,
    role: str,
    architecture: Architecture,
    path: Path,
    classes: Sequence[int],
    compute: Compute,
) -> ModelRef:
    """Add a first version with a user's own weights; the file is read, and checked, at once."""
    from ecsim.models.work import param_bytes

    net = load_weights(path, architecture, classes)
    digest = file_digest(path)
    key = content_key(
        compute, "weights", architecture, architecture.backbone, digest, net.head_classes
    )
    ref = ModelRef(role, 0, key, net.classes, param_bytes(net))
    store.add(ref, Recipe(f"weights of {path.name}", architecture, lambda: (net, {})))
    return ref


def update_version(
    store: VersionStore,
    architecture: Architecture,
    learner: Learner,
    parent: ModelRef,
    plan: Plan,
    batch: Batch,
    images: Samples,
    what: str,
) -> ModelRef:
    """Add the version that a planned update gives; `images` is indexed by sample id."""

    def train() -> tuple[IncrementalNet, dict[str, float]]:
        return learner.fit(store.net(parent), plan, batch, images)

    store.add(plan.child, Recipe(what, architecture, train))
    return plan.child


def _epochs(training: Any) -> int:
    """Give the length of a training, 0 for a plugin that does not say it this way."""
    epochs = getattr(training.params, "epochs", 0)
    return epochs if isinstance(epochs, int) else 0


def _augmentation(training: Any, data: Dataset) -> dict[str, Any]:
    """Give what a training that augments is told of it; nothing to one that does not."""
    augments = getattr(training.params, "augment", False)
    return {"augmentation": data.augmentation} if augments else {}


def _first(role: str, key: str, architecture: Architecture, classes: tuple[int, ...]) -> ModelRef:
    from ecsim.models.work import param_bytes

    return ModelRef(role, 0, key, classes, param_bytes(architecture.build((classes,))))
