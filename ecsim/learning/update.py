"""Incremental updates of the edge network from what the cloud has answered: the common part.

A method is a subclass of `UpdateMethod` in `ecsim.learning.updates`; they differ in what keeps the
old knowledge, and in nothing else, so that a comparison of two compares that.
"""

from __future__ import annotations

import copy
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Protocol, TypeAlias, cast

import numpy as np
from annotated_types import Ge, Gt

from ecsim.core.randomness import derive_seed
from ecsim.core.types import Batch, IntArray, Labelled, ModelRef, Plan, Samples, Work
from ecsim.data.dataset import Augmentation
from ecsim.learning.augmentation import variation
from ecsim.learning.columns import arranged, columns_of
from ecsim.learning.compute import Compute
from ecsim.learning.effort import Effort
from ecsim.learning.keys import Architecture, content_key

if TYPE_CHECKING:
    from torch import Tensor

    from ecsim.models.incremental import IncrementalNet

    Term: TypeAlias = Callable[[Tensor, Tensor], Tensor]


class Learner(Protocol):
    """An update method: `plan` decides and costs nothing, `fit` trains and knows no clock."""

    def plan(self, parent: ModelRef, batch: Batch) -> Plan | None:
        """Give what an update would make of the parent, or None when there is nothing to learn."""

    def fit(
        self, net: IncrementalNet, plan: Plan, batch: Batch, images: Samples
    ) -> tuple[IncrementalNet, dict[str, float]]:
        """Train what was planned on a copy of `net`; `images` is indexed by sample id."""


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where devices start from, for a method that needs to know.

    Attributes
    ----------
    model : the first version.
    samples : what it was trained on, with true labels; none for a user's own weights.
    sample_bytes : size of one sample as it is stored.
    augmentation : what the data set declares.
    """

    model: ModelRef
    samples: Labelled
    sample_bytes: float
    augmentation: Augmentation = field(default_factory=Augmentation)


class UpdateMethod:
    """Base of the built-in methods: which samples and classes are learned, and the training.

    A class that the cloud answered for at least `min_support` samples becomes known: the update
    adds one head for all such classes. Samples of classes that remain unknown are left out. The
    loss of every method begins with L_new (ECC-SNN, Eq. 8 on the buffer): cross-entropy with the
    cloud's answers, and the cloud's softened logits. What a method adds, it says in the hooks
    below; their defaults add nothing and train all weights.

    Parameters
    ----------
    architecture : of the models it will update.
    train_seed : the `train` seed; each training's own seed follows from it and the samples.
    """

    @dataclass(frozen=True, kw_only=True)
    class Params(Effort):
        """Weights of the loss terms, length and step size.

        Attributes
        ----------
        logit_weight : lambda_1 of L_new, the weight of the cloud's softened logits.
        logit_temperature : T of these (chosen on validation; the paper gives none).
        min_support : distinct samples of a class before it is learned.
        """

        logit_weight: Annotated[float, Ge(0)] = 0.5
        logit_temperature: Annotated[float, Gt(0)] = 1.0
        min_support: Annotated[int, Ge(1)] = 5
        epochs: Annotated[int, Ge(1)] = 20
        batch_size: Annotated[int, Ge(2)] = 16
        lr: Annotated[float, Gt(0)] = 1e-3

    is_realisable: ClassVar[bool] = True
    """Whether a device could do it; not if it needs data that a device does not keep."""

    def __init__(
        self, params: Params, architecture: Architecture, train_seed: int, compute: Compute
    ):
        from ecsim.models.calls import operations_of
        from ecsim.models.work import activation_bytes, dense_macs, param_bytes

        self.params = params
        self._compute = compute
        self._architecture = architecture
        self._train_seed = train_seed
        self._earlier: dict[str, Labelled] = {}
        self._sample_bytes = 4.0 * prod(architecture.in_shape)
        self._augmentation = Augmentation()
        probe = architecture.build(((0,),))
        self._feature_dim = cast(int, probe.backbone.feature_dim)
        # a linear head costs one MAC per weight, so that heads can be added on paper
        self._operations = operations_of(probe, architecture.in_shape)
        self._backbone_macs = dense_macs(probe, architecture.in_shape) - self._feature_dim
        self._activation_bytes = activation_bytes(probe, architecture.in_shape)
        self._backbone_bytes = param_bytes(probe.backbone)

    # What differs between methods -----------------------------------------------------------

    def keeps(self, samples: Labelled, n_classes: int) -> Labelled:
        """Give those of the samples seen so far that stay at hand after an update; none."""
        return Labelled.none()

    def freeze(self, child: IncrementalNet, has_new_head: bool) -> None:
        """Switch off the gradient of what is not trained; the newest head is in `child`."""

    def logits_of(self, child: IncrementalNet, x: Tensor) -> Callable[[Tensor], Tensor]:
        """Give what maps indices of samples x to the logits that are trained."""
        return lambda i: child(x[i])

    def term(
        self, child: IncrementalNet, net: IncrementalNet, x: Tensor, images: Samples, seed: int
    ) -> Term | None:
        """Give what the loss has beside L_new: maps (indices, logits of these) to a scalar.

        `child` has yet the weights of `net`, and the new head. It may compute what it needs.
        """
        return None

    def finish(self, child: IncrementalNet, x: Tensor, seed: int) -> None:
        """Do what remains after the training, such as filling ``child.memory``."""

    def work_macs(self, n: int, n_old: int, n_all: int) -> float:
        """Give the MACs of a training on n samples with n_old classes before and n_all after.

        Each sample of each epoch costs a forward pass over all time-steps and about twice that
        for the backward pass through time.
        """
        return n * 3.0 * self.params.epochs * self._forward(n_all)

    def trained_bytes(self, n_old: int, n_all: int) -> float:
        """Give the bytes of the weights that are trained."""
        return self._backbone_bytes + self._head_bytes(n_all)

    def extra_bytes(self, n: int, n_old: int, n_all: int) -> float:
        """Give the memory that the method takes beside weights, activations and samples."""
        return 0.0

    def batch_bytes(self, n: int) -> float:
        """Give the memory of the activations that the backward passes need."""
        return min(n, self.params.batch_size) * self._activation_bytes

    # What is common -------------------------------------------------------------------------

    def begin(self, origin: Origin) -> None:
        """Note where devices start from; without it nothing earlier is at hand."""
        self._sample_bytes = origin.sample_bytes
        self._augmentation = origin.augmentation
        kept = self.keeps(origin.samples, len(origin.model.classes))
        self._earlier[origin.model.key] = kept

    def plan(self, parent: ModelRef, batch: Batch) -> Plan | None:
        """Give the child's identity and the work, without training; None if nothing to learn."""
        support = Counter(batch.labels.tolist())
        new = tuple(
            sorted(
                label
                for label, count in support.items()
                if label not in parent.classes and count >= self.params.min_support
            )
        )
        classes = parent.classes + new
        rows = np.flatnonzero(np.isin(batch.labels, classes))
        if len(rows) == 0:
            return None
        fresh = Labelled(batch.sample_ids[rows], batch.labels[rows])
        known = self._earlier.get(parent.key, Labelled.none())
        earlier = _without(known, fresh.sample_ids)
        key = content_key(
            self._compute, "update", type(self), self.params, self._architecture,
            self._architecture.backbone, self._train_seed, parent.key, parent.classes,
            batch.sample_ids[rows], batch.labels[rows], batch.logits[rows], batch.classes,
            earlier.sample_ids, earlier.labels, self._augmentation,
        )  # fmt: skip
        new_bytes = self._head_bytes(len(new))
        child = ModelRef(
            parent.role, parent.version + 1, key, classes, parent.param_bytes + new_bytes
        )
        self._earlier[key] = self.keeps(_joined(earlier, fresh), len(classes))
        n, n_old, n_all = len(rows) + len(earlier), len(parent.classes), len(classes)
        work = Work(
            macs=self.work_macs(n, n_old, n_all),
            steps=self.params.steps(n),
            is_training=True,
            operations=self._operations,
        )
        return Plan(child, work, new, rows, earlier, self._memory_bytes(n, n_old, n_all))

    def fit(
        self, net: IncrementalNet, plan: Plan, batch: Batch, images: Samples
    ) -> tuple[IncrementalNet, dict[str, float]]:
        """Train a copy of `net` as planned; give it on the CPU in eval mode, and the final loss.

        Parameters
        ----------
        images : all images of the data set, indexed by sample id.
        """
        from torch.nn import functional as F

        from ecsim.learning.losses import logit_loss
        from ecsim.learning.training import batch_mode, train

        p, compute, n_fresh = self.params, self._compute, len(plan.rows)
        learned = _joined(
            Labelled(batch.sample_ids[plan.rows], batch.labels[plan.rows]), plan.earlier
        )
        # not from the key, which another torch or an edited comment changes
        content = learned.sample_ids.tobytes() + learned.labels.tobytes()
        seed = derive_seed(self._train_seed, f"update/{hashlib.sha256(content).hexdigest()}")
        child = copy.deepcopy(net)
        if plan.new_classes:
            child.grow(plan.new_classes, seed)
        self.freeze(child, bool(plan.new_classes))
        compute.put(child)
        x = compute.tensor(images[learned.sample_ids])
        y = compute.tensor(columns_of(child.classes, learned.labels))
        cloud = compute.tensor(arranged(batch.logits[plan.rows], batch.classes, child.classes))
        vary = variation(p.augment, self._augmentation, seed)
        has_earlier = len(learned) > n_fresh
        with compute.active():
            term = self.term(child, net, x, images, seed)
            logits_of = self.logits_of(child, x)

        def loss_of(i: Tensor) -> Tensor:
            logits = (child(vary(x[i])) if p.augment else logits_of(i)).float()
            loss = F.cross_entropy(logits, y[i])
            if p.logit_weight and not has_earlier:
                loss = loss + p.logit_weight * logit_loss(logits, cloud[i], p.logit_temperature)
            elif p.logit_weight and bool((i < n_fresh).any()):
                fresh = i < n_fresh  # of earlier samples the labels alone were kept
                taught = logit_loss(logits[fresh], cloud[i[fresh]], p.logit_temperature)
                loss = loss + p.logit_weight * taught * fresh.float().mean()
            return loss if term is None else loss + term(i, logits)

        batch_mode(child, len(learned))
        loss = train(child.parameters(), loss_of, len(learned), p, seed, compute)
        child.requires_grad_(True).eval()
        with compute.active():
            self.finish(child, x, seed)
        child.cpu()
        return child, {"loss": loss, "n_samples": float(len(learned))}

    def _forward(self, n_classes: int) -> float:
        """Give the MACs of a sample's dense forward pass over all time-steps."""
        return self._backbone_macs + self._feature_dim * n_classes

    def _head_bytes(self, n_classes: int) -> int:
        return 4 * (self._feature_dim + 1) * n_classes  # float32 weights and bias

    def _memory_bytes(self, n: int, n_old: int, n_all: int) -> float:
        """Count a copy of the weights, and all that training it takes.

        That is gradients and Adam's two moments of the trained weights, the activations of a
        batch, the samples, and what is the method's own.
        """
        weights = self._backbone_bytes + self._head_bytes(n_all)
        training = 3 * self.trained_bytes(n_old, n_all) + self.batch_bytes(n)
        return weights + training + n * self._sample_bytes + self.extra_bytes(n, n_old, n_all)


def _without(samples: Labelled, ids: IntArray) -> Labelled:
    """Give the samples but for some."""
    stays = ~np.isin(samples.sample_ids, ids)
    return Labelled(samples.sample_ids[stays], samples.labels[stays])


def _joined(first: Labelled, second: Labelled) -> Labelled:
    """Give the samples of both, which share none."""
    return Labelled(
        np.concatenate([first.sample_ids, second.sample_ids]),
        np.concatenate([first.labels, second.labels]),
    )
