"""Devices that are not alike: label skew, skew by group, and the part they have at a time."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.core.errors import UserError
from ecsim.core.randomness import Streams
from ecsim.streams.arrivals import Periodic
from ecsim.streams.dealing import Local
from ecsim.streams.mixtures import Blurry, Recurring
from ecsim.streams.schedule import ClassIncremental
from ecsim.streams.skew import Classes, Dirichlet, Groups, skewed
from ecsim.streams.tasks import dealers, task_stream

LABELS = np.arange(900) % 10
GROUPS = np.arange(900) // 10 % 6
SAMPLES = np.arange(0, 900, 2) // 20 * 20 + np.arange(450) % 20
SAMPLES = np.unique(SAMPLES)
SCHEDULE = ClassIncremental(ClassIncremental.Params(base_classes=4, increment=3), 10, 1)
BASE = SCHEDULE.groups[0]


def classes(m):
    return Classes(Classes.Params(per_device=m))


def dirichlet(alpha):
    return Dirichlet(Dirichlet.Params(alpha=alpha))


def groups(m=1):
    return Groups(Groups.Params(per_device=m))


def hands(skew, n_devices=3, allocation="shared", seed=5, of=GROUPS):
    devices = [f"cam[{i}]" for i in range(n_devices)]
    return skewed(SAMPLES, LABELS, of, devices, allocation, skew, BASE, Streams(seed))


SKEWS = [classes(3), dirichlet(0.3), groups(2)]


@pytest.mark.parametrize("skew", SKEWS)
@pytest.mark.parametrize("allocation", ["shared", "disjoint"])
def test_hands_are_parts_of_the_pool_and_disjoint_where_asked(skew, allocation):
    found = hands(skew, allocation=allocation)
    for hand in found.values():
        assert len(hand) and (np.diff(hand) > 0).all() and set(hand) <= set(SAMPLES)
    together = np.concatenate(list(found.values()))
    if allocation == "disjoint":
        assert len(together) == len(set(together))
    again, other = hands(skew, allocation=allocation), hands(skew, allocation=allocation, seed=6)
    assert all(np.array_equal(found[d], again[d]) for d in found)
    assert any(not np.array_equal(found[d], other[d]) for d in found)


@pytest.mark.parametrize("skew", SKEWS)
def test_another_device_changes_nothing_for_those_that_share(skew):
    few, more = hands(skew, 2), hands(skew, 5)
    assert all(np.array_equal(few[device], more[device]) for device in few)


@given(st.integers(1, 10), st.integers(0, 2**31 - 1))
@settings(max_examples=30)
def test_m_classes_each_whole_and_one_of_them_known_at_the_start(m, seed):
    for hand in hands(classes(m), seed=seed).values():
        own = set(LABELS[hand])
        assert len(own) == m and own & set(BASE)
        assert set(hand) == {i for i in SAMPLES if LABELS[i] in own}


def test_disjoint_holders_of_a_class_divide_it_evenly():
    found = hands(classes(4), 6, "disjoint")
    for label in range(10):
        counts = [int((LABELS[hand] == label).sum()) for hand in found.values()]
        held = [n for n in counts if n]
        assert not held or max(held) - min(held) <= 1
        assert sum(counts) in (0, int((LABELS[SAMPLES] == label).sum()))


def largest_share(alpha, allocation="shared"):
    found = hands(dirichlet(alpha), 20, allocation)
    counts = [np.bincount(LABELS[hand], minlength=10) for hand in found.values()]
    assert all(count.min() >= 1 for count in counts)
    return np.mean([count.max() / count.sum() for count in counts])


def test_dirichlet_hands_are_nearly_alike_for_large_alpha_and_one_class_for_small():
    assert largest_share(1000.0) < 0.13 < 0.2 < largest_share(1.0) < largest_share(0.02)
    assert largest_share(0.02) > 0.7  # one class, and one sample of the others


def test_dirichlet_proportions_have_the_variance_of_the_distribution():
    """Var = (1/K)(1 - 1/K)/(K alpha + 1); 400 devices: 6 standard errors are about 40 %."""
    rng = Streams(3)
    from ecsim.streams.skew import Seat

    alpha, parts = 0.7, np.arange(10)
    drawn = []
    for i in range(400):
        share = dirichlet(alpha).shares(parts, Seat(f"d{i}", i, 400, "shared", parts), rng)
        drawn.append(share / share.sum())
    expected = 0.1 * 0.9 / (10 * alpha + 1)
    assert np.var(drawn) == pytest.approx(expected, rel=0.2)


def test_groups_go_to_devices():
    for hand in hands(groups(2)).values():
        own = set(GROUPS[hand])
        assert len(own) == 2 and set(hand) == {i for i in SAMPLES if GROUPS[i] in own}
    found = hands(groups(2), 3, "disjoint")
    assert sorted(g for hand in found.values() for g in set(GROUPS[hand])) == list(range(6))


@pytest.mark.parametrize(
    ("skew", "about", "message"),
    [
        (classes(11), {}, r"^per_device: expected at most 10 classes, got 11"),
        (groups(7), {}, r"^per_device: expected at most 6 groups, got 7"),
        (groups(3), {"allocation": "disjoint"}, r"at most 6 groups for 3 devices .* got 9"),
        (groups(1), {"of": None}, r"^kind: the data set has no groups"),
        (
            dirichlet(1.0),
            {"n_devices": 60, "allocation": "disjoint"},
            r"^allocation: .* 60 devices",
        ),
    ],
)
def test_what_cannot_be_is_refused(skew, about, message):
    with pytest.raises(UserError, match=message):
        hands(skew, **about)


def dealt(**supply):
    given = {"schedule": SCHEDULE, "samples": SAMPLES, "labels": LABELS, "data_seed": 2}
    return dealers(("cam[0]", "cam[1]"), **given | supply)


def test_a_device_with_nothing_to_show_is_named_before_the_run():
    cycle = Recurring(Recurring.Params(base_classes=4, increment=3), 10, 1)
    with pytest.raises(UserError, match=r"^cam\[\d\] has no sample .* phase [12]"):
        for dealer in dealt(skew=classes(1), schedule=cycle).values():
            dealer.check()
    for dealer in dealt(skew=classes(1)).values():
        dealer.check()  # phases of class_incremental all show the base classes


def stream(phase_s=50.0, **changes):
    given = {
        "arrivals": Periodic(Periodic.Params(rate=20.0)),
        "schedule": SCHEDULE,
        "phase_s": phase_s,
        "samples": SAMPLES,
        "labels": LABELS,
        "payload_bytes": 1.0,
        "world_seed": 1,
        "data_seed": 2,
    }
    return list(task_stream(("cam[0]", "cam[1]"), **given | changes))


@pytest.mark.parametrize("allocation", ["shared", "disjoint"])
def test_skewed_devices_see_their_own_classes_and_count_visits(allocation):
    skew = classes(3)
    own = {device: set(LABELS[hand]) for device, hand in hands(skew, 2, allocation, 2).items()}
    counts = Counter()
    for task in stream(skew=skew, allocation=allocation):
        assert LABELS[task.sample_id] in own[task.device]
        counts[task.device, task.sample_id] += 1
        assert task.visit == counts[task.device, task.sample_id]


def test_a_skew_tilts_a_mix():
    """Blurry with skew: the classes of a device alone, each as likely as the mix has it."""
    schedule = Blurry(Blurry.Params(base_classes=4, increment=3, blur=0.5), 10, 1)
    own = {device: set(LABELS[hand]) for device, hand in hands(classes(4), 2, seed=2).items()}
    found = Counter(
        (task.device, int(LABELS[task.sample_id]))
        for task in stream(schedule=schedule, skew=classes(4), phase_s=300.0)
        if task.phase == 0
    )
    for device, labels in own.items():
        mix = schedule.mix(0, np.zeros(1))[0]
        total, n = sum(mix[c] for c in labels), sum(found[device, c] for c in range(10))
        for label in range(10):
            p = mix[label] / total if label in labels else 0.0
            assert abs(found[device, label] - n * p) <= 6 * np.sqrt(n * p * (1 - p)) + 1e-9


def test_a_mix_meets_unequal_shares_in_proportion_to_both():
    schedule = Blurry(Blurry.Params(base_classes=4, increment=3, blur=0.5), 10, 1)
    skew, whole = dirichlet(0.5), np.bincount(LABELS[SAMPLES], minlength=10)
    has = {d: np.bincount(LABELS[h], minlength=10) for d, h in hands(skew, 2, seed=2).items()}
    found = Counter(
        (task.device, int(LABELS[task.sample_id]))
        for task in stream(schedule=schedule, skew=skew, phase_s=300.0)
        if task.phase == 1
    )
    for device, counts in has.items():
        expected = schedule.mix(1, np.zeros(1))[0] * counts / whole
        n = sum(found[device, label] for label in range(10))
        for label, p in enumerate(expected / expected.sum()):
            assert abs(found[device, label] - n * p) <= 6 * np.sqrt(n * p * (1 - p)) + 1e-9


def test_a_dealer_goes_on_where_it_stopped():
    schedule = Blurry(Blurry.Params(base_classes=4, increment=3, blur=0.5), 10, 1)
    share = np.linspace(0, 1, 300)
    whole = dealt(schedule=schedule)["cam[0]"].deal(0, share)
    dealer = dealt(schedule=schedule)["cam[0]"]
    parts = [dealer.deal(0, share[a:b]) for a, b in ((0, 7), (7, 8), (8, 300))]
    for column in (0, 1):
        assert np.array_equal(whole[column], np.concatenate([part[column] for part in parts]))


@given(st.integers(1, 60), st.floats(0.05, 0.95), st.floats(0, 1), st.integers(0, 6))
def test_a_window_replaces_its_share_and_no_more(n, share, replace, phase):
    local = Local(share, min(replace, (1 - share) / share))
    begin, length = local.window(n, phase)
    after, same = local.window(n, phase + 1)
    assert length == same == max(1, round(share * n)) <= n
    ring = np.arange(n)
    now, then = (set(ring[(b + np.arange(length)) % n]) for b in (begin, after))
    n_new = len(then - now)
    assert n_new <= round(local.replace * length)
    assert n_new >= min(round(local.replace * length), n - length) - (length > n / 2)


def test_local_data_are_replaced_at_each_phase():
    by_phase = {p: set() for p in range(3)}
    for task in stream(local=Local(0.4, 0.5), phase_s=100.0):
        if task.device == "cam[0]" and LABELS[task.sample_id] in BASE:
            by_phase[task.phase].add(task.sample_id)
    whole = sum(int((LABELS[SAMPLES] == label).sum()) for label in BASE)
    for phase in (0, 1):
        first, second = by_phase[phase], by_phase[phase + 1]
        assert len(first) == pytest.approx(0.4 * whole, abs=4)
        assert len(first & second) == pytest.approx(len(first) / 2, abs=4)
    assert not by_phase[0] & by_phase[2]


def test_without_replacement_the_local_data_stay():
    seen = {p: set() for p in range(3)}
    for task in stream(local=Local(0.3, 0.0), phase_s=100.0):
        if LABELS[task.sample_id] in BASE and task.device == "cam[1]":
            seen[task.phase].add(task.sample_id)
    assert seen[0] == seen[1] == seen[2]
