"""Each mistake gives its exact position, its path and the words that help."""

import re
from typing import Any

import pytest
from fake_lookup import Read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecsim.core.errors import ScenarioError

# (what is replaced in the valid scenario, by what, line:column, path, words)
TABLE = [
    ("phase: 60 s", "phse: 60 s", "6:3", "stream.phse", "unknown key, did you mean 'phase'?"),
    ("seed: 7", "zzz: 7", "2:1", "zzz", "unknown key, expected one of assert, cards, compute"),
    ("threshold: 0.3", "treshold: 0.3", "18:21", "strategies[0].treshold", "mean 'threshold'?"),
    ("{name: edge_only}", "{name: edge_only, x: 1}", "19:23", "strategies[1].x", "unknown key"),
    ("name: small\n", "", "1:1", "name", "missing; expected: name of the scenario"),
    ("data: {name: digits}\n", "", "1:1", "data", "missing; expected: the data set"),
    ("  phase: 60 s\n", "", "4:1", "stream.phase", "missing; expected: length of a phase"),
    ("base_classes: 4, ", "", "5:3", "stream.schedule.base_classes",
     "missing; expected: classes known at the start; none is not enough"),
    ("kind: poisson, ", "", "7:3", "stream.arrivals.kind",
     "missing; expected an arrival process, one of periodic, poisson"),
    ("name: ecc_snn, ", "", "18:5", "strategies[0].name", "missing; expected a strategy, one of"),
    ("60 s", "60 kB", "6:10", "stream.phase",
     "expected a time such as '60 s', got '60 kB'; 'kB' is not a unit of time"),
    ("60 s", "60", "6:10", "stream.phase", "got 60 without a unit"),
    ("60 s", "0 s", "6:10", "stream.phase", "expected more than 0 s, got '0 s'"),
    ("60 s", ".inf", "6:10", "stream.phase", "got inf without a unit"),
    ("2 /s", "-2 /s", "7:35", "stream.arrivals.rate", "expected more than 0 /s, got '-2 /s'"),
    ("increment: 2", "increment: 0", "5:67", "stream.schedule.increment",
     "expected at least 1, got 0"),
    ("increment: 2", "increment: two", "5:67", "stream.schedule.increment",
     "expected a whole number, got 'two'"),
    ("increment: 2", "increment: 2.0", "5:67", "stream.schedule.increment",
     "expected a whole number, got 2.0"),
    ("increment: 2", "increment: true", "5:67", "stream.schedule.increment",
     "expected a whole number, got true"),
    ("increment: 2", "increment: 2, classes: hole", "5:79", "stream.schedule.classes",
     "expected 'seen_and_new' or 'whole', got 'hole', did you mean 'whole'?"),
    ("threshold: 0.3", "threshold: 1.3", "18:32", "strategies[0].threshold", "at most 1, got 1.3"),
    ("threshold: 0.3", "threshold: .nan", "18:32", "strategies[0].threshold",
     "expected a finite number, got nan"),
    ("threshold: 0.3", "threshold: '0.3'", "18:32", "strategies[0].threshold",
     "expected a number, got '0.3'"),
    ("threshold: 0.3", "threshold:", "18:31", "strategies[0].threshold",
     "expected a number, got nothing"),
    ("rate: match ecc_snn", "rate: [1]", "20:34", "strategies[2].rate",
     "expected a number or text, got a list"),
    ("steps: 4", "spread: yes", "15:50", "models.edge.spread", "expected true or false, got 'yes'"),
    ("steps: 4", "widths: [1, b]", "15:54", "models.edge.widths[1]", "a whole number, got 'b'"),
    ("size: small, steps: 4", "widths: [1]", "15:9", "models.edge", "only with the size small"),
    ("spiking_vgg", "spikin_vgg", "15:16", "models.edge.name",
     "expected a model (spiking_vgg, vgg), got 'spikin_vgg', did you mean 'spiking_vgg'?"),
    ("{name: edge_only}", "{name: edgeonly}", "19:12", "strategies[1].name", "mean 'edge_only'?"),
    ("{name: edge_only}", "{name: [edge_only]}", "19:12", "strategies[1].name", "got a list"),
    ("darwin3", "darwin", "10:39", "topology.nodes.cam.card",
     "expected a device card (darwin3, raspberry_pi_4b, rtx3090), got 'darwin', did you mean"),
    ("wifi_2012", "wlan", "13:37", "topology.links[0].card", "expected a link card (lte_2012, wi"),
    ("{name: digits}", "{name: digits, pools: {cloud: 0.9}}", "3:29", "data.pools",
     "expected shares of at most 1 together, got 1.5"),
    ("{name: digits}", "{name: digits, pools: {cloud: 1}}", "3:37", "data.pools.cloud",
     "expected less than 1, got 1"),
    ("{name: digits}", "{name: npz, path: no.npz}", "3:25", "data.path",
     "expected an existing file, got 'no.npz'"),
    ("{name: digits}", "[digits]", "3:7", "data", "expected a mapping of keys, got a list"),
    ("name: small\n", "name: a/b\n", "1:7", "name", "expected a name for a folder"),
    ("name: small\n", "name: ..\n", "1:7", "name", "expected a name for a folder"),
    ("seed: 7", "seed: -7", "2:7", "seed", "expected at least 0, got -7"),
    ("seed: 7", "seed: '7'", "2:7", "seed", "expected a whole number, got '7'"),
    ("wifi_2012}", "wifi_2012, shared: 'true'}", "13:56", "topology.links[0].shared",
     "expected true or false, got 'true'"),
    ("{name: vgg, size: small}", "{predictions: no.npz, work: {macs: .inf}}", "16:45",
     "models.cloud.work.macs", "expected a finite number, got inf"),
    ("seed: 7", "seed: seven", "2:7", "seed", "expected a whole number, got 'seven'"),
    ("seed: 7", "seeds: {word: 1}", "2:9", "seeds.word", "unknown key, did you mean 'world'?"),
    ("seed: 7", "version: 2", "2:10", "version", "expected 1, got 2"),
    ("seed: 7", "compute: {device: gpu}", "2:19", "compute.device", "expected 'auto', 'cpu' or"),
    ("seed: 7", "compute: {threads: 0}", "2:20", "compute.threads", "expected at least 1, got 0"),
    ("seed: 7", "run: {warmup: -1 s}", "2:15", "run.warmup", "expected at least 0 s, got '-1 s'"),
    ("seed: 7", "energy: {boundary: wall}", "2:20", "energy.boundary",
     "expected a boundary of counted (device, op), got 'wall'"),
    ("seed: 7", "costs: {name: published}\nenergy: {boundary: op}", "3:20", "energy.boundary",
     "expected a boundary of published (published), got 'op'"),
    ("seed: 7", "learning: {update: {name: self_distillation, when: end_of_phse}}", "2:52",
     "learning.update.when", "did you mean 'end_of_phase'?"),
    ("seed: 7", "learning: {update: {name: self_distillation, when: periodic}}", "2:52",
     "learning.update.when", "expected `every: TIME` beside when: periodic"),
    ("seed: 7", "learning: {update: {name: self_distillation, drift: {least: 0}}}", "2:61",
     "learning.update.drift.least", "expected at least 1, got 0"),
    ("seed: 7", "learning: {update: {name: self_distillation, buffer: 0}}", "2:54",
     "learning.update.buffer", "expected at least 1, got 0"),
    ("seed: 7", "learning: {setup: {name: join}}", "2:26", "learning.setup.name",
     "expected a set-up (joint_distillation), got 'join'"),
    ("seed: 7", "learning: {setup: {temperature: 0}}", "2:33", "learning.setup.temperature",
     "expected more than 0, got 0"),
    ("seed: 7", "learning: {cloud: {epochs: 1, epoch: 2}}", "2:31", "learning.cloud.epoch",
     "did you mean 'epochs'?"),
    ("count: 4", "count: 0", "10:18", "topology.nodes.cam.count", "expected at least 1, got 0"),
    ("count: 4, tier: edge", "count: 4", "10:5", "topology.nodes.cam.tier", "missing"),
    ("tier: edge", "tier: edg", "10:27", "topology.nodes.cam.tier", "did you mean 'edge'?"),
    ("cam: {", "'c m': {", "10:5", "topology.nodes.c m", "letters, digits, '_' and '-', got 'c m'"),
    ("card: rtx3090", "card: rtx3090, background: {rate: 1 /s, service: 0 s}", "11:75",
     "topology.nodes.cloud.background.service", "expected more than 0 s"),
    ("[cam, cloud]", "[cam, clod]", "13:23", "topology.links[0].between[1]",
     "expected a node (cam, cam[0], cloud), got 'clod', did you mean 'cloud'?"),
    ("[cam, cloud]", "['cam[4]', cloud]", "13:18", "topology.links[0].between[0]", "got 'cam[4]'"),
    ("[cam, cloud]", "[cam]", "13:17", "topology.links[0].between", "expected two nodes, got 1"),
    ("[cam, cloud]", "[cloud, cloud]", "13:17", "topology.links[0].between",
     "expected two different nodes, got 'cloud' twice"),
    ("[cam, cloud]", "['cam[1]', cloud]", "10:10", "topology.nodes.cam",
     "expected a way over links to a cloud node, got none from cam"),
    ("wifi_2012}", "wifi_2012}\n    - {between: [cloud, 'cam[2]'], card: wifi_2012}", "14:17",
     "topology.links[1].between", "expected one link between two nodes, got a second for cloud"),
    ("tier: edge", "tier: end", "10:5", "topology.nodes", "at least one node of the tier edge"),
    ("tier: cloud", "tier: edge", "10:5", "topology.nodes", "at least one node of the tier cloud"),
    ("{name: edge_only}", "{name: ecc_snn}", "19:12", "strategies[1].name",
     "expected a label of its own, got 'ecc_snn' again (as strategies[0])"),
    ("{name: edge_only}", "{name: edge_only, label: ecc_snn}", "19:30", "strategies[1].label",
     "got 'ecc_snn' again"),
    ("{name: edge_only}", "{name: edge_only, label: A-b}", "19:30", "strategies[1].label",
     "expected a label of lower-case letters"),
    ("{name: edge_only}", "{name: edge_only, label: own}", "19:30", "strategies[1].label",
     "other than 'own'"),
    ("{name: edge_only}", "{name: edge_only, versions: ec_snn}", "19:33", "strategies[1].versions",
     "got 'ec_snn', did you mean 'ecc_snn'?"),
    ("match ecc_snn", "match edge_ony", "20:34", "strategies[2].rate", "mean 'edge_only'?"),
    ("match ecc_snn", "match", "20:34", "strategies[2].rate", "a number or 'match LABEL'"),
    ("match ecc_snn", "match random_offload", "20:34", "strategies[2].rate",
     "that do not wait for each other, got random_offload -> random_offload"),
    ("threshold: 0.3", "versions: random_offload", "20:34", "strategies[2].rate",
     "got ecc_snn -> random_offload -> ecc_snn"),
    ("seed: 7", "assert: [ecc_snn.accuracy > edge.accuracy]", "2:10", "assert[0]",
     "column 20 of the text: expected a strategy's label (ecc_snn, edge_only, random_offload)"),
    ("seed: 7", "assert: [ecc_snn.acuracy > 1]", "2:10", "assert[0]",
     "column 1 of the text: expected a metric (accuracy, cur, latency_s.mean, latency_s.p95), "
     "got 'acuracy', did you mean 'accuracy'?"),
    ("seed: 7", "assert: [ecc_snn.accuracy >> 1]", "2:10", "assert[0]", "column 19 of the text"),
    ("seed: 7", "assert: ecc_snn.accuracy > 1", "2:9", "assert", "expected a list"),
    ("{name: vgg, size: small}", "{predictions: no.npz}", "16:3", "models.cloud.work", "missing"),
    ("{name: vgg, size: small}", "vgg", "16:10", "models.cloud", "a mapping of keys, got 'vgg'"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "position", "path", "words"), TABLE)
def test_position_path_and_words(
    read: Read, valid: str, old: str, new: str, position: str, path: str, words: str
) -> None:
    assert old in valid
    with pytest.raises(ScenarioError) as caught:
        read(valid.replace(old, new, 1))
    lines = str(caught.value).splitlines()
    mine = [line for line in lines if f":{position}: {path}: " in line]
    assert mine, lines
    assert any(words in line for line in mine), lines
    for jargon in ("Input", "valid", "Value error", "pydantic", "dict", "NoneType"):
        assert not re.search(rf"\b{jargon}\b", str(caught.value))


def test_most_mistakes_are_told_once(read: Read, valid: str) -> None:
    for old, new, *_ in TABLE:
        with pytest.raises(ScenarioError) as caught:
            read(valid.replace(old, new, 1))
        messages = [str(problem) for problem in caught.value.problems]
        assert len(set(messages)) == len(messages)
        places = {problem.path.split(".")[0].split("[")[0] for problem in caught.value.problems}
        assert len(places) == 1, messages  # no error follows from another section's


def test_a_misspelt_key_is_not_called_missing_too(read: Read, valid: str) -> None:
    for old, new in (("phase:", "phse:"), ("base_classes:", "base_clases:"), ("data:", "dta:")):
        with pytest.raises(ScenarioError) as caught:
            read(valid.replace(old, new, 1))
        assert len(caught.value.problems) == 1


def test_all_mistakes_at_once_in_the_order_of_the_file(read: Read, valid: str) -> None:
    text = valid
    for old, new in (
        ("60 s", "60"),
        ("darwin3", "d"),
        ("seed: 7", "seed: 7\nseed: 8"),
        ("match ecc_snn", "match x"),
        ("cam, cloud", "cam, x"),
    ):
        text = text.replace(old, new, 1)
    with pytest.raises(ScenarioError) as caught:
        read(text, set={"compte.threads": 1})
    found = [(problem.line, problem.path) for problem in caught.value.problems]
    assert found == [
        (3, "seed"),
        (7, "stream.phase"),
        (11, "topology.nodes.cam.card"),
        (14, "topology.links[0].between[1]"),
        (21, "strategies[2].rate"),
        (None, "compte"),
    ]


def test_a_tag_is_told_once(read: Read, valid: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(valid.replace("60 s", "!!python/object:os.x 60 s"))
    assert len(caught.value.problems) == 1


def test_problems_found_later_have_positions(read: Read, valid: str) -> None:
    loaded = read(valid)
    problem = loaded.problem(("stream", "schedule", "base_classes"), "expected at most 10, got 20")
    assert str(problem).endswith(
        "s.yaml:5:53: stream.schedule.base_classes: expected at most 10, got 20"
    )
    default = loaded.problem(("stream", "schedule", "classes"), "x")
    assert (default.line, default.column) == (5, 3)  # its section
    assert loaded.problem(("compute", "threads"), "x").line == 1


def test_files_that_are_no_yaml_or_not_there(read: Read) -> None:
    with pytest.raises(ScenarioError, match=r"s\.yaml:1:1: expected keys such as"):
        read("")
    with pytest.raises(ScenarioError, match=r"s\.yaml:2:1: expected YAML"):
        read("a: [\n")


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["ecc_snn", "match ecc_snn", "cam[1]", "edge", "1 s", "own"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["name", "kind", "count", "tier", "x"]), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
PLACES = [
    "seed", "seeds", "data", "data.name", "data.pools", "stream", "stream.phase", "stream.schedule",
    "stream.schedule.kind", "stream.arrivals.rate", "topology", "topology.nodes", "topology.links",
    "topology.nodes.cam", "topology.nodes.cam.tier", "topology.nodes.cam.count", "models",
    "topology.links.0", "topology.links.0.between", "topology.links.0.between.1", "models.edge",
    "models.edge.name", "models.edge.widths", "models.edge.weights", "models.cloud.predictions",
    "learning", "learning.update", "learning.setup.name", "energy", "energy.boundary", "costs",
    "costs.name", "strategies", "strategies.0", "strategies.1.label", "strategies.1.versions",
    "strategies.2.rate", "strategies.2.name", "assert", "assert.0", "run", "compute", "name",
    "replications", "replications.min", "replications.max", "replications.stop",
    "replications.stop.metric",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(PLACES), ODD, max_size=3))
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_anything_anywhere_loads_or_is_refused_in_words(
    read: Read, valid: str, changes: dict[str, Any]
) -> None:
    try:
        read(valid, set=changes)
    except ScenarioError as error:
        assert error.problems
        assert all(problem.message for problem in error.problems)
