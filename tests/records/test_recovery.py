import math

import numpy as np
import pandas as pd
import pytest

from ecsim.records import recovery as measured
from ecsim.records.recovery import percentiles

CALM_S, CHANGE_S, HORIZON_S = 0.1, 20.0, 100.0  # bins of 2 s


def recovery(frame, warmup_s, horizon_s):
    columns = (frame[name].to_numpy() for name in ("t_arrive_s", "phase", "latency_s"))
    return measured.recovery(*columns, warmup_s, horizon_s)


def tasks(slow_until_s, n_per_s=50, slow_s=1.0, lost=()):
    """Give tasks whose latency is 1 s from the change until a time, and about 0.1 s else."""
    rng = np.random.default_rng(4)
    arrived_s = np.arange(0.0, HORIZON_S, 1 / n_per_s)
    latency_s = CALM_S * (1 + 0.2 * rng.random(len(arrived_s)))
    latency_s[(arrived_s >= CHANGE_S) & (arrived_s < slow_until_s)] = slow_s
    is_lost = np.zeros(len(arrived_s), dtype=bool)
    for begin_s, end_s in lost:
        is_lost |= (arrived_s >= begin_s) & (arrived_s < end_s)
    latency_s[is_lost] = np.nan
    return pd.DataFrame(
        {
            "t_arrive_s": arrived_s,
            "phase": (arrived_s >= CHANGE_S).astype(int),
            "latency_s": latency_s,
        }
    )


@pytest.mark.parametrize(
    ("slow_until_s", "expected_s"), [(20.0, 0.0), (22.0, 2.0), (31.0, 12.0), (64.0, 44.0)]
)
def test_from_the_change_to_the_end_of_the_last_slow_bin(slow_until_s, expected_s):
    found = recovery(tasks(slow_until_s), 0.0, HORIZON_S)
    assert found["s"] == found["above_s"] == pytest.approx(expected_s)
    assert found["never"] is False
    assert found["peak_s"] == pytest.approx(1.0 if expected_s else 0.12, rel=0.05)


def test_never_within_the_run_is_said_and_gives_a_lower_bound():
    found = recovery(tasks(HORIZON_S), 0.0, HORIZON_S)
    assert found["never"] is True
    assert found["s"] == found["above_s"] == HORIZON_S - CHANGE_S


def test_a_second_wave_puts_recovery_off_but_not_the_time_above():
    frame = tasks(24.0)
    again = frame["t_arrive_s"].between(50.0, 55.99)
    frame.loc[again, "latency_s"] = 0.5
    found = recovery(frame, 0.0, HORIZON_S)
    assert (found["s"], found["above_s"]) == (pytest.approx(36.0), pytest.approx(10.0))


def test_tasks_without_an_answer_are_slow_ones():
    found = recovery(tasks(20.0, lost=[(40.0, 42.0)]), 0.0, HORIZON_S)
    assert (found["s"], found["above_s"]) == (pytest.approx(22.0), pytest.approx(2.0))
    assert found["peak_s"] is None
    few = recovery(tasks(20.0, lost=[(40.0, 40.05)]), 0.0, HORIZON_S)  # 3 of 100
    assert few["s"] == 0.0


def test_nothing_to_tell_without_a_change_or_a_time_before_it():
    frame = tasks(30.0)
    assert recovery(frame[frame["phase"] == 0], 0.0, HORIZON_S)["s"] is None
    assert recovery(frame[frame["t_arrive_s"] > 15.0], 0.0, HORIZON_S)["s"] is None
    assert recovery(frame, 0.0, math.inf)["s"] is None


def test_percentiles_are_those_of_numpy_where_no_rank_falls_between():
    rng = np.random.default_rng(1)
    arrived_s, latency_s = rng.uniform(0, 5, 400), rng.exponential(1, 400)
    found = percentiles(arrived_s, latency_s, 0.0, 1.0, 5)
    for number in range(5):
        mine = latency_s[(arrived_s >= number) & (arrived_s < number + 1)]
        assert found[number] == np.percentile(mine, 95, method="inverted_cdf")
