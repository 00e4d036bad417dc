"""The page as a file: complete, closed in itself, and made for every reader."""

import base64
import hashlib
import re
from html import escape
from itertools import pairwise

import pytest
from click.testing import CliRunner

from ecsim.cli.main import cli
from ecsim.core.errors import UserError
from ecsim.report.html import tables
from ecsim.report.html.page import render, write

NAMES = ("run", "hostile", "replications", "sweep")


@pytest.fixture(params=NAMES)
def page(pages, request):
    return pages[request.param]


def test_elements_are_closed_in_turn_and_names_are_unique(page, parse):
    parsed = parse(page)
    assert not parsed.open
    ids = [attrs["id"] for _, attrs in parsed.found if "id" in attrs]
    assert len(set(ids)) == len(ids)
    links = {attrs["href"] for tag, attrs in parsed.found if tag == "a"}
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    fills = set(re.findall(r"url\(#([^)]+)\)", page))
    assert fills <= set(ids)
    named = {attrs["aria-labelledby"] for _, attrs in parsed.found if "aria-labelledby" in attrs}
    assert named <= set(ids)


def test_nothing_is_fetched_and_the_policy_allows_what_is_inside_alone(page, parse):
    parsed = parse(page)
    for tag, attrs in parsed.found:
        assert not {"src", "srcset", "style", "background"} & set(attrs), (tag, attrs)
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
        assert tag not in ("link", "iframe", "object", "base", "form")
    (policy,) = (a["content"] for _, a in parsed.found if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    for kind in ("style", "script"):
        (text,) = (data for tag, data in parsed.texts if tag == kind)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
        assert "url(" not in text and "http" not in text and "import" not in text


def test_headings_do_not_skip_and_verdicts_come_first(page, parse):
    levels = [int(tag[1]) for tag, _ in parse(page).found if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.index(">Verdicts</h2>") < page.index('id="r0"') < page.index(">Summary</h3>")
    assert page.index(">Data dictionary</h2>") > page.index(">Provenance</h3>")


def test_landmarks_tables_and_pictures_have_names(page, parse):
    found = parse(page).found
    tags = [tag for tag, _ in found]
    assert [tags.count(one) for one in ("header", "nav", "main", "footer")] == [1] * 4
    assert ("html", {"lang": "en"}) in found
    assert tags.count("table") == tags.count("caption") == tags.count("thead")
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in found if tag == "th")
    for tag, attrs in found:
        if tag == "svg":
            assert attrs.get("aria-label") or attrs.get("aria-hidden") == "true"
        if "tabindex" in attrs and tag != "main":
            assert attrs["aria-label"]
    n_charts = sum(attrs.get("role") == "img" for tag, attrs in found if tag == "svg")
    assert n_charts >= 4
    assert page.count("Values of this figure") == tags.count("figure")


def test_names_stay_names(pages, hostile, parse):
    parsed = parse(pages["hostile"])
    tags = {tag for tag, _ in parsed.found}
    assert "img" not in tags and [tag for tag, _ in parsed.found].count("script") == 1
    text = "".join(data for tag, data in parsed.texts if tag not in ("style", "script"))
    assert text.count(hostile.manifest["warnings"][0]) > 20 and "cam<svg onload=alert(3)>" in text
    assert "ecsim run a.yaml --out=out" in text and "jane" not in text


def test_a_run_shows_what_it_has(run, pages):
    page = pages["run"]
    titles = re.findall(r"<h3[^>]*>([^<]+)</h3>", page)
    assert titles[:10] == [
        "Summary", "Warnings", "Figures", "Phases", "Devices", "Energy breakdown", "Queues",
        "Queues and power over time", "Timeline of the first tasks", "Provenance",
    ]  # fmt: skip
    assert page.count(">✓ holds<") == 1 and page.count(">✗ FALSE<") == 1
    assert "1 of 2 do not hold." in page
    for constant in run.manifest["constants"].values():
        assert constant["value"] in page
    for seed in run.manifest["seeds"].values():
        assert str(seed) in page
    assert run.manifest["scenario_sha256"] in page
    for name in run.manifest["files"]:
        assert f">{name}</th>" in page
    assert "constants are assumed" in page and run.manifest["warnings"]
    for warning in run.manifest["warnings"]:
        assert f"<li>{escape(warning)}</li>" in page
    for device in ("cam[0]", "cam[1]"):
        assert re.search(rf"<h4>{re.escape(device)}: \d+ tasks</h4>", page)
    assert page.count("<h4>Phase ") == 4
    accuracy = 100 * run.summary["ecc_snn"]["accuracy"]
    assert f">{accuracy:.1f}</td>" in page


def test_costs_that_nobody_measured_are_said_of_runs_that_did_not_say_so(run):
    manifest = {key: of for key, of in run.manifest.items() if key != "cost_bases"}
    page = render([type(run)(run.path, manifest, run.summary)])
    assert "Uncalibrated costs: </strong>times and energies on darwin3, rtx3090 follow" in page
    card = {"value": "held-out error 3 %", "source": "measured", "assumed": False}
    manifest["constants"] = manifest["constants"] | {"rtx3090.calibration": card}
    page = render([type(run)(run.path, manifest, run.summary)])
    assert "</strong>times and energies on darwin3 follow" in page


def test_an_unstable_strategy_is_called_so(run):
    why = {"stable": False, "unstable_because": "link 0 up: offered load 1.31"}
    summary = run.summary | {"cloud_only": run.summary["cloud_only"] | why}
    page = render([type(run)(run.path, run.manifest, summary)])
    assert "cloud_only is unstable: " in page and "offered load 1.31" in page
    assert page.count(">unstable</td>") >= 4
    assert "Not shown, as a queue cannot keep up: cloud_only." in page


def test_a_sweep_of_200_cells_is_whole_and_light(sweep, pages):
    page = pages["sweep"]
    assert len(page.encode()) < 1_500_000
    assert all(f">{cell}</th>" in page for cell in set(sweep.cells["cell"]))
    assert "heat" not in page.lower() or page.count("cell h-") >= 4 * 3 * 40
    assert "&lt;b&gt;MemoryError&lt;/b&gt;" in page
    assert "ecc_snn is unstable in 10 of 200 cells" in page
    assert page.count(">unst.</text>") == 3 * 2  # for p95 latency, of each strategy


def test_long_tables_are_cut_and_say_so(run, make_sweep):
    big = make_sweep(run, {"a": list(range(50)), "b": list(range(40))})
    page = render([big])
    assert len(page.encode()) < 3_000_000
    assert f"(the first {tables.MAX_ROWS} of 6000 rows)" in page


@pytest.mark.parametrize(
    "axes",
    [{"seed": [1, 2]}, {"a": [1]}, {"a": ["x", "y"], "seed": [1, 2]}, {"a": [0.1, 0.25, 1e-7]}],
)
def test_other_sweeps(run, make_sweep, axes, parse):
    assert not parse(render([make_sweep(run, axes)])).open


def test_a_sweep_of_which_nothing_is_done(run, make_sweep, parse):
    empty = make_sweep(run, {"a": [1, 2]})
    empty.__dict__.update(cells=empty.cells.iloc[:0], runs={})
    page = render([empty])
    assert not parse(page).open and "0 cells finished" in page


def test_several_results_stand_beside_each_other(pages, replications, run):
    page = pages["replications"]
    assert ">Comparison</h2>" in page and 'id="r1-summary"' in page
    assert f">Run {run.path.name}</h2>" in page
    assert f">Replications {replications.path.name}</h2>" in page


def test_the_command(run, tmp_path):
    target = tmp_path / "x.html"
    arguments = ["report", "small", "--out", str(run.path.parent), "-o", str(target)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert "wrote" in result.output
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    result = CliRunner().invoke(cli, ["report", f"{run.path.name}x", *arguments[2:]])
    assert result.exit_code == 2 and "did you mean" in result.output
    assert CliRunner().invoke(cli, ["report"]).exit_code == 2
    with pytest.raises(UserError, match="cannot write"):
        write([run], tmp_path)
