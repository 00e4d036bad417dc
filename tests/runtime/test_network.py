"""Every key of a link and of the topology, from the file to the tables of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecsim.core.errors import ScenarioError
from ecsim.runtime.lookup import lookup
from ecsim.runtime.run import run_scenario
from ecsim.scenario.load import load

CLOUD_ONLY = [{"name": "cloud_only"}]
NODES = {
    "cam": {"count": 2, "tier": "edge", "card": "darwin3"},
    "cloud": {"tier": "cloud", "card": "rtx3090"},
}
SHARED = Path(__file__).parents[2].parent / "shared"


@pytest.fixture
def run(write_scenario, tmp_path):
    """Run `cloud_only` over a link with these keys; tasks of 60 kB, two cameras."""

    def go(link=None, nodes=None, links=None, **sections):
        links = links or [{"between": ["cam", "cloud"], "card": "ethernet_gigabit", **(link or {})}]
        topology = {"nodes": nodes or NODES, "links": links, **sections.pop("topology", {})}
        sections.setdefault("strategies", CLOUD_ONLY)
        path = write_scenario(topology=topology, **sections)
        return run_scenario(path, out=tmp_path / "runs")

    return go


@pytest.fixture
def problems(write_scenario):
    """Give the problems of a scenario whose link has these keys."""

    def of(link=None, **topology):
        base = {"between": ["cam", "cloud"], "card": "ethernet_gigabit", **(link or {})}
        path = write_scenario(topology={"nodes": NODES, "links": [base], **topology})
        with pytest.raises(ScenarioError) as caught:
            load(path, lookup=lookup())
        return caught.value.problems

    return of


def of_component(run, component):
    energy = run.energy[run.energy["component"] == component]
    return energy.groupby("state", observed=True)[["seconds", "joules"]].sum()


# Rates over time ---------------------------------------------------------------------------


def test_a_trace_sets_the_rate_of_each_second(run, tmp_path):
    (tmp_path / "rates.csv").write_text("up,down,ms\n48,1,10\n0.96,1,20\n")
    tasks = run(
        {
            "trace": {
                "file": "rates.csv", "every": "15 s", "uplink": "up", "unit": "Mbit/s",
                "latency": "ms",
            }
        },
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
            "phase": "10 s",
            "arrivals": {"kind": "poisson", "rate": "0.4 /s"},
            "payload": "60 kB",
        },
    ).tasks  # fmt: skip
    begin = tasks["t_arrive_s"] + tasks["up_wait_s"]
    end = begin + tasks["up_service_s"]
    inside = (begin // 15 == end // 15).to_numpy()
    is_fast = (begin // 15 % 2 == 0).to_numpy()
    service = tasks["up_service_s"].to_numpy()
    assert inside.sum() > 10 and is_fast[inside].any() and not is_fast[inside].all()
    assert service[inside & is_fast] == pytest.approx(0.01)
    assert service[inside & ~is_fast] == pytest.approx(0.5)
    assert ((service[~inside] > 0.01) & (service[~inside] < 0.5)).all()
    latency = np.where((end // 15) % 2 == 0, 0.01, 0.02)
    there = tasks["propagation_s"].to_numpy() - latency
    assert (np.isclose(there, 0.01) | np.isclose(there, 0.02)).all()  # and the way back


def test_a_trace_with_times_holds_or_repeats(run, tmp_path):
    (tmp_path / "rates.csv").write_text("t,rate\n100,960\n102,4800\n104,480\n")
    trace = {"file": "rates.csv", "time": "t", "uplink": "rate", "unit": "kbit/s"}
    for at_end, slowest in (("hold", True), ("repeat", False)):
        tasks = run({"trace": {**trace, "at_end": at_end}}).tasks
        late = tasks[tasks["t_arrive_s"] > 20.0]["up_service_s"]
        assert (late.to_numpy() == pytest.approx(1.0)) is slowest


def test_times_of_a_trace_count_from_its_first_row(write_scenario, tmp_path):
    (tmp_path / "rates.csv").write_text("t,rate,ms\n100,960,3\n103,4800,4\n107,480,5\n")
    link = {"between": ["cam", "cloud"], "card": "ethernet_gigabit", "trace": {
        "file": "rates.csv", "time": "t", "uplink": "rate", "latency": "ms", "unit": "kB/s",
        "time_unit": "ms"}}  # fmt: skip
    path = write_scenario(topology={"nodes": NODES, "links": [link]})
    courses = load(path, lookup=lookup()).scenario.topology.links[0].trace.courses()
    assert courses["uplink"].times == pytest.approx((0.0, 0.003, 0.007))
    assert courses["uplink"].values == (7.68e6, 38.4e6, 3.84e6)
    assert courses["latency"].values == (0.003, 0.004, 0.005)
    assert courses["uplink"].period_s == pytest.approx(
        0.011
    )  # the last row lasts as the one before


def test_the_measured_trace_runs(run):
    file = SHARED / "data" / "traces" / "client_device_traces.csv"
    if not file.exists():
        pytest.skip("the measured traces are not here")
    trace = {"file": str(file), "every": "1 s", "uplink": "throughput_mbps"}
    service = run({"trace": trace}).tasks["up_service_s"]
    assert service.nunique() > 20  # 4G and 5G, from tens to hundreds of Mbit/s
    assert service.min() < 0.002 < service.max()


def test_scheduled_changes(run):
    changes = [
        {"at": "10 s", "uplink": "0.96 Mbit/s"},
        {"at": "20 s", "latency": "40 ms", "uplink": "96 Mbit/s"},
    ]
    tasks = run({"uplink": "48 Mbit/s", "changes": changes}).tasks
    done = tasks["t_arrive_s"] + tasks["up_wait_s"] + tasks["up_service_s"]
    first, last = done < 10.0, tasks["t_arrive_s"] + tasks["up_wait_s"] > 20.0
    assert tasks["up_service_s"][first].to_numpy() == pytest.approx(0.01)
    assert tasks["up_service_s"][last].to_numpy() == pytest.approx(0.005)
    assert tasks["propagation_s"][first].to_numpy() == pytest.approx(0.0003)
    assert tasks["propagation_s"][last].to_numpy() == pytest.approx(0.08)


def test_the_energy_of_a_rate_that_changes_is_slope_and_base(run):
    tasks = run({"card": "lte_2021", "changes": [{"at": "15 s", "uplink": "3.4 Mbit/s"}]}).tasks
    assert tasks["up_j"].to_numpy() == pytest.approx(480_000 * 76.7e-9)  # base power is 0
    wifi = {"card": "wifi_2012", "changes": [{"at": "15 s", "uplink": "1.888 Mbit/s"}]}
    tasks = run(wifi).tasks
    expected = 480_000 * 283.17e-9 + tasks["up_service_s"] * 132.86e-3
    assert tasks["up_j"].to_numpy() == pytest.approx(expected.to_numpy())


# Duplex, medium, jitter, loss ----------------------------------------------------------------


def test_half_duplex_and_sharing_change_waits_but_no_service(run):
    slow = {"uplink": "6 Mbit/s", "downlink": "6 Mbit/s", "shared": True}
    plain = run(slow).tasks.set_index("task_id")
    half = run({**slow, "duplex": "half"}).tasks.set_index("task_id")
    shared = run({**slow, "duplex": "half", "medium": "sharing"}).tasks.set_index("task_id")
    for other in (half, shared):
        service = other["up_service_s"].reindex(plain.index)
        assert service.to_numpy() == pytest.approx(plain["up_service_s"].to_numpy())
        assert (other["latency_s"] > 0).all()
    assert plain["down_wait_s"].sum() == pytest.approx(0.0, abs=0.1)
    assert half["down_wait_s"].sum() > 1.0
    # a small reply need not wait for a whole upload where the medium is shared
    assert 0.0 < shared["down_wait_s"].sum() < half["down_wait_s"].sum() / 5.0


def test_jitter_is_the_same_under_every_strategy(run):
    link = {"latency": "20 ms", "in_order": False}
    for jitter, low, high in (
        ({"kind": "uniform", "low": "5 ms", "high": "15 ms"}, 0.05, 0.07),
        ({"kind": "exponential", "mean": "10 ms"}, 0.04, 1.0),
        ({"kind": "lognormal", "mean": "10 ms", "deviation": "5 ms"}, 0.04, 1.0),
        ({"kind": "normal", "deviation": "10 ms"}, 0.0, 1.0),
    ):
        found = run(
            {**link, "jitter": jitter},
            strategies=[{"name": "cloud_only"}, {"name": "cloud_only", "label": "again"}],
        ).tasks
        delays = found["propagation_s"]
        assert delays.nunique() > 100 and delays.min() >= low and delays.max() <= high
        arms = [
            arm.sort_values("task_id")["propagation_s"].to_list()
            for _, arm in found.groupby("strategy", observed=True)
        ]
        assert arms[0] == arms[1]


def test_lost_messages_are_sent_again_and_counted(run):
    tasks = run({"loss": {"probability": 0.3, "timeout": "50 ms"}}).tasks
    attempts = tasks["up_bytes"] / 60_000
    assert set(attempts) >= {1.0, 2.0, 3.0}
    assert 1.2 < attempts.mean() < 1.7  # 1 / (1 - 0.3) = 1.43
    again = attempts == 2.0
    assert (tasks["up_wait_s"][again] >= 0.05).all()
    assert tasks["up_service_s"].to_numpy() == pytest.approx(attempts * 480_000 / 940e6)


def test_a_message_that_is_given_up_leaves_a_dropped_task(run):
    loss = {"probability": 0.5, "timeout": "10 ms", "backoff": 1.0, "attempts": 1}
    tasks = run({"loss": loss}).tasks
    shares = tasks["status"].value_counts(normalize=True)
    assert shares["dropped"] == pytest.approx(0.75, abs=0.1)  # up, or down
    assert tasks["latency_s"][tasks["status"] == "dropped"].isna().all()


# Radios --------------------------------------------------------------------------------------


def test_the_tail_of_a_card_stands_beside_the_tasks(run):
    with_tail = run({"card": "wifi_2012"})
    without = run({"card": "wifi_2012", "radio": False})
    radio = of_component(with_tail, "radio")
    assert radio.loc["tail", "seconds"] > 0.0
    assert radio.loc["tail", "joules"] == pytest.approx(radio.loc["tail", "seconds"] * 0.119)
    assert radio.loc["promotion", "seconds"] == 0.0
    assert "radio" not in set(without.energy["component"])
    for column in ("latency_s", "energy_j"):
        assert with_tail.tasks[column].to_list() == without.tasks[column].to_list()


def test_a_promotion_delays_and_costs_its_task(run):
    stream = {
        "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
        "phase": "200 s",
        "arrivals": {"kind": "periodic", "rate": "0.025 /s"},
        "payload": "60 kB",
    }
    found = run({"card": "lte_2012"}, stream=stream)
    tasks = found.tasks
    assert tasks["up_wait_s"].to_numpy() == pytest.approx(0.26)
    transfer_j = 480_000 / 5.85e6 * (438.39e-9 * 5.85e6 + 1.28804)
    assert tasks["up_j"].to_numpy() == pytest.approx(transfer_j + 0.26 * 1.211)
    radio = of_component(found, "radio")
    n = len(tasks)
    assert radio.loc["promotion", "joules"] == pytest.approx(n * 0.26 * 1.211)
    assert radio.loc["tail", "joules"] == pytest.approx(n * 11.576 * 1.06, rel=0.02)


def test_a_power_law_beyond_its_range_is_a_warning(run):
    def warnings(**link):
        found = run(link).manifest["warnings"]
        return [text for text in found if text.startswith("link")]

    assert warnings(card="wifi_2012") == [
        "link card wifi_2012: its power law was measured up to 1 Mbit/s and is used at "
        "18.88 Mbit/s (uplink)"
    ]
    assert warnings(card="wifi_2012", uplink="0.9 Mbit/s") == []
    assert warnings(card="ethernet_gigabit") == []


# Topologies ------------------------------------------------------------------------------------

THREE_TIERS = {
    "nodes": {
        "sensor": {"count": 2, "tier": "end", "card": "darwin3"},
        "gate": {"tier": "edge", "card": "jetson_nano"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    },
    "links": [
        {"between": ["sensor", "gate"], "card": "ethernet_gigabit", "uplink": "48 Mbit/s",
         "latency": "1 ms"},
        {"between": ["gate", "cloud"], "card": "ethernet_gigabit", "uplink": "4.8 Mbit/s",
         "latency": "20 ms"},
    ],
}  # fmt: skip


def test_three_tiers(run):
    found = run(**THREE_TIERS, strategies=[{"name": "edge_only"}, {"name": "cloud_only"}]).tasks
    edge, cloud = (found[found["strategy"] == name] for name in ("edge_only", "cloud_only"))
    assert set(edge["route"]) == {"end"} and set(edge["device"]) == {"sensor[0]", "sensor[1]"}
    assert (edge["end_service_s"] > 0).all() and (edge["up_bytes"] == 0).all()
    assert (edge["edge_service_s"] == 0).all()
    assert set(cloud["route"]) == {"cloud"}
    assert cloud["up_service_s"].to_numpy() == pytest.approx(0.01 + 0.1)  # both links
    assert cloud["propagation_s"].to_numpy() == pytest.approx(0.042)
    assert cloud["up_bytes"].to_numpy() == pytest.approx(60_000)


def test_a_group_linked_with_itself_is_a_mesh_and_routing_chooses(run):
    nodes = {
        "cam": {"count": 3, "tier": "edge", "card": "darwin3"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    }
    links = [
        {"between": ["cam", "cam"], "card": "ethernet_gigabit", "latency": "1 ms"},
        {"between": ["cam[0]", "cloud"], "card": "ethernet_gigabit", "latency": "50 ms"},
        {"between": ["cam[1]", "cloud"], "card": "ethernet_gigabit", "latency": "5 ms",
         "weight": 9.0},
    ]  # fmt: skip
    ways = {}
    for routing in ("latency", "hops", "weight"):
        tasks = run(nodes=nodes, links=links, topology={"routing": routing}).tasks
        ways[routing] = tasks.groupby("device", observed=True)["propagation_s"].median().round(5)
    # there and back; over the mesh to cam[1] where it is quicker
    assert ways["latency"].to_dict() == {"cam[0]": 0.012, "cam[1]": 0.01, "cam[2]": 0.012}
    assert ways["hops"].to_dict()["cam[0]"] == 0.1 and ways["hops"]["cam[1]"] == 0.01
    assert ways["weight"].to_dict() == {"cam[0]": 0.1, "cam[1]": 0.102, "cam[2]": 0.102}


# Errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "trace", "words"),
    [
        ("t,up\n1,5\n0.5,5\n", {"time": "t"}, "rates.csv:3: t: expected times that rise, got 0.5"),
        ("up\n5\nnan\n", {"every": "1 s"}, "rates.csv:3: up: expected a finite number, got 'nan'"),
        ("up\n5\n\n-2\n", {"every": "1 s"}, "up: expected >= 0, got -2"),
        ("up\n5\nfast\n", {"every": "1 s"}, "expected a finite number, got 'fast'"),
        ("up\n0\n0\n", {"every": "1 s"}, "expected a rate above zero, got zero throughout"),
        ("up\n5\n0\n", {"every": "1 s", "at_end": "hold"}, "expected a last rate above zero"),
        ("up\n", {"every": "1 s"}, "expected at least one row"),
        ("down\n5\n", {"every": "1 s"}, "rates.csv:1: expected a column 'up', got down"),
        ("up\n5\n", {}, "expected either `every`"),
        ("t,up\n0,5\n", {"every": "1 s", "time": "t"}, "expected either `every`"),
    ],
)
def test_errors_of_traces_have_a_position(problems, tmp_path, text, trace, words):
    (tmp_path / "rates.csv").write_text(text)
    (problem,) = problems({"trace": {"file": "rates.csv", "uplink": "up", **trace}})
    assert problem.path == "topology.links[0].trace" and problem.line
    assert words in problem.message


@pytest.mark.parametrize(
    ("link", "path", "words"),
    [
        ({"changes": [{"at": "5 s", "uplink": "1 bit/s"}, {"at": "5 s", "latency": "1 s"}]},
         "changes", "times that rise"),
        ({"changes": [{"at": "5 s", "uplink": "0 bit/s"}]}, "changes", "a last uplink above zero"),
        ({"changes": [{"at": "5 s"}]}, "changes[0]", "at least one of uplink"),
        ({"changes": [{"at": "0 s", "uplink": "1 bit/s"}]}, "changes[0].at", "more than 0 s"),
        ({"uplink": "0 bit/s"}, "uplink", "more than 0 bit/s"),
        ({"weight": 0.0}, "weight", "more than 0"),
        ({"loss": {"probability": 1.5, "timeout": "1 s"}}, "loss.probability", "at most 1"),
        ({"loss": {"probability": 0.5}}, "loss.timeout", "missing"),
        ({"jitter": {"kind": "uniform", "low": "1 s"}}, "jitter", "expected low and high"),
        ({"jitter": {"kind": "normal", "deviation": "1 s", "mean": "1 s"}}, "jitter",
         "expected deviation of a jitter of kind normal, got mean"),
        ({"jitter": {"kind": "uniform", "low": "2 s", "high": "1 s"}}, "jitter", "low <= high"),
        ({"jitter": {"kind": "gamma"}}, "jitter.kind", "'uniform'"),
        ({"duplex": "both"}, "duplex", "'full'"),
        ({"medium": "wifi"}, "medium", "'sharing'"),
    ],
)  # fmt: skip
def test_errors_of_links_have_a_position(problems, link, path, words):
    (problem,) = problems(link)
    assert problem.path == f"topology.links[0].{path}" and problem.line
    assert words in problem.message


def test_a_trace_and_another_rate_contradict_each_other(problems, tmp_path):
    (tmp_path / "rates.csv").write_text("up\n5\n")
    trace = {"file": "rates.csv", "every": "1 s", "uplink": "up"}
    (problem,) = problems({"trace": trace, "uplink": "1 Mbit/s"})
    assert "expected uplink as a number or from the trace" in problem.message
    (problem,) = problems({"trace": trace, "changes": [{"at": "1 s", "latency": "1 s"}]})
    assert "expected a trace or changes" in problem.message


def test_fixed_times_cannot_change(write_scenario, tmp_path):
    link = {"between": ["cam", "cloud"], "card": "wifi_2012",
            "changes": [{"at": "1 s", "uplink": "1 Mbit/s"}]}  # fmt: skip
    path = write_scenario(topology={"nodes": NODES, "links": [link]}, costs={"name": "published"})
    with pytest.raises(ScenarioError, match=r"topology.links\[0\].*published has fixed times"):
        run_scenario(path, out=tmp_path / "runs")


# Graph files -----------------------------------------------------------------------------------

GML = """graph [
  node [ id 0 label "gate" tier "edge" card "jetson_nano" x 3.5 ]
  node [ id 1 label "sensor" tier "end" card "darwin3" count 2 ]
  node [ id 2 label "cloud" tier "cloud" card "rtx3090" ]
  edge [ source 0 target 1 card "ethernet_gigabit" uplink "48 Mbit/s" latency "1 ms" ]
  edge [ source 2 target 0 card "ethernet_gigabit" uplink "4.8 Mbit/s" latency "20 ms" ]
]
"""


def graphml(extra="", tier="edge"):
    return f"""<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key id="t" for="node" attr.name="tier" attr.type="string"/>
  <key id="c" for="all" attr.name="card" attr.type="string"/>
  <key id="u" for="edge" attr.name="uplink" attr.type="string"/>
  <key id="w" for="edge" attr.name="uplnk" attr.type="string"/>
  <key id="b" for="node" attr.name="background" attr.type="string"/>
  <graph edgedefault="directed">
    <node id="cam"><data key="t">{tier}</data><data key="c">darwin3</data></node>
    <node id="cloud"><data key="t">cloud</data><data key="c">rtx3090</data>
      <data key="b">{{rate: 3 /s, service: 1 ms}}</data></node>
    <edge source="cam" target="cloud"><data key="c">ethernet_gigabit</data>
      <data key="u">12 Mbit/s</data>{extra}</edge>
  </graph>
</graphml>
"""


def test_a_gml_file_gives_the_same_run_as_its_entries(write_scenario, tmp_path):
    (tmp_path / "net.gml").write_text(GML)
    text = run_scenario(
        write_scenario("a", topology=THREE_TIERS, strategies=CLOUD_ONLY), out=tmp_path / "runs"
    ).tasks
    graph = run_scenario(
        write_scenario("b", topology={"graph": "net.gml"}, strategies=CLOUD_ONLY),
        out=tmp_path / "runs",
    )
    assert graph.tasks["latency_s"].to_list() == text["latency_s"].to_list()
    # the run's own copy of the scenario stands for itself
    assert "graph" not in graph.manifest["scenario"]["topology"]


def test_a_graphml_file_with_entries_laid_over_it(write_scenario, tmp_path):
    (tmp_path / "net.graphml").write_text(graphml())
    path = write_scenario(
        topology={"graph": "net.graphml", "nodes": {"cam": {"count": 3}}}, strategies=CLOUD_ONLY
    )
    loaded = load(path, lookup=lookup(), overrides={"topology.nodes.cloud.card": "jetson_nano"})
    topology = loaded.scenario.topology
    assert topology.nodes["cam"].count == 3
    assert topology.nodes["cloud"].card == "jetson_nano"
    assert topology.nodes["cloud"].background.service == 0.001
    assert topology.links[0].between == ("cam", "cloud")
    tasks = run_scenario(path, out=tmp_path / "runs").tasks
    assert tasks["device"].nunique() == 3
    assert tasks["up_service_s"].to_numpy() == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (graphml('<data key="w">1 Mbit/s</data>'), "net.graphml",
         "edge cam-cloud: topology.links[0].uplnk: unknown key, did you mean 'uplink'"),
        (graphml(tier="egde"), "net.graphml",
         "net.graphml: node cam: topology.nodes.cam.tier: expected 'end', 'edge' or 'cloud'"),
        (GML.replace('card "rtx3090"', ""), "net.gml",
         "net.gml: node cloud: topology.nodes.cloud.card: missing"),
        (GML.replace('"4.8 Mbit/s"', '"0 Mbit/s"'), "net.gml",
         "net.gml: edge gate-cloud: topology.links[1].uplink: expected more than 0 bit/s"),
        (GML.replace('"4.8 Mbit/s"', "4.8"), "net.gml",
         "net.gml: edge gate-cloud: topology.links[1].uplink: expected a bit rate"),
        (GML.replace("  edge [ source 2", "  graphics [ source 2"), "net.gml",
         "topology.nodes.gate: expected a way over links to a cloud node, got none from gate"),
        ("graph [", "net.gml", "topology.graph: net.gml is no readable gml file"),
        ("<graphml>", "net.graphml", "topology.graph: net.graphml is no readable graphml file"),
        (GML, "net.txt", "topology.graph: expected a file that ends in .graphml or .gml"),
        (None, "net.gml", "topology.graph: expected an existing file, got 'net.gml'"),
    ],
)  # fmt: skip
def test_errors_of_graphs_name_node_or_edge(write_scenario, tmp_path, content, name, words):
    if content is not None:
        (tmp_path / name).write_text(content)
    path = write_scenario(topology={"graph": name})
    with pytest.raises(ScenarioError) as caught:
        load(path, lookup=lookup())
    assert words in str(caught.value)


# Routes around outages -------------------------------------------------------------------------

TWO_WAYS = {
    "nodes": {
        "cam": {"tier": "edge", "card": "darwin3"},
        "gate": {"tier": "edge", "card": "jetson_nano"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    },
    "links": [
        {"between": ["cam", "cloud"], "card": "ethernet_gigabit", "latency": "5 ms",
         "outages": {"schedule": [{"at": "10 s", "for": "10 s"}]}},
        {"between": ["cam", "gate"], "card": "ethernet_gigabit", "latency": "20 ms"},
        {"between": ["gate", "cloud"], "card": "ethernet_gigabit", "latency": "20 ms"},
    ],
}  # fmt: skip


def test_messages_go_round_a_link_that_is_out(run):
    tasks = run(**TWO_WAYS).tasks
    tasks = tasks[tasks["device"] == "cam"]
    out = tasks["t_arrive_s"].between(10.0, 19.8)
    up = ~tasks["t_arrive_s"].between(9.8, 20.0)
    assert out.any() and set(tasks["status"][out | up]) <= {"answered", "late"}
    assert tasks["propagation_s"][out].to_numpy() == pytest.approx(0.08)
    assert tasks["propagation_s"][up].to_numpy() == pytest.approx(0.01)


def test_another_cloud_is_asked_while_the_nearest_is_out(run):
    nodes = {
        "cam": {"tier": "edge", "card": "darwin3"},
        "far": {"tier": "cloud", "card": "rtx3090"},
        "near": {"tier": "cloud", "card": "rtx3090",
                 "outages": {"schedule": [{"at": "10 s", "for": "10 s"}]}},
    }  # fmt: skip
    links = [
        {"between": ["cam", "far"], "card": "ethernet_gigabit", "latency": "20 ms"},
        {"between": ["cam", "near"], "card": "ethernet_gigabit", "latency": "5 ms"},
    ]
    tasks = run(nodes=nodes, links=links).tasks
    out = tasks["t_arrive_s"].between(10.0, 19.8)
    up = ~tasks["t_arrive_s"].between(9.8, 20.0)
    assert (tasks["status"][out] == "answered").all()
    assert tasks["propagation_s"][out].to_numpy() == pytest.approx(0.04)
    assert tasks["propagation_s"][up].to_numpy() == pytest.approx(0.01)


def test_what_stands_still_cannot_have_a_rate_that_changes(problems):
    outages = {"schedule": [{"at": "1 s", "for": "1 s"}], "policy": "resume"}
    for extra in ({"medium": "sharing"}, {"changes": [{"at": "1 s", "uplink": "1 bit/s"}]}):
        (problem,) = problems({"outages": outages, **extra})
        assert problem.path == "topology.links[0]"
        assert "expected outages of the policy lose" in problem.message
