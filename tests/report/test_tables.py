"""Tables for papers: numbers, units, intervals, and signs that LaTeX would swallow."""

import io
import re

import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats

from ecsim.cli.main import cli
from ecsim.core.errors import UserError
from ecsim.report.material import gather
from ecsim.report.tables import render


def body(text):
    lines = text.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    return [[cell.strip() for cell in line.removesuffix(r"\\").split("&")] for line in lines]


def test_one_run_has_values_in_the_unit_of_the_head(run):
    text = render(gather([run]), ["accuracy", "latency_s.mean"])
    assert r"\begin{tabular}{lrr}" in text and text.count("\\toprule") == 1
    assert r"strategy & stream accuracy (\%) & mean latency (ms) \\" in text
    ecc = run.summary["ecc_snn"]
    label, accuracy, latency = body(text)[0]
    assert label == r"ecc\_snn"
    assert float(accuracy) == pytest.approx(100 * ecc["accuracy"], rel=5e-3)
    assert float(latency) == pytest.approx(1e3 * ecc["latency_s"]["mean"], rel=5e-3)
    assert "no intervals" in text


def test_replicates_have_a_mean_and_a_half_width(replications):
    text = render(gather([replications]), ["cur"])
    values = [100 * run.summary["ecc_snn"]["cur"] for run in replications.runs]
    mean, half = map(float, re.fullmatch(r"\$(\S+) \\pm (\S+)\$", body(text)[0][1]).groups())
    assert mean == pytest.approx(sum(values) / 2, abs=0.06)
    assert half == pytest.approx(stats.sem(values) * stats.t.ppf(0.975, 1), rel=0.02)
    assert "over 2 replicates" in text
    assert body(text)[1][1] == r"$100 \pm 0$"


def test_an_unstable_latency_is_no_number_and_energy_is(sweep):
    material = gather([sweep]).only(["cloud_only"])
    rows = body(render(material, ["latency_s.mean", "energy_per_task_j.total"]))
    by_link = {row[0]: row for row in rows}
    assert by_link["3 Mbit/s"][3] == "unstable (2 of 2)"
    assert "pm" in by_link["20 Mbit/s"][3] and "pm" in by_link["3 Mbit/s"][4]


def test_a_source_without_the_swept_key_has_no_value_of_it(run, sweep):
    rows = body(render(gather([run, sweep]), ["cur"]))
    links = [row[1] for row in rows]
    assert links[0] == "--" and links[-1] in ("3 Mbit/s", "20 Mbit/s")


def test_markdown_and_csv(replications):
    material = gather([replications])
    lines = render(material, ["cur"], "markdown").splitlines()
    assert lines[0] == "| strategy | cloud-upload rate (%) |"
    assert lines[1] == "| --- | ---: |"
    assert lines[3].startswith("| cloud_only | 100 ± 0 |")
    frame = pd.read_csv(io.StringIO(render(material, ["cur"], "csv")))
    assert frame["cur"].tolist()[1] == 1.0
    assert list(frame)[-3:] == ["cur", "cur low", "cur high"]
    with pytest.raises(UserError, match="did you mean 'latex'"):
        render(material, form="latx")


def test_the_command(run, tmp_path):
    target = tmp_path / "table.tex"
    arguments = ["table", str(run.path), "-o", str(target), "--arms", "ecc_snn"]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    assert len(body(target.read_text())) == 1
    shown = CliRunner().invoke(cli, ["table", str(run.path), "--format", "markdown"]).output
    assert shown.startswith("| strategy |")
    wrong = CliRunner().invoke(cli, ["table", str(run.path), "-o", str(tmp_path)])
    assert wrong.exit_code == 2 and "cannot write" in wrong.output
