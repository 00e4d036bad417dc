"""Feature-map splitting in the simulator: times by hand, bytes on the links, shares that follow."""

import pytest

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
        "strategies": [split(**entry) for entry in strategies],
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
