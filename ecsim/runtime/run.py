"""From a scenario to a whole run in the store."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

import ecsim
from ecsim import compiled
from ecsim.core.registry import plugin_sources
from ecsim.learning.cache import ArtefactCache
from ecsim.records.arrow import read_tables
from ecsim.records.memory import release
from ecsim.records.metrics import Summary, metric, summarise
from ecsim.records.recorder import Recorder
from ecsim.records.store import Run, RunWriter
from ecsim.runtime.arm import Arm, ArmResult
from ecsim.runtime.build import build
from ecsim.runtime.lookup import constants_used, lookup
from ecsim.runtime.positions import at
from ecsim.runtime.progress import Progress
from ecsim.runtime.system import System
from ecsim.scenario import assertion
from ecsim.scenario.dump import chosen_names, dump, files_of, scenario_hash
from ecsim.scenario.load import Loaded, load
from ecsim.scenario.strategy import StrategyEntry

_LIBRARIES = ("torch", "numpy", "simpy", "networkx", "pandas", "pyarrow", "scikit-learn")
_NOTHING: Mapping[str, object] = MappingProxyType({})


def run_scenario(
    path: str | os.PathLike[str],
    *,
    overrides: Mapping[str, object] = _NOTHING,
    out: str | Path = "results",
    progress: Progress | None = None,
    cache: ArtefactCache | None = None,
    decorate: Callable[[Summary, Path], Any] | None = None,
) -> Run:
    """Simulate a scenario and give the finished run.

    Parameters
    ----------
    overrides : values by key, as ``--set``.
    out : folder of the runs; the run's own folder is named after the scenario and its hash.
    cache : of trained artefacts; by default the user's.
    decorate : adds to the run's folder (figures) before the run becomes visible.

    Raises
    ------
    ScenarioError, DataError, StoreError : the user's input is wrong; nothing is written.
    ConservationError : the books do not balance; nothing is written.
    """
    loaded = load(path, lookup=lookup(), overrides=overrides)
    return simulate(loaded, out=out, progress=progress, cache=cache, decorate=decorate)


def simulate(
    loaded: Loaded,
    *,
    out: str | Path,
    name: str | None = None,
    progress: Progress | None = None,
    cache: ArtefactCache | None = None,
    decorate: Callable[[Summary, Path], Any] | None = None,
) -> Run:
    """Simulate a loaded scenario, as `run_scenario` does.

    Parameters
    ----------
    name : of the run's folder; by default that of the scenario and its hash.
    """
    progress = progress or Progress()
    started = (time.perf_counter(), _cpu_s())
    scenario = loaded.scenario
    own_name, digest = identity(loaded)
    system = build(loaded, cache or ArtefactCache(warn=progress.note), progress)
    with RunWriter(out, name or own_name) as writer:
        with Recorder(writer.path, len(system.data.labels)) as recorder:
            results: dict[str, ArmResult] = {}
            for entry in in_order(scenario.strategies):
                with at(loaded, ("strategies", scenario.strategies.index(entry))):
                    results[entry.label] = Arm(system, entry, results, recorder, progress).run()
        release()
        summary = summarise(
            **read_tables(writer.path),
            warmup_s=scenario.run.warmup,
            horizon_s=system.horizon_s,
            labels=[entry.label for entry in scenario.strategies],
        )
        release()
        if not any(of["n"] for of in summary.values()):
            progress.note("no task arrived: the run is empty")
        if decorate is not None:
            decorate(summary, writer.path)
        manifest = _manifest(loaded, system, digest, summary, started)
        manifest["warnings"] += [text for of in results.values() for text in of.warnings]
        manifest["engines"] = {label: result.engine for label, result in results.items()}
        return writer.commit(manifest, summary)


def identity(loaded: Loaded) -> tuple[str, str]:
    """Give the name of a scenario's run in the store, and the full hash behind it."""
    scenario = loaded.scenario
    digest = run_hash(scenario_hash(scenario), plugin_sources(chosen_names(scenario)))
    return f"{scenario.name}-{digest[:8]}", digest


def in_order(entries: Iterable[StrategyEntry]) -> list[StrategyEntry]:
    """Give the entries so that each comes after those it refers to; the loader refused cycles.

    >>> in_order([])
    []
    """
    waiting, ordered, done = list(entries), [], {"own", None}
    while waiting:
        entry = next(e for e in waiting if e.matches in done and e.versions in done)
        waiting.remove(entry)
        ordered.append(entry)
        done.add(entry.label)
    return ordered


def run_hash(scenario_digest: str, plugins: Mapping[str, str]) -> str:
    """Give the run's identity: the scenario's, and the plugins' where it uses any."""
    if not plugins:
        return scenario_digest
    parts = [scenario_digest, *(f"{name} {digest}" for name, digest in plugins.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def check_assertions(loaded: Loaded, summary: Summary) -> list[dict[str, Any]]:
    """Give each `assert:` entry with whether it holds and the figures behind it."""

    def value(label: str, path: str) -> float:
        return metric(summary, label, path)

    parsed = [assertion.parse(text) for text in loaded.scenario.assertions]
    return [
        {"text": entry.text, "holds": entry.evaluate(value), "values": entry.describe(value)}
        for entry in parsed
    ]


def _manifest(
    loaded: Loaded,
    system: System,
    digest: str,
    summary: Summary,
    started: tuple[float, float],
) -> dict[str, Any]:
    scenario = loaded.scenario
    return {
        "scenario": dump(scenario),
        "scenario_file": loaded.path.name,
        "scenario_sha256": digest,
        "seeds": scenario.seeds.model_dump(),
        "assertions": check_assertions(loaded, summary),
        "boundary": system.costs.boundary,
        "constants": constants_used(loaded),
        "cost_bases": system.bases,
        "warnings": system.warnings,
        "horizon_s": system.horizon_s,
        "warmup_s": scenario.run.warmup,
        "class_groups": [list(group) for group in system.schedule.groups],
        "data_sha256": system.data.fingerprint,
        "pools": {name: getattr(system.pools, name).tolist() for name in system.pools.__slots__},
        "trainings": [
            {"what": made.what, "key": made.key, "cached": made.is_cached, "seconds": made.seconds,
             "metrics": made.metrics}
            for made in system.versions.made
        ],
        "versions": {
            "ecsim": ecsim.__version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in _LIBRARIES},
        },
        "compiled": compiled.is_used,
        "git": _git_revision(),
        "plugins": plugin_sources(chosen_names(scenario)),
        "files_sha256": {
            file.text: hashlib.sha256(file.path.read_bytes()).hexdigest()
            for file in files_of(scenario)
        },
        "compute": {"device": system.compute.kind, "tag": system.compute.tag},
        "machine": {
            "platform": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "wall_s": time.perf_counter() - started[0],
        "cpu_s": _cpu_s() - started[1],
    }  # fmt: skip


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system


def _git_revision() -> str | None:
    """Give the revision of ecsim's own checkout; None when it does not run from one."""
    folder = Path(__file__).parent
    try:
        described = subprocess.run(
            ["git", "rev-parse", "--show-toplevel", "HEAD"],  # noqa: S607
            cwd=folder, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    top, revision = described.stdout.split("\n")[:2]
    # installed into somebody else's checkout, the revision would be theirs
    return revision if Path(top).resolve() == folder.parents[1].resolve() else None
