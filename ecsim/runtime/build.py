"""From a scenario to the system that all arms share; nothing is trained yet."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from ecsim import compiled
from ecsim.collab.outline import Outline
from ecsim.collab.strategy import Strategy
from ecsim.core import registry
from ecsim.core.errors import Problem, ScenarioError, UserError
from ecsim.costs.model import CostModel
from ecsim.data.dataset import Dataset
from ecsim.learning.cache import ArtefactCache
from ecsim.learning.compute import Compute
from ecsim.learning.versions import VersionStore
from ecsim.runtime.engines import at_operating_point, with_batches
from ecsim.runtime.lookup import costs_of
from ecsim.runtime.models import Models
from ecsim.runtime.network import link_plans
from ecsim.runtime.positions import at, cards_of
from ecsim.runtime.progress import Progress
from ecsim.runtime.system import NodePlan, System, devices_of
from ecsim.scenario.load import Loaded
from ecsim.scenario.messages import not_one_of
from ecsim.scenario.models import Predictions
from ecsim.scenario.schema import Scenario
from ecsim.scenario.topology import member_of
from ecsim.streams.corruptions import Corruptions, Spell
from ecsim.streams.pools import Pools, split

_MOST_TASKS = 1e9
_MANY_TASKS = 20e6  # of all strategies together
_PER_S = {True: 100_000.0, False: 50_000.0}  # tasks that a core manages in C and in Python, roughly


def build(loaded: Loaded, cache: ArtefactCache | None, progress: Progress) -> System:
    """Build what the arms share; nothing is trained yet.

    Raises
    ------
    ScenarioError : for what only the data set can tell, such as more base classes than classes.
    DataError : when the data set or a file of weights or predictions does not fit.
    """
    scenario = loaded.scenario
    _refuse_what_has_no_effect(loaded)
    data: Dataset = registry.resolve("data", scenario.data.name)(scenario.data.params).load()
    order = scenario.seeds.order
    make_schedule = registry.resolve("schedule", scenario.stream.schedule.name)
    with at(loaded, ("stream", "schedule")):
        schedule = make_schedule(scenario.stream.schedule.params, data.n_classes, order % (1 << 32))
    with at(loaded, ("data", "pools")):
        pools = _pools(scenario, data)
    costs = costs_of(loaded)
    compute = Compute(scenario.compute.device, scenario.compute.threads, scenario.compute.precision)
    versions = VersionStore(cache, progress.training)
    corruptions = _corruptions(loaded, data)
    models = Models(loaded, data, pools, schedule, compute, versions, corruptions)
    cloud, cloud_predictor = models.cloud()
    edge, edge_predictor = models.edge(cloud)
    system = System(
        scenario=scenario,
        data=data,
        pools=pools,
        schedule=schedule,
        nodes=tuple(_nodes(loaded, costs)),
        links=tuple(
            link_plans(
                loaded,
                costs,
                scenario.stream.payload or data.sample_bytes,
                cards_of(scenario, "links"),
            )
        ),
        costs=costs,
        versions=versions,
        predictors={"edge": edge_predictor, "cloud": cloud_predictor},
        first={"edge": edge, "cloud": cloud},
        update=models.update(edge),
        compute=compute,
        corruptions=corruptions,
    )
    n_asked = scenario.run.tasks
    if n_asked is not None:  # before so many arrivals are drawn
        _say_if_long(float(n_asked), scenario, progress)
    system.check_run(loaded)
    if n_asked is None:
        _say_if_long(_expected(system, system.horizon_s), scenario, progress)
    first_s = min(system.delays_s.values())
    system = replace(system, later_clouds=models.later_clouds(first_s, system.horizon_s))
    _check_tasks_and_engines(loaded, system)
    _check_strategies(loaded, system)
    return system


def _pools(scenario: Scenario, data: Dataset) -> Pools:
    asked = scenario.data
    shares = {name: getattr(asked.pools, name) for name in Pools.__slots__}
    test = None
    if asked.pools.probe == "test":
        if not len(data.test):
            raise UserError(f"probe: the data set {data.name!r} has no test part of its own")
        test, shares["probe"] = data.test, 0.0
    return split(
        data.labels, shares, scenario.seeds.data,
        test=test, n_samples=asked.samples, n_test=asked.test_samples,
    )  # fmt: skip


def _corruptions(loaded: Loaded, data: Dataset) -> Corruptions | None:
    """Give which device sees what when; raises `ScenarioError` for devices there are not."""
    entries = loaded.scenario.stream.corruptions
    if not entries:
        return None
    devices = devices_of(loaded.scenario)
    found = Corruptions(len(data.labels))
    for i, entry in enumerate(entries):
        chosen = []
        for j, wanted in enumerate(entry.devices or ()):
            named = [d for d in devices if wanted in (d, (member_of(d) or (d, 0))[0])]
            if not named:
                message = not_one_of(wanted, devices, "device at which tasks arrive")
                place = ("stream", "corruptions", i, "devices", j)
                raise ScenarioError([loaded.problem(place, message)])
            chosen += named
        until_s = math.inf if entry.until is None else entry.until
        spell = Spell(entry.kind, entry.severity, entry.from_, until_s, entry.gradual)
        with at(loaded, ("stream", "corruptions", i)):
            found.add(spell, list(dict.fromkeys(chosen)) or devices)
    for role, spec in (
        ("edge", loaded.scenario.models.edge),
        ("cloud", loaded.scenario.models.cloud),
    ):
        if isinstance(spec, Predictions):
            message = f"needs networks to predict corrupted samples; models.{role} is a table"
            raise ScenarioError([loaded.problem(("stream", "corruptions"), message)])
    return found


def _refuse_what_has_no_effect(loaded: Loaded) -> None:
    """Refuse keys that a published table would silently ignore."""
    scenario = loaded.scenario
    if scenario.costs.name != "published":
        return
    problems = [
        loaded.problem(("topology", "links", i, key), "has no effect with costs: published")
        for i, link in enumerate(scenario.topology.links)
        for key in ("uplink", "downlink", "latency")
        if getattr(link, key) is not None
    ]
    problems += [
        loaded.problem(("topology", "nodes", name, "background"), "is not in a published table")
        for name, node in scenario.topology.nodes.items()
        if node.background is not None
    ]
    if problems:
        raise ScenarioError(problems)


def _say_if_long(n: float, scenario: Scenario, progress: Progress) -> None:
    """Say how many tasks a strategy is expected to have where they will take long."""
    n_arms = len(scenario.strategies)
    if n * n_arms <= _MANY_TASKS or n > _MOST_TASKS:
        return
    hours = n * n_arms / _PER_S[compiled.is_used] / 3600.0
    progress.note(
        f"about {n:.2g} tasks per strategy are expected: some {hours:.1g} h "
        "of computing, and a row per task on the disk; run.tasks or run.horizon say how many"
    )


def _expected(system: System, horizon_s: float) -> float:
    """Give the mean number of tasks in a run; 0 where the arrivals do not say."""
    rate: float = getattr(system.arrivals(), "mean_per_s", 0.0)
    return rate * horizon_s * len(system.devices)


def _check_tasks_and_engines(loaded: Loaded, system: System) -> None:
    scenario = system.scenario
    problems = []
    expected = _expected(system, system.horizon_s)
    if expected > _MOST_TASKS:
        message = f"expected at most {_MOST_TASKS:.0e} tasks in the run, got about {expected:.1e}"
        problems.append(loaded.problem(("stream", "arrivals"), message))
    trains = {plan.name: (plan.host or plan.inference).can_train for plan in system.nodes}
    for group, node in scenario.topology.nodes.items():
        cannot = not all(trains[name] for name in node.names(group))
        in_cloud = system.update is not None and system.update.in_cloud
        if system.update is not None and (node.tier == "cloud") == in_cloud and cannot:
            key = "host" if node.host else "card"
            what = "cloud" if in_cloud else "device"
            message = f"expected a {what} that can train, or a host that can, for learning.update"
            problems.append(loaded.problem(("topology", "nodes", group, key), message))
    edge, cloud = system.first["edge"], system.first["cloud"]
    missing = sorted(set(edge.classes) - set(cloud.classes))
    if missing and system.update is not None:
        message = f"expected a cloud that knows the edge's classes {missing} too, to learn from"
        problems.append(loaded.problem(("models", "cloud"), message))
    if problems:
        raise ScenarioError(problems)


def _check_strategies(loaded: Loaded, system: System) -> None:
    """Let each strategy see whether its keys fit the scenario; say of all of them what does not."""
    outline = Outline(
        {plan.name: plan.tier for plan in system.nodes},
        system.devices,
        system.first,
        system.predictors,
        system.scenario.stream.deadline is not None,
        system.update is not None,
    )
    problems: list[Problem] = []
    for i, entry in enumerate(system.scenario.strategies):
        strategy: Strategy[object] = registry.resolve("strategy", entry.name)(entry.params)
        try:
            with at(loaded, ("strategies", i)):
                strategy.check(outline)
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)


def _nodes(loaded: Loaded, costs: CostModel) -> Iterator[NodePlan]:
    devices = cards_of(loaded.scenario, "devices")
    plan: NodePlan | None = None
    known = ""
    for name, node in loaded.scenario.topology.expanded():
        card = devices[node.card]
        group = (member_of(name) or (name, 0))[0]
        if plan is not None and group == known:  # members of a group share their price lists
            yield replace(plan, name=name)
            continue
        with at(loaded, ("topology", "nodes", group, "card")):
            inference = with_batches(costs.engine(card, node.tier), card, node)
        host_card = node.host or (None if inference.can_train else card.host)
        host = costs.engine(devices[host_card], node.tier) if host_card else None
        known = group
        plan = NodePlan(
            name,
            node.tier,
            at_operating_point(inference, node),
            at_operating_point(host, node) if host else None,
            node,
            (node.background.rate, node.background.service) if node.background else None,
            node.card,
            host_card,
            node.needs_events,
            card.get("memory", math.inf) if node.memory is None else node.memory,
        )
        yield plan
