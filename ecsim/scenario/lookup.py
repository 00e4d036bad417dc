"""How the schema learns which names exist, without importing what stands above it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ecsim.core import registry

CardReader = Callable[[Path], Mapping[str, Iterable[str]]]


class Lookup(Protocol):
    """Answers the schema's questions about registered names.

    A kind is one of `core.registry.kinds`, or "device_card" or "link_card", which have names only.
    """

    def names(self, kind: str) -> list[str]:
        """Give the names of a kind, sorted."""

    def params_of(self, kind: str, name: str) -> type[Any]:
        """Give the frozen dataclass of the keys that a scenario may give to a name."""

    def boundaries(self, costs: str) -> Sequence[str]:
        """Give the energy boundaries of a cost model, its default first."""

    def metrics(self) -> Sequence[str]:
        """Give the metric paths that an `assert:` entry may name."""


class RegistryLookup:
    """A `Lookup` on `core.registry`.

    Parameters
    ----------
    device_cards, link_cards : names of the cards.
    metrics : metric paths such as ``latency_s.p95``.
    read_cards : gives the names of the cards in a user's file, by kind of card.
    """

    def __init__(
        self,
        device_cards: Iterable[str] = (),
        link_cards: Iterable[str] = (),
        metrics: Iterable[str] = (),
        read_cards: CardReader | None = None,
    ):
        self._read_cards = read_cards
        self._cards = {"device_card": sorted(device_cards), "link_card": sorted(link_cards)}
        self._metrics = tuple(metrics)

    def with_cards(self, path: Path) -> RegistryLookup:
        """Give a look-up that also knows the cards of a user's file.

        Raises `ScenarioError` for what is wrong in the file.
        """
        more = self._read_cards(path) if self._read_cards else {}
        names = {kind: [*known, *more.get(kind, ())] for kind, known in self._cards.items()}
        return RegistryLookup(names["device_card"], names["link_card"], self._metrics)

    def names(self, kind: str) -> list[str]:
        """Give the names of a kind, sorted."""
        return self._cards[kind] if kind in self._cards else registry.names(kind)

    def params_of(self, kind: str, name: str) -> type[Any]:
        """Import the class and give its `Params`."""
        params: type[Any] = registry.resolve(kind, name).Params
        return params

    def boundaries(self, costs: str) -> Sequence[str]:
        """Give the class attribute `boundaries` of the cost model; its default first."""
        found: Sequence[str] = registry.resolve("costs", costs).boundaries
        return found

    def metrics(self) -> Sequence[str]:
        """Give the metric paths handed to the constructor."""
        return self._metrics
