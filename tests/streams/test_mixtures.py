"""Schedules whose classes overlap, come back or drift: probabilities, draws, refusals."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecsim.core.errors import UserError
from ecsim.streams.arrivals import Periodic, Poisson
from ecsim.streams.mixtures import Blurry, Gradual, Recurring
from ecsim.streams.schedule import ClassIncremental, Mixing
from ecsim.streams.tasks import task_stream

LABELS = np.arange(600) % 10
SAMPLES = np.flatnonzero(np.arange(600) % 3 > 0)
SIZES = {"base_classes": 4, "increment": 3}


def blurry(**params):
    return Blurry(Blurry.Params(**SIZES | params), 10, 2025)


def recurring(**params):
    return Recurring(Recurring.Params(**SIZES | params), 10, 2025)


def gradual(**params):
    return Gradual(Gradual.Params(**SIZES | params), 10, 2025)


ALL = [
    blurry(),
    blurry(blur=0.0),
    recurring(),
    gradual(),
    gradual(classes="group", over=0.3),
]


def tasks(schedule, devices=("cam[0]", "cam[1]"), rate=20.0, phase_s=30.0, **changes):
    given = {
        "arrivals": Poisson(Poisson.Params(rate=rate)),
        "schedule": schedule,
        "phase_s": phase_s,
        "samples": SAMPLES,
        "labels": LABELS,
        "payload_bytes": 1.0,
        "world_seed": 1,
        "data_seed": 2,
    }
    return list(task_stream(devices, **given | changes))


def shares(stream, phase):
    counts = Counter(int(LABELS[task.sample_id]) for task in stream if task.phase == phase)
    return {label: n / sum(counts.values()) for label, n in counts.items()}, sum(counts.values())


@pytest.mark.parametrize("schedule", ALL)
def test_groups_are_those_of_class_incremental_and_new_classes_are_new(schedule):
    params = ClassIncremental.Params(**SIZES)
    assert schedule.groups == ClassIncremental(params, 10, 2025).groups
    assert list(schedule.update_phases) == list(range(schedule.n_phases - 1))
    known = set(schedule.groups[0])
    for phase in range(schedule.n_phases):
        shown = set(schedule.classes_in(phase))
        assert set(schedule.new_in(phase)) == shown - known
        known |= shown
    with pytest.raises(IndexError):
        schedule.classes_in(schedule.n_phases)


@pytest.mark.parametrize("schedule", [s for s in ALL if isinstance(s, Mixing)])
def test_mixes_are_probabilities_over_the_classes_of_the_phase(schedule):
    points = np.linspace(0, 1, 11)
    for phase in range(schedule.n_phases):
        mix = schedule.mix(phase, points)
        assert mix.shape == (11, 10) and (mix >= 0).all()
        np.testing.assert_allclose(mix.sum(axis=1), 1, atol=1e-12)
        assert set(np.flatnonzero(mix.any(axis=0))) == set(schedule.classes_in(phase))


def test_only_some_schedules_mix():
    assert not isinstance(recurring(), Mixing)
    assert not isinstance(ClassIncremental(ClassIncremental.Params(**SIZES), 10, 1), Mixing)


def within(n_hits, n, p):
    """Whether a binomial count is within 6 deviations: false alarms below 1e-8."""
    return abs(n_hits - n * p) <= 6 * np.sqrt(n * p * (1 - p)) + 1e-9


def test_a_blurry_phase_shows_its_group_and_a_share_of_others():
    schedule = blurry(blur=0.2)
    stream = tasks(schedule, rate=100.0)
    for phase, group in enumerate(schedule.groups):
        found, n = shares(stream, phase)
        assert within(n * sum(found.get(c, 0) for c in group), n, 0.8)
        others = [c for c in range(10) if c not in group]
        for label in others:
            assert within(n * found.get(label, 0), n, 0.2 / len(others))
    sharp = tasks(blurry(blur=0.0))
    for phase, group in enumerate(schedule.groups):
        assert set(shares(sharp, phase)[0]) == set(group)


def test_groups_recur_in_their_order():
    schedule = recurring(order=(0, 2, 0, 1), cycles=2)
    stream = tasks(schedule)
    for phase, number in enumerate((0, 2, 0, 1) * 2):
        assert set(shares(stream, phase)[0]) == set(schedule.groups[number])
    assert schedule.new_in(0) == () and schedule.new_in(2) == ()
    assert set(schedule.new_in(1)) == set(schedule.groups[2])


@pytest.mark.parametrize("over", [1.0, 0.5])
def test_a_gradual_mix_moves_linearly(over):
    """The share of the new group grows as t / over: its mean is 1/2 in the move, then 1."""
    schedule = gradual(classes="group", over=over)
    stream = tasks(schedule, rate=200.0)
    first, second = set(schedule.groups[0]), set(schedule.groups[1])
    in_phase = [task for task in stream if task.phase == 1]
    for low, high in ((0, 0.5), (0.5, 1.0)):  # parts of the move
        part = [
            int(LABELS[task.sample_id])
            for task in in_phase
            if low * over <= task.t_arrive_s / 30.0 - 1 < high * over
        ]
        assert set(part) <= first | second
        n_new = sum(label in second for label in part)
        assert within(n_new, len(part), (low + high) / 2)
    after = [task for task in in_phase if task.t_arrive_s / 30.0 - 1 > over]
    assert {int(LABELS[task.sample_id]) for task in after} <= second


def test_gradual_ends_where_class_incremental_is():
    schedule, sharp = gradual(), ClassIncremental(ClassIncremental.Params(**SIZES), 10, 2025)
    for phase in range(schedule.n_phases):
        end = schedule.mix(phase, np.ones(1))[0]
        assert set(np.flatnonzero(end)) == set(sharp.classes_in(phase))
    start = schedule.mix(0, np.zeros(1))[0]
    assert set(np.flatnonzero(start)) == set(schedule.groups[0])


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize("allocation", ["shared", "disjoint"])
def test_visits_count_and_no_sample_of_a_class_comes_twice_before_all_did(schedule, allocation):
    stream = tasks(schedule, allocation=allocation)
    seen, rounds = Counter(), Counter()
    for task in stream:
        assert LABELS[task.sample_id] in schedule.classes_in(task.phase)
        seen[task.device, task.sample_id] += 1
        rounds[task.device, task.phase, task.sample_id] += 1
        assert task.visit == seen[task.device, task.sample_id]
    if not isinstance(schedule, Mixing):
        return
    for device in ("cam[0]", "cam[1]"):
        for phase in range(schedule.n_phases):
            for label in schedule.classes_in(phase):
                counts = [
                    n for (d, p, s), n in rounds.items()
                    if (d, p) == (device, phase) and LABELS[s] == label
                ]  # fmt: skip
                assert not counts or max(counts) - min(counts) <= 1


@pytest.mark.parametrize("schedule", [blurry(), gradual()])
def test_another_device_shifts_no_other_draw_and_each_call_gives_the_same(schedule):
    def of(device, stream):
        return [(t.t_arrive_s, t.sample_id, t.visit) for t in stream if t.device == device]

    few = tasks(schedule)
    more = tasks(schedule, ("cam[1]", "cam[0]", "another"))
    assert few == tasks(schedule)
    assert of("cam[0]", few) == of("cam[0]", more) and of("cam[1]", few) == of("cam[1]", more)
    assert tasks(schedule, data_seed=3) != few


@given(st.floats(0, 1), st.integers(1, 10))
def test_classes_are_drawn_one_number_per_task_however_they_come(rate, n):
    """A stream that ends earlier is the beginning of one that goes on."""
    schedule = blurry(blur=0.3)
    arrivals = Periodic(Periodic.Params(rate=1 + rate))
    whole = tasks(schedule, arrivals=arrivals, phase_s=10.0)
    part = tasks(schedule, arrivals=arrivals, phase_s=10.0, horizon_s=2.0 * n)
    assert part == whole[: len(part)]


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: recurring(order=(0, 3)), "order"),
        (lambda: blurry(base_classes=10), "base_classes"),
        (lambda: gradual(base_classes=0, increment=10), "increment"),
    ],
)
def test_impossible_schedules_name_the_key(make, key):
    with pytest.raises(UserError, match=f"^{key}:"):
        make()
