import os
import subprocess
import sys
from collections import defaultdict
from itertools import islice, pairwise

import numpy as np
import pytest

from ecsim.streams.arrivals import Periodic, Poisson
from ecsim.streams.schedule import ClassIncremental
from ecsim.streams.tasks import task_stream

LABELS = np.arange(200) % 10
SAMPLES = np.arange(0, 200, 2) // 20 * 20 + np.arange(100) % 20  # some of every class
SCHEDULE = ClassIncremental(ClassIncremental.Params(base_classes=4, increment=3), 10, 1)
CAMS = ("cam[0]", "cam[1]", "cam[2]")


def tasks(devices=CAMS, arrivals=None, **changes):
    given = {
        "arrivals": arrivals or Poisson(Poisson.Params(rate=2.0)),
        "schedule": SCHEDULE,
        "phase_s": 30.0,
        "samples": np.unique(SAMPLES),
        "labels": LABELS,
        "payload_bytes": 64.0,
        "world_seed": 1,
        "data_seed": 2,
    }
    return list(task_stream(devices, **(given | changes)))


def by_device(stream):
    found = defaultdict(list)
    for task in stream:
        found[task.device].append((task.t_arrive_s, task.sample_id, task.phase, task.visit))
    return found


def test_order_phases_classes_and_visits():
    stream = tasks()
    assert [task.id for task in stream] == list(range(len(stream)))
    assert all(a.t_arrive_s <= b.t_arrive_s for a, b in pairwise(stream))
    assert {task.phase for task in stream} == {0, 1, 2}
    seen = defaultdict(int)
    for task in stream:
        assert task.phase * 30.0 <= task.t_arrive_s < (task.phase + 1) * 30.0
        assert LABELS[task.sample_id] in SCHEDULE.classes_in(task.phase)
        assert task.sample_id in SAMPLES
        seen[task.device, task.sample_id] += 1
        assert task.visit == seen[task.device, task.sample_id]
    assert max(seen.values()) > 1


def test_no_sample_twice_in_a_phase_before_all_were_shown():
    stream = tasks(["cam[0]"], Poisson(Poisson.Params(rate=1.0)))
    for phase in range(3):
        shown = [task.sample_id for task in stream if task.phase == phase]
        pool = [i for i in np.unique(SAMPLES) if LABELS[i] in SCHEDULE.classes_in(phase)]
        assert len(set(shown)) == min(len(shown), len(pool))


def test_same_on_each_call_and_streamed():
    assert tasks() == tasks()
    endless = tasks_iterator = task_stream(
        CAMS,
        arrivals=Poisson(Poisson.Params(rate=1000.0)),
        schedule=SCHEDULE,
        phase_s=1e9,
        samples=np.unique(SAMPLES),
        labels=LABELS,
        payload_bytes=1.0,
        world_seed=1,
        data_seed=2,
    )
    assert len(list(islice(tasks_iterator, 5000))) == 5000
    assert next(endless).id == 5000


def test_another_device_shifts_no_other_draw():
    few, more = by_device(tasks(CAMS[:2])), by_device(tasks((*CAMS, "a new one")))
    assert all(few[device] == more[device] for device in CAMS[:2])
    assert len(more) == 4
    for column in (0, 1):  # times, samples
        shown = [[row[column] for row in more[device][:20]] for device in more]
        assert shown[0] != shown[1]


def test_each_seed_decides_its_own():
    first = by_device(tasks())["cam[0]"]
    other_world = by_device(tasks(world_seed=9))["cam[0]"]
    other_data = by_device(tasks(data_seed=9))["cam[0]"]
    assert [row[0] for row in first] == [row[0] for row in other_data]
    assert [row[1] for row in first] != [row[1] for row in other_data]
    assert [row[0] for row in first] != [row[0] for row in other_world]
    first_phase = [row[1] for row in first if row[2] == 0][:40]
    assert first_phase == [row[1] for row in other_world if row[2] == 0][:40]


def test_ties_come_in_the_order_of_the_devices():
    stream = tasks(("z", "a"), Periodic(Periodic.Params(rate=1.0)), deadline_s=0.1)
    assert [task.device for task in stream[:4]] == ["z", "a", "z", "a"]
    assert stream[0].t_arrive_s == stream[1].t_arrive_s == 0.0
    assert stream[0].deadline_s == 0.1 and stream[0].payload_bytes == 64.0


@pytest.mark.parametrize("phase_s", [0.5, 7.0, 1 / 3])
def test_an_arrival_on_a_border_belongs_to_the_later_phase(phase_s):
    stream = tasks(["a"], Periodic(Periodic.Params(rate=1 / phase_s)), phase_s=phase_s)
    assert [task.phase for task in stream] == [0, 1, 2]


def test_disjoint_devices_share_no_sample():
    found = by_device(tasks(allocation="disjoint"))
    sets = [{row[1] for row in rows} for rows in found.values()]
    assert not sets[0] & sets[1] and not sets[1] & sets[2] and not sets[0] & sets[2]


SCRIPT = """
import hashlib, numpy as np
from ecsim.streams.arrivals import Poisson
from ecsim.streams.schedule import ClassIncremental
from ecsim.streams.tasks import task_stream
from ecsim.streams.pools import split
labels = np.arange(400) % 10
pools = split(labels, {"cloud": .4, "stream": .35, "validation": .1, "probe": .15}, 3)
stream = task_stream(("cam[0]", "cam[1]"), arrivals=Poisson(Poisson.Params(rate=2.0)),
    schedule=ClassIncremental(ClassIncremental.Params(base_classes=4, increment=2), 10, 5),
    phase_s=20.0, samples=pools.stream, labels=labels, payload_bytes=1.0, world_seed=1,
    data_seed=2, allocation="disjoint")
print(hashlib.sha256(repr(list(stream)).encode()).hexdigest())
"""


def test_the_same_for_any_hash_seed():
    digests = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "4242")
    }
    assert len(digests) == 1 and len(digests.pop()) == 65
