"""Elastic weight consolidation: weights that mattered before resist change.

Source: Kirkpatrick et al., Overcoming catastrophic forgetting in neural networks, 2017, Eq. 3,
in the online form (Schwarz et al., Progress & Compress, 2018): one anchor, the weights before the
update, and the sum of the Fisher diagonals of the trainings before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge

from ecsim.core.randomness import derive_seed
from ecsim.core.types import Labelled, Samples
from ecsim.learning.update import Origin, UpdateMethod

if TYPE_CHECKING:
    from torch import Tensor

    from ecsim.learning.update import Term
    from ecsim.models.incremental import IncrementalNet

_PREFIX = "fisher."


class EWC(UpdateMethod):
    """Train all weights on L_new and ``strength / 2 x sum F (w - w_before)^2``.

    The Fisher diagonal of a training is estimated when it ends, from the samples that it learned
    from, and stays in the network's `memory`. That of the set-up is estimated from its samples,
    in the cloud and at no cost; a user's own weights have none, and do not resist the first update.
    """

    @dataclass(frozen=True, kw_only=True)
    class Params(UpdateMethod.Params):
        """Weights of the loss terms, length and step size.

        Attributes
        ----------
        strength : lambda of Eq. 3.
        fisher_samples : samples at most that a Fisher diagonal is estimated from.
        """

        strength: Annotated[float, Ge(0)] = 1000.0
        fisher_samples: Annotated[int, Ge(1)] = 64

    params: Params
    _set_up: Labelled = Labelled.none()

    def begin(self, origin: Origin) -> None:
        """Note what the first version was trained on."""
        super().begin(origin)
        ids = origin.samples.sample_ids
        chosen = np.random.default_rng(derive_seed(self._train_seed, "fisher")).permutation(
            len(ids)
        )
        chosen = np.sort(chosen[: self.params.fisher_samples])
        self._set_up = Labelled(ids[chosen], origin.samples.labels[chosen])

    def term(
        self, child: IncrementalNet, net: IncrementalNet, x: Tensor, images: Samples, seed: int
    ) -> Term | None:
        """Give the quadratic penalty."""
        import torch

        p = self.params
        if not p.strength:
            return None
        if not child.memory and len(self._set_up):
            first = self._compute.tensor(images[self._set_up.sample_ids])
            child.memory = self._fisher(child, first, len(net.head_classes), seed)
        weights = dict(child.named_parameters())
        pulled = [
            (weights[name.removeprefix(_PREFIX)], fisher.to(self._compute.kind))
            for name, fisher in child.memory.items()
        ]
        anchored = [(w, w.detach().clone(), fisher) for w, fisher in pulled]
        if not anchored:
            return None

        def penalty(_: Tensor, __: Tensor) -> Tensor:
            each = [(fisher * (w - before) ** 2).sum() for w, before, fisher in anchored]
            return 0.5 * p.strength * torch.stack(each).sum()

        return penalty

    def finish(self, child: IncrementalNet, x: Tensor, seed: int) -> None:
        """Add the Fisher diagonal of this training."""
        if not self.params.strength:
            return
        new = self._fisher(child, x[: self.params.fisher_samples], len(child.head_classes), seed)
        old = child.memory
        child.memory = {
            name: fisher.cpu() + old[name].cpu() if name in old else fisher.cpu()
            for name, fisher in new.items()
        }

    def _fisher(self, net: IncrementalNet, x: Tensor, n_heads: int, seed: int) -> dict[str, Tensor]:
        """Estimate the Fisher diagonal of the first heads and the backbone."""
        import torch

        net.eval()
        heads = list(net.heads)[:n_heads]
        trained = {
            _PREFIX + name: weight
            for name, weight in net.named_parameters()
            if not name.startswith("heads.") or int(name.split(".")[1]) < n_heads
        }

        def logits(sample: Tensor) -> Tensor:
            features = net.features(sample)
            return torch.cat([head(features) for head in heads], dim=1).float()

        generator = torch.Generator().manual_seed(derive_seed(seed, "fisher"))
        with torch.no_grad():
            shares = torch.softmax(logits(x), 1).cpu()
        drawn = torch.multinomial(shares, 1, generator=generator)[:, 0]
        squares = {name: torch.zeros_like(weight) for name, weight in trained.items()}
        for gradients in gradients_of(logits, list(trained.values()), x, drawn):
            for square, gradient in zip(squares.values(), gradients, strict=True):
                square.addcmul_(gradient, gradient, value=1 / len(x))
        return squares

    def work_macs(self, n: int, n_old: int, n_all: int) -> float:
        """Count the training, and the estimate of a Fisher diagonal, sample by sample.

        Forward once for the labels, forward and backward for the gradients.
        """
        estimated = min(n, self.params.fisher_samples) if self.params.strength else 0
        return super().work_macs(n, n_old, n_all) + 4.0 * estimated * self._forward(n_all)

    def extra_bytes(self, n: int, n_old: int, n_all: int) -> float:
        """Count the anchor and the Fisher diagonal."""
        held = 2.0 * (self._backbone_bytes + self._head_bytes(n_old))
        return held if self.params.strength else 0.0


def gradients_of(
    logits: Callable[[Tensor], Tensor], weights: list[Tensor], x: Tensor, drawn: Tensor
) -> Iterator[tuple[Tensor, ...]]:
    """Give, for each sample, the gradient of log p(drawn label | sample) by each weight."""
    import torch
    from torch.nn import functional as F

    for i, label in enumerate(drawn.tolist()):
        log_share = F.log_softmax(logits(x[i : i + 1]), 1)[0, label]
        yield torch.autograd.grad(log_share, weights)
