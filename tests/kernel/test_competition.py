"""A training and inference on one device: who goes first, by hand, on every kind of engine."""

from __future__ import annotations

from functools import partial

import pytest
from labs import Lab

from ecsim.kernel import Batcher, Engine, Ranks, SharingServer, Station, Train, Use
from ecsim.kernel.batching import curve

ONE_BY_ONE = partial(Batcher, max_size=1, latency=curve([(1, 1.0)]))


@pytest.mark.parametrize(
    ("make", "ends"),
    [
        (Engine, (3.0, 5.0)),  # they wait for the step under way
        (Station, (3.0, 5.0)),
        (ONE_BY_ONE, (3.0, 5.0)),
        (partial(Station, preempts=True), (2.5, 4.5)),  # they interrupt it
        (SharingServer, (4.0, 5.0)),  # the step under way shares; the two share from 2 s on
    ],
)
def test_a_training_that_fills_gaps(make, ends):
    """Four steps of 1 s from 0 s; requests of 2 s each come at 0.5 and 2 s."""
    lab = Lab(make_npu=partial(make, can_train=True))
    lab.spawn_at(0.0, Train(lab.npu, 4.0, 4.0, steps=4, mode="idle_only"))
    lab.spawn_at(0.5, Use(lab.npu, 2.0))
    lab.spawn_at(2.0, Use(lab.npu, 2.0))
    trained, *requests = [t for t, _ in lab.run()]
    assert trained == 8.0  # 4 s of its own and 4 s of theirs, no gap between
    assert requests == [pytest.approx(t) for t in ends]


def test_on_a_host_a_gap_is_where_no_other_training_runs():
    lab = Lab()
    lab.spawn_at(0.0, Train(lab.host, 2.0, 0.0, steps=2, mode="idle_only"))
    lab.spawn_at(0.5, Train(lab.host, 3.0, 0.0))
    assert [t for t, _ in lab.run()] == [5.0, 4.0]


@pytest.mark.parametrize(
    ("ranks", "ends"), [(Ranks(training=1), [8.0, 3.0, 5.0]), (Ranks(inference=1), [8.0, 3.0, 6.0])]
)
def test_by_priority(ranks, ends):
    lab = Lab(make_npu=partial(Station, can_train=True, ranks=ranks))
    lab.spawn_at(0.0, Train(lab.npu, 4.0, 4.0, steps=4))
    lab.spawn_at(0.5, Use(lab.npu, 2.0))
    lab.spawn_at(2.0, Use(lab.npu, 2.0))
    found = [t for t, _ in lab.run()]
    # a next step comes when the one before is over, and what waits has begun by then: a training
    # that goes first takes turns with inference (steps from 0, 3, 6 and 7 s)
    assert found == ends
