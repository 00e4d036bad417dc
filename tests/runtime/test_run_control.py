"""Where a run ends, what is said about its queues, and that looking changes nothing."""

import numpy as np
import pandas as pd
import pytest

from ecsim.core.errors import ScenarioError, StoreError
from ecsim.runtime import build, system
from ecsim.runtime.lookup import lookup
from ecsim.runtime.progress import Progress
from ecsim.runtime.run import run_scenario
from ecsim.scenario.load import load

TABLES = ("tasks", "updates", "energy", "probe", "queues", "marks")


def stream(phase="10 s", **arrivals):
    return {
        "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
        "phase": phase,
        "arrivals": {"kind": "poisson", "rate": "4 /s"} | arrivals,
        "payload": "60 kB",
    }


def topology(background=None, **link):
    cloud = {"tier": "cloud", "card": "rtx3090"}
    return {
        "nodes": {
            "cam": {"count": 2, "tier": "edge", "card": "darwin3"},
            "cloud": cloud | ({"background": background} if background else {}),
        },
        "links": [{"between": ["cam", "cloud"], "card": "wifi_2012"} | link],
    }


@pytest.fixture
def simulate(write_scenario, tmp_path):
    def simulate(name="small", **sections):
        sections.setdefault("strategies", [{"name": "cloud_only"}])
        return run_scenario(write_scenario(name, **sections), out=tmp_path / "runs")

    return simulate


def test_a_shorter_horizon_cuts_the_same_stream(simulate):
    whole, short = simulate("whole"), simulate("short", run={"horizon": "17 s"})
    expected = whole.tasks[whole.tasks["t_arrive_s"] < 17.0]
    assert short.manifest["horizon_s"] == 17.0 and len(short.tasks) == len(expected)
    columns = ["task_id", "device", "sample_id", "phase", "t_arrive_s", "t_answer_s"]
    mine = short.tasks.sort_values("task_id")[columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        mine, expected.sort_values("task_id")[columns].reset_index(drop=True)
    )
    seconds = short.energy.groupby(["node", "component"], observed=True)["seconds"].sum()
    assert seconds.to_numpy() == pytest.approx(17.0)


def test_a_longer_horizon_prolongs_the_last_phase(simulate):
    run = simulate(run={"horizon": "60 s"})
    late = run.tasks[run.tasks["t_arrive_s"] >= 40.0]
    assert len(late) > 100 and set(late["phase"]) == {3}


def test_stop_after_a_number_of_tasks(simulate):
    run = simulate(run={"tasks": 123})
    assert len(run.tasks) == run.summary["cloud_only"]["n"] == 123
    assert run.tasks["task_id"].max() == 122
    horizon_s = run.manifest["horizon_s"]
    assert run.tasks["t_arrive_s"].max() < horizon_s
    assert run.tasks["t_arrive_s"].max() == pytest.approx(horizon_s, rel=1e-15)
    many = simulate("many", run={"tasks": 1000})  # more than the phases hold
    assert len(many.tasks) == 1000 and many.manifest["horizon_s"] > 100.0


def test_tasks_and_no_drain_still_generate_every_task(simulate):
    run = simulate(run={"tasks": 50, "drain": "0 s"})
    assert len(run.tasks) == 50
    assert run.tasks["status"].tolist().count("in_flight") >= 1  # the last one, at least


def test_drain_decides_what_is_still_answered(simulate):
    slow = {"stream": stream(rate="8 /s"), "topology": topology(uplink="3 Mbit/s")}
    done = simulate("done", **slow, run={"horizon": "20 s", "drain": "until done"})
    brief = simulate("brief", **slow, run={"horizon": "20 s", "drain": "1 s"})
    assert set(done.tasks["status"]) == {"answered", "late"}
    late = done.tasks["t_answer_s"] >= 21.0
    assert late.sum() > 10
    status = brief.tasks.set_index("task_id")["status"]
    assert status.value_counts()["in_flight"] == late.sum()
    assert set(status[status == "in_flight"].index) == set(done.tasks[late]["task_id"])
    pd.testing.assert_frame_equal(done.energy, brief.energy)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"run": {"horizon": "9 s", "tasks": 9}},
            "run: expected either horizon or tasks, got both",
        ),
        ({"run": {"horizon": "9 s", "warmup": "9 s"}}, "run: expected a horizon after the warm-up"),
        ({"run": {"warmup": "40 s"}}, "run.warmup: expected less than the horizon of 40 s"),
        ({"run": {"horizon": "0 s"}}, "run.horizon: expected more than 0 s"),
        ({"run": {"tasks": 0}}, "run.tasks: expected at least 1"),
        ({"run": {"drain": "for ever"}}, "run.drain: expected a time such as"),
        ({"run": {"drain": "-1 s"}}, "run.drain: expected at least 0 s"),
        ({"run": {"probe": "0 s"}}, "run.probe: expected more than 0 s"),
        ({"run": {"trace": -1}}, "run.trace: expected at least 0"),
    ],
)
def test_bad_run_control_is_positioned(simulate, sections, message):
    with pytest.raises(ScenarioError, match=rf"small.yaml:\d+:\d+: {message}"):
        simulate(**sections)


# Arrivals through a scenario ----------------------------------------------------------------


@pytest.mark.parametrize(
    "arrivals",
    [
        {"kind": "mmpp", "rates": ["1 /s", "9 /s"],
         "transitions": [["0 /s", "1 /s"], ["1 /s", "0 /s"]]},
        {"kind": "bursts", "rate": "20 /s", "on": "1 s", "off": "3 s"},
        {"kind": "diurnal", "rate": "5 /s", "swing": 0.5, "period": "20 s"},
        {"kind": "diurnal", "rates": ["2 /s", "8 /s"], "period": "20 s"},
    ],
    ids=lambda arrivals: arrivals["kind"],
)  # fmt: skip
def test_arrivals_reach_the_stream(simulate, arrivals):
    run = simulate(stream=stream() | {"arrivals": arrivals}, run={"horizon": "200 s"})
    # 5 tasks/s and device; bursts of 3 s make the count's standard deviation 5 times Poisson's
    assert abs(len(run.tasks) - 2000) < 5.5 * 5 * 2000**0.5
    assert run.manifest["scenario"]["stream"]["arrivals"]["kind"] == arrivals["kind"]


def test_a_trace_reaches_the_stream(simulate, tmp_path):
    (tmp_path / "t.csv").write_text("ms,cam\n100,cam[1]\n250,cam[0]\n1250,cam[1]\n")
    arrivals = {"kind": "trace", "path": "t.csv", "column": "ms", "unit": "ms", "device": "cam"}
    run = simulate(stream=stream() | {"arrivals": arrivals})
    assert run.tasks.sort_values("task_id")["t_arrive_s"].tolist() == [0.1, 0.25, 1.25]
    assert run.tasks.sort_values("task_id")["device"].tolist() == ["cam[1]", "cam[0]", "cam[1]"]
    with pytest.raises(ScenarioError, match=r"run.tasks: expected as many tasks as arrive"):
        simulate("few", stream=stream() | {"arrivals": arrivals}, run={"tasks": 4})
    (tmp_path / "t.csv").write_text("ms,cam\n100,cam[2]\n")
    with pytest.raises(ScenarioError, match=r"stream.arrivals: column 'cam' names 'cam\[2\]'"):
        simulate("unknown", stream=stream() | {"arrivals": arrivals})
    (tmp_path / "t.csv").write_text("ms,cam\n100,cam[1]\n99,cam[1]\n")
    with pytest.raises(ScenarioError, match=r"small.yaml:\d+:\d+: stream.arrivals.path: t.csv:3:1"):
        simulate(stream=stream() | {"arrivals": arrivals})


# The verdict and the queues -----------------------------------------------------------------


def test_an_overloaded_link_is_called_unstable(simulate):
    # 60 kB at 2 Mbit/s take 0.24 s, four a second arrive: load 0.96; at 1.6 Mbit/s it is 1.2
    run = simulate(
        stream=stream(phase="100 s"),
        topology=topology(uplink="1.6 Mbit/s"),
        strategies=[{"name": "cloud_only"}, {"name": "edge_only"}],
    )
    of = run.summary["cloud_only"]
    assert of["stable"] is False and of["latency_s"]["mean"] > 10.0
    assert "link 0" in of["unstable_because"] and "load 1.2" in of["unstable_because"]
    assert run.summary["edge_only"] | {"phases": 0} == run.summary["edge_only"] | {
        "phases": 0, "stable": True, "unstable_because": "",
    }  # fmt: skip
    queues = run.queues[run.queues["strategy"] == "cloud_only"].set_index("component")
    assert queues.loc["up", "offered_load"].to_numpy() == pytest.approx(1.2, abs=0.15)
    assert queues.loc["up", "utilisation"].to_numpy() == pytest.approx(1.0, abs=0.01)
    assert (queues.loc["up", "backlog_s"] > 30.0).all()
    assert (queues.loc["down", "unstable_because"] == "").all()


def test_other_tenants_alone_can_overload_a_node(simulate):
    run = simulate(
        stream=stream(phase="50 s"), topology=topology({"rate": "300 /s", "service": "4 ms"})
    )
    assert "cloud inference: offered load 1.2" in run.summary["cloud_only"]["unstable_because"]


def test_stability_can_be_asserted(write_scenario, tmp_path):
    path = write_scenario(
        strategies=[{"name": "cloud_only"}], **{"assert": ["cloud_only.stable == 1"]}
    )
    assert run_scenario(path, out=tmp_path / "runs").manifest["assertions"][0]["holds"]


def test_queues_agree_with_the_tasks(simulate):
    run = simulate(stream=stream(rate="17 /s"), topology=topology(shared=True))
    tasks, queues = run.tasks, run.queues.set_index(["place", "component"])
    up = queues.loc["link 0", "up"]
    service_s = 60_000 * 8 / 18.88e6
    assert up["n_jobs"] == len(tasks)
    assert up["mean_wait_s"] == pytest.approx(tasks["up_wait_s"].mean(), rel=1e-9)
    assert up["max_wait_s"] == pytest.approx(tasks["up_wait_s"].max(), rel=1e-9)
    assert up["offered_load"] == pytest.approx(len(tasks) * service_s / 40.0, rel=1e-9)
    # by hand: each job waits for the link from its arrival there on
    begin = tasks["t_arrive_s"] + tasks["edge_wait_s"] + tasks["edge_service_s"]
    waited = (begin + tasks["up_wait_s"]).clip(upper=40.0) - begin.clip(upper=40.0)
    assert up["mean_waiting"] == pytest.approx(waited.sum() / 40.0, rel=1e-9)
    end = begin + tasks["up_wait_s"] + service_s
    busy = end.clip(upper=40.0) - (begin + tasks["up_wait_s"]).clip(upper=40.0)
    assert up["utilisation"] == pytest.approx(busy.sum() / 40.0, rel=1e-9)
    cloud = queues.loc["cloud", "inference"]
    assert cloud["mean_wait_s"] == pytest.approx(tasks["cloud_wait_s"].mean(), abs=1e-12)
    active = run.energy.set_index(["node", "component", "state"])["seconds"]
    assert cloud["utilisation"] == pytest.approx(active["cloud", "inference", "active"] / 40.0)


def test_queues_count_from_the_end_of_the_warm_up(simulate):
    run = simulate(
        stream=stream(rate="17 /s"), topology=topology(shared=True), run={"warmup": "15 s"}
    )
    up = run.queues.set_index(["place", "component"]).loc["link 0", "up"]
    joined = run.tasks["t_arrive_s"] + run.tasks["edge_service_s"] + run.tasks["edge_wait_s"]
    inside = run.tasks[(joined >= 15.0) & (joined < 40.0)]
    assert up["n_jobs"] == len(inside) < len(run.tasks)
    assert up["max_wait_s"] == pytest.approx(inside["up_wait_s"].max(), rel=1e-9)
    assert up["mean_wait_s"] == pytest.approx(inside["up_wait_s"].mean(), rel=1e-6)


# Time series --------------------------------------------------------------------------------


def test_probes_change_no_bit(simulate):
    busy = {
        "topology": topology({"rate": "120 /s", "service": "5 ms"}, shared=True),
        "strategies": [{"name": "ecc_snn", "threshold": 0.5}, {"name": "cloud_only"}],
        "stream": stream(rate="15 /s"),
    }
    plain = simulate("plain", **busy, run={"warmup": "3 s"})
    probed = simulate("probed", **busy, run={"warmup": "3 s", "probe": "37 ms"})
    for table in TABLES:
        a, b = getattr(plain, table), getattr(probed, table)
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    assert plain.summary == probed.summary
    assert len(probed.series) == 2 * 1081 * 13  # readings x (5 queues each way, 6 radios, ...)


def test_series_are_means_over_their_intervals(simulate):
    run = simulate(
        stream=stream(rate="30 /s"),
        topology=topology({"rate": "120 /s", "service": "5 ms"}, shared=True),
        run={"probe": "500 ms"},
    )
    series = run.series.set_index(["place", "component"])
    energy = run.energy.set_index(["node", "component"])
    for place, component in (("cloud", "inference"), ("cam[0]", "host"), ("cam[1]", "transmitter")):
        mine, states = series.loc[(place, component)], energy.loc[(place, component)]
        assert mine["t_s"].tolist() == [0.5 * k for k in range(1, 81)]
        assert mine["watts"].sum() * 0.5 == pytest.approx(states["joules"].sum(), rel=1e-9)
        used_s = states.loc[states["state"] != "idle", "seconds"].sum()
        assert mine["utilisation"].sum() * 0.5 == pytest.approx(used_s, rel=1e-9, abs=1e-9)
    up, tasks = series.loc[("link 0", "up")], run.tasks
    begin = tasks["t_arrive_s"] + tasks["edge_wait_s"] + tasks["edge_service_s"]
    end = begin + tasks["up_wait_s"] + tasks["up_service_s"]
    for t_s, n_jobs in zip(up["t_s"], up["n_jobs"], strict=True):
        assert n_jobs == ((begin < t_s) & (end > t_s)).sum()
    assert up["n_jobs"].max() > 3 and up["watts"].isna().all()
    assert series.loc[("cam[1]", "receiver"), "n_jobs"].isna().all()


def test_a_run_without_probes_says_how_to_get_them(simulate):
    with pytest.raises(StoreError, match=r"has no series: run it with run: \{probe: 1 s\}"):
        _ = simulate().series


# Spans --------------------------------------------------------------------------------------

MANY = {
    "topology": topology({"rate": "120 /s", "service": "5 ms"}, shared=True),
    "strategies": [{"name": "ecc_snn", "threshold": 0.5}, {"name": "cloud_only"}],
    "stream": stream(rate="25 /s"),
}


def test_tracing_changes_no_bit(simulate):
    plain, traced = simulate("plain", **MANY), simulate("traced", **MANY, run={"trace": 100})
    for table in TABLES:
        a, b = getattr(plain, table), getattr(traced, table)
        pd.testing.assert_frame_equal(a, b, check_exact=True)


def test_spans_are_the_parts_of_the_first_tasks(simulate):
    run = simulate(**MANY, run={"trace": 100})
    spans = run.spans
    assert set(spans["task_id"]) == set(range(100))
    length_s = spans["t_end_s"] - spans["t_start_s"]
    assert (length_s > 0).all()
    tasks = run.tasks[run.tasks["task_id"] < 100].set_index(["strategy", "task_id"]).sort_index()
    whole = spans[spans["kind"] == "task"].set_index(["strategy", "task_id"]).sort_index()
    assert (whole["t_start_s"] == tasks["t_arrive_s"]).all()
    assert (whole["t_end_s"] == tasks["t_answer_s"]).all()
    for ours, theirs in (("what", "status"), ("device", "device"), ("place", "device")):
        assert whole[ours].tolist() == tasks[theirs].tolist()
    parts = spans.assign(length_s=length_s).pivot_table(
        index=["strategy", "task_id"], columns=["kind", "place", "component"], values="length_s",
        aggfunc="sum", observed=True, fill_value=0.0,
    ).sort_index()  # fmt: skip
    for kind in ("wait", "service"):
        for stage, place in (("up", ("link 0", "up")), ("cloud", ("cloud", "inference"))):
            np.testing.assert_allclose(
                parts[kind, *place], tasks[f"{stage}_{kind}_s"], rtol=1e-9, atol=1e-12
            )
    np.testing.assert_allclose(parts["propagation"].sum(axis=1), tasks["propagation_s"], rtol=1e-9)
    np.testing.assert_allclose(
        parts[["wait", "service", "propagation"]].sum(axis=1), tasks["latency_s"], rtol=1e-9
    )
    assert (tasks["up_wait_s"] > 0).any()


# Watching everything at once, in every kind of world ------------------------------------------

WORLDS = {
    "plain": ({}, {}),
    "lossy radio": ({"card": "lte_2012", "loss": {"probability": 0.2, "timeout": "50 ms"}}, {}),
    "jitter": ({"jitter": {"kind": "uniform", "low": "0 s", "high": "20 ms"}}, {}),
    "one cell": ({"shared": True, "medium": "sharing", "duplex": "half"}, {}),
    "two servers": ({}, {"servers": 2, "background": {"rate": "100 /s", "service": "15 ms"}}),
    "priority": (
        {}, {"discipline": "priority", "background": {"rate": "100 /s", "service": "8 ms"}},
    ),
    "preemptive": (
        {}, {"discipline": "preemptive", "background": {"rate": "100 /s", "service": "8 ms"}},
    ),
    "processor sharing": (
        {}, {"discipline": "sharing", "background": {"rate": "100 /s", "service": "8 ms"}},
    ),
    "batches": ({}, {"batch": {"max": 4, "timeout": "20 ms", "latency": [[1, 1.0], [4, 2.0]]}}),
    "small buffer": (
        {}, {"capacity": 3, "background": {"rate": "100 /s", "service": "9 ms"}},
    ),
    "outages": ({}, {"outages": {"mtbf": "5 s", "mttr": "1 s"}}),
    "link outages": ({"outages": {"mtbf": "5 s", "mttr": "1 s", "policy": "resume"}}, {}),
    "a cell that goes out": (
        {"shared": True, "medium": "sharing", "duplex": "half",
         "outages": {"mtbf": "2 s", "mttr": "500 ms"}}, {},
    ),
    "a cell whose cloud keeps its work": (
        {"shared": True, "medium": "sharing"},
        {"outages": {"mtbf": "3 s", "mttr": "1 s", "policy": "resume"}},
    ),
}  # fmt: skip
ASKING = {"timeout": "300 ms", "retries": 1, "backoff": "100 ms", "on_timeout": "edge"}


def world_of(name, **run):
    link, cloud = WORLDS[name]
    there = topology(**link)
    there["nodes"]["cloud"] |= cloud
    return {
        "topology": there,
        "stream": stream(rate="12 /s"),
        "strategies": [
            {"name": "ecc_snn", "threshold": 0.5},
            {"name": "cloud_only", **ASKING, "label": "patient"},
        ],
        "run": {"warmup": "2 s", "engine": "event"} | run,
    }


@pytest.mark.parametrize("name", WORLDS)
def test_watching_changes_no_bit_in_any_world(simulate, name):
    plain = simulate("plain", **world_of(name))
    watched = simulate("watched", **world_of(name, probe="70 ms", trace=10_000))
    for table in TABLES:
        a, b = getattr(plain, table), getattr(watched, table)
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    spans, tasks = watched.spans, watched.tasks
    assert (spans["t_end_s"] >= spans["t_start_s"]).all()
    whole = spans[spans["kind"] == "task"]
    key = ["strategy", "task_id"]
    ended = whole.sort_values(key)["what"].tolist()
    assert ended == tasks.sort_values(key)["status"].tolist()
    # a task that met neither a race nor a failure is the sum of its spans
    parts = spans[spans["kind"] != "task"]
    length_s = (parts["t_end_s"] - parts["t_start_s"]).groupby(
        [parts["strategy"], parts["task_id"]]
    )
    sums = length_s.sum().reindex(pd.MultiIndex.from_frame(tasks[key]), fill_value=0.0)
    is_simple = (tasks["strategy"] == "ecc_snn") & tasks["t_answer_s"].notna()
    np.testing.assert_allclose(
        sums.to_numpy()[is_simple], tasks["latency_s"][is_simple], rtol=1e-9, atol=1e-9
    )
    assert is_simple.sum() > 400
    # and of a message that was lost one sees what was sent of it
    sending = parts[(parts["what"] == "send") & (parts["kind"] == "service")]
    served_s = (sending["t_end_s"] - sending["t_start_s"]).groupby(
        [sending["strategy"], sending["task_id"]]
    )
    sums = served_s.sum().reindex(pd.MultiIndex.from_frame(tasks[key]), fill_value=0.0)
    is_one_try = tasks["strategy"] == "ecc_snn"
    booked_s = (tasks["up_service_s"] + tasks["down_service_s"])[is_one_try]
    np.testing.assert_allclose(sums.to_numpy()[is_one_try], booked_s, rtol=1e-9, atol=1e-9)
    # means over the intervals are the whole; nothing is negative
    series, energy = watched.series, watched.energy
    assert (series[["utilisation", "watts"]].fillna(0.0) >= 0.0).all().all()
    assert (series["utilisation"] <= 1.0 + 1e-9).all()
    assert (series["n_jobs"].dropna() >= 0).all()
    queues = watched.queues
    assert queues["utilisation"].between(0.0, 1.0 + 1e-9).all()
    for column in ("n_jobs", "max_wait_s", "mean_waiting", "backlog_s", "offered_load"):
        assert (queues[column] >= 0).all(), column
    active = (
        energy[~energy["state"].isin(["idle", "down"])]
        .groupby(["strategy", "node", "component"], observed=True)["seconds"]
        .sum()
    )
    for row in queues.itertuples():
        if row.place in ("cloud", "cam[0]"):
            seconds = active[row.strategy, row.place, row.component]
            assert row.utilisation * 38.0 == pytest.approx(seconds, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ({"tasks": 30_000_000}, "about 3e+07 tasks per strategy are expected"),
        ({"tasks": 20_000_000}, None),
        ({"horizon": "5000000 s"}, "about 4e+07 tasks per strategy are expected"),
        ({"horizon": "50 s"}, None),
    ],
)
def test_many_tasks_are_said_before_anything_is_computed(write_scenario, monkeypatch, run, said):
    notes = []

    class Notes(Progress):
        def note(self, message):
            notes.append(message)

    def drawn(*_):
        notes.append("arrivals are drawn")
        return 60.0

    monkeypatch.setattr(system, "time_of_task", drawn)
    path = write_scenario(
        strategies=[{"name": "cloud_only"}], stream=stream(), topology=topology(), run=run
    )
    build.build(load(path, lookup=lookup()), None, Notes())
    notes += [""]
    assert notes[0].startswith(said) if said else "expected" not in "".join(notes)
    assert said is None or " of computing" in notes[0]
