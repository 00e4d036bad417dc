"""The trace is what its format asks for, and says what the spans say."""

import json
from collections import defaultdict
from itertools import pairwise

import pandas as pd
import pytest
from click.testing import CliRunner

from ecsim.cli.main import cli
from ecsim.report.trace import to_json, trace_events
from ecsim.runtime.run import run_scenario

STRATEGIES = [{"name": "ecc_snn", "threshold": 0.5}, {"name": "cloud_only"}]
NEEDS = {
    "X": {"name", "cat", "ts", "dur", "pid", "tid"},
    "M": {"name", "pid", "args"},
    "C": {"name", "ts", "pid", "args"},
    "b": {"name", "cat", "id", "ts", "pid"},
    "e": {"name", "cat", "id", "ts", "pid"},
    "s": {"name", "cat", "id", "ts", "pid", "tid"},
    "t": {"name", "cat", "id", "ts", "pid", "tid"},
    "f": {"name", "cat", "id", "ts", "pid", "tid", "bp"},
}


@pytest.fixture(params=[{}, {"probe": "1 s"}], ids=["spans", "spans and series"])
def run(write_scenario, tmp_path, request):
    path = write_scenario(strategies=STRATEGIES, run={"trace": 60} | request.param)
    return run_scenario(path, out=tmp_path / "runs")


def test_the_format_is_kept(run):
    trace = json.loads(to_json(run), parse_constant=pytest.fail)
    events = trace["traceEvents"]
    assert {event["ph"] for event in events} == set(NEEDS)
    for event in events:
        assert NEEDS[event["ph"]] <= set(event), event
        assert isinstance(event.get("ts", 0.0), float | int) and event.get("ts", 0.0) >= 0
    tracks, opened, arrows = defaultdict(list), {}, defaultdict(list)
    for event in events:
        match event["ph"]:
            case "X":
                assert event["dur"] > 0
                tracks[event["pid"], event["tid"]].append((event["ts"], event["dur"]))
            case "b":
                key = event["pid"], event["cat"], event["id"], event["name"]
                assert key not in opened
                opened[key] = event["ts"]
            case "e":
                key = event["pid"], event["cat"], event["id"], event["name"]
                assert opened.pop(key) <= event["ts"]
            case "s" | "t" | "f":
                arrows[event["id"]].append(event)
            case "C":
                assert all(value >= 0 for value in event["args"].values())
    assert not opened
    for slices in tracks.values():  # a track shows slices that do not overlap
        slices.sort()
        for (ts, dur), (following, _) in pairwise(slices):
            assert ts + dur <= following * (1 + 1e-12)
    for steps in arrows.values():
        kinds = "".join(step["ph"] for step in steps)
        assert kinds[0] == "s" and kinds[-1] == "f" and set(kinds[1:-1]) <= {"t"}
        assert [s["ts"] for s in steps] == sorted(s["ts"] for s in steps)
        for step in steps:  # an arrow binds to the slice around it
            slices = tracks[step["pid"], step["tid"]]
            assert any(ts <= step["ts"] <= ts + dur for ts, dur in slices)
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    assert set(tracks) <= named


def test_tracks_arrows_and_slices_are_the_spans(run):
    events = json.loads(to_json(run))["traceEvents"]
    spans = run.spans
    processes = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert list(processes.values()) == ["ecc_snn", "cloud_only"]
    for pid, label in processes.items():
        mine = spans[spans["strategy"] == label]
        services = mine[mine["kind"] == "service"]
        shown = sorted(e["ts"] for e in events if e["ph"] == "X" and e["pid"] == pid)
        assert shown == sorted((services["t_start_s"] * 1e6).tolist())
        n_waits = sum(e["ph"] == "b" and e["cat"] == "wait" and e["pid"] == pid for e in events)
        assert n_waits == (mine["kind"] == "wait").sum()
        several = services.groupby("task_id").size()
        n_arrows = sum(e["ph"] == "s" and e["pid"] == pid for e in events)
        assert n_arrows == (several > 1).sum() > 0
        tracks = {e["args"]["name"] for e in events
                  if e["name"] == "thread_name" and e["pid"] == pid}  # fmt: skip
        wanted = set(services["place"].astype(str) + " " + services["component"].astype(str))
        assert wanted <= tracks
    counters = {e["name"] for e in events if e["ph"] == "C"}
    is_series = "series.parquet" in run.manifest["files"]
    assert ("jobs at cloud inference" in counters) is is_series
    assert ("traced jobs at cloud inference" in counters) is not is_series
    assert ("watts of cloud inference" in counters) is is_series


def test_counters_of_traced_jobs_end_at_zero_and_count_the_queue(write_scenario, tmp_path):
    path = write_scenario(strategies=STRATEGIES[1:], run={"trace": 60})
    run = run_scenario(path, out=tmp_path / "runs")
    events = json.loads(to_json(run))["traceEvents"]
    at = defaultdict(list)
    for event in events:
        if event["ph"] == "C":
            at[event["name"]].append(event["args"]["value"])
    assert all(values[-1] == 0 for values in at.values())
    spans = run.spans
    mine = spans[(spans["component"] == "up") & spans["kind"].isin(["wait", "service"])]
    starts, ends = mine["t_start_s"].to_numpy(), mine["t_end_s"].to_numpy()
    most = max(((starts <= t) & (ends > t)).sum() for t in starts)
    assert max(at["traced jobs at link 0 up"]) == most > 1


def test_the_command(write_scenario, tmp_path):
    runs = tmp_path / "runs"
    run_scenario(write_scenario(run={"trace": 5}), out=runs)
    target = tmp_path / "x.json"
    result = CliRunner().invoke(cli, ["trace", "small", "--out", str(runs), "-o", str(target)])
    assert result.exit_code == 0 and "perfetto" in result.output
    assert json.loads(target.read_text())["otherData"]["run"].startswith("small-")
    run_scenario(write_scenario("plain"), out=runs)
    result = CliRunner().invoke(cli, ["trace", "plain", "--out", str(runs), "-o", str(target)])
    assert result.exit_code == 2 and "run: {trace: 200}" in result.output
    result = CliRunner().invoke(cli, ["trace", "small", "--out", str(runs), "-o", str(tmp_path)])
    assert result.exit_code == 2 and "cannot write" in result.output


def test_jobs_served_at_once_are_on_tracks_of_their_own():
    row = {"strategy": "s", "device": "cam", "kind": "service", "what": "infer",
           "place": "cloud", "component": "inference"}  # fmt: skip
    times = [(0, 0.0, 4.0), (1, 1.0, 2.0), (2, 2.0, 5.0), (3, 4.0, 6.0)]
    rows = [row | {"task_id": i, "t_start_s": a, "t_end_s": b} for i, a, b in times]
    events = trace_events(pd.DataFrame(rows))
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert names == {1: "cloud inference", 2: "cloud inference (2)"}
    slices = {e["name"]: (e["tid"], e["ts"], e["dur"]) for e in events if e["ph"] == "X"}
    assert slices == {
        "infer (task 0)": (1, 0.0, 4e6), "infer (task 1)": (2, 1e6, 1e6),
        "infer (task 2)": (2, 2e6, 3e6), "infer (task 3)": (1, 4e6, 2e6),
    }  # fmt: skip
    assert not [e for e in events if e["ph"] in "stf"]  # nobody was served twice
