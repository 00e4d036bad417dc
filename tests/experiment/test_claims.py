"""Claims suites on a world without training: effects by hand, shared runs, positioned mistakes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

import ecsim
from ecsim.cli.main import cli
from ecsim.core.errors import ScenarioError
from ecsim.experiment.claims import plan
from ecsim.statistics.tests import holm

STREAM = {
    "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
    "phase": "5 s",
    "arrivals": {"kind": "poisson", "rate": "4 /s"},
    "payload": "60 kB",
}
ARMS = [
    {"name": "ecc_snn", "threshold": 0.5},
    {"name": "edge_only"},
    {"name": "cloud_only"},
    {"name": "random_offload", "rate": "match ecc_snn"},
]
UPLOADING = {
    "id": "c1", "text": "uploading helps", "metric": "accuracy", "arm": "ecc_snn",
    "against": "edge_only", "sei": 0.01, "primary": True,
}  # fmt: skip


def claim(**changes):
    return {key: value for key, value in (UPLOADING | changes).items() if value is not None}


@pytest.fixture
def write_suite(write_scenario, tmp_path):
    def write(*claims, **keys):
        write_scenario(stream=STREAM, strategies=ARMS)
        suite = {"name": "suite", "scenario": "small.yaml", "n": 3, "claims": list(claims)} | keys
        path = tmp_path / "suite.yaml"
        path.write_text(yaml.safe_dump(suite, sort_keys=False))
        return path

    return write


def runs_of(verdicts):
    return {path.name: ecsim.load(path) for path in (verdicts.path / "runs").iterdir()
            if not path.name.startswith(".")}  # fmt: skip


def test_effects_are_those_worked_out_by_hand(write_suite, tmp_path):
    path = write_suite(
        claim(),
        claim(id="rel", metric="latency_s.mean", against="cloud_only", effect="relative"),
        claim(id="val", against=None, value=0.25),
        claim(id="phase", against=None, metric="cur", over="phase", primary=False),
        claim(id="in", metric="accuracy", phase=1, primary=False),
        claim(id="never", metric="accuracy", phase=9, primary=False),
        claim(id="set", metric="latency_s.mean", primary=False,
              against={"arm": "ecc_snn", "set": {"stream.payload": "30 kB"}}),
        claim(id="key", against=None, metric="latency_s.mean", over="stream.payload",
              at=["30 kB", "60 kB", "0.09 MB"], primary=False),
    )  # fmt: skip
    verdicts = ecsim.claims(path, out=tmp_path / "out")
    rows = {row.id: row for row in verdicts.rows}
    runs = runs_of(verdicts)
    by = {
        (run.manifest["scenario"]["stream"]["payload"], run.manifest["scenario"]["seed"]): run
        for run in runs.values()
    }
    small, usual, large = ("30000.0 B", "60000.0 B", "90000.0 B")
    seeds = [3, *sorted({seed for _, seed in by} - {3})]
    assert len(by) == len(runs) == 9, "three payloads, three seeds; every claim shares them"

    def effects(of):
        return sorted(of({p: by[p, seed].summary for p in (small, usual, large)}) for seed in seeds)

    hand = {
        "c1": lambda s: s[usual]["ecc_snn"]["accuracy"] - s[usual]["edge_only"]["accuracy"],
        "rel": lambda s: s[usual]["ecc_snn"]["latency_s"]["mean"]
        / s[usual]["cloud_only"]["latency_s"]["mean"] - 1,
        "val": lambda s: s[usual]["ecc_snn"]["accuracy"] - 0.25,
        "phase": lambda s: np.polyfit(
            [p["phase"] for p in s[usual]["ecc_snn"]["phases"]],
            [p["cur"] for p in s[usual]["ecc_snn"]["phases"]], 1,
        )[0],
        "in": lambda s: s[usual]["ecc_snn"]["phases"][1]["accuracy"]
        - s[usual]["edge_only"]["phases"][1]["accuracy"],
        "set": lambda s: s[usual]["ecc_snn"]["latency_s"]["mean"]
        - s[small]["ecc_snn"]["latency_s"]["mean"],
        "key": lambda s: np.polyfit(
            [30e3, 60e3, 90e3],
            [s[p]["ecc_snn"]["latency_s"]["mean"] for p in (small, usual, large)], 1,
        )[0],
    }  # fmt: skip
    for name, of in hand.items():
        assert sorted(rows[name].effects) == pytest.approx(effects(of), rel=1e-9), name
        assert rows[name].effect == pytest.approx(np.mean(effects(of)))
    assert np.isnan(rows["never"].effect) and "no value" in rows["never"].why
    primary = [rows[name] for name in ("c1", "rel", "val")]
    assert [row.p_holm for row in primary] == holm([row.p for row in primary])


def test_second_measurements_are_subtracted_or_averaged(write_suite, tmp_path):
    there = {"set": {"strategies.ecc_snn.threshold": 0.2}}
    path = write_suite(
        claim(id="inter", interaction=there),
        claim(id="main", averaged_with=there),
        claim(id="arms", metric="cur", averaged_with={"arm": "cloud_only", "against": "edge_only"}),
        claim(id="alone", against=None, over="phase", metric="cur", interaction=there),
        claim(id="own", metric="cur", interaction={
            "arm": "cloud_only", "against": {"arm": "ecc_snn", "set": there["set"]}}),
        claim(id="metric", metric="cur",
              against={"arm": "ecc_snn", "metric": "accuracy", "set": there["set"]}),
    )  # fmt: skip
    verdicts = ecsim.claims(path, out=tmp_path / "out")
    rows = {row.id: row for row in verdicts.rows}
    of = {0.5: {}, 0.2: {}}
    for run in runs_of(verdicts).values():
        scenario = run.manifest["scenario"]
        of[scenario["strategies"][0]["threshold"]][scenario["seed"]] = run.summary
    assert sorted(map(len, of.values())) == [3, 3]

    def gain(s):
        return s["ecc_snn"]["accuracy"] - s["edge_only"]["accuracy"]

    def slope(s):
        points = [(p["phase"], p["cur"]) for p in s["ecc_snn"]["phases"]]
        return np.polyfit(*zip(*points, strict=True), 1)[0]

    hand = {
        "inter": lambda a, b: gain(a) - gain(b),
        "main": lambda a, b: (gain(a) + gain(b)) / 2,
        "arms": lambda a, b: (a["ecc_snn"]["cur"] + 1.0) / 2,
        "own": lambda a, b: a["ecc_snn"]["cur"] - (1.0 - b["ecc_snn"]["cur"]),
        "alone": lambda a, b: slope(a) - slope(b),
        "metric": lambda a, b: a["ecc_snn"]["cur"] - b["ecc_snn"]["accuracy"],
    }
    for name, value in hand.items():
        expected = sorted(value(of[0.5][seed], of[0.2][seed]) for seed in of[0.5])
        assert sorted(rows[name].effects) == pytest.approx(expected, rel=1e-9), name
    assert rows["inter"].measure == (
        "accuracy: ecc_snn - edge_only, minus the same with strategies.ecc_snn.threshold=0.2"
    )
    assert "its accuracy" in rows["metric"].measure


def test_a_claim_is_judged_apart_under_each_change(write_suite, tmp_path):
    path = write_suite(
        claim(metric="cur", against=None, value=0.5, n=6, criterion="less", per={
            "high": {"strategies.ecc_snn.threshold": 0.99},
            "low": {"strategies.ecc_snn.threshold": 0.0}}),
        claim(id="c2"),
    )  # fmt: skip
    verdicts = ecsim.claims(path, out=tmp_path / "out")
    assert [row.id for row in verdicts.rows] == ["c1", "c1/high", "c1/low", "c2"]
    over, high, low, other = verdicts.rows
    assert (high.verdict, low.verdict) == ("HOLDS", "CONTRADICTED")
    assert over.verdict == "high: HOLDS; low: CONTRADICTED" and over.n == 6
    assert np.isnan(over.effect)
    primary = [high, low, other]
    assert [row.p_holm for row in primary] == holm([row.p for row in primary])


def test_a_claim_apart_is_left_alone_by_the_suite(write_suite, tmp_path):
    path = write_suite(
        claim(), claim(id="apart", apart=True), n=1,
        set={"strategies.ecc_snn.threshold": 0.9},
    )  # fmt: skip
    cells = plan(path, out=tmp_path).points
    changes = [of[0][0].sides.cell.overrides for of in cells]
    assert changes[0]["strategies.ecc_snn.threshold"] == 0.9
    assert "strategies.ecc_snn.threshold" not in changes[1]


def test_a_finished_run_is_not_made_again(write_suite, tmp_path):
    path = write_suite(claim(), n=2)
    assert len(plan(path, out=tmp_path).missing) == 2
    first = ecsim.claims(path, out=tmp_path)
    finished = {name: run.manifest["cpu_s"] for name, run in runs_of(first).items()}
    path = write_suite(claim(), claim(id="c2", metric="cur"), n=3)
    todo = plan(path, out=tmp_path)
    so_far = ecsim.claims(path, out=tmp_path, finished=True)
    assert [row.n for row in so_far.rows] == [2, 2] and len(runs_of(so_far)) == 2
    assert "without a value in 1 of 3 replicates" in so_far.rows[0].why
    assert len(todo.missing) == 1
    assert todo.cpu_s == pytest.approx(np.mean(list(finished.values())))
    again = runs_of(ecsim.claims(path, out=tmp_path))
    assert {name: again[name].manifest["cpu_s"] for name in finished} == finished
    assert not plan(path, out=tmp_path).missing


def test_verdicts_and_their_files(write_suite, tmp_path):
    path = write_suite(
        claim(),
        claim(id="three", n=3),
        claim(id="wrong", criterion="less", primary=False),
        claim(id="same", metric="cur", against="random_offload", criterion="equivalent"),
        claim(id="size", criterion="magnitude", paper=0.9),
        claim(id="rule", metric="cur", against="random_offload", by_construction="it | is so"),
        {"id": "gone", "text": "elsewhere", "not_testable": "no data"},
        claim(id="not_so", primary=False, criterion="less", by_construction="it falls"),
        n=6, scale="tables",
    )  # fmt: skip
    verdicts = ecsim.claims(path, out=tmp_path)
    found = {row.id: row.verdict for row in verdicts.rows}
    assert found == {
        "c1": "HOLDS", "three": "INDICATED", "wrong": "CONTRADICTED", "same": "EQUIVALENT",
        "size": "DIRECTION HOLDS, SIZE DIFFERS", "rule": "BY CONSTRUCTION",
        "gone": "NOT TESTABLE HERE", "not_so": "BY CONSTRUCTION",
    }  # fmt: skip
    why = {row.id: row.why for row in verdicts.rows}
    assert why["rule"] == "it | is so"
    assert why["not_so"].startswith("it falls; and yet")
    stored = json.loads((verdicts.path / "claims.json").read_text())
    assert [row["verdict"] for row in stored["claims"]] == list(found.values())
    assert stored["claims"][6]["effect"] is None
    with (verdicts.path / "verdicts.csv").open(newline="") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == list(found.values())
    lines = (verdicts.path / "verdicts.md").read_text().splitlines()
    assert len(lines) == 2 + len(found)
    assert r"it \| is so" in lines[7]
    assert verdicts.table["n"].tolist() == [6, 3, 6, 6, 6, 6, 0, 6]
    assert verdicts.rows[4].ratio == pytest.approx(verdicts.rows[4].effect / 0.9)
    assert "HOLDS" in verdicts._repr_html_()


def test_the_command_plans_first(write_suite, tmp_path):
    path = write_suite(claim(n=2))
    dry = CliRunner().invoke(cli, ["claims", str(path), "--out", str(tmp_path), "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "1 claims, 2 runs, 2 missing" in dry.output
    assert not (tmp_path / "suite").exists()
    result = CliRunner().invoke(cli, ["claims", str(path), "--out", str(tmp_path)])
    assert result.exit_code == 0, (result.output, result.exception)
    assert result.output.index("2 missing") < result.output.index("NOT DETECTED")
    assert "2 of the 6 replicates" in result.output
    data = CliRunner().invoke(cli, ["claims", str(path), "--out", str(tmp_path), "--json"])
    assert json.loads(data.stdout)["claims"][0]["n"] == 2


def test_a_scale_in_common_is_said_once(write_suite, tmp_path):
    def printed(*claims):
        path = write_suite(*claims, n=2, scale="tables of logits")
        return CliRunner().invoke(cli, ["claims", str(path), "--out", str(tmp_path)]).output

    alike = printed(claim(), claim(id="c2", metric="cur"))
    assert alike.count("tables of logits") == 1 and "scale: tables of logits" in alike
    apart = printed(claim(), claim(id="c2", metric="cur", scale="another one"))
    assert "scale:" not in apart and "another" in apart


MISTAKES = [
    (claim(arm="ecc"), "8:8", "claims[0].arm: expected a strategy's label"),
    (claim(metric="acuracy"), None, "did you mean 'accuracy'?"),
    (claim(sei=None), "5:3", "claims[0]: missing 'sei'; expected: smallest effect that matters"),
    (claim(sei=0), None, "claims[0].sei: expected more than 0, got 0"),
    (claim(against=None), "5:3", "against, value or over, got none of them"),
    (claim(value=1.0), "5:3", "expected against or value, got both"),
    (claim(criterion="better"), None, "expected 'superior', 'less', 'equivalent' or 'magnitude'"),
    (claim(criterion="magnitude"), None, "claims[0].criterion: expected the paper's value"),
    (claim(scenario="../other.yaml"), None, "expected a file in the suite's folder"),
    (claim(scenario="other.yaml"), None, "expected an existing scenario file, got 'other.yaml'"),
    (claim(**{"set": {"stream.phse": "1 s"}}), "5:3", "unknown key, did you mean 'phase'?"),
    (claim(**{"set": {"seeds.world": 1}}), None, "expected a scenario without seeds.world"),
    (claim(against={"arm": "ecc_snn", "set": {"seed": 5}}), None, "expected no seed of its own"),
    (claim(over="seed", at=[1, 2], against=None), None, "a key that replicates have in common"),
    (claim(against=None, over="stream.payload", at=["1 kB"]), None, "at least two values"),
    (claim(against=None, over="stream.payload", at=["1 kB", "x"]), None, "at[1]: expected a quan"),
    (claim(over="phase", phase=1), None, "expected no phase with a slope over phase"),
    (claim(over="phase", at=[1]), None, "expected no values for phase"),
    (claim(id="a b"), None, "claims[0].id: expected an id"),
    (claim(texts="x"), None, "claims[0].texts: unknown key, did you mean 'text'?"),
    (claim(against={"arm": "edge_only", "metric": "accurcy"}), None, "did you mean 'accuracy'?"),
    (claim(interaction={"arm": "ecc"}), None, "claims[0].interaction: expected a strategy's lab"),
    (claim(interaction={"set": {"seed": 1}}), None, "interaction: expected no seed of its own"),
    (claim(interaction={}, averaged_with={}), "5:3", "interaction or averaged_with, got both"),
    (claim(against=None, value=0.5, interaction={"against": "edge_only"}), None, "claim itself"),
    (claim(per={"a b": {}}), None, "expected an id"),
    (claim(by_construction="x", not_testable="y"), "5:3", "got both"),
]


@pytest.mark.parametrize(("wrong", "place", "words"), MISTAKES)
def test_mistakes_have_their_place_before_anything_runs(write_suite, tmp_path, wrong, place, words):
    path = write_suite(wrong)
    with pytest.raises(ScenarioError) as caught:
        ecsim.claims(path, out=tmp_path / "out")
    text = str(caught.value)
    assert words in text
    assert f"{path}:{place or ''}" in text
    assert not (tmp_path / "out").exists()


def test_two_claims_of_one_id_and_no_claims(write_suite):
    with pytest.raises(ScenarioError, match=r"claims\[1\].id: expected an id of its own"):
        plan(write_suite(claim(), claim()))
    with pytest.raises(ScenarioError, match="at least one claim"):
        plan(write_suite())


@pytest.mark.slow
def test_the_suite_of_the_quickstart_shows_every_kind_of_verdict(tmp_path):
    suite = Path(__file__).parents[2] / "scenarios" / "claims" / "quickstart.yaml"
    found = ecsim.claims(suite, out=tmp_path)
    kinds = {row.verdict for row in found.rows}
    assert kinds == {
        "HOLDS", "INDICATED", "EQUIVALENT", "NOT DETECTED", "CONTRADICTED", "BY CONSTRUCTION",
        "NOT TESTABLE HERE", "DIRECTION HOLDS, SIZE DIFFERS",
    }  # fmt: skip
