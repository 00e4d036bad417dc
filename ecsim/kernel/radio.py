"""Radios that take time and energy to connect, and linger connected: promotion and tail.

A radio asleep must be promoted before it can transfer; after its last transfer it stays connected
for the tail, ready to transfer at once, and then falls asleep. All states are known in closed
form between two touches, and a radio is touched once per message.

Source: the state machine of Huang et al., MobiSys 2012, with one tail state.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from ecsim.core.errors import UserError
from ecsim.kernel.meter import Meter, Unserved

if TYPE_CHECKING:
    from ecsim.kernel.world import World

RADIO_STATES = ("connected", "promotion", "tail")
CONNECTED, PROMOTION, TAIL = 0, 1, 2


@dataclass(frozen=True, slots=True)
class RadioCard:
    """Constants of a radio: how long and at what power it is promoted, and lingers.

    Raises
    ------
    UserError
        When one of them is negative or not finite.
    """

    promotion_s: float = 0.0
    promotion_w: float = 0.0
    tail_s: float = 0.0
    tail_w: float = 0.0

    def __post_init__(self) -> None:
        for name in ("promotion_s", "promotion_w", "tail_s", "tail_w"):
            if not 0.0 <= getattr(self, name) < inf:
                raise UserError(f"radio: {name} must be finite and >= 0, got {getattr(self, name)}")


class Radio:
    """The radio of one end of a link, for both directions.

    While a message waits for a medium that others occupy, the radio stays connected; the energy of
    the transfer itself stands at the node's transmitter and receiver. The energy of a promotion
    is charged to the message that needs it; that of a tail to nobody (`World.unowned_j`): it is the
    price of the radio, and later messages save promotions by it.

    Attributes
    ----------
    ready_s : end of its latest promotion.
    busy_until_s : end of its latest transfer, as far as it is known; -infinity: none yet.
    n_open : messages under way whose end is not known yet (processor sharing).
    """

    __slots__ = ("busy_until_s", "card", "meter", "n_open", "ready_s", "world")

    def __init__(self, world: World, card: RadioCard, meter: Meter) -> None:
        self.world = world
        self.card = card
        self.meter = meter
        self.ready_s = 0.0
        self.busy_until_s = -inf
        self.n_open = 0
        meter.n_units += 1
        world.radios.append(self)

    def request(self, now: float) -> tuple[float, float]:
        """Give (seconds until it is connected, joules of a promotion that starts now)."""
        gap = now - self.busy_until_s
        if self.n_open or gap <= 0.0:
            return (self.ready_s - now if self.ready_s > now else 0.0), 0.0
        card = self.card
        if gap < inf:
            self._book_tail(min(gap, card.tail_s))
        self.busy_until_s = now
        if gap <= card.tail_s or not card.promotion_s:
            return 0.0, 0.0
        self.ready_s = self.busy_until_s = now + card.promotion_s
        joules = card.promotion_s * card.promotion_w
        self.meter.seconds[PROMOTION] += card.promotion_s
        self.meter.joules[PROMOTION] += joules
        return card.promotion_s, joules

    def hold(self, end_s: float) -> None:
        """Stay connected until a transfer ends that is known now."""
        more = end_s - self.busy_until_s
        if more > 0.0:
            self.busy_until_s = end_s
            self.meter.seconds[CONNECTED] += more

    def open(self) -> None:
        """Stay connected for a transfer whose end is not known yet."""
        self.n_open += 1

    def close(self, now: float) -> None:
        """End a transfer of `open`, unless the radio went off before."""
        if self.n_open:
            self.n_open -= 1
            self.hold(now)

    def off(self, now: float) -> None:
        """Lose the connection at once, as the node goes out."""
        if self.ready_s > now:  # in the middle of a promotion, which a message was charged
            left = self.ready_s - now
            self.meter.seconds[PROMOTION] -= left
            self.meter.joules[PROMOTION] -= left * self.card.promotion_w
            self.world.unowned_j -= left * self.card.promotion_w
            self.meter.seconds[CONNECTED] -= max(0.0, self.busy_until_s - self.ready_s)
        elif self.busy_until_s > now:
            self.meter.seconds[CONNECTED] -= self.busy_until_s - now
        elif self.busy_until_s > -inf and not self.n_open:
            self._book_tail(min(now - self.busy_until_s, self.card.tail_s))
        elif self.n_open:
            self.meter.seconds[CONNECTED] += now - self.busy_until_s
        self.ready_s = min(self.ready_s, now)
        self.busy_until_s = -inf
        self.n_open = 0  # what was under way falls with the node

    def _book_tail(self, seconds: float) -> None:
        joules = seconds * self.card.tail_w
        self.meter.seconds[TAIL] += seconds
        self.meter.joules[TAIL] += joules
        self.world.unowned_j += joules

    def unserved(self, now: float) -> list[Unserved]:
        """Give what is booked but lies after `now`, and less what has passed but is not booked."""
        meter, card = self.meter, self.card
        gap = now - self.busy_until_s
        if gap > 0.0 and self.n_open:  # `busy_until_s` follows when they close
            return [(meter, CONNECTED, -gap, 0.0)]
        if gap > 0.0:
            tail = min(gap, card.tail_s) if gap < inf else 0.0
            return [(meter, TAIL, -tail, -tail * card.tail_w)]
        connected = min(-gap, self.busy_until_s - self.ready_s)
        return [(meter, CONNECTED, connected, 0.0), *self._promotion(now)]

    def _promotion(self, now: float) -> list[Unserved]:
        left = self.ready_s - now
        return [(self.meter, PROMOTION, left, left * self.card.promotion_w)] if left > 0.0 else []
