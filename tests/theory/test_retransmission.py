"""Loss and retransmission against the geometric distribution.

Each check: 20 or more replications, |z| <= 5.5, and a change of 2 % must be seen.
"""

from __future__ import annotations

import math

import numpy as np
from replications import BOUND, N, check, z_score

from ecsim.core.errors import Lost
from ecsim.core.randomness import Streams
from ecsim.kernel import Ledger, Link, Loss, Node, Topology, Travel, World


class Sender:
    """Sends messages one by one, far apart, and keeps each one's ledger, end and fate."""

    def __init__(self, n, loss, seed, service_s=1.0):
        self.world = World()
        topology = Topology(self.world, streams=Streams(seed))
        for name in "ab":
            topology.add_node(Node(self.world, name, "edge", {}))
        topology.connect(["a"], "b", Link("l", 8.0, 8.0, near_tx_w=3.0, loss=loss))
        self.hops = topology.route("a", "b")
        self.size_bytes = service_s
        self.stays, self.ledgers, self.n_lost = [], [], 0
        apart_s = 1e6
        self.world.feed(((i * apart_s, None) for i in range(n)), self.send)
        self.world.run()

    def send(self, item):
        ledger = Ledger()
        self.ledgers.append(ledger)
        self.world.spawn(self.flow(), ledger)

    def flow(self):
        begin = self.world.now
        try:
            yield Travel(self.hops, self.size_bytes)
        except Lost:
            self.n_lost += 1
        self.stays.append(self.world.now - begin)


def mean_stay(p, timeout_s, backoff, attempts, service_s=1.0):
    """Sum over the number of the last attempt, written out."""
    total = 0.0
    for k in range(1, attempts + 1):
        waits = sum(timeout_s * backoff ** (i - 1) for i in range(1, k))
        total += (1 - p) * p ** (k - 1) * (k * service_s + waits)
    waits = sum(timeout_s * backoff ** (i - 1) for i in range(1, attempts + 1))
    return total + p**attempts * (attempts * service_s + waits)


def test_mean_time_of_a_message_that_is_repeated_at_once():
    """With no time-out a message takes a geometric number of services: 1 / (1 - p)."""
    p = 0.2

    def replicate(rng, stretch):
        loss = Loss(p, 0.0, 1.0, 200)
        sender = Sender(1800, loss, int(rng.integers(1 << 31)), stretch)
        return np.mean(sender.stays), None

    check(replicate, 1.0 / (1.0 - p), seed=41)


def test_mean_time_and_energy_with_back_off_and_a_last_attempt():
    p, loss = 0.2, Loss(0.2, 0.25, 1.5, 3)

    def replicate(rng, stretch):
        sender = Sender(2000, loss, int(rng.integers(1 << 31)), stretch)
        return (np.mean(sender.stays), np.mean([one.joules[0] for one in sender.ledgers])), None

    attempts = (1 - p**3) / (1 - p)
    check(replicate, (mean_stay(p, 0.25, 1.5, 3), 3.0 * attempts), seed=42)


def test_counts_of_attempts_are_geometric_and_what_is_given_up_is_the_rest():
    """Seen again with a loss probability 2 % higher, which must not pass."""
    p, limit, n = 0.8, 6, 1000
    scores = {}
    for factor in (1.0, 1.02):
        means, given_up, second = [], [], []
        for i in range(N):
            sender = Sender(n, Loss(p * factor, 0.1, 1.0, limit), 100 + i)
            counts = np.array([ledger.bytes[0] for ledger in sender.ledgers])
            assert set(counts) == set(range(1, limit + 1))
            means.append(counts.mean())
            given_up.append(sender.n_lost / n)
            second.append((counts == 2).mean())
        scores[factor] = [
            z_score(means, (1 - p**limit) / (1 - p)),
            z_score(given_up, p**limit),
            z_score(second, p * (1 - p)),
        ]
    assert all(abs(z) <= BOUND for z in scores[1.0]), scores
    assert all(abs(z) > BOUND for z in scores[1.02][:2]), scores


def test_a_lossy_link_is_loaded_by_its_repetitions():
    """Attempts and bytes on the channel are those of all attempts: load x 1 / (1 - p)."""
    sender = Sender(4000, Loss(0.2, 0.0, 1.0, 100), 7)
    hop = sender.hops[0]
    assert hop.n_jobs == hop.line.n_attempts == 4000 + hop.line.n_lost
    assert hop.work_s == hop.n_jobs * 1.0 and hop.bytes == hop.n_jobs
    assert sum(ledger.bytes[0] for ledger in sender.ledgers) == hop.bytes
    assert abs(hop.n_jobs / 4000 - 1.25) < 5.5 * math.sqrt(0.2 / 0.64 / 4000)
