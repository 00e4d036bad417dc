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
SUITES = ("claims", "claims-fashion", "claims-fashion-small", "claims-cifar")


def stored(suite):
    return json.loads((ROOT / "results/reference" / f"ecc_snn-{suite}" / "claims.json").read_text())


@pytest.mark.parametrize("suite", SUITES)
def test_the_stored_verdicts_are_of_this_suite_and_all_its_runs(tmp_path, suite):
    path, found = FOLDER / f"{suite}.yaml", stored(suite)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == found["suite_sha256"]
    ids = {part.id for claim in load_suite(path, lookup=lookup()).suite.claims
           for part in (claim, *claim.parts())}  # fmt: skip
    assert {row["id"] for row in found["claims"]} == ids
    assert len(plan(path, out=tmp_path).cells) == len(found["runs"])


def test_every_claim_of_the_paper_is_asked():
    ids = {row["id"].partition(".")[0].partition("/")[0] for row in stored("claims")["claims"]}
    assert ids == {f"E{i}" for i in range(1, 15)}


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_confirmed_has_enough_replicates(suite):
    enough = 6 if suite == "claims" else 5
    for row in stored(suite)["claims"]:
        if row["verdict"] in ("HOLDS", "CONTRADICTED", "EQUIVALENT"):
            assert row["n"] >= enough, row["id"]


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.yaml")))
def test_every_file_of_the_folder_loads(name):
    if name.startswith("claims"):
        assert load_suite(FOLDER / name, lookup=lookup()).suite.claims
    else:
        assert load(FOLDER / name, lookup=lookup()).scenario.strategies
