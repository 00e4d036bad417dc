"""Figures for papers: right numbers, right size, the same bytes, and clear refusals."""

import importlib
import io
import itertools
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from ecsim.cli.main import cli
from ecsim.core.errors import UserError
from ecsim.report.material import Material, Part, gather
from ecsim.report.plots import KINDS
from ecsim.report.plots.drawing import Options, draw, write
from ecsim.report.plots.pareto import front
from ecsim.report.style import DOUBLE_IN, SINGLE_IN, paper

OF_SWEEPS = ("heatmap", "parallel", "best")
OF_SPLITS = ("layer-times", "break-even")
LINK, THRESHOLD = "topology.links.0.uplink", "strategies.ecc_snn.threshold"


@pytest.fixture
def of(run, sweep, split_sweep, exit_sweep):
    """Give a function that gives a result that a kind can show."""

    def find(kind):
        if kind == "exits":
            return exit_sweep
        if kind in OF_SPLITS:
            return split_sweep
        return sweep if kind in OF_SWEEPS else run

    return find


def drawn(kind, results, **options):
    with paper():
        found = draw(kind, gather(results), Options(**options))
        found.figure.draw_without_rendering()
    return found


def test_a_long_title_is_broken_to_fit(run):
    title = "Fashion-MNIST, 3,200 images, quarter-width VGG-9 and VGG-16, 2 of 10 classes are known"
    figure = drawn("energy", [run], title=title).figure
    ends = figure._suptitle.get_window_extent()
    assert ends.x0 >= 0 and ends.x1 <= figure.bbox.width
    assert figure._suptitle.get_text().split() == title.split()
    highest = max(axes.get_tightbbox().y1 for axes in figure.axes)
    assert ends.y0 >= highest - 1


@pytest.mark.parametrize(
    ("kind", "width_in"),
    [*((kind, SINGLE_IN) for kind in KINDS), ("accuracy", DOUBLE_IN), ("heatmap", DOUBLE_IN)],
)
def test_each_kind_is_drawn_at_paper_width_and_not_blank(kind, width_in, of, tmp_path):
    formats = ("png",) if width_in == DOUBLE_IN else ("pdf", "svg", "png")
    paths = write(kind, gather([of(kind)]), tmp_path, Options(width_in), formats)
    assert [p.name for p in paths] == [f"{kind}.{end}" for end in (*formats, "csv")]
    pixels = imread(tmp_path / f"{kind}.png")[..., :3]
    assert pixels.shape[1] == pytest.approx(300 * width_in, abs=1)
    assert 0.005 < (pixels < 0.9).any(axis=2).mean() < 0.8
    frame = pd.read_csv(tmp_path / f"{kind}.csv")
    assert len(frame) and "strategy" in frame


def test_the_same_bytes_every_time_with_embedded_fonts(run, tmp_path):
    one = write("pareto", gather([run]), tmp_path / "a")
    two = write("pareto", gather([run]), tmp_path / "b")
    for a, b in zip(one, two, strict=True):
        content = a.read_bytes()
        assert content == b.read_bytes()
        assert b"CreationDate" not in content and b"<dc:date>" not in content
    pdf = one[0].read_bytes()
    assert b"FontFile2" in pdf and b"/Type3" not in pdf


@given(st.lists(st.tuples(*[st.integers(0, 6) | st.just(None)] * 2), max_size=14))
def test_the_front_is_what_no_point_beats(points):
    a, b = (np.array([np.nan if p[i] is None else p[i] for p in points], float) for i in (0, 1))
    expected = []
    for p in points:
        beaten = None in p or any(
            None not in q and q[0] <= p[0] and q[1] <= p[1] and q != p for q in points
        )
        expected.append(not beaten)
    assert front(a, b).tolist() == expected


def test_a_strategy_that_cannot_keep_up_is_never_on_the_front(sweep):
    frame = drawn("pareto", [sweep]).frame
    slow = frame[frame["n_unstable"] > 0]
    assert len(slow) and not slow["on_front"].any()
    assert frame["on_front"].any()


def test_the_curve_of_latencies_counts_tasks_without_an_answer(run):
    frame = drawn("latency-cdf", [run]).frame
    for label, curve in frame.groupby("strategy"):
        tasks = run.tasks[run.tasks["strategy"] == label]
        at = curve.iloc[::40]
        shares = [(tasks["latency_s"] <= t).sum() / len(tasks) for t in at["latency_s"]]
        assert at["share_answered"].tolist() == pytest.approx(shares)
        assert curve["share_answered"].iloc[-1] == pytest.approx(tasks["latency_s"].notna().mean())


def test_accuracy_in_bins_adds_up_to_the_run(run):
    frame = drawn("accuracy", [run]).frame
    label = "ecc_snn"
    mine = frame[frame["strategy"] == label]
    tasks = run.tasks[run.tasks["strategy"] == label]
    n = [tasks["t_arrive_s"].between(a, b, inclusive="left").sum()
         for a, b in zip(mine["t_start_s"], mine["t_end_s"], strict=True)]  # fmt: skip
    total = np.nansum(mine["accuracy"] * n) / sum(n)
    assert total == pytest.approx(run.summary[label]["accuracy"])
    assert {10.0, 20.0, 30.0} <= set(mine["t_start_s"])  # bins end where phases do


def test_the_stream_shows_every_task_of_each_device_once(run):
    found = drawn("stream", [run])
    tasks = run.tasks[run.tasks["strategy"] == run.tasks["strategy"].iloc[0]]
    frame = found.frame
    assert frame["n_tasks"].sum() == len(tasks)
    for (device, label), part in frame.groupby(["device", "class"]):
        mine = tasks[(tasks["device"] == device) & (tasks["label"] == label)]
        assert part["n_tasks"].sum() == len(mine)
        inside = [mine["t_arrive_s"].between(a, b, inclusive="left").sum()
                  for a, b in zip(part["t_start_s"], part["t_end_s"], strict=True)]  # fmt: skip
        assert part["n_tasks"].tolist() == inside
    panels = [axes for axes in found.figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["cam[0]", "cam[1]"]
    for axes in panels:  # the shares of a bin are 100 % together
        field = np.ma.filled(axes.collections[0].get_array(), 0.0)
        assert field.sum(axis=0) == pytest.approx(np.full(field.shape[1], 100.0))


def test_the_stream_names_corruptions(run):
    t_s = run.tasks["t_arrive_s"]
    is_hit = ((run.tasks["device"] == "cam[1]") & (t_s >= 10) & (t_s < 20)).to_numpy()
    names = np.where(t_s < 15, "blur 2", "blur 3")
    tasks = run.tasks.assign(corruption=np.where(is_hit, names, ""))
    seen = replace(run)
    seen.__dict__["tasks"] = tasks
    with paper():
        found = draw("stream", Material((Part("a", {}, seen),), ("ecc_snn",)), Options())
    texts = {axes.get_title(): [t.get_text() for t in axes.texts] for axes in found.figure.axes}
    assert texts["cam[0]"] == [] and texts["cam[1]"] == ["blur 2–3"]
    hit = found.frame[found.frame["corruption"] != ""]
    assert set(hit["corruption"]) == {"blur 2", "blur 3"}
    assert set(hit["device"]) == {"cam[1]"} and hit["t_start_s"].min() == 10.0
    assert hit["n_tasks"].sum() == (is_hit & (tasks["strategy"] == "ecc_snn")).sum()


def test_the_stream_is_of_one_run(replications):
    with pytest.raises(UserError, match="expected one run, got 2"):
        drawn("stream", [replications])


def test_energy_bars_end_at_the_total_with_its_interval(replications):
    found = drawn("energy", [replications])
    axes = found.figure.axes[0]
    unit = re.search(r"\((\w+)\)", axes.get_xlabel())[1]
    scale = {"J": 1.0, "mJ": 1e3}[unit]
    for y, label in enumerate(("ecc_snn", "cloud_only")):
        total = np.mean([r.summary[label]["energy_per_task_j"]["total"] for r in replications.runs])
        ends = [p.get_x() + p.get_width() for p in axes.patches if round(p.get_y() + 0.35) == y]
        assert max(ends) == pytest.approx(scale * total)
    ecc = found.frame.iloc[0]
    assert ecc["energy_per_task_j.total low"] < ecc["energy_per_task_j.total"]


def test_queues_mark_what_cannot_keep_up(sweep):
    slow = gather([sweep]).only(["cloud_only"], {LINK: "3 Mbit/s", THRESHOLD: "0.3"})
    with paper():
        figure = draw("queues", slow, Options()).figure
    assert "*" in [text.get_text() for axes in figure.axes for text in axes.texts]


def test_a_heat_map_has_each_field_once_in_order(sweep):
    found = drawn("heatmap", [sweep], metrics=("cur",), keys=(LINK, THRESHOLD))
    panel = next(axes for axes in found.figure.axes if axes.get_title() == "ecc_snn")
    below = next(axes for axes in found.figure.axes if axes.get_title() == "cloud_only")
    assert [t.get_text() for t in below.get_xticklabels()] == ["3 Mbit/s", "20 Mbit/s"]
    assert [t.get_text() for t in panel.get_yticklabels()] == ["0.3", "0.7"]
    cells = sweep.cells[sweep.cells["strategy"] == "ecc_snn"].groupby([THRESHOLD, LINK])["cur"]
    expected = [[100 * cells.get_group((t, b)).mean() for b in ("3 Mbit/s", "20 Mbit/s")]
                for t in (0.3, 0.7)]  # fmt: skip
    assert np.asarray(panel.images[0].get_array()) == pytest.approx(np.array(expected))


def test_parallel_lines_cross_the_axes_at_their_values(sweep):
    found = drawn("parallel", [sweep], metrics=("cur",))
    lines = [line for line in found.figure.axes[0].lines if len(line.get_xdata()) == 3]
    assert len(lines) == len(found.frame) == 8
    highest = found.frame["cur"].max()
    for line, row in zip(lines, found.frame.to_dict("records"), strict=True):
        y = line.get_ydata()
        assert y[0] == (row[LINK] == "20 Mbit/s")
        assert y[1] == (row[THRESHOLD] == 0.7)
        assert (y[2] == 1.0) == (row["cur"] == highest)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_cut_off_or_overlaps_the_legend(kind, of):
    figure = drawn(kind, [of(kind)]).figure
    page = figure.bbox
    for axes in figure.axes:
        box = axes.get_tightbbox()
        if box is not None:
            assert page.x0 - 1 <= box.x0 and box.x1 <= page.x1 + 1
            assert page.y0 - 1 <= box.y0 and box.y1 <= page.y1 + 1
    for legend, axes in itertools.product(figure.legends, figure.axes):
        assert not legend.get_window_extent().overlaps(axes.get_tightbbox())


def test_a_legend_of_many_rows_leaves_the_panels_their_height(run):
    parts = gather([run]).parts
    many = tuple(replace(part, values={"seen": i}) for part in parts for i in range(6))
    with paper():
        figure = draw("queues", replace(gather([run]), parts=many), Options()).figure
        figure.savefig(io.BytesIO(), format="png")  # warns where the panels collapse
    (legend,), axes = figure.legends, figure.axes[0]
    assert len(legend.get_texts()) >= 8
    assert axes.get_window_extent().height > figure.dpi
    assert legend.get_window_extent().y0 >= -1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["paretto"], "did you mean 'pareto'"),
        (["pareto", "--metrics", "accuracy,latncy_s.mean"], "did you mean 'latency_s.mean'"),
        (["pareto", "--metrics", "accuracy"], "expected two metrics, got 1"),
        (["heatmap"], "expected two swept keys, got 0"),
        (["heatmap", "--keys", "a,b"], "only a sweep has the key 'a'"),
        (["pareto", "--formats", "jpg"], "expected a format"),
        (["pareto", "--arms", "cloud_onyl"], "did you mean 'cloud_only'"),
        (["pareto", "--where", "x"], "expected KEY=VALUE"),
        (["layer-times"], "expected strategies that keep their layers' times"),
        (["break-even"], "expected a sweep of a link's rate"),
    ],
)
def test_mistakes_are_answered(arguments, says, run, tmp_path):
    kind, *rest = arguments
    result = CliRunner().invoke(cli, ["plot", kind, str(run.path), "-o", str(tmp_path), *rest])
    assert result.exit_code == 2
    assert says in result.output
    assert not list(tmp_path.iterdir())


def test_the_command_writes_what_it_says(run, tmp_path):
    target = tmp_path / "new" / "folder"
    arguments = ["plot", "energy", str(run.path), "-o", str(target), "--width", "double"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in target.iterdir()) == [
        f"energy.{end}" for end in ("csv", "pdf", "png", "svg")
    ]
    assert result.output.count("wrote") == 4


def test_every_kind_has_its_module_and_too_many_lines_are_refused(sweep):
    for kind in KINDS:
        assert importlib.import_module(f"ecsim.report.plots.{kind.replace('-', '_')}").draw
    with pytest.raises(UserError, match="choose with --arms"):
        drawn("queues-over-time", [sweep])


def test_metrics_over_phases_are_those_of_the_summaries(replications):
    metrics = ("probe_system_accuracy.last", "energy_per_task_j.up")
    frame = drawn("phases", [replications], metrics=metrics).frame
    frame = frame[frame["strategy"] == "ecc_snn"].set_index(["metric", "phase"])
    summaries = [run.summary["ecc_snn"]["phases"] for run in replications.runs]
    for i, of in enumerate(zip(*summaries, strict=True)):
        for metric, value in {
            metrics[0]: [phase["probe_system_accuracy"] for phase in of],
            metrics[1]: [phase["energy_per_task_j"]["up"] for phase in of],
        }.items():
            row = frame.loc[metric, i]
            assert row["mean"] == pytest.approx(np.mean(value))
            assert row["high"] - row["mean"] == pytest.approx(12.706 / 2 * np.ptp(value), rel=1e-3)
    with pytest.raises(UserError, match="at most 6 metrics"):
        drawn("phases", [replications], metrics=("cur",) * 7)


def test_shares_and_entropies_of_classes_are_those_of_the_tasks(run):
    frame = drawn("classes", [run]).frame.set_index("class")
    tasks = run.tasks[(run.tasks["strategy"] == "ecc_snn").to_numpy()]
    for label, of in tasks.groupby("label"):
        assert frame.loc[label, "n"] == len(of)
        assert frame.loc[label, "uploaded"] == pytest.approx(of["uploaded"].mean())
        median = of["normalized_entropy"].median()
        assert frame.loc[label, "entropy_p50"] == pytest.approx(median)
    with pytest.raises(UserError, match="asks no edge model"):
        drawn_of = gather([run]).only(["cloud_only"])
        draw("classes", drawn_of, Options())


def test_a_title_stands_above_the_figure(run):
    assert drawn("pareto", [run]).figure.get_suptitle() == ""
    assert drawn("pareto", [run], title="digits").figure.get_suptitle() == "digits"


def test_routing_begins_at_the_edge_and_ends_at_the_cloud(run):
    frame = drawn("routing", [run]).frame
    assert set(frame["strategy"]) == {"ecc_snn"}, "cloud_only has no score"
    version = run.probe[(run.probe["strategy"] == "ecc_snn").to_numpy()].iloc[-1]
    for _, of in frame.groupby("phase"):
        ends = of["accuracy"].to_numpy()[[0, -1]]
        assert ends == pytest.approx([version["accuracy"], version["cloud_accuracy"]])
        assert of["random"].to_numpy()[[0, -1]] == pytest.approx(ends)
        above = (of["accuracy"] - of["random"]).to_numpy()
        gain = run.summary["ecc_snn"]["routing_gain"]["last"]
        inner = (of["cur"] >= 0.05 - 1e-9) & (of["cur"] <= 0.95 + 1e-9)
        area = np.trapezoid(above[inner], of["cur"][inner]) / 0.9
        assert area == pytest.approx(gain, abs=5e-5)  # bins of nearly equal size


def test_exits_are_drawn_from_the_shares_and_means_of_the_cells(exit_sweep):
    frame = drawn("exits", [exit_sweep], width_in=DOUBLE_IN).frame
    key = "strategies.early_exit.threshold"
    of_arm = frame[frame["strategy"] == "early_exit"].set_index(key)
    assert of_arm.index.tolist() == [0, 0.3, 0.6, 1.01]
    shares = of_arm[["exit 0", "exit 1", "exit 2"]]
    assert shares.sum(axis=1).to_numpy() == pytest.approx(np.ones(4))
    assert shares["exit 2"][0] == 1.0 and shares["exit 0"][1.01] == 1.0
    assert shares["exit 0"].is_monotonic_increasing
    cells = [exit_sweep.runs[c] for c, at in exit_sweep.planned.items() if at[key] == 0.6]
    mean = np.mean([(run.tasks["exit"] == 0)[run.tasks["strategy"] == "early_exit"].mean()
                    for run in cells])  # fmt: skip
    assert shares["exit 0"][0.6] == pytest.approx(mean)


def test_exits_need_one_key_and_a_strategy_that_has_some(sweep, run):
    with pytest.raises(UserError, match="one swept key at most"):
        drawn("exits", [sweep])
    with pytest.raises(UserError, match="answers at several exits"):
        drawn("exits", [run])
