"""How fast the system plane is, against models of the same system written without ecsim.

The system: N devices with Poisson arrivals of 1 task/s each, a private FIFO uplink per device
(10 ms serialisation, 20 ms propagation) and one shared FIFO server (0.7 / N s, load 0.7).

- ``ecsim``: what ``ecsim run`` executes: strategy generators with a policy call, predictions, the
  full task table to Parquet, meters of every engine and radio, checked books, summary left out.
- ``usual_simpy``: a process per task, Resources and timeouts, and no records at all.
- ``usual_simpy_recorded``: the same with a record per task (the same columns, to Parquet) and
  meters that integrate power over state changes.
- ``vectorised``: the other engine of ecsim, against its event loop, on `cloud_only` (with replies).
- ``heapq``: the system by hand, as tuples on a heap: what Python could do at best.

All draw the same arrivals, and every task's sojourn must agree. CPU time, medians over interleaved
rounds in one process; one JSON object on stdout.

    python benchmarks/kernel.py [--devices 100] [--tasks 60000] [--rounds 5] [--quick]
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from heapq import heappop, heappush, merge
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import simpy
import yaml

from ecsim import compiled, register
from ecsim.collab.strategy import NoParams, Strategy
from ecsim.core.randomness import Streams
from ecsim.core.types import Answer
from ecsim.kernel import After, FifoServer, Use, World
from ecsim.records.arrow import ROW_GROUP, open_writer, schema
from ecsim.records.recorder import Recorder
from ecsim.records.tables import STAGES, TASKS
from ecsim.runtime.arm import Arm
from ecsim.runtime.build import build
from ecsim.runtime.lookup import lookup
from ecsim.runtime.progress import Progress
from ecsim.runtime.system import System
from ecsim.scenario.load import load
from ecsim.streams.arrivals import Poisson

SERIALISATION_S, PROPAGATION_S, LOAD = 0.010, 0.020, 0.7
PAYLOAD_BYTES, UPLINK_BIT_PER_S = 10_000.0, 8e6
TX_W, BUSY_W = 5.47876, 325.0  # wifi_2012 at 8 Mbit/s and rtx3090; checked below


@register("strategy", "benchmark_offload")
class Offload(Strategy[NoParams]):
    """Ask a policy, upload, infer in the cloud; the reply is left out, as in the system above."""

    def serve(self, task, ctx):
        """Answer a task."""
        if not self.uploads(task):
            edge = yield ctx.infer(task.device, task)
            return Answer(edge.label, at=task.device, by=edge)
        cloud = ctx.near(task.device, "cloud")
        yield ctx.send(task.device, cloud, task.payload_bytes)
        prediction = yield ctx.infer(cloud, task)
        return Answer(prediction.label, at=cloud, by=prediction)

    def uploads(self, task) -> bool:
        """Say yes, always: the policy."""
        return task.payload_bytes > 0.0


class _Wrapped(Offload):
    """Both steps under a join, a race, or an unneeded time-out: what each costs more."""

    def serve(self, task, ctx):
        cloud = ctx.near(task.device, "cloud")
        yield self.wrap(ctx, ctx.send(task.device, cloud, task.payload_bytes))
        _, prediction = yield self.wrap(ctx, ctx.infer(cloud, task))
        return Answer(prediction.label, at=cloud, by=prediction)


@register("strategy", "benchmark_join")
class Joined(_Wrapped):
    """Join each step with another that is over at once."""

    def wrap(self, ctx, operation):
        """Give the operation that is yielded instead."""
        return ctx.all(ctx.after(0.0), operation)


@register("strategy", "benchmark_race")
class Raced(_Wrapped):
    """Race each step against something that never happens."""

    def wrap(self, ctx, operation):
        """Give the operation that is yielded instead."""
        return ctx.first(operation, ctx.until("end_of_phase", "nowhere"))


@register("strategy", "benchmark_timeout")
class TimedOut(_Wrapped):
    """Give each step a time-out that is never hit."""

    def wrap(self, ctx, operation):
        """Give the operation that is yielded instead."""
        return ctx.first(operation, ctx.after(10.0))


class Unwritten(Recorder):
    """Makes rows as ever, but no columns and no file of them."""

    def _flush(self) -> None:
        self._counts += self._count_group()
        self._joules = self._sum_joules()
        self._n = 0


def scenario(
    folder: Path,
    n_devices: int,
    horizon_s: float,
    strategy: str,
    engine: str = "event",
    discipline: str = "fifo",
) -> Path:
    """Write the system as a scenario file."""
    path = folder / "benchmark.yaml"
    tables = {
        role: {"predictions": "logits.npz", "work": {"macs": 1e6}} for role in ("edge", "cloud")
    }
    path.write_text(
        yaml.safe_dump(
            {
                "name": "benchmark",
                "data": {"name": "digits"},
                "stream": {
                    "schedule": {"kind": "class_incremental", "base_classes": 5, "increment": 5},
                    "phase": f"{horizon_s / 2} s",
                    "arrivals": {"kind": "poisson", "rate": "1 /s"},
                    "payload": f"{PAYLOAD_BYTES} B",
                },
                "topology": {
                    "nodes": {
                        "cam": {"count": n_devices, "tier": "edge", "card": "darwin3"},
                        "cloud": {"tier": "cloud", "card": "rtx3090", "discipline": discipline},
                    },
                    "links": [
                        {
                            "between": ["cam", "cloud"],
                            "card": "wifi_2012",
                            "uplink": f"{UPLINK_BIT_PER_S} bit/s",
                            "latency": f"{PROPAGATION_S} s",
                            "radio": False,
                        }
                    ],
                },
                "models": tables,
                "strategies": [{"name": strategy}],
                "run": {"engine": engine},
            }
        )
    )
    return path


def system(
    folder: Path,
    n_devices: int,
    horizon_s: float,
    strategy: str,
    engine: str = "event",
    discipline: str = "fifo",
) -> System:
    """Build the system; the service time of the cloud is set to 0.7 / N s, which no card has."""
    logits = np.random.default_rng(0).normal(size=(1797, 10))
    np.savez(folder / "logits.npz", logits=logits)
    loaded = load(
        scenario(folder, n_devices, horizon_s, strategy, engine, discipline), lookup=lookup()
    )
    built = build(loaded, None, Progress())
    service_s = LOAD / n_devices

    def price(work: Any) -> tuple[float, float]:
        seconds = service_s * work.steps + work.macs * 0.0 + work.sops * 0.0  # as costs/counted.py
        joules = work.macs * 0.0 + work.sops * 0.0 + work.neuron_updates * 0.0 + BUSY_W * seconds
        return seconds, joules

    nodes = [
        replace(plan, inference=replace(plan.inference, price=price))
        if plan.tier == "cloud" else plan for plan in built.nodes
    ]  # fmt: skip
    return replace(built, nodes=tuple(nodes))


class Case:
    """One size of the system, and the models of it; each gives CPU seconds and sojourns."""

    def __init__(
        self,
        folder: Path,
        n_devices: int,
        n_tasks: int,
        strategy: str,
        engine: str = "event",
        discipline: str = "fifo",
    ):
        self.folder = folder
        self.n_devices = n_devices
        self.horizon_s = n_tasks / n_devices
        self.service_s = LOAD / n_devices
        self.system = system(folder, n_devices, self.horizon_s, strategy, engine, discipline)
        self.names = self.system.devices
        self.world_seed = self.system.scenario.seeds.world

    def times(self) -> list[Iterator[float]]:
        """Give the arrivals of each device, drawn in blocks from its own stream."""
        poisson, streams = Poisson(Poisson.Params(rate=1.0)), Streams(self.world_seed)
        return [
            (t for block in poisson.blocks(streams("arrivals", name), self.horizon_s)
             for t in block.tolist())
            for name in self.names
        ]  # fmt: skip

    def ecsim(self, make_recorder: type[Recorder] = Recorder) -> Callable[[], None]:
        """Give the whole arm to run."""
        arm_folder = Path(tempfile.mkdtemp(dir=self.folder))
        recorder = make_recorder(arm_folder)
        entry = self.system.scenario.strategies[0]

        def run() -> None:
            with recorder:
                Arm(self.system, entry, {}, recorder, Progress()).run()

        self.table = arm_folder / "tasks.parquet"
        return run

    def ecsim_sojourns(self) -> np.ndarray:
        """Give the sojourns of the last arm by time of arrival, from its table."""
        import pyarrow.parquet as pq

        table = pq.read_table(self.table, columns=["t_arrive_s", "latency_s"]).to_pandas()
        return table.sort_values("t_arrive_s")["latency_s"].to_numpy()

    def usual_simpy(self) -> Callable[[], list[tuple[float, float]]]:
        """Give the model that a SimPy tutorial leads to."""

        def task(env, uplink, server, t0):
            with uplink.request() as request:
                yield request
                yield env.timeout(SERIALISATION_S)
            yield env.timeout(PROPAGATION_S)
            with server.request() as request:
                yield request
                yield env.timeout(self.service_s)
            sojourns.append((t0, env.now - t0))

        def source(env, rng, server):
            uplink = simpy.Resource(env)
            while True:
                yield env.timeout(rng.exponential(1.0))  # the same draws as a block's
                if env.now >= self.horizon_s:
                    return
                env.process(task(env, uplink, server, env.now))

        def run() -> list[tuple[float, float]]:
            env = simpy.Environment()
            server = simpy.Resource(env)
            streams = Streams(self.world_seed)
            for name in self.names:
                env.process(source(env, streams("arrivals", name), server))
            env.run()
            return sojourns

        sojourns: list[tuple[float, float]] = []
        return run

    def usual_simpy_recorded(self) -> Callable[[], list[tuple[float, float]]]:
        """Give the usual model with what ecsim also does: policy, records and meters."""
        stream = self.system.tasks()
        by_device: dict[str, deque] = {name: deque() for name in self.names}
        for item in stream:  # samples and phases are drawn before the clock runs, at no cost here
            by_device[item.device].append(item)
        labels = self.system.data.labels.tolist()
        predictor, model = self.system.predictors["cloud"], self.system.first["cloud"]
        policy = Offload(NoParams()).uploads
        writer = open_writer(Path(tempfile.mkdtemp(dir=self.folder)) / "tasks.parquet", TASKS)
        names = TASKS.names
        zeros = {
            f"{stage}_{what}": 0.0 for stage in STAGES for what in ("wait_s", "service_s", "j")
        }

        def task(env, uplink, radio, receiver, server, engine, item):
            if not policy(item):
                return
            asked_s = env.now
            with uplink.request() as request:
                yield request
                up_wait_s = env.now - asked_s
                radio.set("tx")
                receiver.set("rx")
                yield env.timeout(SERIALISATION_S)
                radio.set("idle")
                receiver.set("idle")
            yield env.timeout(PROPAGATION_S)
            asked_s = env.now
            prediction = predictor.predict(model, item.sample_id)
            with server.request() as request:
                yield request
                cloud_wait_s = env.now - asked_s
                engine.set("active")
                yield env.timeout(self.service_s)
                engine.set("idle")
            row = {
                "strategy": "usual", "task_id": item.id, "device": item.device,
                "phase": item.phase, "visit": item.visit, "sample_id": item.sample_id,
                "status": "answered" if env.now < self.horizon_s else "late",
                "t_arrive_s": item.t_arrive_s, "t_answer_s": env.now,
                "latency_s": env.now - item.t_arrive_s, **zeros,
                "propagation_s": PROPAGATION_S, "route": "cloud", "uploaded": True,
                "label": labels[item.sample_id], "predicted": prediction.label,
                "correct": labels[item.sample_id] == prediction.label, "seen": True,
                "new_in_phase": False, "normalized_entropy": None, "model_version": 0,
                "model_key": model.key, "exit": 0, "deadline_met": None, "wasted_j": 0.0,
                "corruption": "",
                "energy_j": TX_W * SERIALISATION_S + BUSY_W * self.service_s,
                "up_bytes": item.payload_bytes, "down_bytes": 0.0,
            }  # fmt: skip
            row["up_wait_s"], row["up_service_s"] = up_wait_s, SERIALISATION_S
            row["cloud_wait_s"], row["cloud_service_s"] = cloud_wait_s, self.service_s
            row["up_j"], row["cloud_j"] = TX_W * SERIALISATION_S, BUSY_W * self.service_s
            rows.append(row)
            sojourns.append((item.t_arrive_s, row["latency_s"]))
            if len(rows) == ROW_GROUP:
                flush()

        def flush() -> None:
            columns = [pa.array([row[name] for row in rows]) for name in names]
            table = pa.Table.from_arrays(columns, names=list(names)).cast(schema(TASKS))
            writer.write_table(table, ROW_GROUP)
            rows.clear()

        def source(env, items, receiver, server, engine):
            uplink = simpy.Resource(env)
            radio = UsualMeter(env, {"idle": 0.0, "tx": TX_W})
            for item in items:
                yield env.timeout(item.t_arrive_s - env.now)
                env.process(task(env, uplink, radio, receiver, server, engine, item))

        def run() -> list[tuple[float, float]]:
            env = simpy.Environment()
            server = simpy.Resource(env)
            engine = UsualMeter(env, {"idle": 25.0, "active": BUSY_W})
            for items in by_device.values():
                receiver = UsualMeter(env, {"idle": 0.0, "rx": 0.0})
                env.process(source(env, items, receiver, server, engine))
            env.run()
            flush()
            writer.close()
            return sojourns

        rows: list[dict[str, Any]] = []
        sojourns: list[tuple[float, float]] = []
        return run

    def heapq(self) -> Callable[[], list[tuple[float, float]]]:
        """Give the system by hand."""

        def seated(seat: int, times: Iterator[float]) -> Iterator[tuple[float, int]]:
            return ((t, seat) for t in times)

        def run() -> list[tuple[float, float]]:
            arrivals = merge(*(seated(*pair) for pair in enumerate(self.times())))
            link_free, server_free = [0.0] * self.n_devices, 0.0
            queue: list[tuple[float, int, float, bool]] = []
            sojourns, number = [], 0
            arrival = next(arrivals, None)
            while queue or arrival is not None:
                if arrival is not None and (not queue or arrival[0] < queue[0][0]):
                    t0, seat = arrival
                    free = max(link_free[seat], t0) + SERIALISATION_S
                    link_free[seat] = free
                    number += 1
                    heappush(queue, (free + PROPAGATION_S, number, t0, False))
                    arrival = next(arrivals, None)
                    continue
                now, _, t0, is_served = heappop(queue)
                if is_served:
                    sojourns.append((t0, now - t0))
                else:
                    server_free = max(server_free, now) + self.service_s
                    number += 1
                    heappush(queue, (server_free, number, t0, True))
            return sojourns

        return run


class UsualMeter:
    """Integrates power over the time in each state, touched at every change."""

    def __init__(self, env: simpy.Environment, watts: dict[str, float]):
        self.env = env
        self.watts = watts
        self.state, self.since_s = "idle", env.now
        self.seconds = dict.fromkeys(watts, 0.0)
        self.joules = dict.fromkeys(watts, 0.0)

    def set(self, state: str) -> None:
        """Enter a state."""
        passed_s = self.env.now - self.since_s
        self.seconds[self.state] += passed_s
        self.joules[self.state] += passed_s * self.watts[self.state]
        self.state, self.since_s = state, self.env.now


def cpu_s(run: Callable[[], Any]) -> tuple[float, Any]:
    """Give the CPU seconds of a call, garbage of others collected before, and its result."""
    gc.collect()
    begin = time.process_time()
    result = run()
    return time.process_time() - begin, result


def in_order(sojourns: list[tuple[float, float]]) -> np.ndarray:
    """Give the sojourns by time of arrival."""
    return np.array(sorted(sojourns))[:, 1]


def agree(case: Case, name: str, found: np.ndarray, right: np.ndarray) -> None:
    """Stop unless two models give every task the same sojourn, to the clock's rounding."""
    error_s = np.abs(found - right).max() if found.shape == right.shape else np.inf
    if not error_s <= 64 * np.spacing(case.horizon_s):
        sys.exit(f"{name} and ecsim differ by {error_s} s: {found.mean()} and {right.mean()}")


def rounds(case: Case, names: list[str], n_rounds: int) -> dict[str, float]:
    """Give the median CPU seconds of each model over interleaved rounds."""
    spent: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(n_rounds):
        sojourns = {}
        for name in names:
            seconds, result = cpu_s(getattr(case, name)())
            spent[name].append(seconds)
            sojourns[name] = case.ecsim_sojourns() if result is None else in_order(result)
        for name in names:
            agree(case, name, sojourns[name], sojourns["ecsim"])
        case.n_tasks, case.mean_sojourn_s = len(sojourns["ecsim"]), sojourns["ecsim"].mean()
    return {name: statistics.median(times) for name, times in spent.items()}


def peak_mb() -> float:
    """Give the largest resident size of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # what `getrusage` tells includes the process that started this one
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def million(n_devices: int, n_tasks: int) -> dict[str, float]:
    """Simulate many tasks in this process and give its peak memory; call it in a fresh one."""
    with tempfile.TemporaryDirectory() as name:
        case = Case(Path(name), n_devices, n_tasks, "benchmark_offload")
        before = peak_mb()
        seconds, _ = cpu_s(case.ecsim())
        size_mb = case.table.stat().st_size / 1e6
    return {
        "tasks": n_tasks,
        "peak_rss_before_mb": before,
        "peak_rss_mb": peak_mb(),
        "growth_mb": peak_mb() - before,
        "cpu_s": seconds,
        "parquet_mb": size_mb,
    }


def whole(n_devices: int, n_tasks: int) -> dict[str, float]:
    """Give the peak memory of `ecsim run`, figures and all; call it in a fresh process.

    The command's own scenario: models as tables, a reply for every task, one strategy.
    """
    from ecsim.cli.main import cli

    with tempfile.TemporaryDirectory() as name:
        logits = np.random.default_rng(0).normal(size=(1797, 10))
        np.savez(Path(name) / "logits.npz", logits=logits)
        path = scenario(Path(name), n_devices, n_tasks / n_devices, "cloud_only")
        command = ["run", str(path), "--out", str(Path(name) / "runs"), "--quiet"]
        seconds, _ = cpu_s(lambda: cli(command, standalone_mode=False))
    return {"peak_rss_mb": peak_mb(), "cpu_s": seconds}


def disciplines(folder: Path, args: argparse.Namespace) -> dict[str, float]:
    """Give the CPU time per task with other engines in the cloud, as ratios to the FIFO one."""
    names = ("fifo", "priority", "sharing")
    cases = {
        name: Case(folder, args.devices, args.tasks, "benchmark_offload", discipline=name)
        for name in names
    }
    spent: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(args.rounds):
        for name, case in cases.items():
            spent[name].append(cpu_s(case.ecsim())[0])
    medians = {name: statistics.median(times) for name, times in spent.items()}
    return {name: medians[name] / medians["fifo"] for name in names[1:]}


def kernel_parts(n: int, n_rounds: int) -> dict[str, float]:
    """Give the CPU microseconds of single things of the kernel, per use."""

    def drive(*makers: Callable[[World, FifoServer], Any]) -> None:
        world = World()
        server = FifoServer(world, "server")

        def flow() -> Any:
            for _ in range(n):
                for make in makers:
                    yield make(world, server)

        world.spawn(flow())
        world.run()

    parts = {
        "use": lambda: drive(lambda world, server: Use(server, 1.0)),
        "after": lambda: drive(lambda world, server: After(1.0)),
    }
    spent: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(n_rounds):
        for name, run in parts.items():
            spent[name].append(cpu_s(run)[0])
    return {name: statistics.median(times) / n * 1e6 for name, times in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--tasks", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="the three main models only")
    parser.add_argument("--million", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--whole", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.million:
        print(json.dumps(million(args.devices, args.million)))
        return
    if args.whole:
        print(json.dumps(whole(args.devices, args.whole)))
        return
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(measure(args, Path(name)), indent=2))


def engines(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Compare the two engines on `cloud_only` (a reply comes back), with and without writing."""
    cases = {
        engine: Case(folder, args.devices, 5 * args.tasks, "cloud_only", engine)
        for engine in ("event", "vectorised")
    }
    spent: dict[str, list[float]] = {}
    for _ in range(args.rounds):
        tables = []
        for engine, case in cases.items():
            for what, recorder in (("", Recorder), ("_before_writing", Unwritten)):
                seconds, _ = cpu_s(case.ecsim(recorder))
                spent.setdefault(engine + what, []).append(seconds)
                if not what:
                    tables.append(case.ecsim_sojourns())
        if not np.array_equal(*tables):
            sys.exit("the engines differ")
    n = len(tables[0])
    per_s = {name: n / statistics.median(times) for name, times in spent.items()}
    return {
        **{f"tasks_per_cpu_s_{name}": value for name, value in per_s.items()},
        "ratio": per_s["vectorised"] / per_s["event"],
        "ratio_before_writing": (
            per_s["vectorised_before_writing"] / per_s["event_before_writing"]
        ),
    }


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run everything and give the report."""
    case = Case(folder, args.devices, args.tasks, "benchmark_offload")
    names = ["ecsim", "usual_simpy", "heapq"]
    if not args.quick:
        names.append("usual_simpy_recorded")
    spent = rounds(case, names, args.rounds)
    per_s = {name: case.n_tasks / seconds for name, seconds in spent.items()}
    report = {
        "compiled": compiled.is_used,
        "devices": args.devices,
        "tasks": case.n_tasks,
        "rounds": args.rounds,
        "mean_sojourn_s": case.mean_sojourn_s,
        **{f"tasks_per_cpu_s_{name}": value for name, value in per_s.items()},
        **{f"ratio_ecsim_to_{name}": per_s["ecsim"] / per_s[name] for name in names[1:]},
        "peak_rss_mb": peak_mb(),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    if args.quick:
        return report
    base = spent["ecsim"] / case.n_tasks
    apart = {}
    for strategy in ("benchmark_join", "benchmark_race", "benchmark_timeout"):
        other = Case(folder, args.devices, args.tasks, strategy)
        times = [cpu_s(other.ecsim())[0] for _ in range(args.rounds)]
        apart[strategy.removeprefix("benchmark_")] = (
            (statistics.median(times) / case.n_tasks - base) / 2 * 1e6
        )
    report["extra_us_per_use"] = apart
    report["disciplines_to_fifo"] = disciplines(folder, args)
    report["vectorised"] = engines(folder, args)
    # the same horizon, and so ten times the tasks too
    larger = Case(folder, 10 * args.devices, 10 * args.tasks, "benchmark_offload")
    both = {"small": [], "large": []}
    for _ in range(args.rounds):
        both["small"].append(cpu_s(case.ecsim())[0] / case.n_tasks)
        both["large"].append(cpu_s(larger.ecsim())[0] / len(larger.ecsim_sojourns()))
    ratio = statistics.median(both["large"]) / statistics.median(both["small"])
    report["ten_times_the_devices_per_task"] = ratio
    report["kernel_us"] = kernel_parts(args.tasks, args.rounds)
    for what, name in (("--million", "million_tasks"), ("--whole", "million_tasks_whole_run")):
        command = [sys.executable, __file__, what, "1000000", "--devices", str(args.devices)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        report[name] = json.loads(done.stdout)
    return report


if __name__ == "__main__":
    main()
