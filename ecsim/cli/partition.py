"""The command `partition`: the layer graph of a network, and where it is best cut."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecsim.cli.console import console, table
from ecsim.cli.options import as_json, in_unit, keys_and_values, plugins, sample_shape
from ecsim.core.errors import UserError

if TYPE_CHECKING:
    from ecsim.costs.cards import Card
    from ecsim.partition.problem import Estimate, PartitionPlan, PartitionProblem

_TIERS = {"end": "raspberry_pi_4b", "edge": "jetson_orin_nano", "cloud": "rtx3090"}


@click.command()
@click.argument("model")
@click.option(
    "--between", required=True, metavar="A,B[,C]",
    help="Nodes of the route, the device first: device cards, or the tiers end, edge and cloud "
    "(raspberry_pi_4b, jetson_orin_nano, rtx3090). TIER=CARD names both.",
)  # fmt: skip
@click.option("--link", "links", multiple=True, metavar="CARD", help="Link card of a hop, in their "
              "order; the last one holds for the rest. Default: wifi_2012.")  # fmt: skip
@click.option("--bandwidth", callback=in_unit("bit rate"), metavar="'20 Mbit/s'",
              help="Rate of the first hop, both ways, instead of its card's.")  # fmt: skip
@click.option("--latency", callback=in_unit("time"), metavar="'5 ms'",
              help="Latency of the first hop.")  # fmt: skip
@click.option("--partitioner", default=None, help="Algorithm; default neurosurgeon for two nodes, "
              "tiers for more.")  # fmt: skip
@click.option("--setting", "settings", multiple=True, callback=keys_and_values, metavar="KEY=VALUE",
              help="A key of the algorithm, such as objective=energy. Repeatable.")  # fmt: skip
@click.option("--codec", default="raw", show_default=True, help="How values that cross are coded.")
@click.option("--payload", callback=in_unit("size"), metavar="'3 kB'",
              help="Size of the sample on a link; by default one byte per value.")  # fmt: skip
@click.option("--reply", default="100 B", callback=in_unit("size"), show_default=True,
              help="Size of the answer.")  # fmt: skip
@click.option("--size", default=None, help="Size of the model, as in a scenario.")
@click.option(
    "--shape", default="3,32,32", show_default=True, callback=sample_shape, metavar="C,H,W",
    help="Shape of one sample.",
)  # fmt: skip
@click.option("--classes", default=10, show_default=True, help="Classes of the head.")
@click.option("--param", "params", multiple=True, callback=keys_and_values, metavar="KEY=VALUE",
              help="Another key of the model, as in a scenario. Repeatable.")  # fmt: skip
@click.option(
    "--input", "input_file", type=click.Path(path_type=Path), metavar="FILE.npy",
    help="Samples (N, C, H, W) to count spikes and coded bytes on; by default one random sample.",
)  # fmt: skip
@click.option("--cards", "cards_file", type=click.Path(path_type=Path), metavar="FILE.yaml",
              help="A file of your own cards.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), default=None, metavar="FILE.png",
              help="Draw the graph and its cut.")  # fmt: skip
@plugins
@as_json
def partition(
    model: str,
    between: str,
    links: tuple[str, ...],
    bandwidth: float | None,
    latency: float | None,
    partitioner: str | None,
    settings: dict[str, Any],
    codec: str,
    payload: float | None,
    reply: float,
    size: str | None,
    shape: tuple[int, ...],
    classes: int,
    params: dict[str, Any],
    input_file: Path | None,
    cards_file: Path | None,
    output: Path | None,
    plugins: tuple[Path, ...],
    as_json: bool,
) -> None:
    """List the layers of MODEL, with fresh weights, and cut them between devices."""
    from ecsim.core.registry import load_plugins

    load_plugins(plugins)
    from ecsim.costs.cards import all_cards
    from ecsim.costs.counted import Counted, CountedParams
    from ecsim.partition.codecs import codec_named
    from ecsim.partition.execution import CutNet
    from ecsim.partition.layers import layer_graph, with_codec
    from ecsim.partition.offline import problem_between
    from ecsim.partition.problem import estimate, partitioner_named
    from ecsim.profiling import layers

    codec_named(codec)
    route = _route(between, all_cards("devices", cards_file))
    hops = _hops(links or ("wifi_2012",), len(route) - 1, all_cards("links", cards_file))
    name = partitioner or ("neurosurgeon" if len(route) == 2 else "tiers")
    algorithm = partitioner_named(name, settings)
    given = params | ({"size": size} if size is not None else {})
    net = CutNet(layers.build(model, given, shape, classes), shape)
    x = layers.samples(input_file, shape)
    graph = layer_graph(net, x, any(card.calibration is not None for _, card in route))
    problem = problem_between(
        graph if codec == "raw" else with_codec(net, x, graph, codec),
        route, hops, Counted(CountedParams()),
        payload_bytes=float(math.prod(shape)) if payload is None else payload,
        reply_bytes=reply, up_bit_per_s=bandwidth, down_bit_per_s=bandwidth,
        latency_s=latency, codec=codec,
    )  # fmt: skip
    plan = algorithm.plan(problem)
    found = estimate(problem, plan.node)
    if output is not None:
        _draw(output, problem, plan, f"{model} by {name}: {1e3 * found.latency_s:.3g} ms")
    if as_json:
        click.echo(json.dumps(_plain(problem, plan, found), indent=2))
        return
    _print(problem, plan, found)
    if output is not None:
        click.echo(f"wrote {output}")


def _route(between: str, known: dict[str, Card]) -> list[tuple[str, Card]]:
    """Read the nodes: (name, card) each; a tier stands for its usual card."""
    from ecsim.scenario.messages import not_one_of

    route: list[tuple[str, Card]] = []
    for text in between.split(","):
        name, equals, card = text.strip().partition("=")
        card = card if equals else _TIERS.get(name, name)
        if card not in known:
            choice = [*known] if equals else [*_TIERS, *known]
            raise UserError(f"--between: {not_one_of(card, choice, 'tier or device card')}")
        same = sum(each == name or each.startswith(f"{name}[") for each, _ in route)
        route.append((f"{name}[{same}]" if same else name, known[card]))
    if len(route) < 2:
        raise UserError(f"--between: expected two nodes or more, such as edge,cloud, got {between}")
    return route


def _hops(names: Sequence[str], n: int, known: dict[str, Card]) -> list[Card]:
    from ecsim.scenario.messages import not_one_of

    if len(names) > n:
        raise UserError(f"--link: expected at most {n}, one per hop, got {len(names)}")
    for name in names:
        if name not in known:
            raise UserError(f"--link: {not_one_of(name, known, 'link card')}")
    return [known[names[min(i, len(names) - 1)]] for i in range(n)]


def _draw(output: Path, problem: PartitionProblem, plan: PartitionPlan, title: str) -> None:
    from ecsim.report.plots.cut import draw
    from ecsim.report.style import FORMATS, paper, save

    suffix = output.suffix[1:]
    if suffix not in FORMATS:
        raise UserError(f"--output: expected a file of {', '.join(FORMATS)}, got {str(output)!r}")
    with paper():
        save(draw(problem, plan, title), output.parent, output.stem, (suffix,))


def _print(problem: PartitionProblem, plan: PartitionPlan, found: Estimate) -> None:
    """Print the layers, each with its node, and what the plan takes beside its rivals."""
    from ecsim.partition.cuts import transfers

    shown = table("layer", "kind", "output", "sent B", "MACs", "SOPs", "weights B", "node", "ms")
    moved = {name for names in transfers(problem.graph, found.cut) for name in names}
    needed = set(problem.graph.needed(problem.exit))
    for i, vertex in enumerate(problem.graph.vertices):
        if vertex.name not in needed:
            continue
        at = plan.node[i]
        shown.add_row(
            vertex.name, vertex.kind, "x".join(map(str, vertex.out_shape)),
            f"{problem.out_bytes[i]:.0f}{' crosses' if vertex.name in moved else ''}",
            f"{vertex.work.macs:.4g}", f"{vertex.work.sops:.4g}", f"{vertex.param_bytes:.0f}",
            problem.nodes[at], f"{1e3 * problem.seconds[i, at]:.4g}",
        )  # fmt: skip
    console().print(shown, markup=False)
    for name, rival in _rivals(problem, plan).items():
        energy = f"{1e3 * rival.energy_j:.4g} mJ" if rival.energy_j else "no marginal energy"
        click.echo(
            f"{name}: {1e3 * rival.latency_s:.4g} ms, {energy}, at most "
            f"{1.0 / rival.bottleneck_s:.4g} tasks/s"
        )


def _rivals(problem: PartitionProblem, plan: PartitionPlan) -> dict[str, Estimate]:
    """Give the plan, and everything on one node."""
    from ecsim.partition.problem import estimate

    rivals = {"the plan": estimate(problem, plan.node)}
    for k, name in enumerate(problem.nodes):
        nodes = [0] + [k] * (len(problem.graph) - 1)
        rivals[f"all at {name}"] = estimate(problem, nodes)
    return rivals


def _plain(problem: PartitionProblem, plan: PartitionPlan, found: Estimate) -> dict[str, Any]:
    return {
        "objective": plan.objective,
        "value": plan.value,
        "latency_s": found.latency_s,
        "energy_j": found.energy_j,
        "bottleneck_s": found.bottleneck_s,
        "sent_bytes": list(found.sent_bytes),
        "layers": [
            {
                "name": vertex.name, "kind": vertex.kind, "node": problem.nodes[plan.node[i]],
                "preds": list(vertex.preds), "output": list(vertex.out_shape),
                "sent_bytes": float(problem.out_bytes[i]), "macs": vertex.work.macs,
                "sops": vertex.work.sops, "weight_bytes": vertex.param_bytes,
                "peak_bytes": vertex.peak_bytes, "seconds": problem.seconds[i].tolist(),
            }
            for i, vertex in enumerate(problem.graph.vertices)
        ],
    }  # fmt: skip


COMMANDS = (partition,)
