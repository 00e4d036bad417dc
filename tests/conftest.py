"""Shared by all tests: one thread per process, a private cache, and a world without training."""

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import yaml
from hypothesis import settings

# the same examples on every machine; HYPOTHESIS_PROFILE=random looks for new ones
settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
settings.register_profile("random", print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory):
    """Keep trained artefacts of tests apart from the user's; test processes share them."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of all processes
    folder = folder / "cache"
    os.environ["ECSIM_CACHE"] = str(folder)
    return folder


@pytest.fixture(autouse=True)
def interruptible():
    """Let processes that tests start hear Ctrl-C, whatever started the tests has done to it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def write_scenario(tmp_path):
    """Give a function that writes a scenario of given sections and returns its path."""
    return scenario_writer(tmp_path)


@pytest.fixture(scope="session")
def write_shared_scenario(tmp_path_factory):
    """Give the same for results that several tests look at."""
    return scenario_writer(tmp_path_factory.mktemp("shared"))


def scenario_writer(tmp_path):
    """Give a function that writes a scenario of given sections and returns its path.

    Models are tables of random logits, so that nothing is trained: the edge is right about two
    times in three and unsure to very different degrees, the cloud nearly always right.
    """
    from sklearn.datasets import load_digits

    labels = load_digits().target
    rng = np.random.default_rng(5)
    for name, strength in (("edge", 2.0), ("cloud", 9.0)):
        logits = rng.normal(size=(len(labels), 10))
        logits[np.arange(len(labels)), labels] += strength * rng.random(len(labels))
        np.savez(tmp_path / f"{name}.npz", logits=logits * 2)

    def write(name="small", **sections):
        scenario = {
            "name": name,
            "seed": 3,
            "data": {"name": "digits"},
            "stream": {
                "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
                "phase": "10 s",
                "arrivals": {"kind": "poisson", "rate": "4 /s"},
                "payload": "60 kB",
            },
            "topology": {
                "nodes": {
                    "cam": {"count": 2, "tier": "edge", "card": "darwin3"},
                    "cloud": {"tier": "cloud", "card": "rtx3090"},
                },
                "links": [{"between": ["cam", "cloud"], "card": "wifi_2012", "shared": True}],
            },
            "models": {
                "edge": {"predictions": "edge.npz", "work": {"sops": 1.0e6}},
                "cloud": {"predictions": "cloud.npz", "work": {"macs": 1.0e9}},
            },
            "strategies": [{"name": "ecc_snn", "threshold": 0.5}],
        }
        scenario.update(sections)
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(scenario, sort_keys=False))
        return path

    return write
