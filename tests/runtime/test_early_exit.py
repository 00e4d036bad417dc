"""Exits in the simulator: which one answers, where, and what that takes and sends.

The networks are trained a little, and read from a file; what they say is computed once more here,
by the networks themselves.
"""

import numpy as np
import pytest
import torch

from ecsim.collab.criteria import criterion, exits_taken
from ecsim.core.errors import ScenarioError, UserError
from ecsim.costs.cards import all_cards
from ecsim.data.digits import Digits
from ecsim.learning.compute import Compute
from ecsim.learning.exits import JointExits
from ecsim.models import create
from ecsim.models.exit_work import predict_exits
from ecsim.models.exits.stepwise import StepwiseSpikingVGG
from ecsim.models.exits.vgg import MultiExitVGG
from ecsim.runtime.run import run_scenario

DATA = Digits(Digits.Params()).load()
IMAGES = DATA.images
THRESHOLD = 0.6


@pytest.fixture(scope="module")
def nets():
    """A network with exits in depth and one with exits in time."""
    found = {}
    for name, params, epochs, lr in (
        ("multi_exit_vgg", MultiExitVGG.Params(branch="linear"), 4, 2e-3),
        ("stepwise_spiking_vgg", StepwiseSpikingVGG.Params(steps=3), 12, 5e-3),
    ):
        found[name] = create(name, params, (1, 8, 8), [range(10)], seed=2)
        training = JointExits(JointExits.Params(epochs=epochs, lr=lr))
        training.fit(found[name], IMAGES[:300], DATA.labels[:300], 1, Compute())
    return found


@pytest.fixture(scope="module")
def said(nets):
    """What each exit says of every digit, (E, N, K), and what it costs."""
    return {name: predict_exits(net, torch.from_numpy(IMAGES)) for name, net in nets.items()}


@pytest.fixture
def simulate(write_scenario, nets, tmp_path):
    """Give a function that runs a scenario in which the cloud's model has exits."""

    def run(strategy, name="multi_exit_vgg", nodes=None, links=None, **sections):
        torch.save(nets[name].state_dict(), tmp_path / f"{name}.pt")
        params = {"steps": 3} if name == "stepwise_spiking_vgg" else {"branch": "linear"}
        cam = {"count": 2, "tier": "edge", "card": "raspberry_pi_4b"}
        path = write_scenario(
            topology={
                "nodes": nodes or {"cam": cam, "cloud": {"tier": "cloud", "card": "rtx3090"}},
                "links": links or [{"between": ["cam", "cloud"], "card": "wifi_2012"}],
            },
            models={
                role: {"name": name, "weights": f"{name}.pt", **params}
                for role in ("edge", "cloud")
            },
            strategies=[strategy] if isinstance(strategy, dict) else strategy,
            **{"stream": sections.pop("stream", None) or stream(), **sections},
        )
        return run_scenario(path, out=tmp_path / "runs")

    return run


def stream(**more):
    return {
        "schedule": {"kind": "stationary"},
        "phase": "20 s",
        "arrivals": {"kind": "poisson", "rate": "2 /s"},
        "payload": "60 kB",
    } | more


def expected(counted, threshold, name="max_probability"):
    """Which exit should answer each digit, by the network itself."""
    by = criterion(name)
    scores = np.stack([by.score(rows) for rows in counted.logits[:-1]])
    return exits_taken(scores, threshold, by)


def early(**params):
    keys = {"criterion": "max_probability", "threshold": THRESHOLD} | params
    return {"name": "early_exit", **keys}


def test_each_task_leaves_at_the_exit_that_the_network_says(simulate, said):
    run = simulate(early(at=["edge", "edge", "cloud"]))
    counted = said["multi_exit_vgg"]
    tasks = run.tasks
    ids = tasks["sample_id"].to_numpy()
    exits = expected(counted, THRESHOLD)[ids]
    assert set(exits) == {0, 1, 2}  # the test sees all of them
    assert (tasks["exit"] == exits).all()
    assert (tasks["predicted"] == counted.logits[exits, ids].argmax(axis=1)).all()
    assert (tasks["route"] == np.where(exits < 2, "edge", "cloud")).all()
    # 64 channels of 2 x 2 floats cross after the second pooling, and nothing for the others
    assert (tasks["up_bytes"] == np.where(exits == 2, 64 * 4 * 4, 0)).all()
    assert (tasks["down_bytes"] == np.where(exits == 2, 100, 0)).all()
    shares = {row["exit"]: row["share"] for row in run.summary["early_exit"]["exits"]}
    assert shares == pytest.approx({k: (exits == k).mean() for k in range(3)})
    assert run.summary["early_exit"]["first_exit_share"] == pytest.approx((exits == 0).mean())


def test_devices_and_cloud_are_charged_for_the_parts_that_they_run(simulate, said):
    tasks = simulate(early(at=["edge", "edge", "cloud"])).tasks
    counted = said["multi_exit_vgg"]
    first, second, rest = (tasks[tasks["exit"] == k].iloc[0] for k in range(3))
    parts = [counted.of(k, k - 1 if k else None).macs[0] for k in range(3)]
    card = all_cards("devices", None)["raspberry_pi_4b"]
    power_w = card["active_power"] - card["idle_power"]

    def seconds(macs):
        return card.get("overhead", 0.0) + macs / card["macs_per_s"]

    each_s = [seconds(macs) for macs in parts[:2]]
    assert first["edge_service_s"] == pytest.approx(each_s[0], rel=1e-12)
    assert first["edge_j"] == pytest.approx(power_w * each_s[0], rel=1e-12)
    for row in (second, rest):  # the device has run the same for the one that goes on
        assert row["edge_service_s"] == pytest.approx(sum(each_s), rel=1e-12)
    assert rest["cloud_service_s"] > 0 == second["cloud_service_s"]


def test_the_input_may_be_sent_instead_and_the_cloud_begins_anew(simulate, said):
    runs = {send: simulate(early(at=["edge", "edge", "cloud"], send=send, label=send)).tasks
            for send in ("features", "input")}  # fmt: skip
    features, whole = (run[run["exit"] == 2] for run in runs.values())
    assert (whole["up_bytes"] == 60e3).all() and len(whole) == len(features)
    assert (whole["predicted"].to_numpy() == features["predicted"].to_numpy()).all()
    assert whole["cloud_j"].min() > features["cloud_j"].max()


def test_exits_lie_on_three_tiers(simulate, said):
    run = simulate(
        early(),
        nodes={
            "cam": {"count": 2, "tier": "end", "card": "raspberry_pi_4b"},
            "box": {"tier": "edge", "card": "raspberry_pi_4b"},
            "cloud": {"tier": "cloud", "card": "rtx3090"},
        },
        links=[
            {"between": ["cam", "box"], "card": "wifi_2012"},
            {"between": ["box", "cloud"], "card": "ethernet_gigabit"},
        ],
    )
    assert set(run.tasks["route"]) == {"end", "cloud"}  # the default: only the last is elsewhere
    tiers = simulate(
        early(at=["end", "edge", "cloud"]),
        nodes={
            "cam": {"count": 2, "tier": "end", "card": "raspberry_pi_4b"},
            "box": {"tier": "edge", "card": "raspberry_pi_4b"},
            "cloud": {"tier": "cloud", "card": "rtx3090"},
        },
        links=[
            {"between": ["cam", "box"], "card": "wifi_2012"},
            {"between": ["box", "cloud"], "card": "ethernet_gigabit"},
        ],
    ).tasks
    exits = expected(said["multi_exit_vgg"], THRESHOLD)[tiers["sample_id"].to_numpy()]
    assert (tiers["route"] == np.array(["end", "edge", "cloud"])[exits]).all()
    # after the first pooling 32 channels of 4 x 4 cross, after the second 64 of 2 x 2
    sent = np.array([0, 32 * 16 * 4, 32 * 16 * 4 + 64 * 4 * 4])[exits]
    assert (tiers["up_bytes"] == sent).all()


def test_a_skipped_exit_is_not_asked(simulate, said):
    tasks = simulate(early(at=["skip", "edge", "cloud"])).tasks
    counted = said["multi_exit_vgg"]
    sure = counted.logits[1].astype(float)
    sure = criterion("max_probability").is_sure(sure, THRESHOLD)[tasks["sample_id"].to_numpy()]
    assert (tasks["exit"] == np.where(sure, 1, 2)).all()
    assert (tasks["up_bytes"] == np.where(sure, 0, 1024)).all()


def test_thresholds_are_chosen_on_validation_data_for_a_share_of_early_exits(simulate):
    run = simulate(early(at=["edge", "edge", "cloud"], threshold={"early": 0.4}), seed=11)
    share = (run.tasks["exit"] < 2).mean()
    # 80 tasks of random samples: 0.4 within four deviations of a binomial
    assert abs(share - 0.4) < 4 * (0.24 / len(run.tasks)) ** 0.5


def test_time_steps_that_are_not_run_take_nothing(simulate, said):
    cards = {"cam": {"count": 2, "tier": "edge", "card": "darwin3"},
             "cloud": {"tier": "cloud", "card": "rtx3090"}}  # fmt: skip
    tasks = simulate(
        early(at=["edge"] * 3, threshold=0.9), "stepwise_spiking_vgg", nodes=cards
    ).tasks
    counted = said["stepwise_spiking_vgg"]
    ids = tasks["sample_id"].to_numpy()
    exits = expected(counted, 0.9)[ids]
    assert (tasks["exit"] == exits).all() and len(set(exits)) > 1
    assert not tasks["up_bytes"].any()
    sops = np.stack([counted.of(k).sops for k in range(3)])[exits, ids]
    order = np.argsort(sops)
    joules = tasks["edge_j"].to_numpy()
    assert np.corrcoef(sops, joules)[0, 1] > 0.9
    assert joules[order[0]] < joules[order[-1]]


@pytest.mark.parametrize("rule", ["average", "max", "vote"])
def test_devices_that_see_one_scene_are_fused(simulate, nets, rule):
    kinds = [("noise", 5, "cam[0]"), ("occlusion", 5, "cam[1]")]
    corruptions = [{"kind": k, "severity": s, "devices": [d]} for k, s, d in kinds]
    run = simulate(
        early(at=["edge", "edge", "cloud"], views="all", fusion=rule, hub="cloud"),
        stream=stream(corruptions=corruptions),
    )
    from ecsim.core.variants import variant
    from ecsim.data.corrupted import Corrupted

    images, n = Corrupted(IMAGES), len(IMAGES)
    tasks = run.tasks
    clean = tasks["sample_id"].to_numpy()
    views = np.stack(
        [
            predict_exits(
                nets["multi_exit_vgg"], torch.from_numpy(images[clean + n * variant(kind, level)])
            ).logits
            for kind, level, _ in kinds
        ]
    ).astype(float)  # (V, E, N, K)
    if rule == "vote":
        first, second = views.argmax(axis=3)
        exits = tasks["exit"].to_numpy()
        at = (exits, np.arange(len(exits)))
        agree = first[at] == second[at]
        assert (tasks["predicted"].to_numpy()[agree] == first[at][agree]).all()
        # two different votes are worth 1/2 each, below the threshold: they go on
        assert (agree[exits < 2]).all() and (exits[~agree] == 2).all()
        return
    fused = views.mean(axis=0) if rule == "average" else views.max(axis=0)
    by = criterion("max_probability")
    exits = exits_taken(np.stack([by.score(rows) for rows in fused[:-1]]), THRESHOLD, by)
    assert (tasks["exit"] == exits).all() and len(set(exits)) == 3
    assert (tasks["predicted"] == fused[exits, np.arange(len(clean))].argmax(axis=1)).all()
    # both devices' logits go to the hub at each exit that is asked on them, then both tensors
    asked = np.minimum(exits + 1, 2)
    assert (tasks["up_bytes"] == 2 * 40 * asked + np.where(exits == 2, 2 * 1024, 0)).all()
    assert (tasks["route"] == "cloud").all()  # the hub answers


def test_learned_gates_and_fusions_are_fitted_to_the_validation_pool(simulate):
    corruptions = [{"kind": "noise", "severity": 5, "devices": ["cam[0]"]}]
    arms = [
        early(label="gate", criterion="learned", threshold={"early": 0.5}),
        *(early(label=rule, threshold={"early": 0.5}, views="all", fusion=rule, hub="cloud")
          for rule in ("weights", "concatenation")),
    ]  # fmt: skip
    run = simulate(arms, stream=stream(corruptions=corruptions))
    accuracy = {label: of["accuracy"] for label, of in run.summary.items()}
    assert min(accuracy.values()) > 0.6
    for label in accuracy:
        mine = run.tasks[run.tasks["strategy"] == label]
        assert 0.2 < (mine["exit"] < 2).mean() < 0.8


def test_who_has_no_time_answers_with_what_there_is(simulate):
    keys = {"at": ["edge", "edge", "cloud"], "threshold": 1.5}  # never sure
    arms = [
        early(label="patient", **keys),
        early(label="hasty", time_budget="1 ns", **keys),
        early(label="by_deadline", time_budget="deadline", **keys),
        early(label="thrifty", energy_budget="1 nJ", **keys),
    ]
    run = simulate(arms, stream=stream(deadline="1 ns"))
    exits = run.tasks.groupby("strategy", observed=True)["exit"].agg(["min", "max"])
    assert exits.loc["patient"].tolist() == [2, 2]
    for label in ("hasty", "by_deadline", "thrifty"):
        assert exits.loc[label].tolist() == [0, 0]


def test_a_time_budget_is_kept_on_an_idle_system(simulate):
    keys = {"at": ["edge", "edge", "cloud"], "threshold": 1.5}
    slow = simulate(early(**keys)).tasks
    needs_s = float(slow["latency_s"].min())
    calm = stream(arrivals={"kind": "poisson", "rate": "0.2 /s"}, phase="100 s")
    for budget_s, exit in ((needs_s * 1.001, 2), (needs_s * 0.999, 1)):
        tasks = simulate(early(time_budget=f"{budget_s!r} s", **keys), stream=calm).tasks
        assert (tasks["exit"] == exit).mean() > 0.9  # waiting moves a few
        assert (tasks["latency_s"] <= budget_s).mean() > 0.9


def test_a_failure_on_the_way_leaves_what_the_device_said(simulate):
    outages = {"schedule": [{"at": "1 s", "for": "18 s"}]}
    nodes = {
        "cam": {"count": 2, "tier": "edge", "card": "raspberry_pi_4b"},
        "cloud": {"tier": "cloud", "card": "rtx3090", "outages": outages},
    }
    arms = [
        early(label=what, at=["edge", "edge", "cloud"], threshold=1.5, on_failure=what)
        for what in ("answer", "drop")
    ]
    tasks = simulate(arms, nodes=nodes).tasks
    tasks = tasks[tasks["t_arrive_s"].between(2, 17)]
    by = tasks.groupby("strategy", observed=True)
    assert set(by.get_group("answer")["exit"]) == {1}
    assert set(by.get_group("drop")["status"]) == {"dropped"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"at": ["edge", "cloud"]}, "expected 3 tiers"),
        (
            {"at": ["end", "edge", "cloud"]},
            "expected a tier that has nodes, one of edge, cloud",
        ),
        ({"threshold": [0.5]}, "expected 2 numbers"),
        ({"views": "all"}, None),
    ],
)
def test_what_does_not_fit_the_network_is_said(simulate, keys, message):
    if message is None:
        simulate(early(**keys, hub="cloud"))
        return
    with pytest.raises(ScenarioError, match=message) as error:
        simulate(early(**keys))
    (problem,) = error.value.problems
    assert problem.line is not None
    assert problem.path == f"strategies[0].{next(iter(keys))}"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"at": ["cloud", "edge", "edge"]}, "from the device to the cloud"),
        ({"threshold": {"accurracy": 0.9}}, "threshold: expected"),
        ({"threshold": -1.0}, "threshold: expected"),
        ({"criterion": "entropie"}, "criterion"),
    ],
)
def test_mistakes_in_the_scenario_have_a_place(simulate, keys, message):
    with pytest.raises(ScenarioError, match=r"small\.yaml:\d+:\d+") as error:
        simulate(early(**keys))
    assert message.split(":")[0] in str(error.value)


def test_what_has_no_effect_is_refused(simulate):
    with pytest.raises(ScenarioError, match="has no effect with views: own"):
        simulate(early(fusion="max"))
    with pytest.raises(UserError, match="tasks with a deadline"):
        simulate(early(time_budget="deadline", threshold=1.5))
