"""A dump loads to the same scenario; the hash depends on the meaning alone."""

import json
import string
from typing import Any

import pytest
from fake_lookup import Read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecsim.scenario import dump, scenario_hash

QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def quantity(units: list[str], low: float = 1e-6) -> st.SearchStrategy[str]:
    return st.builds("{!r} {}".format, st.floats(low, 1e6), st.sampled_from(units))


LABEL = st.text(string.ascii_lowercase, min_size=1, max_size=6).filter(lambda text: text != "own")
TEXT = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=5)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 2**32 - 1),
        "seeds.order": st.integers(0, 2**32 - 1),
        "stream.phase": quantity(["s", "ms", "us", "min", "h"]),
        "stream.payload": quantity(["B", "kB", "KiB", "Mbit"]),
        "stream.deadline": quantity(["s", "ms"]) | st.none(),
        "stream.arrivals": st.builds(
            lambda rate, offset: {"kind": "periodic", "rate": rate, "offset": offset},
            quantity(["/s", "Hz", "/min"]),
            quantity(["s", "ns"], low=0.0),
        ),
        "stream.schedule.increment": st.integers(1, 50),
        "topology.nodes.cam.count": st.integers(1, 1000),
        "topology.nodes.cloud.background": st.builds(
            lambda rate, service: {"rate": rate, "service": service},
            quantity(["/s", "kHz"]),
            quantity(["ms"]),
        ),
        "topology.links.0.shared": st.booleans(),
        "topology.links.0.uplink": quantity(["bit/s", "Mbit/s", "MB/s"]),
        "topology.links.0.latency": quantity(["ms"], low=0.0),
        "models.edge.widths": st.lists(st.integers(-3, 300), max_size=3),
        "models.edge.dropout": st.none() | st.floats(0, 1),
        "learning.update": st.builds(
            lambda when, buffer: {"name": "self_distillation", "when": when, "buffer": buffer},
            st.sampled_from(["end_of_phase", "buffer_full"]),
            st.integers(1, 10**6),
        ),
        "costs": st.builds(lambda text: {"name": "published", "table": text}, TEXT),
        "strategies.0.threshold": st.floats(0, 1),
        "strategies.1.label": LABEL.map("e_{}".format),
        "strategies.2.rate": st.floats(-1, 1) | st.just("match ecc_snn"),
        "assert": st.lists(st.just("0.1 < ecc_snn.cur <= 1"), max_size=2),
        "run.warmup": quantity(["s", "d"], low=0.0),
    },
)


@given(CHANGES)
@QUIET
def test_a_dump_loads_to_an_equal_scenario(read: Read, valid: str, changes: dict[str, Any]) -> None:
    scenario = read(valid, set=changes).scenario
    data = dump(scenario)
    again = read(json.dumps(data, ensure_ascii=False), set={}).scenario
    assert again == scenario
    assert dump(again) == data
    assert scenario_hash(again) == scenario_hash(scenario)


def test_a_dump_is_complete_and_written_in_yaml_shape(read: Read, valid: str) -> None:
    data = dump(read(valid).scenario)
    assert data["stream"]["schedule"] == {
        "kind": "class_incremental", "base_classes": 4, "increment": 2, "classes": "seen_and_new",
    }  # fmt: skip
    assert data["stream"]["phase"] == "60.0 s"
    assert "deadline" not in data["stream"]
    assert data["strategies"][0] == {
        "name": "ecc_snn", "label": "ecc_snn", "versions": "own", "threshold": 0.3,
        "reply": "100.0 B", "entropy": "all",
    }  # fmt: skip
    assert data["models"]["edge"] | {"weights": 0} == {
        "name": "spiking_vgg", "size": "small", "steps": 4, "widths": [], "dropout": 0.5,
        "spread": False, "weights": 0,
    }  # fmt: skip
    assert set(data["seeds"]) == {"world", "data", "order", "train"}
    assert data["assert"] == []


def test_a_null_that_is_no_default_survives(read: Read, valid: str) -> None:
    data = dump(read(valid, set={"models.edge.dropout": None}).scenario)
    assert data["models"]["edge"]["dropout"] is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("60 s", "1 min"),
        ("60 s", "60000 ms"),
        ("2 /s", "2.0 Hz"),
        ("threshold: 0.3", "threshold: 3e-1"),
        ("seed: 7", "seed: 0o7"),
        ("{name: ecc_snn, threshold: 0.3}", "{threshold: 0.3, label: ecc_snn, name: ecc_snn}"),
        ("{name: edge_only}", "{name: edge_only, versions: own}"),
        ("seed: 7", "seed: 7\ncompute: {threads: 1}\ncosts: {}\nlearning: {setup: {}}"),
        ("seed: 7\ndata: {name: digits}\n", "data: {name: digits}\nseed: 7\n"),
        ("cam:   ", "cam: "),
    ],
)
def test_the_same_meaning_has_the_same_hash(read: Read, valid: str, old: str, new: str) -> None:
    assert scenario_hash(read(valid.replace(old, new)).scenario) == scenario_hash(
        read(valid).scenario
    )


def test_the_order_of_nodes_means_nothing(read: Read, valid: str) -> None:
    lines = valid.splitlines(keepends=True)
    i = next(i for i, line in enumerate(lines) if line.startswith("    cam:"))
    swapped = "".join([*lines[:i], lines[i + 1], lines[i], *lines[i + 2 :]])
    first, second = read(valid).scenario, read(swapped).scenario
    assert scenario_hash(first) == scenario_hash(second)
    assert list(first.topology.nodes) == list(second.topology.nodes)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("60 s", "60.000001 s"),
        ("seed: 7", "seed: 8"),
        ("name: small", "name: other"),
        ("threshold: 0.3", "threshold: 0.30000000000000004"),
        ("{name: edge_only}", "{name: cloud_only}"),
        ("count: 4", "count: 5"),
        ("size: small}", "size: vgg9}"),
    ],
)
def test_another_meaning_has_another_hash(read: Read, valid: str, old: str, new: str) -> None:
    assert scenario_hash(read(valid.replace(old, new)).scenario) != scenario_hash(
        read(valid).scenario
    )


def test_the_order_of_strategies_matters_and_the_hash_is_fixed(read: Read, valid: str) -> None:
    found = scenario_hash(read(valid).scenario)
    assert len(found) == 64
    assert set(found) <= set(string.hexdigits.lower())
    turned = valid.replace("  - {name: edge_only}\n", "") + "  - {name: edge_only}\n"
    assert scenario_hash(read(turned).scenario) != found
