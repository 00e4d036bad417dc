"""The figures of the page on learned offloading are those of the stored comparison."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOUND = json.loads((ROOT / "benchmarks" / "results" / "offloading.json").read_text())
PAGE = " ".join((ROOT / "docs" / "how-to" / "learn-offloading.md").read_text().split())


@pytest.mark.parametrize(
    ("row", "figure", "text"),
    [
        ("reward", "reward", "{:.3f}"),
        ("accuracy %", "accuracy", "{:.1f}"),
        ("uploaded %", "offloaded", "{:.1f}"),
        ("latency ms", "latency_s", "{:.1f}"),
        ("energy mJ", "energy_j", "{:.0f}"),
    ],
)
def test_the_table(row, figure, text):
    scale = {"%": 100.0, "ms": 1e3, "mJ": 1e3}.get(row.split()[-1], 1.0)
    cells = [text.format(scale * FOUND["held_out"][name][figure]) for name in ("learned", "fixed")]
    assert f"| {row} | {cells[0]} | {cells[1]} |" in PAGE


def test_the_claim():
    gain, (bias, entropy, wait) = FOUND["gain"], FOUND["weights"]
    assert gain["n"] == FOUND["worlds_where_learned_is_better"] == 30
    assert f"is {gain['mean']:.3f} (95 % interval {gain['low']:.3f} to {gain['high']:.3f})" in PAGE
    assert f"threshold {FOUND['threshold']}" in PAGE
    assert f"exceeds {-bias / entropy:.2f} + {-wait / entropy:.1f} × the wait" in PAGE
