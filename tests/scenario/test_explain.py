"""Explanations, templates, the JSON Schema and the look-up on the registry."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_lookup import FakeLookup, Read

from ecsim.core import registry
from ecsim.core.errors import UserError
from ecsim.scenario import RegistryLookup, Row, explain, json_schema, templates
from ecsim.scenario.params import params_spec
from ecsim.scenario.plugin import Plugin
from ecsim.scenario.schema import Scenario
from ecsim.scenario.section import Section


def test_a_row_has_value_unit_origin_and_meaning(read: Read, valid: str) -> None:
    loaded = read(valid, set={"seed": 3})
    assert explain(loaded, "stream.phase") == [
        Row("stream.phase", "60", "s", f"{loaded.path}:6:10", "length of a phase")
    ]
    assert explain(loaded, "seed")[0].origin == "--set"
    assert explain(loaded, "compute.threads") == [
        Row("compute.threads", "1", "", "default", "CPU threads of torch")
    ]


def test_rows_of_a_section_and_of_a_plugin(read: Read, valid: str) -> None:
    rows = explain(read(valid), "stream.schedule")
    assert [(row.path, row.value, row.description) for row in rows] == [
        ("stream.schedule.kind", "class_incremental", "registered schedule"),
        ("stream.schedule.base_classes", "4", "classes known at the start; none is not enough"),
        ("stream.schedule.increment", "2", "New classes per phase"),
        ("stream.schedule.classes", "seen_and_new", "what a phase shows"),
    ]
    (reply,) = explain(read(valid), "strategies.0.reply")
    assert (reply.value, reply.unit) == ("100", "B")


def test_every_value_is_explained(read: Read, valid: str) -> None:
    loaded = read(valid)
    rows = explain(loaded)
    assert len(rows) == len(loaded.origins)
    undocumented = {row.path.split(".")[-1] for row in rows if not row.description}
    assert undocumented == {
        "rate", "size", "steps", "widths", "dropout", "spread", "epochs", "logit_weight",
        "temperature", "old_weight", "threshold", "reply", "entropy",
    }  # the fake classes have no text for these  # fmt: skip


def test_includes_are_told(read: Read, valid: str) -> None:
    loaded = read({"s.yaml": "include: b.yaml\n" + valid, "b.yaml": "run: {warmup: 1 s}\n"})
    (row,) = explain(loaded, "run.warmup")
    assert row.origin.endswith("b.yaml:1:15 (include)")
    assert (row.value, row.unit) == ("1", "s")


@pytest.mark.parametrize("key", ["strategies.ecc_snn", "strategies[0]", "strategies.0"])
def test_strategies_by_label(read: Read, valid: str, key: str) -> None:
    rows = explain(read(valid), key)
    assert rows[0].path == "strategies[0].name"
    assert all(row.path.startswith("strategies[0]") for row in rows)


def test_an_unknown_key(read: Read, valid: str) -> None:
    with pytest.raises(UserError, match=r"got 'stream\.phse', did you mean 'stream\.phase'\?"):
        explain(read(valid), "stream.phse")
    with pytest.raises(UserError, match="expected a key of"):
        explain(read(valid), "stream.phase.x")


def test_the_source_of_a_constant(read: Read, valid: str) -> None:
    def sources(path: tuple[str | int, ...], value: object) -> str:
        return f"datasheet of {value}" if path[-1] == "card" else ""

    row, other = explain(read(valid), "topology.links.0", sources)[1:3]
    assert (row.path, row.source) == ("topology.links[0].card", "datasheet of wifi_2012")
    assert other.source == ""


def test_every_key_is_described() -> None:
    def sections(cls: type[Section]) -> set[type[Section]]:
        return {cls}.union(*(sections(inner) for inner in cls.__subclasses__()))

    keys = [
        (cls, key, field) for cls in sections(Section) for key, field in cls.model_fields.items()
    ]
    assert len(keys) > 60
    assert not [(cls, key) for cls, key, field in keys if not field.description]


# templates


@pytest.mark.parametrize("name", templates.names())
def test_templates_are_valid(read: Read, name: str) -> None:
    scenario = read(templates.text(name)).scenario
    assert scenario.name == name
    assert "#" in templates.text(name)


def test_an_unknown_template() -> None:
    assert "quickstart" in templates.names()
    with pytest.raises(UserError, match=r"got 'quikstart', did you mean 'quickstart'\?"):
        templates.text("quikstart")


# JSON Schema


def test_the_json_schema_knows_names_and_keys() -> None:
    schema = json_schema(FakeLookup())
    assert set(schema["required"]) == {
        "name", "data", "stream", "topology", "models", "strategies",
    }  # fmt: skip
    assert schema["properties"]["include"]
    strategy = schema["$defs"]["StrategyEntry"]
    assert strategy["required"] == ["name"]
    assert "params" not in strategy["properties"]
    names = ["cloud_only", "ecc_snn", "edge_only", "random_offload"]
    assert strategy["properties"]["name"]["enum"] == names
    ecc_snn = next(
        part["then"]["properties"]
        for part in strategy["allOf"]
        if part["if"]["properties"]["name"]["const"] == "ecc_snn"
    )
    assert ecc_snn["threshold"] == {"type": "number", "minimum": 0, "maximum": 1}
    assert ecc_snn["entropy"]["enum"] == ["all", "min_over_heads"]
    assert ecc_snn["reply"]["type"] == "string"
    schedule = schema["$defs"]["Schedule"]
    assert schedule["required"] == ["kind"]
    assert schedule["allOf"][0]["then"]["required"] == ["base_classes", "increment"]
    assert schema["$defs"]["Node"]["properties"]["card"]["enum"][0] == "darwin3"
    assert not schema["$defs"]["Setup"]["required"]
    assert "required" not in schema["$defs"]["Replications"]


def test_the_json_schema_refers_only_to_what_it_has() -> None:
    schema = json_schema(FakeLookup())
    found: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            found.extend(value for key, value in part.items() if key == "$ref")
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(schema)
    assert found
    assert {ref.removeprefix("#/$defs/") for ref in found} <= set(schema["$defs"])


# the registry


@dataclass(frozen=True)
class _Params:
    """`gain` is a factor.

    Attributes
    ----------
    gain, loss : factors of something
        that takes two lines.
    """

    gain: float = 1.0
    loss: float = 2.0
    _: int = 0


def test_the_registry_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine:
        Params = _Params

    class MyCosts(Mine):
        boundaries = ("mine",)

    monkeypatch.setattr(registry, "_PLUGINS", {kind: {} for kind in registry.kinds()})
    registry.register("strategy", "mine")(Mine)
    registry.register("costs", "my_costs")(MyCosts)
    lookup = RegistryLookup(["b", "a"], ["l"], ["accuracy"])
    assert "mine" in lookup.names("strategy")
    assert lookup.names("device_card") == ["a", "b"]
    assert lookup.names("link_card") == ["l"]
    assert lookup.params_of("strategy", "mine") is _Params
    assert lookup.boundaries("my_costs") == ("mine",)
    assert lookup.metrics() == ("accuracy",)


def test_descriptions_from_docstrings() -> None:
    spec = params_spec(_Params)
    assert spec["gain"].description == "factors of something that takes two lines"
    assert spec["loss"].description == spec["gain"].description


def test_a_class_that_takes_a_key_of_its_section_is_refused(
    valid: str, tmp_path: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class Taken:
        versions: int = 0

    monkeypatch.setattr(FakeLookup, "params_of", lambda self, kind, name: Taken)
    with pytest.raises(UserError, match=r"the strategy 'ecc_snn' declares the keys \['versions'\]"):
        read(valid)


def test_every_plugin_section_names_its_kind() -> None:
    kinds = {plugin.registry for plugin in Plugin.__subclasses__()}
    assert kinds == set(registry.kinds()) - {"partitioner", "codec"}  # named by strategies
    assert Scenario.model_config["frozen"]
