import itertools
import random

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.image import imread

from ecsim.report import figures
from ecsim.report.style import line_styles, paper

STAGES = ("end", "edge", "cloud", "up", "down")
LABELS = ("ecc_snn", "edge_only", "edge_only_learning", "cloud_only", "random_offload")
STATUSES = ("answered", "late", "in_flight", "dropped", "died")


def _metrics(r, uploads):
    """Random metrics of the tasks of one strategy; only stages that an upload uses are not zero."""
    used = ("edge", "up", "cloud", "down") if uploads else ("edge",)
    energy = {stage: r.uniform(0.1, 1) if stage in used else 0.0 for stage in STAGES}
    parts = {f"{stage}_{part}": 0.0 for stage in STAGES for part in ("wait", "service")}
    parts |= {f"{stage}_service": r.uniform(0.01, 0.02) for stage in used}
    if uploads:
        parts["up_wait"] = r.uniform(0.01, 0.02)
    parts["propagation"] = 0.01 if uploads else 0.0
    latency = sum(parts.values())
    cur = r.uniform(0.2, 0.8) if uploads else 0.0
    return {
        "n": 100, "n_answered": 100, "status": dict.fromkeys(STATUSES, 0) | {"answered": 100},
        "accuracy": r.uniform(0.3, 0.9), "accuracy_first_visits": 0.5, "cur": cur,
        "cur_seen": cur / 2, "cur_unseen": cur, "latency_parts_s": parts,
        "latency_s": {"mean": latency, "p50": latency, "p95": 2 * latency, "p99": 3 * latency},
        "energy_per_task_j": {"total": sum(energy.values())} | energy | {"wasted": 0, "update": 0},
        "bytes_per_task": {"up": 6e4 * cur, "down": 100.0 * cur}, "deadline_miss_ratio": None,
    }  # fmt: skip


@pytest.fixture
def summary_of():
    """Make a summary of some strategies and phases, in the shape that records.metrics gives."""

    def make(labels=LABELS, n_phases=4, seed=3):
        r = random.Random(seed)
        summary = {}
        for label in labels:
            uploads = not label.startswith("edge")
            probe = 0.4 if label != "cloud_only" else None
            phases = [
                {
                    "phase": phase, "probe_accuracy": probe and probe + 0.1 * phase,
                    "probe_accuracy_known": probe, "probe_system_accuracy": None,
                    "probe_cur": None,
                } | _metrics(r, uploads)
                for phase in range(n_phases)
            ]  # fmt: skip
            summary[label] = _metrics(r, uploads) | {
                "idle_energy_j": 5.0, "idle_energy_per_task_j": 0.05, "updates": 0,
                "update_energy_j": 0.0,
                "probe_accuracy": {"first": probe, "last": probe and probe + 0.1 * (n_phases - 1)},
                "probe_accuracy_known": {"first": probe, "last": probe}, "phases": phases,
            }  # fmt: skip
        return summary

    return make


NAMES = ("accuracy_against_cur", "accuracy_and_cur", "energy_and_latency")


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def legend_texts(figure):
    return [
        [t.get_text() for t in a.get_legend().get_texts()] for a in figure.axes if a.get_legend()
    ]


def test_three_figures_as_png_and_pdf_that_are_not_blank(tmp_path, summary_of):
    paths = figures.write(summary_of(), tmp_path / "figures")
    assert sorted(p.name for p in paths) == [f"{n}.{e}" for n in NAMES for e in ("pdf", "png")]
    for path in paths:
        if path.suffix == ".png":
            pixels = imread(path)[..., :3]
            assert pixels.shape[1] >= 700
            inked = (pixels < 0.9).any(axis=2)
            assert 0.01 < inked.mean() < 0.5
            # something in each quarter of the picture, so that nothing has collapsed or slid out
            rows, columns = np.array_split(inked, 2), 2
            for half in rows:
                for quarter in np.array_split(half, columns, axis=1):
                    assert quarter.mean() > 0.002
        else:
            assert path.read_bytes().startswith(b"%PDF")


def test_equal_summaries_give_equal_bytes_without_dates(tmp_path, summary_of):
    one = figures.write(summary_of(LABELS[:2]), tmp_path / "one")
    two = figures.write(summary_of(LABELS[:2]), tmp_path / "two")
    for a, b in zip(one, two, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert b"CreationDate" not in a.read_bytes()
        assert b"Matplotlib" not in a.read_bytes()


def test_stream_and_probe_accuracy_have_their_own_titled_panels(summary_of):
    summary = summary_of()
    figure = figures.accuracy_and_cur(summary)
    (stream,) = [a for a in figure.axes if a.get_title().startswith("Stream accuracy")]
    (probe,) = [a for a in figure.axes if a.get_title().startswith("Probe accuracy")]
    drawn = {tuple(line.get_ydata()) for line in stream.lines}
    assert drawn == {tuple(p["accuracy"] for p in of["phases"]) for of in summary.values()}
    drawn = {tuple(line.get_ydata()) for line in probe.lines}
    expected = {tuple(p["probe_accuracy"] for p in of["phases"]) for of in summary.values()}
    assert drawn == (expected - {(None,) * 4}) | {()}  # cloud_only has no probe: an empty line
    assert [a.get_ylabel() for a in figure.axes if a.lines] == ["accuracy"] * 2 + ["CUR"] * 3
    assert {a.get_xlabel() for a in figure.axes if a.lines} == {"phase"}
    assert legend_texts(figure) == [list(summary)]


def test_stacked_bars_add_up_to_the_totals_in_the_unit_of_the_axis(summary_of):
    summary = summary_of()
    figure = figures.energy_and_latency(summary)
    panels = [axes for axes in figure.axes if axes.patches]
    assert len(panels) == 2 * len(summary)
    energy, latency = panels[: len(summary)], panels[len(summary) :]
    assert (energy[0].get_ylabel(), latency[0].get_ylabel()) == (
        "energy per task (mJ)",
        "latency (ms)",
    )
    assert [a.get_title().replace("\n", "") for a in energy] == list(summary)
    for axes, of in zip(energy, summary.values(), strict=True):
        tops = [0.0] * 4
        for piece in axes.patches:
            phase = round(piece.get_center()[0])
            tops[phase] = max(tops[phase], piece.get_y() + piece.get_height())
        assert tops == pytest.approx([1e3 * p["energy_per_task_j"]["total"] for p in of["phases"]])
        assert axes.get_ylim() == energy[0].get_ylim()
        assert max(tops) < axes.get_ylim()[1]
    for axes, of in zip(latency, summary.values(), strict=True):
        top = max(p.get_y() + p.get_height() for p in axes.patches)
        assert top == pytest.approx(1e3 * max(p["latency_s"]["mean"] for p in of["phases"]))
    in_energy, in_latency = legend_texts(figure)
    assert in_energy == ["down", "cloud", "up", "edge"]  # nothing that never occurs
    assert "up wait" in in_latency and "cloud wait" not in in_latency


def test_parts_that_run_at_once_are_no_longer_a_latency(summary_of):
    summary = summary_of(["ecc_snn", "cloud_only"], 3)
    before = figures.energy_and_latency(summary)
    phase = summary["ecc_snn"]["phases"][1]
    phase["latency_s"]["mean"] = 0.01234  # less than its parts take one after the other
    after = figures.energy_and_latency(summary)
    assert not any("at once" in text for texts in legend_texts(before) for text in texts)
    assert "at once" in legend_texts(after)[1][-1]
    assert "at once" not in "".join(legend_texts(after)[0])
    assert not any(axes.lines for axes in before.axes)
    ((line,),) = [list(axes.lines) for axes in after.axes if axes.lines]
    assert list(line.get_ydata()) == pytest.approx([12.34, 12.34])
    assert "12" in [text.get_text() for text in line.axes.texts]


@pytest.mark.parametrize("n", [1, 7])
def test_the_legend_stands_beside_the_data_and_inside_the_page(summary_of, n):
    labels = [f"{label}_{i}" for i, label in enumerate((*LABELS, *LABELS)[:n])]
    for draw in (
        figures.energy_and_latency,
        figures.accuracy_against_cur,
        figures.accuracy_and_cur,
    ):
        with paper():
            figure = draw(summary_of(labels))
            figure.draw_without_rendering()
        data = [axes.get_window_extent() for axes in figure.axes if axes.has_data()]
        boxes = [axes.get_legend().get_window_extent() for axes in figure.axes if axes.get_legend()]
        assert boxes
        for box in boxes:
            assert not any(box.overlaps(extent) for extent in data)
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
            assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


def test_one_marker_per_run_and_smaller_ones_per_phase(summary_of):
    summary = summary_of(["ecc_snn", "cloud_only"])
    (axes,) = figures.accuracy_against_cur(summary).axes
    points = {(line.get_xdata()[0], line.get_ydata()[0]): line.get_markersize()
              for line in axes.lines if len(line.get_xdata()) == 1}  # fmt: skip
    for of in summary.values():
        large = points[of["cur"], of["accuracy"]]
        small = [points[p["cur"], p["accuracy"]] for p in of["phases"]]
        assert small == sorted(small)
        assert max(small) < large
    assert "CUR" in axes.get_xlabel()
    assert axes.get_ylabel() == "stream accuracy"


@pytest.mark.parametrize(
    ("labels", "n_phases"),
    [(["solo"], 1), ([f"s{i}_with_a_rather_long_name" for i in range(7)], 12)],
)
def test_few_and_many_strategies_and_phases_fit(summary_of, labels, n_phases):
    summary = summary_of(labels, n_phases)
    for draw in (
        figures.energy_and_latency,
        figures.accuracy_against_cur,
        figures.accuracy_and_cur,
    ):
        with paper():
            figure = draw(summary)
            figure.draw_without_rendering()  # a layout that does not fit would warn
        for axes in figure.axes:
            if axes.has_data() and axes.get_xlabel() == "phase":
                ticks = axes.get_xticks()
                assert 1 <= len(ticks) <= 7
                assert all(float(tick).is_integer() for tick in ticks)


def test_missing_values_are_gaps_and_no_run_is_no_figure(tmp_path, summary_of):
    summary = summary_of(["edge_only", "ecc_snn"])
    summary["edge_only"]["phases"][1] |= {"cur_unseen": None, "accuracy": None, "cur": None, "n": 0}
    summary["edge_only"]["phases"][1]["energy_per_task_j"] = dict.fromkeys(
        summary["edge_only"]["phases"][1]["energy_per_task_j"]
    )
    summary["ecc_snn"] |= {"cur": None, "accuracy": None}
    assert len(figures.write(summary, tmp_path)) == 6
    stream = figures.accuracy_and_cur(summary).axes[0]
    assert sorted(len(line.get_xdata()) for line in stream.lines) == [3, 4]
    assert figures.write({}, tmp_path / "none") == []
    assert figures.write(summary_of(["solo"], 0), tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


def test_a_panel_without_values_says_so(summary_of):
    def texts(labels):
        axes = figures.accuracy_and_cur(summary_of(labels)).axes
        return {a.get_title().split("\n")[0] for a in axes if a.texts}

    assert texts(["cloud_only"]) == {"Probe accuracy"}
    assert texts(["cloud_only", "ecc_snn"]) == set()


def test_strategies_differ_without_colour():
    styles = line_styles([str(i) for i in range(14)])
    for a, b in itertools.combinations(styles.values(), 2):
        assert (a.marker, str(a.dashes)) != (b.marker, str(b.dashes))
        assert a.marker != b.marker or not same_color(a.color, b.color)


def test_the_users_own_settings_are_neither_used_nor_changed(tmp_path, summary_of):
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        mine = figures.write(summary_of(["solo"]), tmp_path / "mine")
        assert mpl.rcParams["font.size"] == 30
    plain = figures.write(summary_of(["solo"]), tmp_path / "plain")
    assert [p.read_bytes() for p in mine] == [p.read_bytes() for p in plain]
