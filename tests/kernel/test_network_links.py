"""Links that are not plain: half duplex, sharing, traces, jitter, loss and radios, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ecsim.core.errors import Down, Lost, UserError
from ecsim.core.randomness import Streams
from ecsim.kernel import (
    After,
    ExponentialJitter,
    First,
    Ledger,
    Link,
    LognormalJitter,
    Loss,
    MeterWindow,
    Node,
    NormalJitter,
    RadioCard,
    Steps,
    Topology,
    Travel,
    UniformJitter,
    WorkClock,
    World,
    check_energy,
    expand,
)


class Lab:
    """Cameras and a cloud, joined by one link; messages and when they arrive."""

    def __init__(self, n=1, *, rate=8e3, down=None, seed=1, **link):
        self.world = World()
        self.topology = Topology(self.world, 1000.0, streams=Streams(seed))
        self.cams = expand("cam", n)
        for name in [*self.cams, "cloud"]:
            self.topology.add_node(Node(self.world, name, "edge", {}))
        powers = {"near_tx_w": 2.0, "near_rx_w": 1.0, "far_tx_w": 0.5, "far_rx_w": 0.25}
        self.topology.connect(
            self.cams, "cloud", Link("l", rate, down or rate, **{**powers, **link})
        )
        self.log = {}
        self.ledgers = []

    def send(self, name, size, at=0.0, cam=0, is_down=False, race=None):
        """Send `size` bytes at a time; `log[name]` is the time of arrival or the error."""
        ends = (self.cams[cam], "cloud")
        ledger = Ledger()
        self.ledgers.append(ledger)

        def flow():
            yield After(at)
            travel = Travel(self.topology.route(*(ends[::-1] if is_down else ends)), size)
            try:
                if race is None:
                    yield travel
                else:
                    yield First(travel, After(race))
            except (Lost, Down) as error:
                self.log[name] = (self.world.now, type(error).__name__)
            else:
                self.log[name] = self.world.now

        self.world.spawn(flow(), ledger)
        return ledger

    def run(self):
        self.world.run()
        check_energy(self.world, sum(ledger.total_j for ledger in self.ledgers))
        return self.log

    def rows(self, until):
        window = MeterWindow(self.world)
        window.open()
        begin = self.world.now
        self.world.run_until(until)
        window.close()
        rows = window.rows()
        parts = {}
        for row in rows:
            parts.setdefault((row.node, row.component), []).append(row.seconds)
        for seconds in parts.values():
            assert sum(seconds) == pytest.approx(until - begin)
        return {(row.node, row.component, row.state): (row.seconds, row.joules) for row in rows}


# Half duplex -------------------------------------------------------------------------------


def test_half_duplex_is_one_queue_for_both_directions():
    lab = Lab(half_duplex=True, down=16e3)
    lab.send("up", 1000.0)  # 1 s
    lab.send("down", 1000.0, is_down=True)  # then 0.5 s
    assert lab.run() == {"up": 1.0, "down": 1.5}
    assert len(lab.topology.channels) == 1 and lab.topology.channels[0].work_s == 1.5


# Sharing -----------------------------------------------------------------------------------


def test_sharing_by_hand():
    """A needs 4 s alone, B comes at 1 s and needs 1 s: B ends at 3 s, A at 5 s."""
    lab = Lab(2, shared=True, sharing=True, latency_s=0.5)
    a = lab.send("a", 4000.0, cam=0)
    b = lab.send("b", 1000.0, at=1.0, cam=1)
    assert lab.run() == {"a": 5.5, "b": 3.5}
    assert (a.service_s, a.wait_s) == ([4.0], [1.0])
    assert (b.service_s, b.wait_s) == ([1.0], [1.0])
    assert a.joules == [4.0 * 2.25] and b.joules == [2.25]


def test_sharing_divides_the_energy_of_the_window_as_it_was_served():
    lab = Lab(2, shared=True, sharing=True)
    lab.send("a", 4000.0, cam=0)
    lab.send("b", 1000.0, at=1.0, cam=1)
    rows = lab.rows(2.0)
    assert rows["cam[0]", "transmitter", "tx"] == (1.5, 3.0)
    assert rows["cam[1]", "transmitter", "tx"] == (0.5, 1.0)
    assert rows["cloud", "receiver", "rx"] == (2.0, 0.5)
    lab.run()


def test_sharing_in_half_duplex_shares_time_not_bits():
    """Up at 8 kbit/s, down at 16: in the first second each has half of the time."""
    lab = Lab(half_duplex=True, sharing=True, down=16e3)
    lab.send("up", 1000.0)  # 1 s alone
    lab.send("down", 1000.0, is_down=True)  # 0.5 s alone: over at 1 s
    assert lab.run() == {"down": 1.0, "up": 1.5}


def test_sharing_follows_a_rate_that_changes():
    clock = WorkClock([0.0, 2.0], [8e3, 2e3])
    lab = Lab(2, shared=True, sharing=True, up_clock=clock, near_tx_j_per_bit=1.0)
    lab.send("a", 1500.0, cam=0)  # 8000 bits each by 2 s; then 4000 more at 2000/2
    lab.send("b", 1500.0, cam=1)
    assert lab.run() == {"a": 6.0, "b": 6.0}
    ledger = lab.ledgers[0]
    assert ledger.service_s == [3.0]
    assert ledger.joules == [pytest.approx(3.0 * 2.25 + 12000.0)]


def test_sharing_equals_a_simulation_in_small_steps():
    rng = np.random.default_rng(3)
    lab = Lab(5, shared=True, sharing=True)
    jobs = [
        (float(t), float(s))
        for t, s in zip(rng.uniform(0, 6, 12), rng.uniform(50, 1500, 12), strict=True)
    ]
    for i, (t, size) in enumerate(jobs):
        lab.send(i, size, at=t, cam=i % 5)
    log = lab.run()
    step, now = 1e-3, 0.0
    left = {i: size for i, (_, size) in enumerate(jobs)}
    ended = {}
    while left:
        active = [i for i in left if jobs[i][0] <= now]
        for i in active:
            left[i] -= 1000.0 * step / len(active)
            if left[i] <= 0.0:
                ended[i] = now + step
                del left[i]
        now += step
    assert log == pytest.approx(ended, abs=0.03)
    assert max(log.values()) == pytest.approx(max(ended.values()), abs=0.015)


def test_a_reading_does_not_change_what_is_shared():
    times = []
    for probes in (0, 50):
        lab = Lab(3, shared=True, sharing=True)
        for i in range(9):
            lab.send(i, 333.3 + 77.7 * i, at=0.37 * i, cam=i % 3)
        for k in range(probes):
            lab.world.run_until(0.1 * (k + 1))
            lab.world.snapshot()
        times.append(lab.run())
    assert times[0] == times[1]


# Rates and latencies that change -------------------------------------------------------------


def test_a_message_that_crosses_a_change_of_rate():
    clock = WorkClock([0.0, 1.0], [8e3, 4e3])
    lab = Lab(up_clock=clock, near_tx_j_per_bit=1e-3, latency=Steps([0.0, 3.0], [1.0, 0.25]))
    a = lab.send("a", 1000.0, at=0.5)  # 4000 bits until 1, 4000 more until 2; arrives at 3
    lab.send("b", 500.0, at=0.5)  # from 2 until 3; the new latency holds then
    lab.send("d", 1000.0, at=0.5, is_down=True)  # the other direction is as it was
    rows = lab.rows(1.5)
    # 4000 bits in 0.5 s, then 2000 in 0.5 s
    assert rows["cam[0]", "transmitter", "tx"] == (1.0, pytest.approx(2.0 + 6.0))
    assert lab.run() == {"a": 3.0, "b": 3.25, "d": 2.5}
    assert a.service_s == [1.5] and a.joules == [pytest.approx(1.5 * 2.25 + 8.0)]


def test_a_clock_of_one_rate_gives_the_same_floats_as_a_plain_link():
    rng = np.random.default_rng(0)
    sends = [
        (float(t), float(s))
        for t, s in zip(rng.uniform(0, 9, 60), rng.uniform(1, 400, 60), strict=True)
    ]
    logs = []
    for extra in ({}, {"up_clock": WorkClock([0.0], [7.7e3])}, {"latency": Steps([0.0], [0.1])}):
        lab = Lab(rate=7.7e3, latency_s=0.1, **extra)
        for i, (t, size) in enumerate(sends):
            lab.send(i, size, at=t)
        logs.append(lab.run())
    assert logs[0] == logs[1] == logs[2]


# Jitter ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jitter", "mean", "deviation"),
    [
        (UniformJitter(0.1, 0.5), 0.3, 0.4 / math.sqrt(12.0)),
        (ExponentialJitter(0.2), 0.2, 0.2),
        (LognormalJitter(0.3, 0.15), 0.3, 0.15),
        (NormalJitter(0.1), 0.0, 0.1),  # truncated at 10 deviations
    ],
)
def test_jitter_has_the_moments_it_is_given(jitter, mean, deviation):
    """20,000 messages; |z| <= 5.5 on the mean (false alarm 4e-8), 5 % on the deviation."""
    lab = Lab(rate=8e9, latency_s=1.0, jitter=jitter, in_order=False)
    n = 20_000
    for i in range(n):
        lab.send(i, 1.0, at=10.0 * i)
    log = lab.run()
    delays = np.array([log[i] - 10.0 * i - 1.0 - 1e-9 for i in range(n)])
    assert abs(delays.mean() - mean) <= 5.5 * deviation / math.sqrt(n)
    assert delays.std() == pytest.approx(deviation, rel=0.05)
    assert delays.min() >= (0.1 if isinstance(jitter, UniformJitter) else -1.0)


def test_nothing_arrives_before_it_is_sent():
    lab = Lab(rate=8e9, latency_s=0.01, jitter=NormalJitter(0.1), in_order=False)
    for i in range(2000):
        lab.send(i, 1.0, at=float(i))
    log = lab.run()
    assert all(log[i] >= i for i in range(2000))
    # truncated, not clipped: hardly any message has no propagation at all
    assert sum(log[i] - i < 1e-6 for i in range(2000)) < 5


def test_in_order_messages_wait_for_those_before_them():
    free, ordered = [], []
    for log, in_order in ((free, False), (ordered, True)):
        lab = Lab(rate=8e6, jitter=ExponentialJitter(0.5), in_order=in_order)
        for i in range(300):
            lab.send(i, 1.0, at=0.01 * i)
        found = lab.run()
        log += [found[i] for i in range(300)]
        propagation = sum(ledger.propagation_s for ledger in lab.ledgers)
        sent = sum(0.01 * i + 1e-6 for i in range(300))
        assert propagation == pytest.approx(sum(log) - sent, rel=1e-6)
    assert free != sorted(free)
    assert ordered == np.maximum.accumulate(free).tolist()


def test_the_nth_message_meets_the_same_jitter_and_loss_whatever_else_happens():
    logs = []
    for extra in (False, True):
        lab = Lab(2, rate=8e9, jitter=ExponentialJitter(0.5), loss=Loss(0.3, 0.0))
        for i in range(50):
            lab.send(i, 1.0, at=10.0 * i)
            if extra:
                lab.send(f"x{i}", 1.0, at=10.0 * i, cam=1)
                lab.send(f"d{i}", 1.0, at=10.0 * i, is_down=True)
        found = lab.run()
        logs.append([found[i] for i in range(50)])
    assert logs[0] == logs[1]


# Loss --------------------------------------------------------------------------------------


class Scripted:
    """Says of each attempt whether it is lost."""

    def __init__(self, *lost):
        self.lost = list(lost)

    def __call__(self):
        return 0.0 if self.lost.pop(0) else 0.9


def test_a_lost_message_is_sent_again_after_its_timeout():
    lab = Lab(latency_s=0.5, loss=Loss(0.5, 2.0, backoff=3.0, attempts=4))
    line = lab.topology.route("cam[0]", "cloud")[0].line
    line.losses = Scripted(True, True, False, False)
    a = lab.send("a", 1000.0)  # 0-1 lost, 3-4 lost, 10-11 arrives
    b = lab.send("b", 1000.0, at=3.5)  # behind a's second attempt: 4-5
    line.losses = Scripted(True, True, False, False)
    assert lab.run() == {"a": 11.5, "b": 5.5}
    assert (a.service_s, a.wait_s, a.propagation_s) == ([3.0], [8.0], 0.5)
    assert (a.bytes, a.joules) == ([3000.0], [pytest.approx(3 * 2.25)])
    assert (b.bytes, b.wait_s) == ([1000.0], [0.5])
    assert (line.n_attempts, line.n_lost, line.n_given_up) == (4, 2, 0)


def test_a_message_is_given_up_after_its_last_attempt():
    lab = Lab(loss=Loss(1.0, 1.0, backoff=1.0, attempts=2))
    a = lab.send("a", 1000.0)  # 0-1, 2-3, given up at 4
    assert lab.run() == {"a": (4.0, "Lost")}
    assert (a.service_s, a.wait_s, a.bytes) == ([2.0], [2.0], [2000.0])
    assert a.joules == [pytest.approx(4.5)]
    assert lab.topology.route("cam[0]", "cloud")[0].line.n_given_up == 1


def test_an_abandoned_message_is_repeated_as_wasted():
    lab = Lab(loss=Loss(1.0, 1.0, backoff=1.0, attempts=3))
    a = lab.send("a", 1000.0, race=1.5)
    assert lab.run() == {"a": 1.5}
    assert a.wasted_s == 3.0 and a.total_j == pytest.approx(3 * 2.25)
    assert (a.service_s, a.wait_s, a.bytes) == ([0.0], [0.0], [1000.0])


# Radios ------------------------------------------------------------------------------------

LTE = RadioCard(promotion_s=0.25, promotion_w=4.0, tail_s=10.0, tail_w=1.0)


def test_a_radio_is_promoted_lingers_and_falls_asleep():
    lab = Lab(radio=LTE)
    a = lab.send("a", 1000.0, at=1.0)  # promotion until 1.25, transfer until 2.25
    b = lab.send("b", 1000.0, at=1.1)  # joins the promotion; 2.25 to 3.25
    c = lab.send("c", 1000.0, at=8.25)  # within the tail: at once
    d = lab.send("d", 1000.0, at=100.0, is_down=True)  # the other direction wakes it too
    rows = lab.rows(120.0)
    assert lab.log == {"a": 2.25, "b": 3.25, "c": 9.25, "d": 101.25}
    # connected 2 + 1 + 1 s; tails of 5 s, 10 s and 10 s; two promotions
    assert rows["cam[0]", "radio", "connected"] == (4.0, 0.0)
    assert rows["cam[0]", "radio", "promotion"] == (0.5, 2.0)
    assert rows["cam[0]", "radio", "tail"] == (25.0, 25.0)
    assert rows["cam[0]", "radio", "idle"] == (90.5, 0.0)
    assert ("cloud", "radio", "tail") not in rows
    assert a.joules == [pytest.approx(2.25 + 1.0)] and a.wait_s == [0.25]
    assert b.joules == [2.25] and b.wait_s == [pytest.approx(0.15 + 1.0)]
    assert c.wait_s == [0.0] and d.wait_s == [0.25]
    assert d.joules == [pytest.approx(1.5 + 1.0)]
    lab.run()


def test_readings_cut_promotion_transfer_and_tail():
    for until, promotion, connected, tail in (
        (1.1, 0.1, 0.0, 0.0),
        (2.0, 0.25, 0.75, 0.0),
        (4.25, 0.25, 1.0, 2.0),
        (50.0, 0.25, 1.0, 10.0),
    ):
        lab = Lab(radio=LTE)
        lab.send("a", 1000.0, at=1.0)
        rows = lab.rows(until)
        assert rows["cam[0]", "radio", "promotion"] == pytest.approx((promotion, 4.0 * promotion))
        assert rows["cam[0]", "radio", "connected"][0] == pytest.approx(connected)
        assert rows["cam[0]", "radio", "tail"] == pytest.approx((tail, tail))
        lab.run()


def test_a_radio_on_a_shared_medium_stays_connected_until_its_message_ends():
    lab = Lab(2, shared=True, sharing=True, radio=RadioCard(tail_s=3.0, tail_w=1.0))
    lab.send("a", 4000.0, cam=0)  # ends at 5
    lab.send("b", 1000.0, at=1.0, cam=1)  # ends at 3
    rows = lab.rows(4.0)
    assert rows["cam[0]", "radio", "connected"] == (4.0, 0.0)
    assert rows["cam[1]", "radio", "connected"][0] == 2.0
    assert rows["cam[1]", "radio", "tail"] == (1.0, 1.0)
    lab.run()
    window_end = lab.world.snapshot()[lab.topology.nodes["cam[0]"].radio]
    assert window_end[0] == pytest.approx([5.0, 0.0, 0.0])


def test_a_message_that_is_cut_leaves_the_medium_and_the_radio():
    """A needs 4 s alone; B joins at 1 s and is cut at 2 s, half a second served."""
    lab = Lab(2, shared=True, sharing=True, radio=RadioCard(tail_s=3.0, tail_w=1.0))
    a = lab.send("a", 4000.0, cam=0)
    b = lab.send("b", 4000.0, at=1.0, cam=1)
    hop = lab.topology.route("cam[1]", "cloud")[0]
    lab.world.run_until(2.0)
    (_, travel) = hop.channel.messages()
    travel.cut(Down("cam[1]"))
    rows = lab.rows(3.5)
    assert lab.log == {"b": (2.0, "Down")}
    assert (b.service_s, b.wait_s, b.joules) == ([0.5], [0.5], [0.5 * 2.25])
    assert rows["cam[1]", "radio", "connected"] == (0.0, 0.0)  # from 2 s on
    assert rows["cam[1]", "radio", "tail"] == (1.5, 1.5)
    assert (hop.work_s, hop.bytes) == (0.5, 500.0)
    assert lab.run()["a"] == 4.5 and a.wait_s == [0.5]


def test_a_message_that_is_cut_while_it_waits_gives_back_what_is_left():
    lab = Lab(latency_s=1.0, loss=Loss(0.5, 4.5, backoff=1.0, attempts=4))
    line = lab.topology.route("cam[0]", "cloud")[0].line
    line.losses = Scripted(True, False, False, False)
    ledgers = [lab.send(name, 1000.0) for name in "abcd"]  # serialised by 1, 2, 3, 4 s
    lab.world.run_until(2.5)
    entries = {entry[3].t: entry[3] for entry in lab.world.queue}
    for t in (5.5, 3.0, 4.0):  # a in its time-out, b propagating, c half way
        entries[t].cut(Down("link"))
    lab.world.run()
    assert [ledger.wait_s for ledger in ledgers] == [[1.5], [1.0], [2.0], [3.0]]
    assert [ledger.service_s for ledger in ledgers] == [[1.0], [1.0], [0.5], [1.0]]
    assert [ledger.propagation_s for ledger in ledgers] == [0.0, 0.5, 0.0, 1.0]
    assert lab.run()["d"] == 5.0


def test_tail_energy_is_nobodys_and_the_books_balance():
    lab = Lab(radio=LTE)
    for i in range(5):
        lab.send(i, 100.0, at=7.0 * i)
    lab.run()
    # four gaps of 7 s less the transfer of 0.1 s (and the first promotion)
    assert lab.world.unowned_j == pytest.approx(4 * 6.9 - 0.25)
    assert sum(ledger.total_j for ledger in lab.ledgers) == pytest.approx(5 * 0.225 + 1.0)


# Errors ------------------------------------------------------------------------------------


def test_errors_of_the_parts_of_links():
    for make, words in (
        (lambda: UniformJitter(2.0, 1.0), "low <= high"),
        (lambda: UniformJitter(math.nan, 1.0), "low <= high"),
        (lambda: NormalJitter(0.0), "deviation that is finite and > 0"),
        (lambda: LognormalJitter(0.0, 1.0), "a mean that is finite and > 0"),
        (lambda: ExponentialJitter(math.nan), "a mean"),
        (lambda: Loss(1.5, 1.0), r"probability in \[0, 1\], got 1.5"),
        (lambda: Loss(math.nan, 1.0), "probability"),
        (lambda: Loss(0.5, -1.0), "time-out"),
        (lambda: Loss(0.5, 1.0, 0.5), "back-off"),
        (lambda: Loss(0.5, 1.0, 2.0, 0), "at least one attempt"),
        (lambda: RadioCard(tail_s=math.inf), "tail_s must be finite"),
        (lambda: Link("l", 1.0, 1.0, weight=0.0), "weight must be > 0"),
    ):
        with pytest.raises(UserError, match=words):
            make()
