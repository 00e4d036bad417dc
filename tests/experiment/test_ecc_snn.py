"""The claims of ECC-SNN: the suites load, and the stored verdicts are those of the suite."""

import hashlib
import json
from pathlib import Path

import pytest

from ecsim.experiment.claims import plan
from ecsim.runtime.lookup import lookup
from ecsim.scenario.claims import load_suite
from ecsim.scenario.load import load

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scenarios" / "ecc_snn"
STORED = json.loads((ROOT / "results/reference/ecc_snn-claims/claims.json").read_text())


def test_the_stored_verdicts_are_of_this_suite_and_all_its_runs(tmp_path):
    path = FOLDER / "claims.yaml"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == STORED["suite_sha256"]
    ids = {part.id for claim in load_suite(path, lookup=lookup()).suite.claims
           for part in (claim, *claim.parts())}  # fmt: skip
    assert {row["id"] for row in STORED["claims"]} == ids
    assert {id_.partition(".")[0].partition("/")[0] for id_ in ids} == {
        f"E{i}" for i in range(1, 15)
    }
    assert len(plan(path, out=tmp_path).cells) == len(STORED["runs"])


def test_what_is_confirmed_has_six_replicates_at_least():
    for row in STORED["claims"]:
        if row["verdict"] in ("HOLDS", "CONTRADICTED", "EQUIVALENT"):
            assert row["n"] >= 6, row["id"]


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.yaml")))
def test_every_file_of_the_folder_loads(name):
    if name.startswith("claims"):
        assert load_suite(FOLDER / name, lookup=lookup()).suite.claims
    else:
        assert load(FOLDER / name, lookup=lookup()).scenario.strategies
