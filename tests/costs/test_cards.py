import pytest

from ecsim.core.errors import UserError
from ecsim.costs.cards import cards, read_cards


@pytest.mark.parametrize("kind", ["devices", "links", "operations", "published"])
def test_every_constant_has_a_source_and_lies_in_its_range(kind):
    for card in cards(kind).values():
        for constant in card.constants.values():
            assert constant.source
            if constant.range:
                assert constant.range[0] <= constant.value <= constant.range[1]


def test_hosts_exist_and_can_train():
    devices = cards("devices")
    for card in devices.values():
        if card.host:
            assert devices[card.host].can_train


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("idle_power: {value: 1 W}", "idle_power has no source"),
        ("idle_power: {value: 1 s, source: x}", "'s' is not a unit of power"),
        ("watts: {value: 1 W, source: x}", "'watts' is not a constant"),
    ],
)
def test_bad_cards_are_refused(tmp_path, body, message):
    path = tmp_path / "cards.yaml"
    path.write_text(f"mine:\n  title: mine\n  constants:\n    {body}\n")
    with pytest.raises(UserError, match=message):
        read_cards(path)
