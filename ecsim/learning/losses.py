"""The loss terms of ECC-SNN, each a mean over the batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def logit_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Give T^2 KL(softmax(teacher / T) || softmax(student / T)).

    `student` and `teacher` are logits of shape (N, K) over the same classes; no gradient
    reaches the teacher. T^2 keeps the gradient's size when T changes.

    Source: ECC-SNN, L_logit of Eq. 8 (teacher: the cloud) and L_old of Eq. 12 (teacher: the
    model before the update, over the classes it knows).
    """
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher.detach() / temperature, dim=1)
    divergence = F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return divergence * temperature**2


class FeatureAlignment(nn.Module):
    """The distance between a spiking layer and the analogue layer it overlaps with.

    A linear map and batch normalisation take the spikes, summed over time, to the features of
    the ANN. The ANN's side is detached and the SNN learns: with both sides detached the term
    would change no weight of the network (erratum 5).

    Parameters
    ----------
    n_spiking, n_analogue : features per sample on either side.
    generator : draws the initial linear map.

    Source: ECC-SNN, Eq. 9-10; the Euclidean norm is taken per sample.
    """

    def __init__(self, n_spiking: int, n_analogue: int, generator: torch.Generator):
        super().__init__()
        self.linear = nn.Linear(n_spiking, n_analogue, device="meta").to_empty(device="cpu")
        bound = n_spiking**-0.5
        with torch.no_grad():
            self.linear.weight.uniform_(-bound, bound, generator=generator)
            self.linear.bias.zero_()
        self.norm = nn.BatchNorm1d(n_analogue)

    def forward(self, spikes: Tensor, features: Tensor) -> Tensor:
        """Give the mean distance; `spikes` (T, N, …), `features` (N, …)."""
        summed = spikes.sum(dim=0).flatten(1)  # (T, N, …) -> (N, D)
        mapped = self.norm(self.linear(summed))
        distances: Tensor = torch.linalg.vector_norm(features.detach().flatten(1) - mapped, dim=1)
        return distances.mean()
