"""Feature-map splitting in the simulator: times by hand, bytes on the links, shares that follow."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ecsim.core import registry
from ecsim.core.errors import UserError
from ecsim.models import create
from ecsim.models.ann.aflkd import AflkdCNN
from ecsim.partition.spatial.presets import aflkd_stack
from ecsim.runtime.run import run_scenario

RATE = 1e9  # bit/s of the links
LATENCY = 1e-3
STACK = aflkd_stack(1, (3, 32, 32))


def lab(
    write_scenario, *strategies, name="small", cards=("raspberry_pi_5", "raspberry_pi_5"), **more
):
    """A camera whose pictures reach two single-board computers, without any other load."""
    nodes = {
        "cam": {"tier": "end", "card": "raspberry_pi_4b"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    }
    nodes |= {f"pi{i}": {"tier": "edge", "card": card} for i, card in enumerate(cards)}
    link = {
        "card": "ethernet_gigabit",
        "uplink": "1 Gbit/s",
        "downlink": "1 Gbit/s",
        "latency": "1 ms",
    }
    pairs = [("cam", "pi0"), ("pi0", "cloud")]
    pairs += [(f"pi{i}", f"pi{j}") for j in range(len(cards)) for i in range(j)]
    sections = {
        "stream": {
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 6},
            "phase": "20 s",
            "arrivals": {"kind": "periodic", "rate": "0.5 /s"},
            "payload": "3 kB",
        },
        "topology": {"nodes": nodes, "links": [{"between": list(p)} | link for p in pairs]},
        "strategies": [e if "name" in e else split(**e) for e in strategies],
    } | more  # fmt: skip
    return write_scenario(name, **sections)


def split(**given):
    timed = {"timed_as": {"blocks": 1, "side": 32}}
    return {"name": "feature_split", "clusters": ["pi0", "pi1"]} | timed | given


@pytest.fixture(scope="module")
def two(write_shared_scenario, tmp_path_factory):
    path = lab(
        write_shared_scenario,
        {"label": "whole", "clusters": ["pi0"], "layer_times": True},
        {"label": "halves", "layer_times": True},
        {"label": "grouped", "scheme": "modnn"},
        {"label": "once", "scheme": "deepthings"},
    )
    return run_scenario(path, out=tmp_path_factory.mktemp("runs"))


def layers(run, label):
    marks = run.marks[run.marks["strategy"] == label]
    marks = marks[marks["name"].str.startswith("layer ")]
    return marks.groupby("name", sort=True)["value"].mean()


def test_layers_take_what_a_count_by_hand_says(two):
    whole, halves = layers(two, "whole"), layers(two, "halves")
    convolutions = [name for name in whole.index if " conv " in name]
    assert [name.split()[-1] for name in convolutions] == ["conv1_1", "conv1_2", "conv1_3"]
    for name, n_in in zip(convolutions, (3, 32, 32), strict=True):
        alone_s = 32 * 32 * 32 * n_in * 9 / 25e9
        exchange_s = 8 * 4 * 32 * n_in / RATE + LATENCY  # one row of all channels, each way
        assert whole[name] == pytest.approx(alone_s, rel=1e-9)
        assert halves[name] == pytest.approx(alone_s / 2 + exchange_s, rel=1e-9)


def test_one_task_takes_what_a_count_by_hand_says(two):
    """Picture, one call per board, half the layers, one tile back, classifier, answer."""
    tasks = two.tasks.groupby("strategy", observed=True)["latency_s"].max()
    picture_s, answer_s = 8 * 3000 / RATE + LATENCY, 8 * 100 / RATE + LATENCY
    call_s, classify_s = 1e-3, 1e-3 + 1e6 / 25e9
    assert tasks["whole"] == pytest.approx(
        picture_s + STACK.macs / 25e9 + classify_s + answer_s, rel=1e-9
    )
    # the second half goes over pi0, behind the first; its board is the last to be ready
    start_s = 3 * 8 * 1500 / RATE + 2 * LATENCY + call_s
    # it finds pi0's first halo there, and so ends one exchange earlier than pi0
    halo_s = sum(8 * 4 * 32 * n / RATE + LATENCY for n in (32, 32))
    gather_s = 8 * 4 * 32 * 8 * 16 / RATE + LATENCY
    expected = start_s + halo_s + STACK.macs / 2 / 25e9 + gather_s + classify_s + answer_s
    assert tasks["halves"] == pytest.approx(expected, rel=1e-9)


def test_halos_travel_the_links_and_are_counted(two):
    marks = two.marks[two.marks["name"] == "halo_bytes"].set_index("strategy")["value"]
    assert marks["halves"] == marks["grouped"] == 2 * 4 * 32 * (3 + 32 + 32)
    assert marks["whole"] == marks["once"] == 0.0
    per_task = {label: two.summary[label]["bytes_per_task"]["up"] for label in two.summary}
    gather = 4 * 32 * 8 * 16
    assert per_task["whole"] == 3000
    assert per_task["halves"] == 3000 + marks["halves"] + gather
    redundant = two.marks[two.marks["name"] == "redundant_macs"].set_index("strategy")["value"]
    assert redundant["halves"] == 0
    # rows beyond the own half: 2 each of conv1_1's output, 1 each of conv1_2's, both ways
    assert redundant["once"] == 2 * 32 * 32 * 9 * (2 * 3 + 1 * 32)


def test_answers_are_those_of_the_whole_network(two):
    answers = [
        arm.sort_values("task_id")["predicted"].tolist()
        for _, arm in two.tasks.groupby("strategy", observed=True)
    ]
    assert len(answers) == 4
    assert all(answer == answers[0] for answer in answers)
    assert (two.tasks["status"] == "answered").all()


def shares(run, label, node):
    marks = run.marks[(run.marks["strategy"] == label) & (run.marks["name"] == f"share {node}")]
    return marks.sort_values("t_s")[["t_s", "value"]].to_numpy()


@pytest.fixture(scope="module")
def unequal(write_shared_scenario, tmp_path_factory):
    """Boards of 25 and 8 GMAC/s; the fast one computes at a quarter of its speed for 16 s."""
    entries = [
        {"label": "equal"},
        {"label": "fixed", "shares": "speed"},
        {"label": "follows", "shares": "speed", "replan": {"change": 0.05, "weight": 0.6}},
    ]
    timed = {"timed_as": {"blocks": 2, "side": 160}}  # so that exchanges matter little
    path = lab(
        write_shared_scenario,
        *(entry | timed for entry in entries),
        name="unequal",
        cards=("raspberry_pi_5", "raspberry_pi_4b"),
    )
    slow = "brown_outs: {schedule: [{at: 11 s, for: 16 s}], speed: 0.25}"
    path.write_text(path.read_text().replace("    pi0:\n", f"    pi0:\n      {slow}\n"))
    return run_scenario(path, out=tmp_path_factory.mktemp("runs"))


def latency(run, label, begin, end):
    tasks = run.tasks[(run.tasks["strategy"] == label) & (run.tasks["status"] == "answered")]
    return tasks[tasks["t_arrive_s"].between(begin, end)]["latency_s"].mean()


def test_shares_in_proportion_to_speeds_beat_equal_ones(unequal):
    assert shares(unequal, "fixed", "pi0") == pytest.approx(np.array([[0.0, 25 / 33]]))
    assert latency(unequal, "fixed", 0, 10) < 0.7 * latency(unequal, "equal", 0, 10)


def test_shares_follow_speeds_that_change_and_come_back(unequal):
    history = shares(unequal, "follows", "pi0")
    during = history[(history[:, 0] > 16) & (history[:, 0] < 27)]
    assert during[-1, 1] == pytest.approx(6.25 / (6.25 + 8), abs=0.03)
    assert history[-1, 1] == pytest.approx(25 / 33, abs=0.03)
    assert latency(unequal, "follows", 18, 26) < 0.8 * latency(unequal, "fixed", 18, 26)
    assert latency(unequal, "follows", 0, 10) == pytest.approx(latency(unequal, "fixed", 0, 10))


def test_four_boards_in_rows_in_a_grid_and_with_fewer_rows_than_boards(write_scenario, tmp_path):
    four = {"clusters": ["pi0", "pi1", "pi2", "pi3"]}
    path = lab(
        write_scenario,
        four | {"label": "rows", "timed_as": {"blocks": 3, "side": 24}},  # 3 rows at the end
        four | {"label": "grid", "grid": [2, 2], "scheme": "deepthings"},
        four | {"label": "blocks", "scheme": "blocks", "timed_as": {"blocks": 2, "side": 32}},
        {
            "label": "pairs",
            "clusters": [["pi0", "pi2"], ["pi1", "pi3"]],
            "inside": "pipeline",
            "timed_as": {"blocks": 2, "side": 96},
        },
        cards=("raspberry_pi_5",) * 4,
    )
    run = run_scenario(path, out=tmp_path / "runs")
    assert (run.tasks["status"] == "answered").all()
    halos = run.marks[run.marks["name"] == "halo_bytes"].set_index("strategy")["value"]
    assert halos["grid"] == 0.0
    # 3 boundaries at 64 wide would be 2 rows each; here blocks recompute, and fetch once per block
    assert halos["blocks"] > 0.0
    energy = run.energy[
        (run.energy["component"] == "inference") & (run.energy["state"] == "active")
    ]
    busy = energy.pivot_table(index="strategy", columns="node", values="seconds", observed=True)
    assert (busy.loc["pairs", ["pi0", "pi1", "pi2", "pi3"]] > 0.0).all()
    assert busy.loc["pairs", "pi2"] == pytest.approx(busy.loc["pairs", "pi3"])


def test_halos_leave_from_the_device_that_has_computed_them(write_scenario, tmp_path):
    """Where a pipeline hands over, the halo comes from the device before it."""
    clusters = [["pi0", "pi2"], ["pi1", "pi3"]]
    timed = {"timed_as": {"blocks": 2, "side": 128}, "scheme": "modnn"}
    path = lab(
        write_scenario,
        {"clusters": clusters, "inside": "pipeline"} | timed,
        cards=("raspberry_pi_5",) * 4,
    )
    run = run_scenario(path, out=tmp_path / "runs")
    links = run.queues[run.queues["component"].isin(["up", "down"])]
    jobs = {(row.place, row.component): row.n_jobs for row in links.itertuples()}
    # the first block runs on pi0 and pi1, the second on pi2 and pi3, for 20 pictures
    messages = {
        ("pi0", "pi1"): 20 + 3 * 20,  # the second half of the picture, and three halos
        ("pi1", "pi0"): 3 * 20,
        ("pi0", "pi3"): 20,  # conv2_1's halo
        ("pi1", "pi2"): 20,
        ("pi0", "pi2"): 20,  # the own tile, on its way
        ("pi1", "pi3"): 20,
        ("pi2", "pi3"): 20,  # conv2_2's halo
        ("pi3", "pi2"): 20,
        ("pi2", "pi0"): 20,  # what is put together
        ("pi3", "pi0"): 20,
    }
    found = {}
    for (place, direction), n in jobs.items():
        first, second = place.split()[-1].split("-")
        if n and first.startswith("pi") and second.startswith("pi"):
            found[(first, second) if direction == "up" else (second, first)] = n
    assert found == messages


def test_a_pipeline_inside_clusters_serves_more_and_a_single_task_no_sooner(
    write_scenario, tmp_path
):
    clusters = {"clusters": [["pi0", "pi2"], ["pi1", "pi3"]]}
    timed = {"timed_as": {"blocks": 2, "side": 96}}
    path = lab(
        write_scenario,
        clusters | timed | {"label": "master"},
        clusters | timed | {"label": "pipeline", "inside": "pipeline"},
        clusters | timed | {"label": "chain", "inside": "chain"},
        cards=("raspberry_pi_5",) * 4,
    )
    text = path.read_text()
    idle = run_scenario(path, out=tmp_path / "runs").tasks.groupby("strategy", observed=True)
    path.write_text(
        text.replace("rate: 0.5 /s", "rate: 170 /s").replace("phase: 20 s", "phase: 1 s")
    )
    busy = run_scenario(path, out=tmp_path / "runs").tasks.groupby("strategy", observed=True)
    idle_s, busy_s = idle["latency_s"].mean(), busy["latency_s"].mean()
    assert idle_s["master"] == pytest.approx(idle_s["chain"])
    assert idle_s["pipeline"] > idle_s["master"]
    assert busy_s["pipeline"] < 0.5 * busy_s["master"]


def test_an_outage_drops_the_task_or_leaves_it_to_the_device(write_scenario, tmp_path):
    path = lab(
        write_scenario,
        {"label": "drop"},
        {"label": "local", "on_failure": "local"},
    )
    text = path.read_text().replace(
        "    pi1:\n", "    pi1:\n      outages: {policy: lose, schedule: [{at: 9 s, for: 6 s}]}\n"
    )
    path.write_text(text)
    run = run_scenario(path, out=tmp_path / "runs")
    out = run.tasks[run.tasks["t_arrive_s"].between(9, 14.9)]
    assert len(out) == 6
    assert set(out[out["strategy"] == "drop"]["status"]) == {"dropped"}
    assert set(out[out["strategy"] == "local"]["status"]) == {"answered"}
    assert set(out[out["strategy"] == "local"]["route"]) == {"end"}
    others = run.tasks.drop(out.index)
    assert (others["status"] == "answered").all() and set(others["route"]) == {"edge"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"clusters": ["pi0", "pj1"]},
            r"yaml:\d+:\d+: strategies.0..clusters: .*did you mean 'pi1'",
        ),
        ({"clusters": ["pi0", ["pi1", "pi0"]]}, "pi0 stands in them twice"),
        ({"shares": [1.0, 2.0, 3.0]}, "shares: expected 2"),
        ({"grid": [2, 2]}, "grid: expected tiles for 2 clusters"),
        ({"scheme": "modnn", "layer_times": True}, "expected scheme: aflkd"),
        ({"shares": [1.0, 0.0]}, "expected weights above 0"),
        ({"timed_as": None}, "known by its predictions alone"),
        ({"grid": [1, 2], "timed_as": {"blocks": 4, "side": 16}}, r"yaml:\d+:\d+: .*part 1 empty"),
    ],
)
def test_what_does_not_fit_is_said(given, says, write_scenario, tmp_path):
    path = lab(write_scenario, given)
    with pytest.raises(UserError, match=says):
        run_scenario(path, out=tmp_path / "runs")


def untrained(folder, name, params, spec):
    """Give `models:` of networks whose weights are saved as they were made."""
    models = {}
    for role, n_classes in (("edge", 4), ("cloud", 10)):
        net = create(name, params, (1, 8, 8), [range(n_classes)], seed=1)
        state = {"state_dict": net.state_dict(), "head_classes": [[*range(n_classes)]]}
        torch.save(state, folder / f"{role}.pt")
        models[role] = spec | {"weights": str(folder / f"{role}.pt")}
    return models


@pytest.fixture(scope="module")
def real(write_shared_scenario, tmp_path_factory):
    """A real network (AFLKD's first block, untrained), whole on a board, and split over two."""
    spec = {"name": "aflkd_cnn", "blocks": 1, "fc": 32}
    folder = tmp_path_factory.mktemp("weights")
    models = untrained(folder, "aflkd_cnn", AflkdCNN.Params(1, 32), spec)
    path = lab(
        write_shared_scenario,
        {"label": "whole", "clusters": ["pi0"], "timed_as": None},
        {"label": "split", "timed_as": None},
        {"label": "tiles", "timed_as": None, "scheme": "deepthings", "grid": [2, 1]},
        {"name": "edge_only"},
        name="real",
        models=models,
    )
    return run_scenario(path, out=tmp_path_factory.mktemp("runs"))


def test_a_real_network_split_answers_as_it_does_whole(real):
    for column in ("predicted", "normalized_entropy"):
        tasks = real.tasks.pivot_table(
            index="task_id", columns="strategy", values=column, aggfunc="first", observed=True
        )
        assert len(set(tasks["edge_only"])) > 1 or column == "predicted"
        for label in ("whole", "split", "tiles"):
            np.testing.assert_allclose(tasks[label], tasks["edge_only"], rtol=1e-5)
    assert (real.tasks["status"] == "answered").all()


def test_one_cluster_takes_exactly_what_the_whole_network_takes(real):
    tasks = real.tasks.groupby("strategy", observed=True)["latency_s"].max()
    n_classes = 4
    macs = aflkd_stack(1, (1, 8, 8)).macs + 32 * 4 * 4 * 32 + 32 * n_classes
    ways_s = 8 * (3000 + 100) / RATE + 2 * LATENCY
    assert tasks["whole"] == pytest.approx(ways_s + 1e-3 + macs / 25e9, rel=1e-9)
    halos = real.marks[real.marks["name"] == "halo_bytes"].set_index("strategy")["value"]
    assert halos.to_dict() == {"whole": 0.0, "split": 2 * 4 * 8 * (1 + 32 + 32), "tiles": 0.0}


@dataclass(frozen=True)
class Unpadded:
    """Params of the plugin below."""


class Shrinking(torch.nn.Module):
    """Two convolutions whose maps are a row lower each: 8, 7, 6."""

    Params = Unpadded

    def __init__(self, params, in_shape):
        super().__init__()
        self.feature_dim = 6 * 6
        convolutions = [torch.nn.Conv2d(1, 1, 2) for _ in range(2)]
        self.layers = torch.nn.Sequential(*convolutions)

    def forward(self, x):
        return self.layers(x).flatten(1)


def test_a_cluster_whose_rows_come_and_go(write_scenario, tmp_path, monkeypatch):
    """Maps of 8, 7 and 6 rows in shares 1 : 3 : 8 leave the first cluster 1, 0 and 1."""
    monkeypatch.setitem(registry._PLUGINS["model"], "shrinking", Shrinking)
    path = lab(
        write_scenario,
        {"clusters": ["pi0", "pi1", "pi2"], "shares": [1.0, 3.0, 8.0], "timed_as": None},
        cards=("raspberry_pi_5",) * 3,
        models=untrained(tmp_path, "shrinking", None, {"name": "shrinking"}),
    )
    run = run_scenario(path, out=tmp_path / "runs")
    assert (run.tasks["status"] == "answered").all()
    (halo_bytes,) = run.marks[run.marks["name"] == "halo_bytes"]["value"]
    # of 0 | 1-2 | 3-7 for rows - | 0-1 | 2-6: pi1 fetches row 0, pi2 row 2;
    # of - | 0-1 | 2-6 for rows 0 | 1 | 2-5: pi0 fetches rows 0 and 1, pi1 row 2
    assert halo_bytes == 4 * (8 * (1 + 1) + 7 * (2 + 1))
