from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ecsim.core.errors import DataError
from ecsim.core.randomness import Streams
from ecsim.scenario.files import File
from ecsim.streams.arrival_trace import Trace, read_times
from ecsim.streams.arrivals import Periodic, Poisson
from ecsim.streams.diurnal import Diurnal
from ecsim.streams.modulated import Bursts, Mmpp

SINUSOID = Diurnal(Diurnal.Params(rate=3.0, swing=0.8, period=100.0, peak=20.0))
PIECES = Diurnal(Diurnal.Params(rates=(3.0, 0.0, 9.0), period=30.0))
TWO_STATES = Mmpp(Mmpp.Params(rates=(2.0, 20.0), transitions=((0.0, 0.1), (0.5, 0.0))))
BURSTS = Bursts(Bursts.Params(rate=30.0, on=2.0, off=7.0))
FIXED = Bursts(Bursts.Params(rate=30.0, on=2.0, off=7.0, idle_rate=1.0, periods="fixed"))
TOGETHER = Bursts(Bursts.Params(rate=30.0, on=2.0, off=7.0, periods="fixed", start="on"))


def times(process, horizon_s, seed=0):
    blocks = list(process.blocks(Streams(seed)("arrivals", "cam[0]"), horizon_s))
    assert all(len(block) for block in blocks)
    return np.concatenate([np.empty(0), *blocks])


@given(st.floats(0.1, 1000, allow_nan=False), st.floats(0, 5), st.floats(0.1, 3))
def test_periodic_never_drifts(rate, offset, horizon):
    found = times(Periodic(Periodic.Params(rate=rate, offset=offset)), horizon)
    assert (found < horizon).all()
    for k in {0, len(found) // 2, len(found) - 1} - {-1} if len(found) else ():
        exact = Fraction(k) / Fraction(rate) + Fraction(offset)
        # two roundings: of the quotient and of the sum
        assert abs(Fraction(float(found[k])) - exact) <= 2 * Fraction(np.spacing(float(exact)))
    following = float(Fraction(len(found)) / Fraction(rate) + Fraction(offset))
    assert following >= horizon or np.isclose(following, horizon, rtol=1e-12)


def test_periodic_divides_and_does_not_multiply():
    found = times(Periodic(Periodic.Params(rate=10.0)), 1.0)
    assert found.tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def test_periodic_crosses_blocks():
    found = times(Periodic(Periodic.Params(rate=10.0, offset=0.5)), 300.0)
    assert len(found) == 2995 and found[0] == 0.5 and found[2048] == 2048 / 10 + 0.5


def test_periodic_offset_beyond_the_horizon_is_no_task():
    assert len(times(Periodic(Periodic.Params(rate=1.0, offset=9.0)), 9.0)) == 0


def test_poisson_mean_variance_and_gaps():
    # 4.9 standard errors: false alarm 1e-6 per test of the fixed draw
    rate, horizon = 2.0, 20_000.0
    found = times(Poisson(Poisson.Params(rate=rate)), horizon)
    assert (np.diff(found) > 0).all() and found[0] > 0 and found[-1] < horizon
    expected = rate * horizon
    assert abs(len(found) - expected) < 4.9 * expected**0.5
    counts = np.histogram(found, bins=2000, range=(0, horizon))[0]
    # variance of a Poisson(20) sample of 2000: sd of (variance / mean) is about (2 / n)^0.5
    assert abs(counts.var(ddof=1) / counts.mean() - 1) < 4.9 * (2 / 2000) ** 0.5
    gaps = np.diff(found)
    # exponential: standard deviation equals mean; relative se of their ratio is n^-0.5
    assert abs(gaps.std() / gaps.mean() - 1) < 4.9 * len(gaps) ** -0.5


@pytest.mark.parametrize(
    "process",
    [Poisson(Poisson.Params(rate=30.0)), SINUSOID, PIECES, TWO_STATES, BURSTS, FIXED, TOGETHER],
)
def test_a_longer_horizon_only_adds(process):
    short, long = times(process, 500.0), times(process, 2000.0)
    assert np.array_equal(long[long < 500.0], short) and len(long) > 2 * len(short)
    assert (np.diff(long) >= 0).all() and long[0] >= 0 and long[-1] < 2000.0
    endless = process.blocks(Streams(0)("arrivals", "cam[0]"), float("inf"))
    found = np.concatenate([next(endless) for _ in range(3)])
    assert np.array_equal(
        found, times(process, float(found[-1]) * (1 + 1e-12) + 1e-9)[: len(found)]
    )


def z_of_counts(process, horizon_s, mean, variance, n=40):
    """How far the mean count of n independent devices lies from `mean`, in standard errors."""
    counts = [len(times(process, horizon_s, seed)) for seed in range(n)]
    return (np.mean(counts) - mean) / (variance / n) ** 0.5


def test_sinusoid_has_its_mean_and_its_shape():
    # counts of thinned Poisson processes are Poisson; |z| <= 5.5: false alarm 4e-8 each
    rate, horizon = 3.0, 1000.0
    assert abs(z_of_counts(SINUSOID, horizon, rate * horizon, rate * horizon)) <= 5.5
    found = np.concatenate([times(SINUSOID, horizon, seed) for seed in range(40)])
    edges = np.arange(0.0, 101.0, 10.0)
    # the integral of the rate over each tenth of the period
    angle = 2 * np.pi * (edges - 20.0) / 100.0
    expected = 400 * rate * np.diff(edges + 0.8 * 100.0 / (2 * np.pi) * np.sin(angle))
    z = (np.histogram(found % 100.0, edges)[0] - expected) / expected**0.5
    assert np.abs(z).max() <= 5.5
    wrong = 400 * rate * np.full(10, 10.0)
    assert np.abs((np.histogram(found % 100.0, edges)[0] - wrong) / wrong**0.5).max() > 20


def test_pieces_of_a_day_have_their_rates_and_a_pause_has_none():
    assert abs(z_of_counts(PIECES, 300.0, 1200.0, 1200.0)) <= 5.5
    found = np.concatenate([times(PIECES, 300.0, seed) for seed in range(40)]) % 30.0
    counts = np.histogram(found, [0, 10, 20, 30])[0]
    assert counts[1] == 0
    assert abs(counts[0] / counts[2] - 1 / 3) < 5.5 * (1 / 3) * (1 / counts[0]) ** 0.5


def test_fixed_bursts_by_hand():
    found = times(TOGETHER, 90.0)
    assert ((found % 9.0) < 2.0).all()
    assert abs(len(found) - 600) < 5.5 * 600**0.5
    for seed in range(3):  # all devices burst together, each with its own tasks
        other = times(TOGETHER, 90.0, seed + 1)
        assert ((other % 9.0) < 2.0).all() and not np.array_equal(other, found)


def test_fixed_bursts_begin_anywhere_in_their_cycle():
    # where the pause begins is uniform over the cycle: mean 4.5 s, standard deviation 9 / 12^0.5
    process = Bursts(Bursts.Params(rate=2000.0, on=2.0, off=7.0, periods="fixed"))
    ends = []
    for seed in range(200):
        found = times(process, 20.0, seed)
        gap = int(np.diff(found).argmax())
        ends.append(found[gap] % 9.0)
        assert np.diff(found)[gap] == pytest.approx(7.0, abs=0.02)
    assert abs(np.mean(ends) - 4.5) < 5.5 * 9.0 / (12 * 200) ** 0.5
    assert np.histogram(ends, 3, (0, 9))[0].min() > 30


@pytest.mark.parametrize("process", [BURSTS, FIXED])
def test_bursts_have_their_mean_rate_from_the_start(process):
    """The first 9 s of 400 devices: a start that is not stationary would show here."""
    p = process.params
    n = 400
    counts = np.array([len(times(process, 9.0, seed)) for seed in range(n)])
    mean = 9.0 * (p.rate * p.on + p.idle_rate * p.off) / (p.on + p.off)
    assert abs(counts.mean() - mean) <= 5.5 * counts.std(ddof=1) / n**0.5


def write(tmp_path, text, name="x.csv"):
    (tmp_path / name).write_text(text)
    return File(name, tmp_path / name)


def test_trace_gives_its_times_and_each_device_its_own(tmp_path):
    path = write(tmp_path, "t_s,who\n0,b\n0.1,a\n\n0.3,a\n0.3,a\n7,b\n")
    shared = Trace(Trace.Params(path=path, offset=1.0, stagger=10.0))
    assert times(shared.at("a", 0), 8.0).tolist() == [1.0, 1.1, 1.3, 1.3]
    assert times(shared.at("b", 2), 100.0).tolist() == [21.0, 21.1, 21.3, 21.3, 28.0]
    own = Trace(Trace.Params(path=path, device="who"))
    assert times(own.at("a", 1), 9.0).tolist() == [0.1, 0.3, 0.3]
    assert times(own.at("b", 0), 7.0).tolist() == [0.0]
    assert len(times(own.at("c", 2), 9.0)) == 0
    own.check_devices(("a", "b", "c"))
    with pytest.raises(DataError, match="names 'b', which is no device; there are: a"):
        own.check_devices(("a",))


def test_trace_reads_units_without_rounding_twice(tmp_path):
    path = write(tmp_path, "n,at\n1,0.1\n2,1e2\n3,333.3\n")
    found = times(Trace(Trace.Params(path=path, column="at", unit="ms")).at("a", 0), 9.0)
    assert found.tolist() == [0.0001, 0.1, 0.3333]
    hours = times(Trace(Trace.Params(path=path, column="n", unit="h")).at("a", 0), 1e9)
    assert hours.tolist() == [3600.0, 7200.0, 10800.0]


def test_trace_crosses_blocks(tmp_path):
    path = write(tmp_path, "t_s\n" + "".join(f"{k / 10}\n" for k in range(3000)))
    found = times(Trace(Trace.Params(path=path)).at("a", 0), 250.0)
    assert found.tolist() == [k / 10 for k in range(2500)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t_s\n1\n0.5\n", "x.csv:3:1: expected ascending times, got 0.5 after 1.0 s"),
        ("a,t_s\n1,-1\n", "x.csv:2:2: expected a finite time of at least 0, got -1"),
        ("t_s\nnan\n", "x.csv:2:1: expected a finite time of at least 0, got nan"),
        ("t_s\ninf\n", "x.csv:2:1: expected a finite time"),
        ("t_s\nsoon\n", "x.csv:2:1: expected a number of s, got 'soon'"),
        ("a,t_s\n1\n", "x.csv:2:2: expected 2 fields, got 1"),
        ("time\n1\n", "x.csv:1: expected a column 't_s', got time"),
        ("t_s\n", "x.csv: expected at least one time, got none"),
        ("", "x.csv:1: expected a column 't_s'"),
    ],
)
def test_a_bad_trace_says_where(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(DataError, match="^" + message):
        read_times(path.path, "t_s", "s", None)
    with pytest.raises(ValueError, match="^path: " + message):
        Trace.Params(path=path)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (lambda: Mmpp.Params(rates=(0.0, 0.0), transitions=((0, 1), (1, 0))), "rates: "),
        (lambda: Mmpp.Params(rates=(1.0, 2.0), transitions=((0, 1),)), "transitions: .*2 rows"),
        (lambda: Mmpp.Params(rates=(1.0, 2.0), transitions=((1, 1), (1, 0))), "to itself"),
        (lambda: Mmpp.Params(rates=(1.0, 2.0), transitions=((0, 1), (0, 0))), "from every state"),
        (lambda: Diurnal.Params(rate=1.0, rates=(1.0,)), "either rate"),
        (lambda: Diurnal.Params(), "either rate"),
        (lambda: Diurnal.Params(rates=(0.0,)), "rates: "),
    ],
)
def test_parameters_that_do_not_fit(params, message):
    with pytest.raises(ValueError, match=message):
        params()


@pytest.mark.parametrize("kind", [Periodic, Poisson])
@pytest.mark.parametrize("rate", ["0 /s", "-2 /s", "2", 2])
def test_rate_is_positive_and_has_a_unit(kind, rate):
    with pytest.raises(ValidationError):
        TypeAdapter(kind.Params).validate_python({"rate": rate})
    assert TypeAdapter(kind.Params).validate_python({"rate": "30 /min"}).rate == 0.5


@pytest.mark.parametrize(
    ("process", "mean"),
    [
        (Poisson(Poisson.Params(rate=30.0)), 30.0),
        (Periodic(Periodic.Params(rate=0.5)), 0.5),
        (SINUSOID, 3.0),
        (PIECES, 4.0),
        (TWO_STATES, (2.0 * 0.5 + 20.0 * 0.1) / 0.6),
        (BURSTS, 60.0 / 9.0),
        (FIXED, 67.0 / 9.0),
    ],
)
def test_mean_rates_by_hand(process, mean):
    assert process.mean_per_s == pytest.approx(mean, rel=1e-12)
