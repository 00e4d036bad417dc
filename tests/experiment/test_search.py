"""Searches on a world without training."""

import builtins
import itertools

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import ecsim
from ecsim.cli.main import cli
from ecsim.core.errors import ScenarioError, UserError
from ecsim.experiment.pareto import on_front
from ecsim.experiment.search import search as run_search

pytest.importorskip("optuna")
THRESHOLD = "strategies.ecc_snn.threshold"
SEARCH = {
    "keys": {THRESHOLD: {"from": 0.0, "to": 1.0}, "strategies.ecc_snn.reply": ["100 B", "1 kB"]},
    "objectives": ["maximize ecc_snn.accuracy", "minimize ecc_snn.cur"],
    "trials": 6,
    "seed": 3,
}


@pytest.fixture
def write_search(write_scenario):
    def write(**section):
        return write_scenario(name="sought", search={**SEARCH, **section})

    return write


def test_no_trial_beats_another_on_the_front(write_search, tmp_path):
    found = ecsim.search(write_search(), out=tmp_path)
    trials = pd.read_csv(found.path / "trials.csv")
    front = pd.read_csv(found.path / "pareto.csv")
    assert len(trials) == 6
    assert set(trials["cell"]) == set(found.runs)
    by_cell = found.cells.set_index("cell")
    for row in trials.itertuples():  # a trial says what its cell's run says
        assert by_cell.loc[row.cell, "accuracy"] == trials.loc[row.Index, "ecc_snn.accuracy"]

    def dominates(a, b):
        pairs = [(-a["ecc_snn.accuracy"], -b["ecc_snn.accuracy"]),
                 (a["ecc_snn.cur"], b["ecc_snn.cur"])]  # fmt: skip
        return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)

    rows = trials.to_dict("records")
    unbeaten = {b["cell"] for b in rows if not any(dominates(a, b) for a in rows)}
    assert unbeaten == set(front["cell"])
    assert front["ecc_snn.accuracy"].is_monotonic_decreasing


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(write_search, tmp_path):
    path = write_search(objectives="maximize ecc_snn.accuracy", batch=2, trials=13)
    whole = ecsim.search(path, out=tmp_path / "whole")

    class Dying:
        """Ends the search in the middle of a batch."""

        def run(self, jobs, work):
            for n, job in enumerate(jobs):
                if n == 1:
                    raise KeyboardInterrupt
                yield work(job)

    with pytest.raises(KeyboardInterrupt):
        run_search(path, Dying(), out=tmp_path / "halves")
    halves = ecsim.search(path, out=tmp_path / "halves")
    for name in ("trials.csv", "pareto.csv", "cells.csv"):
        assert (whole.path / name).read_bytes() == (halves.path / name).read_bytes()
    before = {cell: run.manifest["finished"] for cell, run in halves.runs.items()}
    again = ecsim.search(path, out=tmp_path / "halves")
    assert {cell: run.manifest["finished"] for cell, run in again.runs.items()} == before


def test_trials_that_break_a_constraint_are_not_on_the_front(write_search, tmp_path):
    path = write_search(constraints=["ecc_snn.cur < 0.3"])
    found = ecsim.search(path, out=tmp_path)
    trials = pd.read_csv(found.path / "trials.csv")
    assert (trials["feasible"] == (trials["ecc_snn.cur"] < 0.3)).all()
    assert 0 < trials["feasible"].sum() < 6
    assert (pd.read_csv(found.path / "pareto.csv")["ecc_snn.cur"] < 0.3).all()


def test_the_front_is_what_brute_force_finds():
    rng = np.random.default_rng(2)
    costs = rng.integers(0, 6, size=(40, 3)).astype(float)
    beaten = [False] * 40
    for i, j in itertools.permutations(range(40), 2):
        if all(costs[j] <= costs[i]) and any(costs[j] < costs[i]):
            beaten[i] = True
    assert on_front(costs) == [not of for of in beaten]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"objectives": ["maximise ecc_snn.accuracy"]}, "did you mean 'maximize'"),
        ({"objectives": ["maximize ecc_snn.acuracy"]}, "did you mean 'accuracy'"),
        ({"objectives": ["maximize ecc_sn.accuracy"]}, "did you mean 'ecc_snn'"),
        ({"constraints": ["ecc_snn.cur"]}, "constraints"),
        ({"keys": {THRESHOLD: {"from": 0, "to": 2}}}, "expected a number between 0 and 1"),
        ({"keys": {}}, "expected keys"),
        ({"objectives": []}, "expected at least one objective"),
        (
            {
                "keys": {"energy.boundary": ["device", "op"]},
                "objectives": ["minimize ecc_snn.energy_per_task_j.total"],
            },
            "expected one energy boundary in all trials, got device and op",
        ),
    ],
)
def test_mistakes_are_positioned(write_search, tmp_path, section, words):
    with pytest.raises(ScenarioError, match=r"sought.yaml:\d+:\d+: .*" + words):
        ecsim.search(write_search(**section), out=tmp_path)
    assert not list(tmp_path.glob("sought-*"))


def test_a_missing_optuna_is_said(write_search, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *others):
        if name == "optuna":
            raise ImportError(name)
        return real(name, *others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"ecsim\[search\]"):
        ecsim.search(write_search(), out=tmp_path)


def test_the_command_prints_the_front(write_search, tmp_path):
    command = ["search", str(write_search(trials=2)), "--out", str(tmp_path)]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "2 of 2 cells done" in result.output and "trial,cell," in result.output


def test_a_search_without_a_feasible_trial_ends_with_an_empty_front(write_search, tmp_path):
    found = ecsim.search(write_search(constraints=["ecc_snn.cur < 0"], trials=2), out=tmp_path)
    assert not pd.read_csv(found.path / "trials.csv")["feasible"].any()
    assert pd.read_csv(found.path / "pareto.csv").empty
