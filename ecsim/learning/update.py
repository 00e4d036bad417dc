"""Incremental update of the edge network on its device, from what the cloud has answered."""

from __future__ import annotations

import copy
import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol, cast

import numpy as np
from annotated_types import Ge, Gt

from ecsim.core.randomness import derive_seed
from ecsim.core.types import Batch, ModelRef, Plan, Samples, Work
from ecsim.learning.columns import columns_of
from ecsim.learning.compute import Compute
from ecsim.learning.effort import Effort
from ecsim.learning.keys import Architecture, content_key

if TYPE_CHECKING:
    from torch import Tensor

    from ecsim.models.incremental import IncrementalNet


class Learner(Protocol):
    """An update method: `plan` decides and costs nothing, `fit` trains and knows no clock."""

    def plan(self, parent: ModelRef, batch: Batch) -> Plan | None:
        """Give what an update would make of the parent, or None when there is nothing to learn."""

    def fit(
        self, net: IncrementalNet, plan: Plan, batch: Batch, images: Samples
    ) -> tuple[IncrementalNet, dict[str, float]]:
        """Train what was planned on a copy of `net`; `images` is indexed by sample id."""


class SelfDistillation:
    """Learn the buffered samples and stay close to the model before the update.

    A class that the cloud answered for at least `min_support` samples becomes known: the update
    adds one head for all such classes and trains the backbone and this head, the old heads stay
    as they are. Without a new class the existing heads are trained. Samples of classes that
    remain unknown are left out. True labels are never used.

    Parameters
    ----------
    architecture : of the models it will update.
    train_seed : the `train` seed; each training's own seed follows from it and the samples.

    Source: ECC-SNN, Eq. 12 with L_new as Eq. 8 on the buffer; L_old is computed over the classes
    known before, on the buffered samples (nothing else is at hand on the device).
    """

    @dataclass(frozen=True, kw_only=True)
    class Params(Effort):
        """Weights of the loss terms, length and step size.

        Attributes
        ----------
        old_weight : lambda_3 of Eq. 12.
        temperature : T of the old model's softened logits.
        logit_weight : lambda_1 of L_new, the weight of the cloud's softened logits.
        logit_temperature : T of these (chosen on validation; the paper gives none).
        min_support : distinct samples of a class before it is learned.
        """

        old_weight: Annotated[float, Ge(0)] = 0.5
        temperature: Annotated[float, Gt(0)] = 2.0
        logit_weight: Annotated[float, Ge(0)] = 0.5
        logit_temperature: Annotated[float, Gt(0)] = 1.0
        min_support: Annotated[int, Ge(1)] = 5
        epochs: Annotated[int, Ge(1)] = 20
        batch_size: Annotated[int, Ge(2)] = 16
        lr: Annotated[float, Gt(0)] = 1e-3

    def __init__(
        self, params: Params, architecture: Architecture, train_seed: int, compute: Compute
    ):
        from ecsim.models.calls import operations_of
        from ecsim.models.work import dense_macs

        self.params = params
        self._compute = compute
        self._architecture = architecture
        self._train_seed = train_seed
        probe = architecture.build(((0,),))
        self._feature_dim = cast(int, probe.backbone.feature_dim)
        # a linear head costs one MAC per weight, so that heads can be added on paper
        self._operations = operations_of(probe, architecture.in_shape)
        self._backbone_macs = dense_macs(probe, architecture.in_shape) - self._feature_dim

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
        key = content_key(
            self._compute, "update", type(self), self.params, self._architecture,
            self._architecture.backbone, self._train_seed, parent.key, parent.classes,
            batch.sample_ids[rows], batch.labels[rows], batch.logits[rows], batch.classes,
        )  # fmt: skip
        new_bytes = 4 * (self._feature_dim + 1) * len(new)  # float32 weights and bias
        child = ModelRef(
            parent.role, parent.version + 1, key, classes, parent.param_bytes + new_bytes
        )
        return Plan(child, self._work(len(rows), len(parent.classes), len(classes)), new, rows)

    def _work(self, n: int, n_old: int, n_all: int) -> Work:
        """Count a training: dense float work, whatever the spikes.

        Each sample of each epoch costs a forward pass over all time-steps and about twice that
        for the backward pass through time; the old model runs once on each sample. Listed are
        the operations of one forward pass, at whose rate a calibrated device does them all.
        """
        forward = self._backbone_macs + self._feature_dim * n_all
        old = self._backbone_macs + self._feature_dim * n_old if self.params.old_weight else 0.0
        return Work(
            macs=n * (3 * self.params.epochs * forward + old),
            steps=self.params.steps(n),
            is_training=True,
            operations=self._operations,
        )

    def fit(
        self, net: IncrementalNet, plan: Plan, batch: Batch, images: Samples
    ) -> tuple[IncrementalNet, dict[str, float]]:
        """Train a copy of `net` as planned; give it on the CPU in eval mode, and the final loss.

        Parameters
        ----------
        images : all images of the data set, indexed by sample id.
        """
        import torch
        from torch.nn import functional as F

        from ecsim.learning.losses import logit_loss
        from ecsim.learning.training import batch_mode, train

        p, compute = self.params, self._compute
        labels, n_old = batch.labels[plan.rows], len(net.classes)
        # not from the key, which another torch or an edited comment changes
        content = batch.sample_ids[plan.rows].tobytes() + labels.tobytes()
        seed = derive_seed(self._train_seed, f"update/{hashlib.sha256(content).hexdigest()}")
        child = copy.deepcopy(net)
        if plan.new_classes:
            child.heads.requires_grad_(False)
            child.grow(plan.new_classes, seed)
        compute.put(child)
        x = compute.tensor(images[batch.sample_ids[plan.rows]])
        y = compute.tensor(columns_of(child.classes, labels))
        shared = columns_of(batch.classes, child.classes)
        cloud = compute.tensor(batch.logits[plan.rows][:, shared])
        with torch.no_grad(), compute.active():
            old = child.eval()(x)[:, :n_old].float()  # before the first step it is the old model

        def loss_of(i: Tensor) -> Tensor:
            logits = child(x[i]).float()
            loss = F.cross_entropy(logits, y[i])
            if p.logit_weight:
                loss = loss + p.logit_weight * logit_loss(logits, cloud[i], p.logit_temperature)
            if p.old_weight:
                loss = loss + p.old_weight * logit_loss(logits[:, :n_old], old[i], p.temperature)
            return loss

        batch_mode(child, len(labels))
        loss = train(child.parameters(), loss_of, len(labels), p, seed, compute)
        child.requires_grad_(True).cpu().eval()
        return child, {"loss": loss, "n_samples": float(len(labels))}
