"""Finished results of a small world without training: a run, replications, and a sweep."""

from types import SimpleNamespace

import pandas as pd
import pytest

from ecsim.records.metrics import flatten
from ecsim.records.store import Run
from ecsim.runtime.run import run_scenario

LINK, THRESHOLD, SEED = "topology.links.0.uplink", "strategies.ecc_snn.threshold", "seeds.world"


@pytest.fixture(scope="session")
def sweep(write_shared_scenario):
    """Give a sweep of 2 bandwidths x 2 thresholds x 2 worlds; the slow link cannot keep up."""
    strategies = [{"name": "ecc_snn", "threshold": 0.5}, {"name": "cloud_only"}]
    path = write_shared_scenario(strategies=strategies, run={"probe": "1 s", "trace": 30})
    folder = path.parent / "sweep-1234"
    rows = []
    for uplink in ("20 Mbit/s", "3 Mbit/s"):
        for threshold in (0.3, 0.7):
            for seed in (1, 2):
                values = {LINK: uplink, THRESHOLD: threshold, SEED: seed}
                run = run_scenario(path, overrides=values, out=folder / "cells")
                for label, of in run.summary.items():
                    row = {"cell": run.path.name} | values | {"strategy": label}
                    rows.append(row | dict(flatten(of)))
    return SimpleNamespace(path=folder, cells=pd.DataFrame(rows), keys=(LINK, THRESHOLD, SEED))


@pytest.fixture(scope="session")
def replications(sweep):
    """Give two replicates that differ in their world alone, on the fast link."""
    cells = sweep.cells["cell"].drop_duplicates().tolist()[:2]
    runs = [Run.open(sweep.path / "cells" / cell) for cell in cells]
    return SimpleNamespace(path=sweep.path.with_name("twice-1234"), runs=runs)


@pytest.fixture(scope="session")
def run(replications):
    """Give one run of two strategies, traced and read every second."""
    return replications.runs[0]
