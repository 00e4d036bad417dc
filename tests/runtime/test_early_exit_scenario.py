"""The scenario of early exits on the digits, trained and run as it stands."""

from pathlib import Path

import numpy as np
import pytest

import ecsim
from ecsim.core.types import Part
from ecsim.learning.cache import ArtefactCache
from ecsim.runtime.build import build
from ecsim.runtime.lookup import lookup
from ecsim.runtime.progress import Progress
from ecsim.scenario.load import load

SCENARIO = Path(__file__).parents[2] / "scenarios" / "split" / "early_exit_digits.yaml"


@pytest.mark.slow
def test_the_digits_leave_early_and_deeper_exits_know_more(tmp_path):
    run = ecsim.run(SCENARIO, out=tmp_path)
    assert all(entry["holds"] for entry in run.manifest["assertions"])
    summary = run.summary
    # the same network, the same tasks: where the exits lie changes the costs and no answer
    assert summary["early_exit"]["accuracy"] == summary["on_the_camera"]["accuracy"]
    mean_s = {label: of["latency_s"]["mean"] for label, of in summary.items()}
    assert mean_s["early_exit"] > mean_s["on_the_camera"]
    assert len(summary["early_exit"]["exits"]) == 3
    system = build(load(SCENARIO, lookup=lookup()), ArtefactCache(), Progress())
    model, predictor = system.first["cloud"], system.predictors["cloud"]
    pool = np.concatenate([system.pools.probe, system.pools.stream]).tolist()
    labels = system.data.labels
    first, _, last = (
        np.mean([predictor.predict(model, i, Part(exit=k)).label == labels[i] for i in pool])
        for k in range(3)
    )
    assert last > first > 0.5
