from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from ecsim.learning.losses import FeatureAlignment, logit_loss

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "ecc_setup_loss.npz"


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not here")
@pytest.mark.parametrize("temperature", [1, 2, 3, 4])
def test_published_setup_loss_and_gradient(temperature):
    vector = np.load(VECTORS)
    edge = torch.tensor(vector["edge_logits"], requires_grad=True)
    cloud = torch.tensor(vector["cloud_logits"], requires_grad=True)
    distilled = logit_loss(edge, cloud, float(temperature))
    total = cross_entropy(edge, torch.tensor(vector["labels"]))
    total = total + float(vector["lambda1"]) * distilled
    total.backward()
    # 1e-12: float64 sums of a few dozen terms
    assert distilled.item() == pytest.approx(float(vector[f"T{temperature}_logit"]), rel=1e-12)
    assert total.item() == pytest.approx(float(vector[f"T{temperature}_total"]), rel=1e-12)
    expected = vector[f"T{temperature}_grad_edge_logits"]
    np.testing.assert_allclose(edge.grad.numpy(), expected, atol=1e-13)
    assert cloud.grad is None


def test_a_student_equal_to_its_teacher_has_no_loss():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    assert logit_loss(logits + 5, logits, 2.0).item() == pytest.approx(0, abs=1e-6)


def test_alignment_by_hand():
    alignment = FeatureAlignment(2, 1, torch.Generator())
    with torch.no_grad():
        alignment.linear.weight.copy_(torch.tensor([[1.0, 2.0]]))
    # spikes (T=2, N=2, 2) sum to [2, 0] and [1, 1]: mapped 2 and 3, normalised -1 and 1
    spikes = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    features = torch.tensor([[0.0], [0.0]])
    # variance .25 and batch normalisation's eps 1e-5 leave a distance just below 1
    assert alignment(spikes, features).item() == pytest.approx(1.00004**-0.5, abs=1e-6)
    features = torch.tensor([[0.0], [3.0]])
    assert alignment(spikes, features).item() == pytest.approx(1.5)


def test_alignment_teaches_the_spiking_side_only():
    alignment = FeatureAlignment(6, 4, torch.Generator().manual_seed(1))
    spikes = torch.rand(3, 5, 2, 3, requires_grad=True)
    features = torch.rand(5, 2, 2, requires_grad=True)
    alignment(spikes, features).backward()
    assert spikes.grad.abs().sum() > 0 and features.grad is None


def test_alignment_starts_from_its_generator():
    first, again, other = (
        FeatureAlignment(6, 4, torch.Generator().manual_seed(seed)).linear.weight
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
