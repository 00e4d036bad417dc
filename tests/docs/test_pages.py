"""The documentation runs: files are written, scenarios checked, code and commands executed."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from ecsim.cli.main import cli
from ecsim.records.metrics import MEANINGS
from ecsim.records.tables import dictionary
from ecsim.report.plots import KINDS
from ecsim.scenario.claims import Claim, Suite

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
EXECUTED = [page for page in PAGES if page.parent.name in ("tutorial", "how-to")]
LONG = (
    "early-exit", "filters", "learn-offloading", "plot", "split", "updates", "watch-a-run",
)  # fmt: skip
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page.stem in LONG else [], id=page.stem)
        for page in EXECUTED
    ],
)
def test_page_runs(page, tmp_path, monkeypatch):
    """Files first, as a reader has them before him, then code and commands in their order."""
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(page.read_text())
    for _, name, body in blocks:
        if name:
            (tmp_path / name).write_text(body)
    names: dict[str, object] = {}
    for language, name, body in blocks:
        if language == "python" and not name:
            exec(compile(body, str(page), "exec"), names)
        for line in body.splitlines() if language == "console" else ():
            assert line.startswith("$ ecsim "), line
            result = CliRunner().invoke(cli, shlex.split(line)[2:])
            assert result.exit_code == 0, (line, result.output, result.exception)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def test_data_dictionary_is_the_declared_one():
    page = (ROOT / "docs" / "reference" / "tables.md").read_text()
    assert page.endswith(dictionary()), "run: python docs/generate.py"


@pytest.mark.parametrize(
    ("name", "made_by"),
    [
        ("sweep", "sweeps"),
        ("streams", "streams"),
        ("partitioners", "partitioners"),
        ("ecc-snn-verdicts", "verdicts"),
    ],
)
def test_page_of_keys_is_the_declared_one(name, made_by):
    page = (ROOT / "docs" / "reference" / f"{name}.md").read_text()
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    assert page == generate[made_by](), "run: python docs/generate.py"


def test_metrics_page_lists_every_metric():
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    for name, (unit, meaning) in MEANINGS.items():
        assert f"| `{name}` | {unit} | {meaning} |" in page, "run: python docs/generate.py"


def test_the_page_of_figures_lists_every_kind_and_the_readme_every_page():
    figures = (ROOT / "docs" / "how-to" / "plot.md").read_text()
    assert [kind for kind in KINDS if f"| `{kind}` |" not in figures] == []
    readme = (ROOT / "README.md").read_text()
    pages = [
        page.relative_to(ROOT).as_posix()
        for folder in ("tutorial", "how-to", "reference", "background")
        for page in (ROOT / "docs" / folder).glob("*.md")
    ]
    assert [page for page in pages if page not in readme] == []


def test_claims_page_lists_every_key():
    lines = (ROOT / "docs" / "reference" / "claims.md").read_text().splitlines()
    for section in (Suite, Claim):
        for key, field in section.fields_by_key().items():
            rows = [line for line in lines if line.startswith(f"| `{key}` |")]
            assert any(line.endswith(f"| {field.description} |") for line in rows), (
                key, "run: python docs/generate.py",
            )  # fmt: skip
