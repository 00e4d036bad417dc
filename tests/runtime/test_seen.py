"""The column `seen`: what the version that a device served at a task's arrival knew."""

import numpy as np
import pytest

from ecsim.core.registry import register
from ecsim.core.types import ModelRef
from ecsim.runtime.run import run_scenario
from ecsim.strategies.cloud_only import CloudOnly

# what the versions of cam[0] know, and from when on they are served; two follow in one moment
COURSE = ((3.0, (0, 1)), (7.5, (4, 5)), (7.5, (4, 5, 6)), (20.0, (9,)))
RARE = ((20.0, (0,)),)


def version(number, classes):
    """Give a version of the table's ten columns whose labels are these classes alone."""
    columns = tuple(classes[k % len(classes)] for k in range(10))
    return ModelRef("edge", number, f"made-up-{number}", columns, 10)


@register("strategy", "deployer_of_tests")
class Deployer(CloudOnly):
    """Everything goes to the cloud; the devices are given versions at set times."""

    def background(self, ctx):
        """Deploy on two devices; the third one keeps its first version."""
        for device, course, base in (("cam[0]", COURSE, 10), ("cam[1]", RARE, 20)):
            yield self.deploy(device, course, base, ctx)

    def deploy(self, device, course, base, ctx):
        """Hold each version beforehand, so that it is served at its time exactly."""
        made = [version(base + k, classes) for k, (_, classes) in enumerate(course)]
        for model in made:
            yield ctx.send(device, device, 10.0, carries=model)
        for (at, _), model in zip(course, made, strict=True):
            yield ctx.after(at - ctx.now)
            ctx.deploy(device, model)


def knows(device, t_s):
    """Give what a device knows that a task meets which arrives then."""
    known = range(10)
    for at, classes in {"cam[0]": COURSE, "cam[1]": RARE}.get(device, ()):
        if t_s >= at:  # what is due at one moment comes before what arrives then
            known = classes
    return known


@pytest.mark.parametrize(
    "arrivals",
    [
        {"kind": "poisson", "rate": "90 /s"},  # more rows than are worked out at once
        {"kind": "periodic", "rate": "2 /s"},  # at the very moments of the deployments
    ],
    ids=lambda arrivals: arrivals["kind"],
)
@pytest.mark.parametrize("uplink", ["100 Mbit/s", "1 Mbit/s"])  # at 1 Mbit/s most end much later
def test_seen_is_what_the_device_knew_when_the_task_arrived(
    write_scenario, tmp_path, arrivals, uplink
):
    path = write_scenario(
        topology={
            "nodes": {
                "cam": {"count": 3, "tier": "edge", "card": "darwin3"},
                "cloud": {"tier": "cloud", "card": "rtx3090"},
            },
            "links": [{"between": ["cam", "cloud"], "card": "wifi_2012", "uplink": uplink}],
        },
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
            "phase": "10 s",
            "arrivals": arrivals,
            "payload": "6 kB",
        },
        strategies=[{"name": "deployer_of_tests"}],
        run={"engine": "event"},
    )
    tasks = run_scenario(path, out=tmp_path / "runs").tasks
    expected = [
        label in knows(device, t_s)
        for device, t_s, label in zip(
            tasks["device"], tasks["t_arrive_s"], tasks["label"], strict=True
        )
    ]
    assert tasks["seen"].tolist() == expected
    for device, share in (("cam[0]", 0.9), ("cam[1]", 0.9), ("cam[2]", 1.0)):
        mine = tasks[tasks["device"] == device]
        assert 0.2 < mine["seen"].mean() <= share
    if arrivals["kind"] == "periodic":
        assert np.isin([3.0, 7.5, 20.0], tasks["t_arrive_s"]).all()
    else:
        assert len(tasks) > 8_192
