"""What `runtime` asks of a loaded scenario: positions for errors, and its cards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ecsim.core.errors import ScenarioError, UserError
from ecsim.costs.cards import Card, all_cards
from ecsim.scenario.load import Loaded
from ecsim.scenario.schema import Scenario


def cards_of(scenario: Scenario, kind: str) -> dict[str, Card]:
    """Give all cards of a kind, "devices" or "links", the user's own included."""
    return all_cards(kind, scenario.cards.path if scenario.cards else None)


@contextmanager
def at(loaded: Loaded, path: tuple[str | int, ...]) -> Iterator[None]:
    """Give a `UserError` raised inside the position of a path in the scenario."""
    try:
        yield
    except ScenarioError:
        raise
    except UserError as error:
        key, _, rest = str(error).partition(": ")  # some say which of the section's keys it is
        place, message = (
            ((*path, key), rest) if (*path, key) in loaded.origins else (path, str(error))
        )
        raise ScenarioError([loaded.problem(place, message)]) from None
