"""A claims file loads or is refused in words, whatever stands in it."""

import json
from pathlib import Path

import pytest
from fake_lookup import FakeLookup
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecsim.core.errors import ScenarioError
from ecsim.scenario.claims import load_suite

CLAIM = {
    "id": "c", "text": "t", "metric": "accuracy", "arm": "ecc_snn", "against": "edge_only",
    "sei": 0.01,
}  # fmt: skip
SUITE = {"name": "s", "scenario": "small.yaml", "claims": [CLAIM]}
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["phase", "accuracy", "equivalent", "magnitude", "small.yaml", "..", "1 kB"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["arm", "set", "id", "x"]), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
KEYS = st.sampled_from(
    ["id", "text", "scenario", "set", "metric", "arm", "against", "value", "over", "at", "effect",
     "criterion", "sei", "paper", "primary", "n", "by_construction", "not_testable", "per",
     "interaction", "averaged_with"]
)  # fmt: skip
TOP = st.sampled_from(["name", "scenario", "set", "n", "confirmatory_n", "level", "claims"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text("")
    return tmp_path


def load(folder: Path, suite: object) -> object:
    # JSON is YAML, but for what it calls NaN and infinity
    text = json.dumps(suite).replace("NaN", ".nan").replace("Infinity", ".inf")
    (folder / "suite.yaml").write_text(text)
    return load_suite(folder / "suite.yaml", lookup=FakeLookup())


@given(st.dictionaries(KEYS, ODD, max_size=3), st.dictionaries(TOP, ODD, max_size=1))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_anything_anywhere_loads_or_is_refused_in_words(
    folder: Path, claim: dict[str, object], top: dict[str, object]
) -> None:
    try:
        load(folder, SUITE | {"claims": [CLAIM | claim]} | top)
    except ScenarioError as error:
        assert error.problems
        assert all(problem.message and problem.line for problem in error.problems)


def test_a_slope_knows_its_points_in_si_units(folder: Path) -> None:
    claim = {key: value for key, value in CLAIM.items() if key != "against"}
    found = load(
        folder,
        SUITE | {"claims": [claim | {"over": "stream.payload", "at": ["30 kB", 4, "0.5 Mbit"]}]},
    )
    assert found.suite.claims[0].points == (30_000.0, 4.0, 62_500.0)
