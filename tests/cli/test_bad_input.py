"""Every mistake of a user: exit 2, where it stands, what was expected; no traceback."""

import pytest
from click.testing import CliRunner

from ecsim.cli.main import cli


def call(*arguments):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 2, (result.exit_code, result.output, result.exception)
    assert "Traceback" not in result.output
    assert not isinstance(result.exception, Exception)  # SystemExit at most
    return result.output


def replaced(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


MISTAKES = {
    "unknown key": ("phase: 10 s", "fase: 10 s", "unknown key", "phase"),
    "wrong unit": ("phase: 10 s", "phase: 10 W", "'W' is not a unit of time", "60 s"),
    "no unit": ("phase: 10 s", "phase: 10", "without a unit", "60 s"),
    "negative rate": ("rate: 4 /s", "rate: -4 /s", "-4", "rate"),
    "unknown strategy": ("name: ecc_snn", "name: ecc_sn", "ecc_sn", "did you mean 'ecc_snn'"),
    "unknown card": ("card: darwin3", "card: darwin", "darwin", "did you mean 'darwin3'"),
    "unknown link card": ("card: wifi_2012", "card: wifi_2021", "wifi_2021", "wifi_2012"),
    "unknown data": ("name: digits", "name: digit", "digit", "did you mean 'digits'"),
    "link to nowhere": ("- cloud\n", "- clowd\n", "clowd", "did you mean 'cloud'"),
    "threshold out of range": ("threshold: 0.5", "threshold: 1.5", "1.5", "threshold"),
    "too many base classes": ("base_classes: 4", "base_classes: 11", "11", "base_classes"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_positioned_and_explained(write_scenario, tmp_path, mistake):
    old, new, *words = MISTAKES[mistake]
    path = replaced(write_scenario(), old, new)
    line = next(
        number
        for number, text in enumerate(path.read_text().splitlines(), start=1)
        if new.strip() in text
    )
    output = call("run", path, "--out", tmp_path / "runs")
    for word in words:
        assert word in output
    reported = int(output.split(f"{path}:")[1].split(":")[0])
    # what the whole section says is reported where the section starts
    assert line - 2 <= reported <= line
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_unknown_model(write_scenario):
    path = write_scenario(
        models={"edge": {"name": "spiking_vg"}, "cloud": {"name": "vgg", "size": "small"}}
    )
    assert "did you mean 'spiking_vgg'" in call("validate", path)


def test_missing_section(write_scenario):
    path = write_scenario()
    text = path.read_text()
    start, end = text.index("topology:"), text.index("models:")
    path.write_text(text[:start] + text[end:])
    output = call("validate", path)
    assert "topology" in output
    assert "missing" in output


def test_all_mistakes_of_a_file_at_once(write_scenario):
    path = write_scenario()
    replaced(path, "phase: 10 s", "phase: ten")
    replaced(path, "threshold: 0.5", "treshold: 0.5")
    replaced(path, "card: darwin3", "card: darwin4")
    assert len(call("validate", path).strip().splitlines()) == 3


def test_a_file_that_is_not_yaml(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: [unclosed\nseed: 3\n")
    assert f"{path}:" in call("run", path)


@pytest.mark.parametrize("kind", ["sweep", "search", "claims"])
def test_a_file_of_another_kind_names_its_command(tmp_path, kind):
    path = tmp_path / "other.yaml"
    path.write_text(f"name: other\nscenario: base.yaml\n{kind}: {{}}\n")
    output = call("validate", path)
    assert output.count("\n") == 1
    assert (
        f"other.yaml:2:11: scenario: expected a scenario, got a file for `ecsim {kind}`" in output
    )


def test_a_suite_without_a_scenario_of_its_own_is_one_too(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text("name: other\nclaims: []\n")
    said = "2:9: claims: expected a scenario, got a file for `ecsim claims`"
    for command in ("run", "validate"):
        assert said in call(command, path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("topology: {}\n", "topology: expected a file for `ecsim claims`, got one for `ecsim run`"),
        ("scenario: a.yaml\nsweep: {}\n", "a file for `ecsim claims`, got one for `ecsim sweep`"),
    ],
)
def test_claims_of_another_file_name_its_command(tmp_path, text, said):
    path = tmp_path / "other.yaml"
    path.write_text(text)
    output = call("claims", path)
    assert said in output and output.strip().count("\n") == 0


@pytest.mark.parametrize("command", ["report", "show", "compare"])
def test_a_file_that_is_no_result_is_not_looked_up_by_name(tmp_path, command):
    path = tmp_path / "suite.yaml"
    path.write_text("claims: []\n")
    assert "suite.yaml is a file and no result; `ecsim run` makes one" in call(command, path)
    (tmp_path / "claims.json").write_text("{}")
    assert "has the verdicts of claims; read verdicts.md" in call(command, tmp_path)


def test_a_sweep_of_a_suite_names_its_command(tmp_path):
    (tmp_path / "a.yaml").write_text("name: a\n")
    path = tmp_path / "suite.yaml"
    path.write_text("scenario: a.yaml\nclaims: []\n")
    said = call("sweep", path)
    assert "suite.yaml:2:9: claims: expected a file for `ecsim sweep` or `ecsim search`" in said
    assert "got one for `ecsim claims`" in said


def test_a_file_that_is_not_there(tmp_path):
    assert "nowhere.yaml" in call("run", tmp_path / "nowhere.yaml")


def test_an_include_cycle_names_the_chain(tmp_path):
    (tmp_path / "a.yaml").write_text("include: b.yaml\nname: a\n")
    (tmp_path / "b.yaml").write_text("include: a.yaml\n")
    output = call("run", tmp_path / "a.yaml")
    assert "a.yaml" in output
    assert "b.yaml" in output


@pytest.mark.parametrize(
    ("option", "word"),
    [("stream.phase=10 W", "W"), ("stream.fase=10 s", "phase"), ("x", "KEY=VALUE")],
)
def test_overrides_are_checked_too(write_scenario, option, word):
    assert word in call("run", write_scenario(), "--set", option)


def test_plugins_that_fail(write_scenario, tmp_path):
    assert "nothing.py" in call("run", write_scenario(), "--plugin", tmp_path / "nothing.py")
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    assert "ZeroDivisionError" in call("run", write_scenario(), "--plugin", broken)


def test_predictions_of_the_wrong_shape(write_scenario, tmp_path):
    import numpy as np

    path = write_scenario()
    np.savez(tmp_path / "edge.npz", logits=np.zeros((5, 10)))
    output = call("run", path)
    assert "models.edge" in output
    assert "(1797, 10)" in output


def npy(path):
    import numpy as np

    with path.open("wb") as file:
        np.save(file, np.zeros((1797, 10)))


def texts(path):
    import numpy as np

    np.savez(path, logits=np.full((1797, 10), "x"))


def huge(path):
    import numpy as np

    np.savez(path, logits=np.full((1797, 10), 1e300))


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize("damage", [npy, texts, huge, cut])
def test_predictions_that_are_none(write_scenario, tmp_path, damage):
    path = write_scenario()
    damage(tmp_path / "edge.npz")
    assert "models.edge" in call("run", path)


@pytest.mark.parametrize("content", [{"state_dict": {}, "head_classes": 5}, [1, 2], "text"])
def test_weights_that_are_none(write_scenario, tmp_path, content):
    import torch

    torch.save(content, tmp_path / "mine.pt")
    edge = {"name": "spiking_vgg", "size": "small", "weights": "mine.pt"}
    path = write_scenario(models={"edge": edge, "cloud": {"name": "vgg", "size": "small"}})
    assert "models.edge.weights" in call("validate", path)


LATER = {  # what only the data, the cards or the whole run can tell
    "warm-up past the end": ({"run.warmup": "41 s"}, "run.warmup"),
    "negative reply": ({"strategies.ecc_snn.reply": "-5 B"}, "reply"),
    "too many tasks": ({"stream.arrivals.rate": "1e12 /s"}, "stream.arrivals"),
    "published and a rate": (
        {"costs": "{name: published}", "topology.links.0.uplink": "1 Mbit/s"},
        "topology.links[0].uplink",
    ),
    "published and tenants": (
        {
            "costs": "{name: published}",
            "topology.nodes.cloud.background": "{rate: 1 /s, service: 1 ms}",
        },
        "background",
    ),
    "unknown table": ({"costs": "{name: published, table: x}"}, "costs.table"),
    "rate without match": (
        {"strategies": "[{name: random_offload, rate: often}]"},
        "strategies[0].rate",
    ),
}


@pytest.mark.parametrize("mistake", LATER)
def test_validate_says_what_only_the_whole_can_tell(write_scenario, mistake):
    overrides, place = LATER[mistake]
    options = [part for key, value in overrides.items() for part in ("--set", f"{key}={value}")]
    assert place in call("validate", write_scenario(), *options)


def test_a_device_that_cannot_train_is_refused_where_it_should(write_scenario):
    path = write_scenario(
        models={
            "edge": {"name": "spiking_vgg", "size": "small"},
            "cloud": {"name": "vgg", "size": "small"},
        },
        learning={"update": {"name": "self_distillation"}},
    )
    assert "can train" in call("validate", path, "--set", "topology.nodes.cam.host=loihi")


@pytest.mark.parametrize("out", ["small.yaml", "small.yaml/x", "/proc/x"])
def test_runs_that_cannot_be_written(write_scenario, tmp_path, out):
    assert "cannot write" in call("run", write_scenario(), "--out", tmp_path / out)


def test_init_does_not_overwrite(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("precious")
    assert "exists" in call("init", path)
    assert path.read_text() == "precious"


def test_show_of_a_run_that_is_not_there(tmp_path):
    assert "no result" in call("show", "quickstart", "--out", tmp_path)


def test_explain_of_an_unknown_key(write_scenario):
    assert "did you mean" in call("explain", write_scenario(), "stream.fase")
