"""What a strategy may ask for, on a world of three nodes with known times."""

from dataclasses import replace

import numpy as np
import pytest

from ecsim.collab.context import Context
from ecsim.collab.operations import Account
from ecsim.collab.oracle import Table
from ecsim.collab.place import Place
from ecsim.collab.routines import learn_in_cloud
from ecsim.collab.updates import UpdatePolicy
from ecsim.core.errors import Lost, StrategyError
from ecsim.core.randomness import Streams
from ecsim.core.types import Batch, ModelRef, Plan, Task, Work
from ecsim.kernel import Engine, Link, Node, Topology, World

EDGE = ModelRef("edge", 0, "edge-0", (0, 1), 100)
CLOUD = ModelRef("cloud", 0, "cloud-0", (0, 1), 100)
CHILD = ModelRef("edge", 1, "edge-1", (0, 1, 2), 120)
TASK = Task(0, "cam", 1, 0, 1, 0.0, 1000.0)


class Learner:
    """Plans a training of 4 s in 4 steps for any batch of more than one sample."""

    def plan(self, parent, batch):
        if len(batch.sample_ids) < 2:
            return None
        work = Work(macs=4.0, steps=4, is_training=True)
        return Plan(CHILD, work, (2,), np.arange(len(batch.sample_ids)))


class Bench:
    """cam -- 1 s per 1000 bytes, 0.5 s propagation -- cloud; inference 2 s and 0.25 s."""

    def __init__(self, mode="share"):
        self.world = world = World()
        logits = np.array([[9.0, 0.0], [0.0, 0.0]], np.float32)
        table = Table(logits, Work(macs=1.0))
        self.places = {}
        for name, tier, second, model in (
            ("cam", "edge", 2.0, EDGE),
            ("cloud", "cloud", 0.25, CLOUD),
            ("far", "cloud", 0.25, CLOUD),
        ):
            node = Node(
                world, name, tier, {"inference": Engine(world, name, "inference", can_train=True)}
            )
            price = lambda work, s=second: (work.macs * s, work.macs * 10.0)  # noqa: E731
            stage = 1 if tier == "edge" else 2
            train_price = lambda work: (work.macs, 7.0)  # noqa: E731
            self.places[name] = Place(node, stage, price, train_price, table, model, {model.key})
        topology = Topology(world)
        for place in self.places.values():
            topology.add_node(place.node)
        topology.connect(["cam"], "cloud", Link("l", 8000.0, 8000.0, 0.5))
        topology.connect(["cam"], "far", Link("m", 800.0, 800.0, 0.5))
        self.added = []
        policy = UpdatePolicy("end_of_phase", mode, 10, Learner(), lambda *a: self.added.append(a))
        self.ctx = Context(world, topology, self.places, ("cam",), Streams(0), policy)

    def run(self, generator):
        account = Account()
        flow = self.world.spawn(generator, account)
        self.world.run()
        return flow.value, account


def batch(n):
    return Batch.answered(list(range(n)), np.zeros((n, 2), np.float32), (0, 1))


def test_infer_send_and_infer_again_take_the_time_they_should():
    bench = Bench()

    def serve():
        edge = yield bench.ctx.infer("cam", TASK)
        yield bench.ctx.send("cam", "cloud", 1000.0)
        cloud = yield bench.ctx.infer("cloud", TASK)
        yield bench.ctx.send("cloud", "cam", 500.0)
        return edge, cloud, bench.ctx.now

    (edge, cloud, end_s), account = bench.run(serve())
    assert (edge.model, cloud.model) == (EDGE, CLOUD)
    assert end_s == 2.0 + (1.0 + 0.5) + 0.25 + (0.5 + 0.5)
    assert account.service_s == [0.0, 2.0, 0.25, 1.0, 0.5]
    assert account.bytes == [0.0, 0.0, 0.0, 1000.0, 500.0]
    assert account.propagation_s == 1.0
    assert account.joules[:3] == [0.0, 10.0, 10.0]
    assert account.edge_entropy == edge.normalized_entropy == 1.0


def test_an_operation_that_is_not_yielded_does_nothing():
    bench = Bench()

    def serve():
        bench.ctx.infer("cam", TASK)
        bench.ctx.send("cam", "cloud", 1000.0)
        yield bench.ctx.after(1.0)

    _, account = bench.run(serve())
    assert account.service_s == [0.0] * 5
    assert bench.world.now == 1.0


def test_the_version_is_the_one_held_when_the_request_joins_the_queue():
    bench = Bench()

    def serve():
        request = bench.ctx.infer("cam", TASK)
        yield bench.ctx.after(1.0)
        bench.places["cam"].model = CLOUD  # deployed between call and yield
        return (yield request)

    prediction, _ = bench.run(serve())
    assert prediction.model == CLOUD


def timed_answers(bench, *steps):
    """Give (seconds, joules, version) of an inference on cam after each step."""
    found = []

    def serve():
        for step in steps:
            step()
            begin_s = bench.ctx.now
            prediction = yield bench.ctx.infer("cam", TASK)
            found.append((bench.ctx.now - begin_s, prediction.model))

    _, account = bench.run(serve())
    return [*found, account.joules[1]]


def test_answers_follow_the_price_and_the_version():
    """Answers are kept by price and version: a change of either finds its own, also back again."""
    bench = Bench()
    cam = bench.places["cam"]
    usual = cam.price

    def dear(work):
        return work.macs * 5.0, work.macs * 100.0

    *found, joules = timed_answers(
        bench,
        lambda: None,
        lambda: setattr(cam, "price", dear),
        lambda: setattr(cam, "model", CHILD),
        lambda: setattr(cam, "price", usual),
        lambda: setattr(cam, "model", EDGE),
        lambda: setattr(cam, "price", dear),
    )
    assert found == [(2.0, EDGE), (5.0, EDGE), (5.0, CHILD), (2.0, CHILD), (2.0, EDGE), (5.0, EDGE)]
    assert joules == 3 * 10.0 + 3 * 100.0


def test_a_version_that_is_asked_for_has_the_price_of_now():
    bench = Bench()
    cam = bench.places["cam"]
    cam.held.add(CHILD.key)
    found = []

    def serve():
        for seconds in (2.0, 3.0):
            cam.price = lambda work, s=seconds: (work.macs * s, 0.0)
            for model in (CHILD, None, EDGE):
                begin_s = bench.ctx.now
                prediction = yield bench.ctx.infer("cam", TASK, model)
                found.append((bench.ctx.now - begin_s, prediction.model))

    bench.run(serve())
    assert found == [(s, model) for s in (2.0, 3.0) for model in (CHILD, EDGE, EDGE)]


def test_a_price_that_changes_while_a_job_waits_does_not_reach_it():
    """It is priced when it joins the queue, as its version is chosen then."""
    bench = Bench()
    cam = bench.places["cam"]
    ends = []

    def ask():
        prediction = yield bench.ctx.infer("cam", TASK)
        ends.append((bench.ctx.now, prediction.model))

    def change():
        yield bench.ctx.after(1.0)
        cam.price = lambda work: (work.macs * 7.0, 0.0)
        cam.model = CHILD
        bench.world.spawn(ask(), Account())

    bench.world.spawn(ask(), Account())
    bench.world.spawn(ask(), Account())
    bench.run(change())
    assert ends == [(2.0, EDGE), (4.0, EDGE), (11.0, CHILD)]


def test_training_takes_its_time_and_only_then_may_be_deployed():
    bench = Bench()
    seen = []

    def learn():
        result = yield bench.ctx.train("cam", bench.ctx.learner, bench.ctx.model("cam"), batch(3))
        seen.append((bench.ctx.now, bench.ctx.model("cam").version))
        bench.ctx.deploy("cam", result.model)
        seen.append(bench.ctx.model("cam").version)

    def too_early():
        yield bench.ctx.after(3.9)
        with pytest.raises(StrategyError, match="cannot deploy version 1"):
            bench.ctx.deploy("cam", CHILD)

    bench.world.spawn(too_early())
    bench.run(learn())
    assert seen == [(4.0, 0), 1]
    (deployed,) = bench.ctx.deployments
    assert (deployed.t_start_s, deployed.t_deploy_s, deployed.seconds) == (0.0, 4.0, 4.0)
    assert (deployed.parent_key, deployed.new_classes, deployed.joules) == ("edge-0", (2,), 7.0)
    assert bench.added[0][1] == EDGE


@pytest.mark.parametrize(("mode", "end_s"), [("share", 4.0), ("offline", 6.0)])
def test_inference_while_updating(mode, end_s):
    """At 1.5 s a step of 1 s is under way: shared, the request starts at 2; offline, at 4."""
    bench = Bench(mode)

    def learn():
        yield bench.ctx.train("cam", bench.ctx.learner, bench.ctx.model("cam"), batch(3))

    def serve():
        yield bench.ctx.after(1.5)
        prediction = yield bench.ctx.infer("cam", TASK)
        return prediction.model.version, bench.ctx.now

    bench.world.spawn(learn())
    (version, answered_s), _ = bench.run(serve())
    assert (version, answered_s) == (0, end_s)


@pytest.mark.parametrize("what", [None, batch(1)])
def test_nothing_to_learn_is_no_update(what):
    bench = Bench()

    def learn():
        return (yield bench.ctx.train("cam", bench.ctx.learner, bench.ctx.model("cam"), what))

    result, account = bench.run(learn())
    assert result is None
    assert account.total_j == 0.0
    assert bench.added == []


def test_a_transfer_that_carries_a_version_makes_it_deployable_on_arrival():
    bench = Bench()

    def push():
        with pytest.raises(StrategyError):
            bench.ctx.deploy("cam", CHILD)
        yield bench.ctx.send("cloud", "cam", CHILD.param_bytes, carries=CHILD)
        bench.ctx.deploy("cam", CHILD)
        return bench.ctx.now

    arrived_s, _ = bench.run(push())
    assert arrived_s == pytest.approx(0.12 + 0.5)
    assert bench.ctx.model("cam") == CHILD


def test_time_out_with_a_local_fallback():
    bench = Bench()

    def remote():
        yield bench.ctx.send("cam", "cloud", 1000.0)
        return (yield bench.ctx.infer("cloud", TASK))

    def serve():
        edge = yield bench.ctx.infer("cam", TASK)
        index, value = yield bench.ctx.first(remote(), bench.ctx.after(1.0))
        return index, value or edge, bench.ctx.now

    (index, answer, now), account = bench.run(serve())
    assert (index, answer.model, now) == (1, EDGE, 3.0)
    assert account.wasted_s == 1.0  # the upload's serialisation ran for nothing


def test_all_joins_branches():
    bench = Bench()

    def serve():
        values = yield bench.ctx.all(bench.ctx.infer("cam", TASK), bench.ctx.infer("cloud", TASK))
        return [value.model for value in values], bench.ctx.now

    (models, now), _ = bench.run(serve())
    assert (models, now) == ([EDGE, CLOUD], 2.0)


def test_compute_serves_counted_work_without_a_model():
    bench = Bench()

    def serve():
        yield bench.ctx.compute("cam", Work(macs=1.5))

    _, account = bench.run(serve())
    assert (account.service_s[1], account.joules[1]) == (3.0, 15.0)


def test_near_is_the_node_that_a_message_reaches_soonest():
    ctx = Bench().ctx
    assert ctx.near("cam", "cloud") == "cloud"
    assert ctx.near("far", "cloud") == "far"
    with pytest.raises(StrategyError, match="'end'"):
        ctx.near("cam", "end")


def test_conditions_signals_and_mailboxes_wake_who_waits():
    bench = Bench()
    ctx, heard = bench.ctx, []

    def learner():
        yield ctx.until("end_of_phase", "cam")
        heard.append(("phase", ctx.now))
        heard.append(((yield ctx.mailbox("up").get()), ctx.now))

    def world():
        yield ctx.after(2.0)
        ctx.condition("end_of_phase", "far").fire()
        yield ctx.after(1.0)
        ctx.condition("end_of_phase", "cam").fire()
        yield ctx.after(1.0)
        ctx.mailbox("up").put("news")

    bench.world.spawn(world())
    bench.run(learner())
    assert heard == [("phase", 3.0), ("news", 4.0)]


def test_a_condition_that_comes_true_meanwhile_is_not_missed():
    bench = Bench()
    ctx, times = bench.ctx, []

    def learner():
        for _ in range(3):
            yield ctx.until("end_of_phase", "cam")
            times.append(ctx.now)
            yield ctx.after(2.5)  # a training

    def phases():
        for _ in range(4):  # at 1, 2, 3 and 4 s: 2 and 3 come while it trains, and count once
            yield ctx.after(1.0)
            ctx.condition("end_of_phase", "cam").fire()

    bench.world.spawn(phases())
    bench.run(learner())
    assert times == [1.0, 3.5, 6.0]


def test_a_training_takes_its_samples_out_of_the_buffer_when_it_starts():
    bench = Bench()
    ctx = bench.ctx
    answer = bench.places["cloud"].predictor.predict(CLOUD, 0)

    def learn():
        for sample in range(3):
            ctx.buffer("cam").put(sample, answer)
        request = ctx.train("cam", ctx.learner, ctx.model("cam"), ctx.buffer("cam").batch())
        assert len(ctx.buffer("cam")) == 3  # inert until yielded
        yield request

    bench.run(learn())
    assert len(ctx.buffer("cam")) == 0


def test_a_full_buffer_is_a_condition():
    bench = Bench()
    ctx = bench.ctx
    answer = bench.places["cloud"].predictor.predict(CLOUD, 0)

    def learner():
        yield ctx.until("buffer_full", "cam")
        return ctx.now, len(ctx.buffer("cam").batch().sample_ids)

    def filler():
        for sample in range(10):
            yield ctx.after(1.0)
            ctx.buffer("cam").put(sample, answer)

    bench.world.spawn(filler())
    assert bench.run(learner())[0] == (10.0, 10)


def test_streams_of_randomness_are_found_by_name_and_go_on():
    a, b = Bench().ctx, Bench().ctx
    first = [a.random("toss", "cam").random() for _ in range(3)]
    b.random("another consumer").random(100)
    assert [b.random("toss", "cam").random() for _ in range(3)] == first
    assert len(set(first)) == 3


def test_marks_keep_the_time():
    bench = Bench()

    def serve():
        yield bench.ctx.after(2.5)
        bench.ctx.record("queue", 3)

    bench.run(serve())
    assert bench.ctx.marks == [(2.5, "queue", 3.0)]


def test_a_version_that_is_not_held_cannot_be_asked():
    with pytest.raises(StrategyError, match="does not hold"):
        Bench().ctx.infer("cam", TASK, CHILD)


def learning_in_the_cloud():
    bench = Bench()
    bench.ctx._update = replace(bench.ctx._update, in_cloud=True, sample_bytes=1000.0)
    for sample in (0, 1):
        answer = bench.places["cloud"].predictor.predict(CLOUD, sample)
        bench.ctx.buffer("cam").put(sample, answer)
    return bench, learn_in_cloud("cam", bench.ctx)


def test_an_update_in_the_cloud_takes_upload_training_and_download():
    bench, learning = learning_in_the_cloud()
    bench.ctx.condition("end_of_phase", "cam").fire()
    _, account = bench.run(learning)
    (deployment,) = bench.ctx.deployments
    # 2 x 1000 bytes up, 4 s, 120 bytes of weights down; 0.5 s propagation each way
    assert deployment.t_deploy_s == pytest.approx(2.0 + 0.5 + 4.0 + 0.12 + 0.5, rel=1e-12)
    assert (deployment.device, deployment.at, deployment.sent_bytes) == ("cam", "cloud", 2120.0)
    assert bench.ctx.model("cam") == CHILD and bench.ctx.model("cloud") == CLOUD
    assert account.bytes == [0.0, 0.0, 0.0, 2000.0, 120.0]
    assert len(bench.ctx.buffer("cam")) == 0


def test_what_is_lost_on_the_way_to_the_cloud_or_back_is_learned_later():
    bench, learning = learning_in_the_cloud()
    buffer = bench.ctx.buffer("cam")
    next(learning)
    learning.send(None)  # uploads
    waiting = learning.throw(Lost("upload"))
    assert len(buffer) == 2 and waiting is not None
    learning.send(None)
    training = learning.send(None)
    training.taken()
    assert len(buffer) == 0
    learning.throw(Lost("training"))
    assert len(buffer) == 2
    learning.send(None)
    training = learning.send(None)
    training.taken()
    learning.send(training.value)  # sends the weights
    learning.throw(Lost("weights"))
    assert len(buffer) == 2 and not bench.ctx.deployments
