"""Exit and cut together, and cut and codec together: choices on measured accuracy."""

import numpy as np
import pytest
import torch
from slow_camera import lab, of

from ecsim.core import registry
from ecsim.core.errors import ScenarioError, UserError
from ecsim.data.digits import Digits
from ecsim.learning.compute import Compute
from ecsim.learning.exits import JointExits
from ecsim.models import create
from ecsim.models.exits.vgg import MultiExitVGG
from ecsim.partition.codecs import Plain
from ecsim.runtime.run import run_scenario

EAGER = {"weight": 1.0, "hold": "400 ms", "probe": "1 s"}


@pytest.fixture(scope="module")
def run(write_shared_scenario, tmp_path_factory):
    """Give a function that runs strategies on a network with three exits, trained for a while."""
    data = Digits(Digits.Params()).load()
    net = create("multi_exit_vgg", MultiExitVGG.Params(branch="linear"), (1, 8, 8), [range(10)], 2)
    training = JointExits(JointExits.Params(epochs=3, lr=2e-3))
    training.fit(net, data.images[:300], data.labels[:300], 1, Compute())
    state = net.state_dict()

    def simulate(name, *strategies, **more):
        model = {"name": "multi_exit_vgg", "branch": "linear", "weights": "net.pt"}
        more = {"models": {"edge": model, "cloud": model}, "learning": {"update": "none"}} | more
        more["stream"] = {
            "schedule": {"kind": "stationary"}, "phase": "20 s", "payload": "3 kB",
            "arrivals": {"kind": "periodic", "rate": "2 /s"},
        }  # fmt: skip
        path = lab(write_shared_scenario, name, *strategies, **more)
        torch.save(state, path.with_name("net.pt"))
        return run_scenario(path, out=tmp_path_factory.mktemp("runs"))

    return simulate


def exits(run, label):
    marks = of(run.marks, label)
    return marks[marks["name"] == "planned_exit"]["value"].astype(int).tolist()


def test_edgent_takes_the_most_accurate_exit_that_keeps_to_the_deadline(run):
    edgent = {"name": "edgent"} | EAGER
    changes = [{"at": "10 s", "uplink": "50 kbit/s"}, {"at": "16 s", "uplink": "8 Mbit/s"}]
    found = run(
        "edgent",
        edgent | {"label": "easy", "deadline": "10 s"},
        edgent | {"label": "fair", "deadline": "12 ms"},
        edgent | {"label": "hard", "deadline": "1 us"},
        link={"changes": changes},
    )
    marks = of(found.marks, "easy")
    accuracy = marks[marks["name"] == "exit_accuracy"]["value"].to_numpy()
    assert accuracy[0] < accuracy[1]  # else the choice would be no question
    assert exits(found, "easy")[0] == 1  # right as often as the last one, and faster
    assert set(exits(found, "hard")) == {0}
    assert exits(found, "fair") == [1, 0, 1]  # while the link is slow exit 1 takes 16 ms at best
    tasks = of(found.tasks, "fair")
    assert set(tasks["exit"]) == {0, 1}
    is_late = tasks["latency_s"] > 0.012
    assert is_late.sum() == 1  # the one that finds the link slow


class Nothing(Plain):
    """Sends one byte, from which nothing can be told."""

    def encode(self, values):
        return b"0"

    def decode(self, data, like):
        return np.zeros_like(like)


def test_auto_split_takes_the_fastest_pair_that_is_still_right(run, monkeypatch):
    monkeypatch.setitem(registry._PLUGINS["codec"], "nothing", Nothing)
    auto = {"name": "auto_split"} | EAGER
    found = run(
        "auto",
        {"name": "split"},
        {"name": "split", "label": "halved", "codec": "int8"},
        auto | {"label": "plain", "codecs": ["raw"]},
        auto | {"label": "coded", "codecs": ["raw", "int8", "nothing"], "max_loss": 0.02},
        auto | {"label": "reckless", "codecs": ["raw", "int8", "nothing"], "max_loss": 1.0},
        rate="500 kbit/s",
    )
    mean = {label: of(found.tasks, label)["latency_s"].mean() for label in
            ("split", "halved", "plain", "coded", "reckless")}  # fmt: skip
    right = {label: of(found.tasks, label)["correct"].mean() for label in mean}
    assert mean["plain"] == mean["split"]
    assert mean["coded"] == pytest.approx(mean["halved"], rel=1e-9)
    assert mean["coded"] < mean["plain"]
    assert mean["reckless"] < mean["coded"]
    assert right["coded"] > right["split"] - 0.1 > right["reckless"] + 0.3


def test_what_cannot_be_chosen_from_is_said(write_scenario):
    with pytest.raises(UserError, match="model with early exits, such as multi_exit_vgg"):
        run_scenario(lab(write_scenario, "no_exits", {"name": "edgent"}))
    for entry, message in (
        ({"name": "auto_split", "codecs": ["int4"]}, r"codecs: .*int8"),
        ({"name": "edgent", "settings": {"objective": "energy"}}, "latencies"),
        ({"name": "adaptive_split", "partitioner": "neurosurgery"}, "neurosurgeon"),
        ({"name": "adaptive_split", "settings": {"objectiv": "energy"}}, "objective"),
        ({"name": "adaptive_split", "gain": 1.0}, "gain"),
    ):
        with pytest.raises(ScenarioError, match=message):
            run_scenario(lab(write_scenario, "wrong", entry))
