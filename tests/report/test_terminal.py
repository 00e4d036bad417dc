import io

import pandas as pd
import pytest
from rich.console import Console

from ecsim.report import terminal

LABELS = ("ecc_snn", "edge_only", "edge_only_learning", "cloud_only", "random_offload")


def summary_of(labels=LABELS, n_phases=4):
    """Make a summary with the values that the tables show."""
    stages = dict.fromkeys(("total", "end", "edge", "cloud", "up", "down", "wasted", "update"), 0.0)
    return {
        label: {
            "n": 100, "n_answered": 100, "accuracy": 0.999, "cur": 1.0, "cur_seen": 1.0,
            "cur_unseen": 1.0, "latency_s": dict.fromkeys(("mean", "p50", "p95", "p99"), 0.1234),
            "energy_per_task_j": stages | {"total": 1.5, "edge": 0.5, "cloud": 0.5, "up": 0.5},
            "bytes_per_task": {"up": 6e4, "down": 100.0}, "idle_energy_per_task_j": 2.5,
            "probe_accuracy": {"first": 0.4, "last": 0.6},
            "phases": [{"phase": phase, "cur": 1.0} for phase in range(n_phases)],
        }
        for label in labels
    }  # fmt: skip


def shown(summary, width=80):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    terminal.show(summary, console)
    return console.file.getvalue()


def line_of(text, label, nth=0):
    return [line.split() for line in text.splitlines() if line.split()[:1] == [label]][nth]


def test_values_stand_in_the_units_of_their_columns():
    summary = summary_of(["ecc_snn", "edge_only"])
    of = summary["ecc_snn"]
    of |= {"accuracy": 0.8375, "cur": 0.5, "cur_seen": 0.25, "cur_unseen": None}
    of["latency_s"] = {"mean": 0.0123, "p50": 0.009, "p95": 1.5, "p99": 2.0}
    of["energy_per_task_j"] |= {
        "total": 0.5,
        "edge": 2e-6,
        "up": 0.0125,
        "cloud": 0.4,
        "down": 1e-5,
    }
    of["bytes_per_task"] = {"up": 30_000.0, "down": 50.0}
    text = shown(summary)
    quality = line_of(text, "ecc_snn")
    assert quality[1:] == ["83.8", "50.0", "25.0", "-", "12.3", "9.00", "1500", "2000"]
    costs = line_of(text, "ecc_snn", nth=1)  # total, edge, cloud, up, down, idle in mJ; kB
    assert costs[1:] == ["500", "2.0e-03", "400", "12.5", "0.01", "2500", "30.0", "0.05"]
    assert "end" not in text.split("Energy")[1].split("ecc_snn")[0]  # a tier that nobody uses


def test_cur_per_phase_and_probe_accuracy():
    summary = summary_of(["ecc_snn", "cloud_only"], n_phases=3)
    for i, phase in enumerate(summary["ecc_snn"]["phases"]):
        phase["cur"] = 0.6 - 0.1 * i
    summary["cloud_only"]["probe_accuracy"] = {"first": None, "last": None}
    text = shown(summary)
    assert line_of(text, "ecc_snn", nth=2)[1:] == ["60.0", "50.0", "40.0", "40.0", "60.0"]
    assert line_of(text, "cloud_only", nth=2)[-2:] == ["-", "-"]


def test_tasks_without_an_answer_are_said():
    summary = summary_of(["ecc_snn", "edge_only"])
    assert "without an answer" not in shown(summary)
    summary["edge_only"]["n_answered"] = 93
    assert "edge_only 7" in shown(summary)


def test_an_unstable_strategy_shows_no_latency_and_says_why():
    summary = summary_of(["ecc_snn", "edge_only"])
    why = "link 0 up: offered load 1.31 exceeds its capacity"
    summary["ecc_snn"] |= {"stable": False, "unstable_because": why}
    summary["edge_only"] |= {"stable": True, "unstable_because": ""}
    text = shown(summary)
    assert line_of(text, "ecc_snn")[5:] == ["unstable", "-", "-", "-"]
    assert line_of(text, "edge_only")[5:] == ["123"] * 4
    assert f"ecc_snn is unstable: {why}" in " ".join(text.split())
    assert "edge_only is" not in text


def queue_row(strategy, place, load, why=""):
    return {
        "strategy": strategy, "place": place, "component": "up", "n_servers": 1, "n_jobs": 7,
        "offered_load": load, "utilisation": min(load, 1.0), "mean_wait_s": 0.0123,
        "max_wait_s": 0.5, "mean_waiting": 0.25, "backlog_s": 0.0, "unstable_because": why,
    }  # fmt: skip


def test_the_busiest_queues_and_all_that_cannot_keep_up():
    rows = [queue_row("ecc_snn", f"link {i}", i / 10) for i in range(8)]
    rows[1] = queue_row("ecc_snn", "link 1", 0.1, "its backlog grew")
    rows.append(queue_row("edge_only", "link 0", 0.0) | {"mean_wait_s": None})
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(terminal.queues(pd.DataFrame(rows), 3))
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    labels = [line for line in lines if line in (["ecc_snn"], ["edge_only"])]
    assert len(labels) == 2
    lines = [line for line in lines if line[:1] == ["link"]]
    assert [line[1] for line in lines] == ["7", "6", "5", "1", "0"]
    assert lines[0][3:] == ["0.70", "70.0", "7", "12.3", "500", "0.25"]
    assert lines[3][3] == "(unstable)"
    assert lines[4][-3] == "-"
    assert max(len(line) for line in console.file.getvalue().splitlines()) <= 80


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_cut_off(width):
    text = shown(summary_of(), width)
    assert "…" not in text
    assert text.count("edge_only_learning") == 3
    assert max(len(line) for line in text.splitlines()) <= width
