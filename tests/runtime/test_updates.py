"""Updates in the simulator: their conditions, their modes, and a user's own weights."""

import numpy as np
import pytest
import torch

from ecsim.models import create
from ecsim.models.work import param_bytes
from ecsim.runtime.run import run_scenario

MODELS = {
    "edge": {"name": "spiking_vgg", "size": "small", "steps": 2},
    "cloud": {"name": "vgg", "size": "small"},
}


def learning(**update):
    return {
        "cloud": {"epochs": 2},
        "setup": {"name": "joint_distillation", "epochs": 1},
        "update": {"name": "self_distillation", "epochs": 2, **update},
    }


@pytest.fixture
def simulate(write_scenario, tmp_path):
    def simulate(name="small", **sections):
        path = write_scenario(name, **{"models": MODELS, **sections})
        return run_scenario(path, out=tmp_path / "runs")

    return simulate


def test_a_full_buffer_starts_an_update_with_as_many_samples(simulate):
    run = simulate(learning=learning(when="buffer_full", buffer=12))
    own = run.updates
    assert len(own) >= 4
    assert (own["n_samples"] <= 12).all()
    starts = own.groupby("device", observed=True)["t_start_s"]
    assert all(times.is_monotonic_increasing for _, times in starts)
    assert not np.isin(own["t_start_s"], [10.0, 20.0, 30.0]).any()


@pytest.mark.parametrize("mode", ["share", "offline", "idle_only"])
def test_modes_on_a_device_that_trains_and_infers_on_one_engine(simulate, mode):
    run = simulate(
        mode,
        learning=learning(while_updating=mode),
        topology={
            "nodes": {
                "cam": {"tier": "edge", "card": "raspberry_pi_4b"},
                "cloud": {"tier": "cloud", "card": "rtx3090"},
            },
            "links": [{"between": ["cam", "cloud"], "card": "wifi_2012"}],
        },
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
            "phase": "10 s",
            "arrivals": {"kind": "poisson", "rate": "30 /s"},
        },
    )
    update = run.updates.iloc[0]
    took = update["t_deploy_s"] - update["t_start_s"]
    arrived = run.tasks["t_arrive_s"].between(update["t_start_s"], update["t_deploy_s"])
    waits = run.tasks.loc[arrived, "edge_wait_s"]
    step_s = update["seconds"] / max(1, round(update["n_samples"] / 16) * 2)
    if mode == "offline":
        assert took == pytest.approx(update["seconds"], abs=0.1)  # behind one inference at most
        assert waits.max() > 0.5 * update["seconds"]
    else:
        assert took > update["seconds"] + 1e-3  # inference took its share
        assert waits.max() < 5 * step_s


def test_weights_of_the_user_are_served_as_they_are(simulate, tmp_path):
    net = create("spiking_vgg", None, (1, 8, 8), [list(range(10))], seed=1)
    stored = {"state_dict": net.state_dict(), "head_classes": [list(range(10))]}
    torch.save(stored, tmp_path / "mine.pt")
    run = simulate(
        models={
            "edge": {"name": "spiking_vgg", "weights": "mine.pt"},
            "cloud": {"predictions": "cloud.npz", "work": {"macs": 1e9}},
        },
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 8, "increment": 2},
            "phase": "5 s",
            "arrivals": {"kind": "periodic", "rate": "4 /s"},
        },
        strategies=[{"name": "edge_only"}],
    )
    assert run.manifest["trainings"][0]["what"] == "weights of mine.pt"
    assert set(run.tasks["model_version"]) == {0}
    assert run.tasks["seen"].all()  # the file says that they know all ten classes


BATTERY = {"capacity": "2 Wh", "charging": {"power": "20 W", "every": "20 s", "for": "6 s"}}


@pytest.mark.parametrize(
    "update", [{"when": "charging"}, {"when": "end_of_phase", "only_while_charging": True}]
)
def test_updates_that_wait_for_the_charger(simulate, update):
    """Charging windows open at 0, 20, 40, ... s; phases end at 15, 30 and 45 s."""
    run = simulate(
        learning=learning(**update),
        topology={
            "nodes": {
                "cam": {"count": 2, "tier": "edge", "card": "darwin3", "battery": BATTERY},
                "cloud": {"tier": "cloud", "card": "rtx3090"},
            },
            "links": [{"between": ["cam", "cloud"], "card": "wifi_2012", "radio": False}],
        },
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
            "phase": "15 s",
            "arrivals": {"kind": "poisson", "rate": "4 /s"},
            "payload": "60 kB",
        },
    )
    starts = run.updates["t_start_s"].to_numpy()
    assert len(starts) >= 4
    assert (starts % 20.0 < 6.0).all()
    assert (starts >= 15.0).all()


def test_updates_in_the_cloud_move_the_buffer_and_the_weights(simulate):
    """The links carry what the table says; a version serves when its bytes have arrived."""
    device, cloud = (
        simulate(where, learning=learning(where=where)) for where in ("device", "cloud")
    )
    own, away = device.updates, cloud.updates
    assert set(own["trained_at"]) <= set(own["device"]) and set(away["trained_at"]) == {"cloud"}
    assert (own["sent_bytes"] == 0).all()
    for update in away.itertuples():
        net = create("spiking_vgg", None, (1, 8, 8), [list(range(update.n_classes))])
        samples, rest = divmod(update.sent_bytes - param_bytes(net), 60e3)
        assert rest == 0 and samples >= update.n_samples
    assert (away["t_deploy_s"] > away["t_start_s"] + away["seconds"]).all()
    trained = cloud.energy[cloud.energy["state"] == "training"]
    assert set(trained.loc[trained["marginal_j"] > 0, "tier"]) == {"cloud"}


def test_devices_out_of_step_update_at_the_ends_of_their_own_phases(simulate):
    run = simulate(
        learning=learning(epochs=1),
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 3},
            "phase": "10 s",
            "arrivals": {"kind": "poisson", "rate": "4 /s"},
            "synchrony": 0.3,
        },
    )
    starts = run.updates.set_index("device")["t_start_s"]
    delays_s = starts.groupby(level=0, observed=True).min() - 10.0
    assert delays_s.nunique() == 2 and delays_s.between(0.0, 7.0).all()
    for device, delay_s in delays_s.items():
        assert starts[device].tolist() == pytest.approx([10.0 + delay_s, 20.0 + delay_s])
        tasks = run.tasks[run.tasks["device"] == device]
        begins = tasks.groupby("phase")["t_arrive_s"].min()
        assert (begins[1:] >= 10.0 * begins.index[1:] + delay_s).all()
        assert run.updates.set_index("device").loc[device, "phase"].tolist() == [1, 2]


def test_every_so_often(simulate):
    run = simulate(learning=learning(when="periodic", every="7 s", epochs=1))
    assert len(run.updates) >= 3
    for _, times in run.updates.groupby("device", observed=True)["t_start_s"]:
        assert ((times % 7.0).clip(upper=7.0) < 1e-9).all()


@pytest.mark.parametrize(
    "drift",
    [
        {"tolerance": 0.02, "threshold": 1.0, "least": 10},
        {"test": "adwin", "delta": 0.3, "least": 10},
    ],
)
def test_a_drift_is_detected_and_starts_an_update(simulate, drift):
    learns = learning(when="drift_detected", drift=drift, min_support=1, epochs=1)
    learns["setup"]["epochs"] = 8  # an edge that is sure of what it knows
    run = simulate(
        learning=learns,
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
            "phase": "10 s",
            "arrivals": {"kind": "poisson", "rate": "20 /s" if "test" in drift else "4 /s"},
        },
    )
    marks = run.marks[run.marks["name"] != "drift_missed"]
    assert {*marks["name"]} <= {"drift_delay_s", "drift_false_alarm"} and len(marks)
    starts, times = run.updates["t_start_s"], marks["t_s"]
    # a drift that is found during a training starts the next one at its end
    assert len(starts) and (starts.isin(times) | starts.isin(run.updates["t_deploy_s"])).all()
    found = run.summary["ecc_snn"]["drift"]
    delays = marks.loc[marks["name"] == "drift_delay_s", "value"]
    assert found["found"] == len(delays) and found["delay_s"] == pytest.approx(delays.mean())
    assert found["found"] + found["false_alarms"] == len(marks)
    n_changes = len(run.manifest["class_groups"]) - 1
    n_devices = run.tasks["device"].nunique()
    assert found["found"] + found["missed"] == n_changes * n_devices


@pytest.mark.parametrize(
    ("name", "labels", "n_warnings"), [("ewc", "cloud", 0), ("joint", "oracle", 2)]
)
def test_rivals_in_a_scenario(simulate, name, labels, n_warnings):
    run = simulate(name, learning=learning(name=name, epochs=1, labels=labels))
    assert len(run.updates) and (run.updates["memory_bytes"] > 1e5).all()
    ceiling = [text for text in run.manifest["warnings"] if "not realisable" in text]
    assert len(ceiling) == n_warnings
