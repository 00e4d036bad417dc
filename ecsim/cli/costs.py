"""Commands about costs: cards, profile, calibrate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecsim.cli.console import console, table
from ecsim.cli.options import as_json, keys_and_values, plugins, sample_shape
from ecsim.core.errors import UserError

if TYPE_CHECKING:
    from ecsim.costs.cards import Card

_KINDS = ("devices", "links", "operations", "published")


@click.command()
@click.argument("kind", type=click.Choice(_KINDS), required=False)
@click.argument("name", required=False)
@click.option(
    "--cards", "file", type=click.Path(path_type=Path), metavar="FILE.yaml",
    help="List a file of your own cards too.",
)  # fmt: skip
@as_json
def cards(kind: str | None, name: str | None, file: Path | None, as_json: bool) -> None:
    """List the cards (of a KIND), or show the constants of one by its NAME, with sources."""
    from ecsim.costs.cards import all_cards
    from ecsim.costs.cards import cards as built_in
    from ecsim.scenario.messages import not_one_of

    found: dict[str, dict[str, Card]] = {}
    for each in _KINDS if kind is None else (kind,):
        is_open = each in ("devices", "links")
        found[each] = all_cards(each, file) if is_open else built_in(each)
    if name is not None and kind is not None:
        if name not in found[kind]:
            raise UserError(not_one_of(name, found[kind], f"card of {kind}"))
        found = {kind: {name: found[kind][name]}}
    if as_json:
        data = {
            each: {card.name: _card_data(card) for card in known.values()}
            for each, known in found.items()
        }
        click.echo(json.dumps(data, indent=2))
    elif name is None:
        _list(found)
    else:
        for known in found.values():
            for card in known.values():
                _show(card)


def _card_data(card: Card) -> dict[str, Any]:
    data: dict[str, Any] = {
        "title": card.title,
        "can_train": card.can_train,
        "constants": {
            name: {
                "value": constant.text,
                "si": constant.value,
                "source": constant.source,
                "assumed": constant.assumed,
                "range": constant.range,
            }
            for name, constant in card.constants.items()
        },
    }
    if card.calibration is not None:
        data["calibration"] = card.calibration.to_plain()
    return data


def _list(found: dict[str, dict[str, Card]]) -> None:
    shown = table("kind", "card", "what it is", "constants", "assumed")
    for kind, known in found.items():
        for card in known.values():
            n = str(len(card.constants))
            shown.add_row(kind, card.name, card.title, n, str(len(card.assumed)))
    console().print(shown)


def _show(card: Card) -> None:
    console().print(f"{card.name}: {card.title}", markup=False)
    shown = table("constant", "value", "assumed", "source")
    for name, constant in card.constants.items():
        low_high = ""
        if constant.range is not None:
            low_high = f" (SI {constant.range[0]:g} to {constant.range[1]:g})"
        assumed = f"assumed{low_high}" if constant.assumed else ""
        shown.add_row(name, constant.text, assumed, constant.source)
    console().print(shown, markup=False)
    if card.calibration is not None:
        click.echo(f"calibrated, {card.calibration.text}: {card.calibration.source}")


def _networks(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str, dict[str, Any], tuple[int, ...]], ...]:
    found = []
    for value in values:
        name, at, shape = value.partition("@")
        if not at:
            raise UserError(f"--network: expected MODEL[:SIZE]@C,H,W, got {value!r}")
        model, _, size = name.partition(":")
        given = {"size": size} if size else {}
        found.append((value, model, given, sample_shape(ctx, param, shape)))
    return tuple(found)


@click.command()
@click.argument("model")
@click.option("--size", default=None, help="Size of the model, as in a scenario.")
@click.option(
    "--shape", default="3,32,32", show_default=True, callback=sample_shape, metavar="C,H,W",
    help="Shape of one sample.",
)  # fmt: skip
@click.option("--classes", default=10, show_default=True, help="Classes of the head.")
@click.option(
    "--param", "params", multiple=True, callback=keys_and_values, metavar="KEY=VALUE",
    help="Another key of the model, as in a scenario. Repeatable.",
)  # fmt: skip
@click.option(
    "--input", "input_file", type=click.Path(path_type=Path), metavar="FILE.npy",
    help="Samples (N, C, H, W) to count spikes on, averaged; by default one random sample.",
)  # fmt: skip
@click.option("--measure", is_flag=True, help="Also time every layer on this host.")
@plugins
@as_json
def profile(
    model: str,
    size: str | None,
    shape: tuple[int, ...],
    classes: int,
    params: dict[str, Any],
    input_file: Path | None,
    measure: bool,
    plugins: tuple[Path, ...],
    as_json: bool,
) -> None:
    """List MACs, synaptic operations, bytes and memory of each layer of MODEL."""
    from dataclasses import asdict

    from ecsim.core.registry import load_plugins

    load_plugins(plugins)
    from ecsim.profiling import layers

    given = params | ({"size": size} if size is not None else {})
    net = layers.build(model, given, shape, classes)
    x = layers.samples(input_file, shape)
    found = layers.profile(net, x)
    seconds = layers.measure(net, x) if measure else {}
    n_parameters = sum(parameter.numel() for parameter in net.parameters())
    if as_json:
        rows = [
            asdict(row) | ({"seconds": seconds.get(row.name, 0.0)} if measure else {})
            for row in found.rows
        ]
        total = asdict(found.total) | ({"seconds": seconds[""]} if measure else {})
        report = {"layers": rows, "total": total, "parameters": n_parameters}
        click.echo(json.dumps(report, indent=2))
        return
    heads = ["layer", "type", "output", "MACs", "SOPs", "updates", "moved B", "weights B"]
    shown = table(*heads, *(["ms"] if measure else []))
    for row in (*found.rows, found.total):
        cells = [
            row.name, row.type, "x".join(map(str, row.output)), f"{row.macs:.4g}",
            f"{row.sops:.4g}", f"{row.neuron_updates:.4g}", f"{row.bytes_moved:.4g}",
            str(row.weight_bytes),
        ]  # fmt: skip
        if measure:
            cells.append(f"{1e3 * seconds.get('' if row is found.total else row.name, 0.0):.3f}")
        shown.add_row(*cells)
    console().print(shown, markup=False)
    click.echo(
        f"{n_parameters:,} parameters; largest working set of a layer: {found.peak_bytes} B beside "
        "the weights"
    )


@click.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("card.yaml"),
    show_default=True, help="The file of cards to write.",
)  # fmt: skip
@click.option("--name", default="this_host", show_default=True, help="Name of the card.")
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(3),
              help="Interleaved rounds that the medians are over.")  # fmt: skip
@click.option("--idle-power", default=None, metavar="'2 W'", help="Measured idle power.")
@click.option("--active-power", default=None, metavar="'6 W'", help="Measured power at work.")
@click.option(
    "--network", "networks", multiple=True, callback=_networks, metavar="MODEL[:SIZE]@C,H,W",
    help="A model whose operations go to the table too, such as vgg:vgg9@3,32,32. Repeatable.",
)  # fmt: skip
@as_json
def calibrate(
    output: Path,
    name: str,
    rounds: int,
    idle_power: str | None,
    active_power: str | None,
    networks: tuple[tuple[str, str, dict[str, Any], tuple[int, ...]], ...],
    as_json: bool,
) -> None:
    """Measure this host (one thread, batch 1) and write a device card with its own errors.

    Operations that stand in its measured table are priced by it, others by the fitted model.
    """
    from ecsim.profiling.card import write_card
    from ecsim.profiling.layers import build

    if output.exists():
        raise UserError(f"{output} exists already; name another file")
    own = {text: (build(model, given, shape, 10), shape) for text, model, given, shape in networks}
    card = write_card(output, name, rounds, idle_power, active_power, own)
    if as_json:
        click.echo(json.dumps(_card_data(card), indent=2))
        return
    _show(card)
    assert card.calibration is not None
    for net, error in card.calibration.held_out.items():
        click.echo(f"held out: {net}: {error:.1%}")
    click.echo(f"wrote {output}; use it with  cards: {output}  and  card: {name}")


COMMANDS = (cards, profile, calibrate)
