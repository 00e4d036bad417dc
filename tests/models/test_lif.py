"""LIF neurons against published membranes and gradients, and against a plain loop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.models.snn.lif import LIF

F64 = torch.float64


def loop(current, tau, threshold, v_reset, detach):
    """Eq. 1-3 step by step by autograd; a spike's slope is that of sigmoid(4 x)."""
    h = torch.zeros_like(current[0])
    spikes, before, after = [], [], []
    for i in current:
        u = h + tau * (i - h)
        x = u - threshold
        smooth = torch.sigmoid(4 * x)
        o = (u >= threshold).double() + smooth - smooth.detach()
        r = o.detach() if detach else o
        h = u - threshold * r if v_reset is None else u + r * (v_reset - u)
        spikes.append(o)
        before.append(u)
        after.append(h)
    return torch.stack(spikes), torch.stack(before), torch.stack(after)


def by_steps(lif, current):
    state, spikes = None, []
    for i in current:
        o, state = lif.step(i, state)
        spikes.append(o)
    return torch.stack(spikes)


@pytest.mark.parametrize("name", ["lif_a_author_tau2_th1_r0", "lif_g_tie_at_threshold"])
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("stepwise", [False, True])
def test_agrees_with_the_published_values(vector, name, detach, stepwise):
    v = vector(name)
    lif = LIF(
        float(v["tau_paper"]),
        float(v["v_threshold"]),
        float(v["v_reset"]),
        "sigmoid",
        4.0,
        detach_reset=detach,
    )
    x = torch.tensor(v["X"], requires_grad=True)
    spikes = by_steps(lif, x) if stepwise else lif(x)
    np.testing.assert_array_equal(spikes.detach(), v["O"])
    trace = lif.trace(x)
    np.testing.assert_array_equal(trace.spikes, v["O"])
    np.testing.assert_allclose(trace.before, v["U"], rtol=0, atol=1e-15)  # a few roundings
    np.testing.assert_allclose(trace.after, v["H"], rtol=0, atol=1e-15)
    spikes.backward(torch.tensor(v["grad_O"]))
    expected = v["grad_X_detach_reset" if detach else "grad_X_full_bptt"]
    np.testing.assert_allclose(x.grad, expected, rtol=1e-10, atol=1e-14)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    tau=st.sampled_from([0.2, 0.5, 0.9, 1.0]),
    threshold=st.sampled_from([0.4, 1.0]),
    v_reset=st.sampled_from([None, 0.0, -0.3, 0.2]),
    detach=st.booleans(),
    stepwise=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_agrees_with_a_plain_loop(shape, tau, threshold, v_reset, detach, stepwise, seed):
    g = torch.Generator().manual_seed(seed)
    x = 2 * torch.randn(shape, generator=g, dtype=F64)
    upstream = torch.randn(shape, generator=g, dtype=F64)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    lif = LIF(tau, threshold, v_reset, detach_reset=detach)
    spikes = by_steps(lif, ours) if stepwise else lif(ours)
    expected, before, after = loop(theirs, tau, threshold, v_reset, detach)
    torch.testing.assert_close(spikes, expected, rtol=0, atol=1e-12)
    trace = lif.trace(x)
    torch.testing.assert_close(trace.before, before.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(trace.after, after.detach(), rtol=0, atol=1e-12)
    spikes.backward(upstream)
    expected.backward(upstream)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-12)


def test_integrates_leaks_fires_and_resets_as_computed_by_hand():
    current = torch.tensor([1.0, 2.0, 0.0, 3.0], dtype=F64).view(4, 1)
    hard = LIF(tau=0.5, threshold=1.0).trace(current)
    assert hard.before.flatten().tolist() == [0.5, 1.25, 0.0, 1.5]
    assert hard.spikes.flatten().tolist() == [0, 1, 0, 1]
    assert hard.after.flatten().tolist() == [0.5, 0.0, 0.0, 0.0]
    soft = LIF(tau=0.5, threshold=1.0, v_reset=None).trace(current)
    assert soft.before.flatten().tolist() == [0.5, 1.25, 0.125, 1.5625]
    assert soft.after.flatten().tolist() == [0.5, 0.25, 0.125, 0.5625]


def test_starts_every_call_at_rest():
    lif = LIF()
    x = torch.full((3, 2, 5), 1.5)
    first = lif(x)
    lif(torch.full((7, 1, 4), 9.0))  # another length, batch and layer width
    assert torch.equal(lif(x), first)
    assert not list(lif.state_dict())


def test_a_constant_current_may_be_an_expanded_view():
    x = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    spikes = LIF()(x.expand(4, 3, 4))
    assert torch.equal(spikes, LIF()(x.repeat(4, 1, 1)))
    spikes.sum().backward()
    again = x.detach().clone().requires_grad_()
    LIF()(again.repeat(4, 1, 1)).sum().backward()
    torch.testing.assert_close(x.grad, again.grad)


def test_leaves_its_input_alone():
    x = torch.ones(3, 2)
    LIF()(x)
    assert torch.equal(x, torch.ones(3, 2))


def test_integrates_half_precision_in_float():
    x = torch.full((8, 1), 1.001953125, dtype=torch.bfloat16)  # rounds to 1.0
    assert LIF()(x).dtype == torch.bfloat16
    small = torch.full((300, 1), 1.0, dtype=torch.bfloat16)
    # a bfloat16 membrane would stall below 0.9 with this tau
    assert (
        LIF(tau=0.01, threshold=0.9)(small).sum()
        == LIF(tau=0.01, threshold=0.9)(small.float()).sum()
    )


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (torch.zeros(3, 4), r"shape .*\[3, 4\].*\[2, 4\]"),
        (torch.zeros(2, 4, dtype=F64), "dtype torch.float64.*torch.float32"),
        (torch.zeros(1, 4), "shape"),
    ],
)
def test_refuses_the_state_of_another_batch(state, message):
    with pytest.raises(ValueError, match=message):
        LIF().step(torch.zeros(2, 4), state)


@pytest.mark.parametrize("wrong", [{"tau": 0.0}, {"tau": 1.5}, {"v_reset": 1.0}])
def test_refuses_neurons_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match=r"tau|v_reset"):
        LIF(**wrong)


@pytest.mark.parametrize("v_reset", [0.0, None])
def test_cut_to_the_cache_it_gives_the_same_bits(v_reset, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    current = torch.randn(4, 9, 16, 5, generator=generator)
    grad = torch.randn(4, 9, 16, 5, generator=generator)
    found = []
    for cached in (1 << 16, 700, 1):  # whole, two samples at a time, one
        monkeypatch.setattr("ecsim.models.snn.lif._CACHED", cached)
        x = current.clone().requires_grad_()
        spikes = LIF(v_reset=v_reset)(x)
        spikes.backward(grad)
        found.append((spikes.detach(), x.grad))
    for spikes, gradient in found[1:]:
        assert torch.equal(spikes, found[0][0]) and torch.equal(gradient, found[0][1])
