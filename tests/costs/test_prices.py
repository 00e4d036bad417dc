"""Prices by hand, from the catalogue's figures."""

import pytest

from ecsim.core.errors import UserError
from ecsim.core.types import Work
from ecsim.costs.cards import cards
from ecsim.costs.counted import Counted, CountedParams, Roofline
from ecsim.costs.published import Published, PublishedParams

DEVICES = cards("devices")
LINKS = cards("links")


def test_darwin3_reproduces_the_published_inference_of_125_million_sops():
    engine = Counted(CountedParams()).engine(DEVICES["darwin3"], "edge")
    seconds, joules = engine.price(Work(sops=125e6))
    assert seconds == pytest.approx(2.5e-3 + 0.5e-3)
    assert joules == pytest.approx(0.69e-3, rel=0.01)
    assert engine.idle_w == pytest.approx(0.05)
    assert not engine.can_train


def test_rtx3090_reproduces_the_published_vit_time():
    engine = Counted(CountedParams()).engine(DEVICES["rtx3090"], "cloud")
    seconds, joules = engine.price(Work(macs=16.852283e9))
    assert seconds - 1e-3 == pytest.approx(4.3e-3, rel=0.01)
    assert joules == pytest.approx(325.0 * seconds)


def test_arithmetic_boundary_counts_operations_only():
    engine = Counted(CountedParams(), "op").engine(DEVICES["rtx3090"], "cloud")
    _, joules = engine.price(Work(macs=1e9, sops=1e9, neuron_updates=1e9))
    assert joules == pytest.approx(4.6e-3 + 0.9e-3 + 4.6e-3)
    assert engine.idle_w == 0.0


def test_a_training_pays_the_overhead_of_each_mini_batch():
    engine = Counted(CountedParams()).engine(DEVICES["raspberry_pi_4b"], "edge")
    seconds, _ = engine.price(Work(macs=8e9, steps=10, is_training=True))
    assert seconds == pytest.approx(1.0 + 10 * 2e-3)


def test_wifi_power_is_the_papers_5479_milliwatt():
    link = Counted(CountedParams()).link(LINKS["wifi_2012"], payload_bytes=1.0)
    assert link.tx_w == pytest.approx(5.4791, abs=1e-4)


def test_a_rate_given_by_the_user_changes_the_power_with_it():
    link = Counted(CountedParams()).link(LINKS["wifi_2012"], payload_bytes=1.0, up_bit_per_s=1e6)
    assert link.tx_w == pytest.approx(0.28317 + 0.13286)


def test_published_table_is_reproduced_whatever_the_payload_and_work():
    published = Published(PublishedParams("ecc_snn_tiny_imagenet"))
    link = published.link(LINKS["wifi_2012"], payload_bytes=1234.0)
    upload_s = 1234.0 * 8 / link.up_bit_per_s
    assert upload_s == pytest.approx(64.4e-3)
    assert link.tx_w * upload_s == pytest.approx(352.9e-3)
    assert published.engine(DEVICES["darwin3"], "edge").price(Work(sops=1)) == (11e-3, 2.03e-3)
    assert published.engine(DEVICES["rtx3090"], "cloud").price(Work()) == (14.1e-3, 15.167)
    assert published.engine(DEVICES["darwin3"], "edge").price(Work(is_training=True)) == (0, 0)


def test_unknown_boundary_is_refused():
    with pytest.raises(UserError, match="boundary"):
        Counted(CountedParams(), "sum")


def test_memory_boundary_adds_the_bytes_and_the_wall_the_computer_around():
    work = Work(macs=1e9, bytes_moved=4e6)
    _, joules = (
        Counted(CountedParams(), "op_memory").engine(DEVICES["rtx3090"], "cloud").price(work)
    )
    assert joules == pytest.approx(1e9 * 4.6e-12 + 4e6 * 12.5e-12)
    wall = Counted(CountedParams(), "wall").engine(DEVICES["rtx3090"], "cloud")
    seconds, joules = wall.price(work)
    assert wall.idle_w == pytest.approx((25 + 60) * 1.3)
    assert joules == pytest.approx((325 + 60) * 1.3 * seconds)


def test_roofline_is_the_later_of_arithmetic_and_memory():
    engine = Roofline(CountedParams()).engine(DEVICES["raspberry_pi_4b"], "edge")
    assert engine.price(Work(macs=24e9))[0] == pytest.approx(1.0 + 2e-3)
    assert engine.price(Work(macs=24e8, bytes_moved=5.56e9))[0] == pytest.approx(1.0 + 2e-3)
    assert "uncalibrated" in engine.basis


def test_a_batch_pays_its_fixed_share_once():
    engine = Counted(CountedParams()).engine(DEVICES["rtx3090"], "cloud")
    assert engine.batch_s(1, 2.0) == 2.0
    assert engine.batch_s(11, 2.0) == pytest.approx(2.0 * (0.6 + 0.4 * 11))
    assert engine.batch_j(11, 650.0) == pytest.approx(650.0 * (0.6 + 0.4 * 11))
    arithmetic = Counted(CountedParams(), "op").engine(DEVICES["rtx3090"], "cloud")
    assert arithmetic.batch_j(11, 2.0) == 22.0
