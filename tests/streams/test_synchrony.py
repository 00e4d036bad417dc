import numpy as np

from ecsim.streams.arrivals import Poisson
from ecsim.streams.mixtures import Recurring
from ecsim.streams.synchrony import delays
from ecsim.streams.tasks import dealers, device_columns

DEVICES = [f"cam[{i}]" for i in range(300)]
LABELS = np.arange(400) % 10
PHASE_S = 10.0


def columns(delays_s=None, devices=("a", "b"), horizon_s=None):
    params = Recurring.Params(base_classes=4, increment=6, order=(0, 1), cycles=2)
    schedule = Recurring(params, 10, 2025)
    dealt = dealers(devices, schedule=schedule, samples=np.arange(400), labels=LABELS, data_seed=1)
    found = device_columns(
        dealt,
        arrivals=Poisson(Poisson.Params(rate=40.0)),
        schedule=schedule,
        phase_s=PHASE_S,
        world_seed=2,
        delays_s=delays_s,
        horizon_s=horizon_s,
    )
    merged = [
        [np.concatenate(column) for column in zip(*blocks, strict=True)]
        for blocks in (list(device) for device in found)
    ]
    return schedule, dict(zip(devices, merged, strict=True))


def test_no_delay_changes_nothing():
    _, plain = columns()
    _, same = columns({"a": 0.0, "b": 0.0})
    for device in plain:
        for mine, other in zip(plain[device], same[device], strict=True):
            np.testing.assert_array_equal(mine, other)


def test_a_device_meets_each_phase_later_by_its_own_delay():
    schedule, found = columns({"a": 0.0, "b": 3.0})
    for device, delay_s in (("a", 0.0), ("b", 3.0)):
        times, phases, samples, _ = found[device]
        expected = np.searchsorted(delay_s + PHASE_S * np.arange(1, 4), times, side="right")
        np.testing.assert_array_equal(phases, expected)
        for phase in range(4):
            shown = {*LABELS[samples[phases == phase]].tolist()}
            assert shown == {*schedule.classes_in(phase)}
        assert times.max() < 4 * PHASE_S  # the last phase is shorter


def test_arrivals_are_those_of_devices_at_once():
    _, together = columns()
    _, apart = columns({"a": 7.0, "b": 3.0})
    for device in together:
        np.testing.assert_array_equal(together[device][0], apart[device][0])


def test_delays_are_uniform_over_what_synchrony_leaves():
    """300 numbers: the distance from a uniform law exceeds 0.15 with probability below 1e-5."""
    for synchrony in (0.0, 0.6):
        found = np.sort([*delays(DEVICES, synchrony, 30.0, 5).values()])
        spread_s = (1 - synchrony) * 30.0
        assert found[0] >= 0 and found[-1] < spread_s
        steps = np.arange(1, 301) / 300
        assert np.abs(found / spread_s - steps).max() < 0.15
    assert delays(DEVICES[:3], 0.0, 30.0, 5) == {
        device: delay for device, delay in delays(DEVICES, 0.0, 30.0, 5).items()
        if device in DEVICES[:3]
    }  # fmt: skip
