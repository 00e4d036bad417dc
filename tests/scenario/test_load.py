"""Includes, overrides and the origin of every value."""

from pathlib import Path

import numpy as np
import pytest
from fake_lookup import FakeLookup, Read

from ecsim.core.errors import ScenarioError
from ecsim.core.randomness import derive_seed
from ecsim.scenario import File, load
from ecsim.scenario.models import Predictions


def test_defaults(read: Read, valid: str) -> None:
    scenario = read(valid).scenario
    assert scenario.version == 1
    assert scenario.seeds.world == derive_seed(7, "world")
    assert (scenario.data.pools.cloud, scenario.data.pools.probe) == (0.4, 0.15)
    assert (scenario.stream.allocation, scenario.stream.payload) == ("shared", None)
    assert scenario.learning.setup.name == "joint_distillation"
    assert scenario.learning.cloud.params.epochs == 12
    assert scenario.learning.update is None
    assert (scenario.energy.boundary, scenario.costs.name) == ("device", "counted")
    assert (scenario.compute.device, scenario.compute.threads) == ("cpu", 1)
    assert scenario.run.warmup == 0
    assert scenario.assertions == ()


def test_values_have_their_types_and_si_units(read: Read, valid: str) -> None:
    text = valid.replace("steps: 4", "steps: 4, widths: [1, 2], dropout: null")
    scenario = read(text.replace("60 s", "2 min")).scenario
    assert scenario.stream.phase == 120.0
    assert scenario.stream.arrivals.params.rate == 2.0
    assert scenario.models.edge.params.widths == (1, 2)
    assert scenario.models.edge.params.dropout is None
    assert scenario.strategy("random_offload").matches == "ecc_snn"
    assert scenario.strategy("ecc_snn").matches is None
    with pytest.raises(KeyError):
        scenario.strategy("x")


def test_seeds_given_are_kept_and_the_others_derived(read: Read, valid: str) -> None:
    seeds = read(valid, set={"seeds.order": 5}).scenario.seeds
    assert seeds.order == 5
    assert seeds.train == derive_seed(7, "train")


def test_a_scenario_is_frozen(read: Read, valid: str) -> None:
    scenario = read(valid).scenario
    with pytest.raises(ValueError, match="frozen"):
        scenario.seed = 8  # type: ignore[misc]


def test_the_published_table_is_its_own_boundary(read: Read, valid: str) -> None:
    scenario = read(valid + "costs: {name: published}\n").scenario
    assert scenario.energy.boundary == "published"


def test_nodes_expand(read: Read, valid: str) -> None:
    topology = read(valid).scenario.topology
    names = [name for name, _ in topology.expanded()]
    assert names == ["cam[0]", "cam[1]", "cam[2]", "cam[3]", "cloud"]
    assert topology.members("cam") == names[:4]
    assert topology.members("cam[1]") == ["cam[1]"]


def test_a_member_may_have_a_link_of_its_own(read: Read, valid: str) -> None:
    links = "".join(f"    - {{between: ['cam[{i}]', cloud], card: lte_2012}}\n" for i in range(4))
    text = valid.replace("    - {between: [cam, cloud], card: wifi_2012}\n", links)
    assert len(read(text).scenario.topology.links) == 4
    with pytest.raises(ScenarioError, match=r"none from cam\[3\]"):
        read(text.replace("cam[3]', cloud]", "cam[3]', 'cam[3]']").replace(
            "['cam[3]', 'cam[3]']", "['cam[3]', 'cam2']").replace(
            "    cloud:", "    cam2: {tier: end, card: darwin3}\n    cloud:"))  # fmt: skip


def test_a_node_may_reach_the_cloud_over_another(read: Read, valid: str) -> None:
    text = valid.replace("    cloud:", "    hub: {tier: edge, card: darwin3}\n    cloud:")
    text = text.replace("[cam, cloud]", "[cam, hub]")
    with pytest.raises(ScenarioError, match=r"nodes\.cam: .*none from cam"):
        read(text)
    linked = text.replace(
        "models:", "    - {between: [cloud, hub], card: wifi_2012}\nmodels:"
    )  # fmt: skip
    assert len(read(linked).scenario.topology.links) == 2


# includes


BASE = "seed: 1\nstream: {phase: 5 s, allocation: disjoint}\nstrategies: [{name: edge_only}]\n"


def test_the_including_file_wins_and_mappings_merge(read: Read, valid: str) -> None:
    loaded = read({"s.yaml": valid + "include: lib/base.yaml\n", "lib/base.yaml": BASE})
    assert loaded.scenario.seed == 7
    assert loaded.scenario.stream.phase == 60.0
    assert loaded.scenario.stream.allocation == "disjoint"
    assert len(loaded.scenario.strategies) == 3  # a list is replaced
    origin = loaded.origins["stream", "allocation"]
    assert (origin.kind, Path(origin.file).name) == ("include", "base.yaml")
    assert (origin.line, origin.column) == (2, 34)
    assert loaded.origins["stream", "phase"].kind == "file"


def test_includes_of_includes_and_later_ones_win(read: Read, valid: str) -> None:
    text = valid.replace("seed: 7\n", "include: [a.yaml, sub/b.yaml]\n")
    files = {"s.yaml": text, "a.yaml": "seed: 1\n", "sub/b.yaml": "include: c.yaml\n"}
    assert read(files | {"sub/c.yaml": "seed: 3\n"}).scenario.seed == 3
    assert read(files | {"sub/c.yaml": "run: {}\n"}).scenario.seed == 1
    twice = {"a.yaml": "include: sub/c.yaml\n", "sub/c.yaml": "seed: 4\n"}
    assert read(files | twice).scenario.seed == 4  # one file twice is no cycle


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"s.yaml": "include: s.yaml\n"}, "s.yaml:1:10: include: expected files that do not "
         "include themselves, got s.yaml -> s.yaml"),
        ({"s.yaml": "include: a.yaml\n", "a.yaml": "x: 1\ninclude: [b.yaml]\n",
          "b.yaml": "include: a.yaml\n"}, "b.yaml:1:10: include: expected files that do not "
         "include themselves, got a.yaml -> b.yaml -> a.yaml"),
        ({"s.yaml": "a: 1\ninclude: [x.yaml]\n"}, "s.yaml:2:11: include: expected a file, got"),
        ({"s.yaml": "include: 3\n"}, "s.yaml:1:10: include: expected the path of a file or a"),
        ({"s.yaml": "include: [{}]\n"}, "s.yaml:1:11: include: expected the path of a file"),
        ({"s.yaml": 'include: "a\\0"\n'}, "s.yaml:1:10: include: expected the path of a file"),
        ({"s.yaml": "include: .\n"}, "s.yaml:1:10: include: expected a file"),
        ({"s.yaml": "include: a.yaml\n", "a.yaml": "- 1\n"}, "a.yaml:1:1: expected keys"),
        ({"s.yaml": "include: a.yaml\n", "a.yaml": "b: [\n"}, "a.yaml:2:1: expected YAML"),
    ],
)  # fmt: skip
def test_wrong_includes(read: Read, files: dict[str, str], expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(files)
    assert [line for line in str(caught.value).splitlines() if expected in line]
    assert len(caught.value.problems) == 1


def test_problems_of_included_files_are_in_their_own_positions(read: Read, valid: str) -> None:
    text = "include: b.yaml\n" + valid.replace("  phase: 60 s\n", "").replace("darwin3", "d")
    with pytest.raises(ScenarioError) as caught:
        read({"s.yaml": text, "b.yaml": "\nstream: {phase: 60 kB}\nseed: 1\nseed: 2\n"})
    found = [(Path(p.file).name, p.line, p.column) for p in caught.value.problems]
    assert found == [("s.yaml", 10, 39), ("b.yaml", 2, 17), ("b.yaml", 4, 1)]


def test_no_such_scenario(tmp_path: Path) -> None:
    for path in (tmp_path / "no.yaml", tmp_path):
        with pytest.raises(ScenarioError, match="expected a file"):
            load(path, lookup=FakeLookup())


# overrides


@pytest.mark.parametrize("key", ["strategies.0.threshold", "strategies[0].threshold",
                                 "strategies.ecc_snn.threshold"])  # fmt: skip
def test_entries_of_a_list_by_index_or_label(read: Read, valid: str, key: str) -> None:
    loaded = read(valid, set={key: "0.6"})
    assert loaded.scenario.strategies[0].params.threshold == 0.6
    assert loaded.origins["strategies", 0, "threshold"].kind == "--set"


def test_a_label_names_the_entry_that_has_it(read: Read, valid: str) -> None:
    text = valid.replace("{name: edge_only}", "{name: ecc_snn, label: second}")
    scenario = read(text, set={"strategies.second.threshold": 0.9}).scenario
    assert [getattr(entry.params, "threshold", None) for entry in scenario.strategies] == [
        0.3,
        0.9,
        None,
    ]


def test_text_is_read_as_yaml(read: Read, valid: str) -> None:
    values = {
        "stream.phase": "5 ms",
        "stream.arrivals": "{kind: periodic, rate: 1 /s}",
        "strategies": "[{name: edge_only}]",
        "compute.threads": "0x2",
        "models.edge.dropout": "~",
        "learning.update.name": "self_distillation",
    }
    loaded = read(valid, set=values)
    scenario = loaded.scenario
    assert scenario.stream.phase == 0.005
    assert scenario.stream.arrivals.name == "periodic"
    assert [entry.label for entry in scenario.strategies] == ["edge_only"]
    assert scenario.compute.threads == 2
    assert scenario.models.edge.params.dropout is None
    assert scenario.learning.update is not None
    assert loaded.origins["stream", "arrivals", "rate"].kind == "--set"
    assert loaded.origins["compute", "precision"].kind == "default"


def test_python_values(read: Read, valid: str) -> None:
    scenario = read(
        valid,
        set={
            "compute.threads": 3,
            "strategies.0.threshold": np.float64(0.25),
            "models.edge.widths": (4, np.int64(5)),
            "data": {"name": "digits", "pools": {"cloud": 0.3}},
        },
    ).scenario
    assert scenario.compute.threads == 3
    assert scenario.strategies[0].params.threshold == 0.25
    assert scenario.models.edge.params.widths == (4, 5)
    assert scenario.data.pools.cloud == 0.3


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("stream.phse", "1 s", "--set: stream.phse: unknown key, did you mean 'phase'?"),
        ("compte.threads", "1", "--set: compte: unknown key, did you mean 'compute'?"),
        ("topology.nodes.cma.count", "2", "--set: topology.nodes.cma.count: expected one of cam, "
         "cloud, got 'cma', did you mean 'cam'?"),
        ("strategies.ecc_sn.threshold", "1", "or one of ecc_snn, edge_only, random_offload (did "
         "you mean 'ecc_snn'?) in strategies, got 'ecc_sn'"),
        ("strategies.3.threshold", "1", "expected an index below 3 or one of"),
        ("strategies.-1.threshold", "1", "expected an index below 3"),
        ("topology.links.1.card", "x", "expected an index below 1 in topology.links, got '1'"),
        ("seed.world", "1", "--set: seed.world: expected a mapping or list at seed, got 7"),
        ("stream..phase", "1 s", "expected a key such as stream.phase"),
        ("", "1 s", "expected a key such as stream.phase"),
        ("stream.phase", "[1", "--set: stream.phase: expected YAML"),
        ("stream.phase", "!x 1", "--set: stream.phase: expected plain data, got the tag !x"),
        ("stream.phase", "1 kg", "--set: stream.phase: expected a time such as '60 s', got '1 kg'"),
        ("stream.phase", object(), "--set: stream.phase: expected text, a number, a list or a"),
        ("stream.phase", {1: 2}, "--set: stream.phase: expected keys of text"),
        ("include", "a.yaml", "--set: include: unknown key"),
    ],
)  # fmt: skip
def test_wrong_overrides(read: Read, valid: str, key: str, value: object, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(valid, set={key: value})
    assert expected in str(caught.value)
    assert len(caught.value.problems) == 1


# files


def test_files_are_relative_to_the_scenario(
    read: Read, valid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    cloud = "{predictions: ../c.npz, work: {macs: 1e6, sops: 0}}"
    text = valid.replace("{name: vgg, size: small}", cloud)
    text = text.replace("steps: 4", "steps: 4, weights: w.pt").replace("digits", "npz, path: d.npz")
    names = {"run/s.yaml": text, "run/w.pt": "", "c.npz": "", "run/d.npz": ""}
    scenario = read(names).scenario
    assert scenario.models.edge.weights == File("w.pt", Path())
    assert scenario.models.edge.weights.path == (tmp_path / "run/w.pt").resolve()
    assert scenario.data.params.path.path == (tmp_path / "run/d.npz").resolve()
    model = scenario.models.cloud
    assert isinstance(model, Predictions)
    assert (model.predictions.text, model.work.macs, model.work.steps) == ("../c.npz", 1e6, 1)
    assert model.predictions.path == (tmp_path / "c.npz").resolve()


def test_an_included_choice_is_replaced_whole_by_another(read: Read, valid: str) -> None:
    base = valid.replace("kind: poisson, rate: 2 /s", "kind: periodic, rate: 2 /s, offset: 1 s")
    top = "include: base.yaml\nstream: {arrivals: {kind: poisson, rate: 3 /s}}\n"
    scenario = read({"s.yaml": top, "base.yaml": base}).scenario
    assert scenario.stream.arrivals.name == "poisson"
    assert scenario.stream.arrivals.params.rate == 3.0
    assert scenario.stream.phase == 60.0


def test_an_included_choice_is_only_changed_where_the_name_stays(read: Read, valid: str) -> None:
    top = "include: base.yaml\nname: other\nmodels: {edge: {name: spiking_vgg, steps: 6}}\n"
    scenario = read({"s.yaml": top, "base.yaml": valid}).scenario
    assert scenario.models.edge.params.size == "small"
    assert scenario.models.edge.params.steps == 6
    assert scenario.name == "other"
