"""Results to report on: a traced run of a small world, replications and sweeps made by hand."""

import copy
import math
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from ecsim.records.metrics import METRICS, metric
from ecsim.records.replications import Replications
from ecsim.records.store import Run
from ecsim.records.sweeps import Sweep
from ecsim.report.html.page import render
from ecsim.runtime.run import run_scenario

MBIT_PER_S = {"500 kbit/s": 0.5, "2 Mbit/s": 2, "5 Mbit/s": 5, "10 Mbit/s": 10, "20 Mbit/s": 20}
HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"


@pytest.fixture(scope="session")
def run(write_shared_scenario, tmp_path_factory):
    strategies = [
        {"name": "ecc_snn", "threshold": 0.5},
        {"name": "edge_only"},
        {"name": "cloud_only"},
    ]
    path = write_shared_scenario(
        strategies=strategies,
        run={"trace": 30, "probe": "100 ms"},
        **{"assert": ["ecc_snn.accuracy > edge_only.accuracy", "ecc_snn.cur > 0.99"]},
    )
    return run_scenario(path, out=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def hostile(run):
    """The same run with a label, a device and a source that try to become markup."""
    label, device = HOSTILE, "cam<svg onload=alert(3)>"
    names = {"ecc_snn": label, "cam[0]": device}
    manifest = copy.deepcopy(run.manifest)
    manifest["scenario"]["name"] = manifest["machine"]["platform"] = HOSTILE
    manifest["warnings"] = [HOSTILE]
    manifest["command"] = ["ecsim", "run", "/home/jane/secret/a.yaml", "--out=/home/jane/out"]
    next(iter(manifest["constants"].values()))["source"] = HOSTILE
    manifest["assertions"] = [{"text": HOSTILE, "holds": False, "values": HOSTILE}]
    summary = {label if name == "ecc_snn" else name: of for name, of in run.summary.items()}
    found = Run(Path("/nowhere") / HOSTILE.replace("/", "|"), manifest, summary)
    for table in ("tasks", "updates", "energy", "probe", "queues", "spans", "batteries", "series"):
        frame = getattr(run, table).copy()
        for column in {"strategy", "device", "node", "place"} & set(frame.columns):
            words = frame[column].astype(str).to_numpy(object)
            frame[column] = [names.get(word, word) for word in words]
        found.__dict__[table] = frame
    return found


def noisy(summary, i):
    """A replicate's summary: every number is a little smaller, so that shares stay shares."""

    def moved(value, place):
        if isinstance(value, dict):
            return {key: moved(of, f"{place}.{key}") for key, of in value.items()}
        if isinstance(value, list):
            return [moved(of, f"{place}.{k}") for k, of in enumerate(value)]
        if isinstance(value, float):
            return value * (1 - 0.03 * (1 + math.sin(7 * i + len(place))))
        return value

    return moved(summary, "")


@pytest.fixture(scope="session")
def replications(run):
    runs = [Run(Path(f"small-{i}"), run.manifest, noisy(run.summary, i)) for i in range(4)]
    manifest = {
        "kind": "replications", "name": "small", "seeds": [3, 14, 15, 92],
        "runs": [one.path.name for one in runs], "stop_reason": "as many as asked for",
        "scenario": run.manifest["scenario"], "intervals": [],
    }  # fmt: skip
    found = Replications(Path("small-replications"), manifest)
    found.__dict__["runs"] = runs
    return found


@pytest.fixture(scope="session")
def make_sweep():
    return sweep_of


def sweep_of(run, axes, name="swept", failures=(), change=lambda values, of: of):
    """A sweep over the product of axes whose metrics are the run's, changed by `change`."""
    settings = [{}]
    for key, values in axes.items():
        settings = [setting | {key: value} for setting in settings for value in values]
    rows = []
    for i, values in enumerate(settings):
        for label in run.summary:
            known = {path: metric(run.summary, label, path) for path in METRICS}
            rows.append({"cell": f"{i:012x}", **values, "strategy": label, **change(values, known)})
    cells = [{"id": f"{i:012x}", "values": values} for i, values in enumerate(settings)]
    manifest = {"kind": "sweep", "name": name, "keys": list(axes), "cells": cells}
    found = Sweep(Path(f"{name}-01234567"), manifest)
    found.__dict__.update({
        "cells": pd.DataFrame(rows), "failures": dict(failures), "runs": {"000000000000": run},
    })  # fmt: skip
    return found


@pytest.fixture(scope="session")
def sweep(run):
    """200 cells over bandwidth, threshold and world seed; slow and eager ones are unstable."""

    def change(values, of):
        rate, threshold = (
            MBIT_PER_S[values["topology.links.0.rate"]],
            values["strategies.ecc_snn.threshold"],
        )
        noise = 0.01 * math.sin(11 * values["seeds.world"] + threshold)
        stable = 0.0 if rate < 2 and threshold < 0.2 else 1.0
        return of | {
            "accuracy": 0.95 - 0.3 * threshold**2 + noise, "stable": stable,
            "latency_s.p95": (1.2 - threshold) / rate + noise,
        }  # fmt: skip

    axes = {
        "topology.links.0.rate": list(MBIT_PER_S),
        "strategies.ecc_snn.threshold": [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9],
        "seeds.world": [0, 1, 2, 3, 4],
    }
    failure = {"error": "MemoryError", "traceback": "Traceback: <b>MemoryError</b>", "values": {}}
    return sweep_of(run, axes, failures={"00000000ffff": failure}, change=change)


@pytest.fixture(scope="session")
def pages(run, hostile, replications, sweep):
    """The pages that are looked at, as HTML."""
    return {
        "run": render([run]),
        "hostile": render([hostile]),
        "replications": render([replications, run]),
        "sweep": render([sweep]),
    }


class Elements(HTMLParser):
    """The elements of a page: (name, attributes) in order, and whether all are closed in turn."""

    VOID = frozenset({"meta", "br", "wbr"})

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))


@pytest.fixture
def parse():
    return Elements
