"""Which names a scenario may use, from every package below."""

from __future__ import annotations

from ecsim.costs.cards import cards
from ecsim.records.metrics import METRICS
from ecsim.scenario.load import Loaded
from ecsim.scenario.lookup import RegistryLookup


def lookup() -> RegistryLookup:
    """Give the look-up that the scenario loader needs; plugins registered so far are in it."""
    return RegistryLookup(cards("devices"), cards("links"), METRICS)


def constants_used(loaded: Loaded) -> dict[str, dict[str, object]]:
    """Give every card constant that the scenario's nodes and links draw on, by ``card.name``."""
    scenario = loaded.scenario
    if scenario.costs.name == "published":
        chosen = [cards("published")[scenario.costs.params.table]]
    else:
        devices, links = cards("devices"), cards("links")
        chosen = [devices[node.card] for node in scenario.topology.nodes.values()]
        hosts = [node.host or devices[node.card].host for node in scenario.topology.nodes.values()]
        chosen += [devices[host] for host in hosts if host]
        chosen += [links[link.card] for link in scenario.topology.links]
        if scenario.energy.boundary == "op":
            chosen += cards("operations").values()
    return {
        f"{card.name}.{name}": {
            "value": constant.text,
            "source": constant.source,
            "assumed": constant.assumed,
        }
        for card in chosen
        for name, constant in card.constants.items()
    }


def source_of(path: tuple[str | int, ...], value: object) -> str:
    """Say where the figures behind a card's name come from; empty for anything else."""
    kinds = {"card": ("devices", "links"), "host": ("devices",), "table": ("published",)}
    for kind in kinds.get(str(path[-1]), ()):
        card = cards(kind).get(str(value))
        if card is not None:
            return "; ".join(
                f"{name} {constant.text}{' (assumed)' if constant.assumed else ''}: "
                f"{constant.source}"
                for name, constant in card.constants.items()
            )
    return ""
