"""Which names a scenario may use, from every package below."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ecsim.core import registry
from ecsim.core.errors import UserError
from ecsim.costs.cards import all_cards, cards, user_cards
from ecsim.costs.model import CostModel
from ecsim.records.metrics import METRICS
from ecsim.scenario.load import Loaded
from ecsim.scenario.lookup import RegistryLookup


def lookup() -> RegistryLookup:
    """Give the look-up that the scenario loader needs; plugins registered so far are in it."""
    return RegistryLookup(cards("devices"), cards("links"), METRICS, _names)


def _names(path: Path) -> dict[str, list[str]]:
    found = user_cards(path)
    return {"device_card": list(found["devices"]), "link_card": list(found["links"])}


def constants_used(loaded: Loaded) -> dict[str, dict[str, object]]:
    """Give every card constant that the scenario's nodes and links draw on, by ``card.name``."""
    scenario = loaded.scenario
    if scenario.costs.name == "published":
        chosen = [cards("published")[scenario.costs.params.table]]
    else:
        file = scenario.cards.path if scenario.cards else None
        devices, links = all_cards("devices", file), all_cards("links", file)
        chosen = [devices[node.card] for node in scenario.topology.nodes.values()]
        hosts = [node.host or devices[node.card].host for node in scenario.topology.nodes.values()]
        chosen += [devices[host] for host in hosts if host]
        chosen += [links[link.card] for link in scenario.topology.links]
        if scenario.energy.boundary in ("op", "op_memory"):
            chosen += cards("operations").values()
    used: dict[str, dict[str, object]] = {
        f"{card.name}.{name}": {
            "value": constant.text,
            "source": constant.source,
            "assumed": constant.assumed,
        }
        for card in chosen
        for name, constant in card.constants.items()
    }
    for card in chosen:
        if card.calibration is not None:
            used[f"{card.name}.calibration"] = {
                "value": card.calibration.text,
                "source": card.calibration.source,
                "assumed": False,
            }
    return used


def costs_of(loaded: Loaded) -> CostModel:
    """Give the scenario's cost model."""
    scenario = loaded.scenario
    make = registry.resolve("costs", scenario.costs.name)
    model: CostModel = make(scenario.costs.params, scenario.energy.boundary)
    return model


def source_of(
    path: tuple[str | int, ...],
    value: object,
    file: Path | None = None,
    costs: CostModel | None = None,
) -> str:
    """Say where the figures behind a card's name come from; empty for anything else.

    `file` is that of the scenario's own cards; with `costs` it begins with the basis of a device's
    seconds.
    """
    kinds = {"card": ("devices", "links"), "host": ("devices",), "table": ("published",)}
    for kind in kinds.get(str(path[-1]), ()):
        own = file if kind in ("devices", "links") else None
        card = all_cards(kind, own).get(str(value))
        if card is not None:
            basis = ""
            if costs is not None and kind == "devices":
                with suppress(UserError):  # a card that lacks a figure: validation says which
                    basis = f"seconds: {costs.engine(card, str(path[-2])).basis}; "
            return basis + "; ".join(
                f"{name} {constant.text}{' (assumed)' if constant.assumed else ''}: "
                f"{constant.source}"
                for name, constant in card.constants.items()
            )
    return ""
