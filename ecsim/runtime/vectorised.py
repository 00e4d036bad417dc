"""All tasks of an arm at once, stage by stage, where their ways do not depend on the world.

The strategy must promise its tasks' `Way`, no model may change, every server and link on the way
must be a plain FIFO that nothing disturbs and that is met at one stage only, and the run must not
be cut short or traced; `UnsuitedError` tells which of these fails. The result is that of the event
loop: the same rows to the bit, the same books (tests/runtime/test_vectorised_engine.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ecsim.collab.context import Context
from ecsim.collab.place import Place
from ecsim.collab.strategy import Strategy, Way
from ecsim.core.types import BoolArray, ModelRef, Prediction
from ecsim.kernel import Engine, Hop, Topology, World
from ecsim.kernel.channel import Channel
from ecsim.kernel.lindley import Floats, Ints, by_time, grouped
from ecsim.kernel.line import Line
from ecsim.kernel.meter import Meter
from ecsim.kernel.vectorised import Playback, numbered
from ecsim.records.recorder import Recorder
from ecsim.records.tables import STAGES, STATUSES
from ecsim.runtime.system import System

MAX_TASKS = 1_000_000  # all columns are held at once, about 300 B a task; beyond, event by event

_IDENTITY = {
    "world", "name", "meter", "n_servers", "frees", "can_train", "hops", "channel", "bit_per_s",
    "propagation_s", "tx", "rx", "tx_w", "rx_w", "power_w", "joules_per_byte", "tx_j_per_byte",
    "rx_j_per_byte", "line", "hop", "radio", "in_order", "_connected", "_retry", "_give_up",
}  # fmt: skip


class UnsuitedError(Exception):
    """Says why an arm has to be simulated event by event."""


class Vectorised:
    """The tasks of one arm as columns, and their way through the arm's world.

    Parameters
    ----------
    places, topology, context, world : of the arm, before anything has happened.

    Raises
    ------
    UnsuitedError : a condition does not hold. Nothing has been changed then.
    """

    def __init__(
        self,
        system: System,
        strategy: Strategy[Any],
        places: Mapping[str, Place],
        topology: Topology,
        context: Context,
        world: World,
    ):
        self._system = system
        self._strategy = strategy
        self._places = places
        self._topology = topology
        self._context = context
        self._world = world
        self._way = self._checked_way()
        self._to_cloud = self._checked_routes() if self._way.reply_bytes is not None else {}
        self._check_parts()
        self._gather()

    @property
    def asks_edge(self) -> bool:
        """Whether devices infer at all."""
        return self._way.asks_device

    # Conditions -----------------------------------------------------------------------------

    def _checked_way(self) -> Way:
        run, strategy = self._system.scenario.run, self._strategy
        way = strategy.way()
        if way is None:
            raise UnsuitedError("the steps of its tasks may depend on more than themselves")
        owner = {
            name: next(i for i, cls in enumerate(type(strategy).__mro__) if name in vars(cls))
            for name in ("way", "serve")
        }
        if owner["way"] > owner["serve"]:
            raise UnsuitedError("its serve() is its own, and the way is promised for another")
        if self._system.update is not None and type(strategy).background is not Strategy.background:
            raise UnsuitedError("its devices learn")
        if run.drain is not None or run.probe is not None or run.trace:
            raise UnsuitedError("run.drain, run.probe and run.trace need every event")
        if self._system.later_clouds:
            raise UnsuitedError("its cloud learns during the run")
        if self._world.queue or self._world.backgrounds:
            raise UnsuitedError("something happens besides the tasks")
        if any(radio.card.promotion_s for radio in self._world.radios):
            raise UnsuitedError("its radios are promoted, which delays messages")
        if way.asks_device and any(p.stage not in (0, 1) for p in self._devices()):
            raise UnsuitedError("its devices are in the cloud")
        return way

    def _devices(self) -> list[Place]:
        return [self._places[name] for name in self._system.devices]

    def _checked_routes(self) -> dict[int, tuple[Place, tuple[Hop, ...], tuple[Hop, ...]]]:
        """Give per seat its cloud node and the routes there and back."""
        found = {}
        for seat, device in enumerate(self._system.devices):
            cloud = self._context.near(device, "cloud")
            up, down = self._topology.route(device, cloud), self._topology.route(cloud, device)
            if not up or not down:
                raise UnsuitedError("its devices are in the cloud")
            found[seat] = (self._places[cloud], up, down)
        stage_of: dict[Channel, tuple[str, int]] = {}
        for _, up, down in found.values():
            for name, route in (("up", up), ("down", down)):
                for position, hop in enumerate(route):
                    if stage_of.setdefault(hop.channel, (name, position)) != (name, position):
                        raise UnsuitedError(f"{hop.channel!r} is met at more than one stage")
        if len({(len(up), len(down)) for _, up, down in found.values()}) > 1:
            raise UnsuitedError("the ways of its devices differ in length")
        return found

    def _check_parts(self) -> None:
        """Compare every part on the way with a fresh one: whatever differs may disturb it."""
        world = World()
        plain = Engine(world, "plain", "inference")
        meter = Meter(world, "plain", "radio")
        channel = Channel(world, "plain")
        hop = Hop(channel, 1.0, 0.0, meter, meter)
        line = Line(Hop(channel, 1.0, 0.0, meter, meter))
        places = self._devices() if self._way.asks_device else []
        for cloud, up, down in self._to_cloud.values():
            places.append(cloud)
            for each in (*up, *down):
                _require_plain(each, hop)
                _require_plain(each.channel, channel)
                if each.line is not None:
                    _require_plain(each.line, line)
        for place in places:
            _require_plain(place.inference, plain)
            if place.memory is not None:
                raise UnsuitedError(f"{place.node.name} has a memory or load_rate")

    # Tasks ----------------------------------------------------------------------------------

    def _gather(self) -> None:
        """Hold the columns of all tasks."""
        tasks = self._system.task_columns(MAX_TASKS)
        if tasks is None:
            raise UnsuitedError(f"there are more than {MAX_TASKS} tasks")
        self.n = len(tasks)
        if not self.n:
            raise UnsuitedError("there are no tasks")
        self._t_arrive_s: Floats = tasks.t_arrive_s
        self._seat: Ints = tasks.seat
        self._phase: Ints = tasks.phase
        self._sample: Ints = tasks.sample_id
        self._visit: Ints = tasks.visit
        # per distinct sample, and which of them each task has
        is_used = np.bincount(self._sample) > 0
        self._distinct = np.flatnonzero(is_used)
        self._which = (np.cumsum(is_used) - 1)[self._sample]

    def serve(self) -> None:
        """Let all tasks go their way; afterwards the world's clock may be advanced."""
        n = self.n
        playback = Playback(self._world)
        self._zero = np.broadcast_to(0.0, n)
        self._columns: dict[str, Any] = {
            f"{stage}_{what}": self._zero
            for stage in STAGES
            for what in ("wait_s", "service_s", "j")
        }
        self._propagation_s = np.zeros(n)
        self._now_s = self._t_arrive_s.copy()
        self._entropy = np.full(n, np.nan)
        self._predicted = np.zeros(n, dtype=np.int64)
        self._uploaded = np.zeros(n, dtype=bool)
        jobs = np.arange(n)
        way = self._way
        if way.asks_device:
            devices = self._devices()
            answers = self._answers("edge", devices[0].model)
            self._entropy = answers.entropy[self._which]
            self._predicted = answers.label[self._which]
            jobs = self._infer(playback, devices, self._seat, jobs, answers)
            if way.reply_bytes is not None:
                self._uploaded = self._uploads(jobs, answers)
            jobs = jobs[self._uploaded[jobs]]
        else:
            self._uploaded[:] = True
        if way.reply_bytes is not None and len(jobs):
            self._ask_cloud(playback, jobs, way.reply_bytes)

    def _uploads(self, jobs: Ints, answers: _Answers) -> BoolArray:
        """Say of every task whether it is uploaded; `jobs` is in the order of their inferences."""
        order, firsts = grouped(self._seat[jobs], len(self._system.devices))
        uploaded = np.zeros(self.n, dtype=bool)
        for mine in np.split(jobs[order], firsts[1:]):
            device = self._system.devices[self._seat[mine[0]]]
            chosen = self._strategy.chosen(device, self._phase[mine], self._context)
            if chosen is None:
                pairs = zip(answers.predictions, self._distinct.tolist(), strict=True)
                offloads = [bool(self._strategy.offloads_sample(p, s)) for p, s in pairs]
                uploaded = np.array(offloads)[self._which]
                break
            uploaded[mine] = chosen
        return uploaded

    def _ask_cloud(self, playback: Playback, jobs: Ints, reply_bytes: float) -> None:
        n_up, n_down = (len(route) for route in self._to_cloud[0][1:])
        for position in range(n_up):
            hops = [self._to_cloud[seat][1][position] for seat in range(len(self._to_cloud))]
            jobs = self._send(playback, "up", hops, jobs, self._system.payload_bytes)
        clouds, cloud_of = numbered([self._to_cloud[s][0] for s in range(len(self._to_cloud))])
        answers = self._answers("cloud", clouds[0].model)
        self._predicted[jobs] = answers.label[self._which[jobs]]
        jobs = self._infer(playback, clouds, cloud_of[self._seat], jobs, answers)
        for position in range(n_down):
            hops = [self._to_cloud[seat][2][position] for seat in range(len(self._to_cloud))]
            jobs = self._send(playback, "down", hops, jobs, reply_bytes)
        playback.connect()

    def _answers(self, role: str, model: ModelRef) -> _Answers:
        predictor = self._system.predictors[role]
        return _Answers([predictor.predict(model, sample) for sample in self._distinct.tolist()])

    def _infer(
        self,
        playback: Playback,
        places: Sequence[Place],
        where: Ints,
        jobs: Ints,
        answers: _Answers,
    ) -> Ints:
        """Serve jobs, in this order, by the engines of places; give the order in which they end.

        `where` is the index in `places` of every task.
        """
        place_of, join_s = where[jobs], self._now_s[jobs]
        seconds, joules = answers.prices(places, place_of, self._which[jobs])
        engines = [place.inference for place in places]
        wait_s, end_s = playback.serve(engines, place_of, join_s, seconds, joules)
        stages = np.array([place.stage for place in places])
        for stage in np.unique(stages).tolist():
            mine = (stages == stage)[place_of] if (stages != stage).any() else slice(None)
            self._charge(STAGES[stage], jobs[mine], wait_s[mine], seconds[mine], joules[mine])
        return self._go_on(jobs, end_s)

    def _send(
        self, playback: Playback, stage: str, hops: Sequence[Hop], jobs: Ints, size_bytes: float
    ) -> Ints:
        """Send a message of each job over its device's hop; give the order of arrivals."""
        distinct, hop_of = numbered(hops)
        which, join_s = hop_of[self._seat[jobs]], self._now_s[jobs]
        per_hop = [
            (
                size_bytes * 8.0 / hop.bit_per_s,
                hop.power_w * (size_bytes * 8.0 / hop.bit_per_s) + hop.joules_per_byte * size_bytes,
                hop.propagation_s,
            )
            for hop in distinct
        ]
        seconds, joules, latency_s = (
            np.array(column)[which] for column in zip(*per_hop, strict=True)
        )
        wait_s, end_s = playback.send(distinct, which, join_s, seconds, latency_s, size_bytes)
        self._charge(stage, jobs, wait_s, seconds, joules)
        self._propagation_s[jobs] += latency_s
        return self._go_on(jobs, end_s + latency_s)

    def _go_on(self, jobs: Ints, times_s: Floats) -> Ints:
        """Let jobs be over at times; give the order in which they are."""
        self._now_s[jobs] = times_s
        return jobs[by_time(times_s)]

    def _charge(
        self, stage: str, jobs: Ints, wait_s: Floats, seconds: Floats, joules: Floats
    ) -> None:
        """Charge the stage of these tasks, as a ledger would."""
        for what, amounts in (("wait_s", wait_s), ("service_s", seconds), ("j", joules)):
            name = f"{stage}_{what}"
            if self._columns[name] is self._zero:
                self._columns[name] = np.zeros(self.n)
                self._columns[name][jobs] = amounts
            else:
                self._columns[name][jobs] += amounts

    # Rows -----------------------------------------------------------------------------------

    def write(self, recorder: Recorder, label: str) -> None:
        """Hand all rows to the recorder, in the order in which the tasks ended."""
        system, n = self._system, self.n
        labels = system.labels[self._sample]
        devices = self._devices()
        edge, cloud = devices[0].model, system.first["cloud"]
        schedule, classes = system.schedule, np.arange(system.data.n_classes)
        news = [np.isin(classes, schedule.new_in(phase)) for phase in range(schedule.n_phases)]
        uploaded = self._uploaded
        payload, reply = system.payload_bytes, self._way.reply_bytes or 0.0
        tiers = [place.node.tier for place in devices]
        route = np.array([("edge", "end").index(tier) if tier != "cloud" else 2 for tier in tiers])
        deadline_s = system.scenario.stream.deadline
        order = by_time(self._now_s)
        late, answered = STATUSES.index("late"), STATUSES.index("answered")
        columns: dict[str, Any] = {
            **self._columns,
            "task_id": np.arange(n),
            "device": self._seat,
            "phase": self._phase,
            "visit": self._visit,
            "sample_id": self._sample,
            "status": np.array([answered, late], np.int8)[
                (self._now_s >= system.horizon_s).view(np.int8)
            ],
            "t_arrive_s": self._t_arrive_s,
            "t_answer_s": self._now_s,
            "propagation_s": self._propagation_s,
            "route": np.where(uploaded, 2, route[self._seat]),
            "uploaded": uploaded,
            "label": labels,
            "predicted": self._predicted,
            "seen": np.isin(classes, edge.classes)[labels],
            "new_in_phase": np.array(news)[self._phase, labels],
            "normalized_entropy": self._entropy,
            "model_version": np.where(uploaded, cloud.version, edge.version),
            "model_key": uploaded.astype(np.int64),
            "exit": np.where(
                uploaded,
                *(len(system.predictors[model.role].exits(model)) - 1 for model in (cloud, edge)),
            ),
            "wasted_j": self._zero,
            "up_bytes": np.where(uploaded, payload, 0.0),
            "down_bytes": np.where(uploaded, reply, 0.0),
            "deadline_s": np.broadcast_to(np.nan if deadline_s is None else deadline_s, n),
        }
        texts = {
            "device": system.devices,
            "route": ("edge", "end", "cloud"),
            "model_key": (edge.key, cloud.key),
        }
        recorder.task_block(label, columns, texts, order)

    def counts(self) -> tuple[int, dict[tuple[str, int], tuple[int, int]]]:
        """Give the number of tasks, and (uploads, tasks) by device and phase."""
        names = self._system.devices
        uploads: dict[tuple[str, int], tuple[int, int]] = {}
        n_phases = int(self._phase.max()) + 1
        places = self._seat * n_phases + self._phase
        tasks = np.bincount(places)
        sent = np.bincount(places, self._uploaded)
        for place in np.flatnonzero(tasks).tolist():
            seat, phase = divmod(place, n_phases)
            uploads[names[seat], phase] = (int(sent[place]), int(tasks[place]))
        return self.n, uploads


class _Answers:
    """What a model answers for each distinct sample, as columns."""

    def __init__(self, predictions: list[Prediction]):
        self.predictions = predictions
        self.label = np.array([prediction.label for prediction in predictions])
        self.entropy = np.array([prediction.normalized_entropy for prediction in predictions])
        distinct = {id(prediction.work): prediction.work for prediction in predictions}
        number = {key: index for index, key in enumerate(distinct)}
        self._works = list(distinct.values())
        self._work_of = np.array([number[id(prediction.work)] for prediction in predictions])

    def prices(self, places: Sequence[Place], place_of: Ints, which: Ints) -> tuple[Floats, Floats]:
        """Give (seconds, joules) of tasks on engines of places; each different pair priced once."""
        n_works = len(self._works)
        pair = place_of * n_works + self._work_of[which]
        used = np.flatnonzero(np.bincount(pair))
        seconds, joules = np.zeros((2, int(used[-1]) + 1))
        for key in used.tolist():
            place, work = divmod(key, n_works)
            seconds[key], joules[key] = places[place].price(self._works[work])
        return seconds[pair], joules[pair]


def _require_plain(part: Any, plain: Any) -> None:
    if type(part) is not type(plain):
        raise UnsuitedError(f"{part!r} is more than a plain {type(plain).__name__}")
    slots = {name for cls in type(part).__mro__ for name in getattr(cls, "__slots__", ())}
    for name in slots - _IDENTITY:
        if getattr(part, name) != getattr(plain, name):
            raise UnsuitedError(f"{part!r} has its own {name}")
