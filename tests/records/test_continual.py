"""Incremental figures on a table small enough to do by hand, and against loops."""

import itertools

import numpy as np
import pandas as pd
import pytest

from ecsim.records.continual import groups, incremental

TASKS = pd.DataFrame(
    [(0, 7, False), (0, 3, True), (1, 7, False), (1, 3, False), (1, 5, True), (2, 5, False)],
    columns=["phase", "label", "new_in_phase"],
)
# accuracy of each version on 10 samples of class 7, 20 of class 3 and 10 of class 5
VERSIONS = {"v0": (9, 0, 0), "v1": (8, 18, 0), "v2": (5, 10, 9)}
SIZES = {7: 10, 3: 20, 5: 10}


def probe_rows(*rows):
    return pd.DataFrame(
        [
            {"device": d, "version": v, "key": f"v{v}", "phase": p, "t_s": 9.0 * p}
            for d, v, p in rows
        ]
    )


def class_rows(versions=VERSIONS):
    return pd.DataFrame(
        {"key": key, "label": label, "n": n, "n_right": n_right}
        for key, of in versions.items()
        for (label, n), n_right in zip(SIZES.items(), of, strict=True)
    )


def test_groups_are_those_of_the_schedule():
    assert groups(TASKS) == {7: 0, 3: 1, 5: 2}


def test_by_hand():
    probed = probe_rows(("x", 0, 0), ("x", 1, 1), ("x", 2, 2))
    got, a_n = incremental(probed, class_rows(), groups(TASKS), 3)
    assert a_n == pytest.approx([9 / 10, 26 / 30, 24 / 40])
    assert got["average"] == pytest.approx(np.mean(a_n))
    assert got["last"] == a_n[-1]
    # class 7 fell from .9 to .5, class 3 from .9 to .5
    assert got["forgetting"] == pytest.approx((0.4 + 0.4) / 2)
    assert got["bwt"] == pytest.approx((-0.4 - 0.4) / 2)


def test_forgetting_is_from_the_best_and_transfer_from_the_first():
    versions = {"v0": (5, 0, 0), "v1": (8, 12, 0), "v2": (6, 16, 9)}
    probed = probe_rows(("x", 0, 0), ("x", 1, 1), ("x", 2, 2))
    got, _ = incremental(probed, class_rows(versions), groups(TASKS), 3)
    assert got["forgetting"] == pytest.approx((0.2 - 0.2) / 2)
    assert got["bwt"] == pytest.approx((0.1 + 0.2) / 2)


def test_a_device_that_never_learns_stays_at_its_first_version():
    got, a_n = incremental(probe_rows(("x", 0, 0)), class_rows(), groups(TASKS), 3)
    assert a_n == pytest.approx([9 / 10, 9 / 30, 9 / 40])
    assert (got["forgetting"], got["bwt"]) == (0.0, 0.0)


def test_devices_are_averaged_and_a_phase_may_bring_several_versions():
    probed = probe_rows(("x", 0, 0), ("x", 1, 1), ("x", 2, 1), ("y", 0, 0))
    got, a_n = incremental(probed, class_rows(), groups(TASKS), 2)
    assert a_n == pytest.approx([0.9, (15 / 30 + 9 / 30) / 2])
    assert got["forgetting"] == pytest.approx((0.4 + 0.0) / 2)


def test_nothing_probed_has_no_figures():
    nothing = dict.fromkeys(["average", "last", "forgetting", "bwt"])
    assert incremental(probe_rows(("x", 0, 0))[:0], class_rows(), {7: 0}, 2)[0] == nothing
    assert incremental(probe_rows(("x", 0, 0)), None, {7: 0}, 2)[0] == nothing


def test_equals_loops_over_random_tables():
    rng = np.random.default_rng(3)
    for _ in range(5):
        labels, n_states = range(6), 4
        group_of = dict(enumerate(rng.permutation([0, 0, 1, 2, 3, 3]).tolist()))
        sizes = rng.integers(1, 9, 6)
        right = {f"v{v}": rng.integers(0, sizes + 1) for v in range(n_states)}
        rows = [
            {"key": key, "label": label, "n": sizes[label], "n_right": of[label]}
            for (key, of), label in itertools.product(right.items(), labels)
        ]
        probed = probe_rows(*(("x", v, v) for v in range(n_states)))
        got, a_n = incremental(probed, pd.DataFrame(rows), group_of, n_states)

        def accuracy(state, wanted, right=right, sizes=sizes, group_of=group_of):
            mine = [label for label in group_of if group_of[label] in wanted]
            return sum(right[f"v{state}"][c] for c in mine) / sum(sizes[c] for c in mine)

        assert a_n == pytest.approx([accuracy(n, range(n + 1)) for n in range(n_states)])
        falls = [max(accuracy(n, [j]) for n in range(j, 3)) - accuracy(3, [j]) for j in range(3)]
        assert got["forgetting"] == pytest.approx(sum(falls) / 3)
        changes = [accuracy(3, [j]) - accuracy(j, [j]) for j in range(3)]
        assert got["bwt"] == pytest.approx(sum(changes) / 3)
