"""The README's figures are those of the stored reference results."""

import json
from pathlib import Path
from statistics import mean

import pytest

ROOT = Path(__file__).parents[2]
RUNS = {
    seed: json.loads(
        (ROOT / "results" / "reference" / f"quickstart-seed{seed}" / "summary.json").read_text()
    )
    for seed in (7, 8, 9)
}
README = (ROOT / "README.md").read_text()


def row(label):
    line = next(line for line in README.splitlines() if line.startswith(f"| `{label}`"))
    return [cell.strip() for cell in line.split("|")[2:]]


@pytest.mark.parametrize("seed", RUNS)
def test_the_claims_hold_for_each_seed(seed):
    accuracy = {label: of["accuracy"] for label, of in RUNS[seed].items()}
    assert accuracy["ecc_snn"] > accuracy["edge_only_learning"] > accuracy["edge_only"]
    assert accuracy["ecc_snn"] > accuracy["random_offload"]
    assert RUNS[seed]["ecc_snn"]["cur"] == RUNS[seed]["random_offload"]["cur"]
    probe = RUNS[seed]["ecc_snn"]["probe_accuracy"]
    assert probe["last"] > probe["first"]


@pytest.mark.parametrize("label", RUNS[7])
def test_the_table_is_that_of_the_stored_runs(label):
    of = [summary[label] for summary in RUNS.values()]
    accuracy = [100 * one["accuracy"] for one in of]
    cells = row(label)
    assert cells[0] == f"{mean(accuracy):.1f} ({min(accuracy):.1f}–{max(accuracy):.1f})"
    assert float(cells[1]) == pytest.approx(100 * mean(one["cur"] for one in of), abs=0.05)
    latency = mean(one["latency_s"]["mean"] for one in of)
    assert float(cells[2]) == pytest.approx(1e3 * latency, rel=0.01)
    energy = mean(one["energy_per_task_j"]["total"] for one in of)
    assert float(cells[4].split()[0]) == pytest.approx(1e3 * energy, rel=0.05)


def test_the_gain_over_random_uploads():
    gains = [
        100 * (s["ecc_snn"]["accuracy"] - s["random_offload"]["accuracy"]) for s in RUNS.values()
    ]
    for figure in (mean(gains), *gains):
        assert f"{figure:.1f}" in README
