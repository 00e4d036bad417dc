"""How a node's engine serves: units, order of service, limits, batches and speed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ecsim.core.units import BitPerSecond, Bytes, Seconds, Watts
from ecsim.scenario.section import Section

Kind = Literal["inference", "training", "background"]
KINDS: tuple[Kind, ...] = ("inference", "background", "training")

Point = Annotated[tuple[int, float], Field(strict=False)]
Positive = Field(gt=0)


def _rising(points: tuple[Point, ...]) -> tuple[Point, ...]:
    if not points or points[0] != (1, 1.0):
        raise ValueError("expected [size, factor] pairs that begin with [1, 1]")
    for (size, factor), (later, larger) in pairwise(points):
        if later <= size or not factor <= larger:
            raise ValueError(
                f"expected sizes that increase and factors that do not decrease, got "
                f"[{later}, {larger:g}] after [{size}, {factor:g}]"
            )
    return points


Curve = Annotated[tuple[Point, ...], Field(strict=False), AfterValidator(_rising)]


class Batch(Section):
    """Requests that an accelerator serves together."""

    max: Annotated[int, Field(ge=1)] = Field(description="requests in the largest batch")
    timeout: Annotated[Seconds, Field(ge=0)] = Field(
        default=0.0, description="how long the first request of a smaller batch waits for more"
    )
    latency: Curve | None = Field(
        default=None,
        description="time of a batch as [size, factor] pairs from [1, 1] on, in multiples of that "
        "of one request; linear between and beyond them; by default the card's: f + (1 - f) n "
        "with f its constant batch_fixed",
    )
    energy: Curve | None = Field(
        default=None,
        description="energy of a batch likewise; by default as its time, or n times that of one "
        "where the energy boundary or the card counts joules per operation",
    )


class Level(Section):
    """An operating point (DVFS): fractions of the card's speed and of its busy power."""

    speed: Annotated[float, Positive] = Field(description="fraction of the normal speed")
    power: Annotated[float, Positive] = Field(description="fraction of the normal busy power")


class OperatingPoint(Level):
    """An operating point that a strategy may choose while it runs."""

    transition: Annotated[Seconds, Field(ge=0)] = Field(
        default=0.0, description="time that going over to it takes; nothing is served meanwhile"
    )


class Sleep(Section):
    """The sleep of an inference engine that has nothing to do."""

    after: Annotated[Seconds, Field(ge=0)] = Field(
        description="how long the engine is idle before it falls asleep"
    )
    power: Annotated[Watts, Field(ge=0)] = Field(
        description="what it draws asleep, instead of the card's idle power"
    )
    wake: Annotated[Seconds, Field(ge=0)] = Field(
        description="how long the request that finds it asleep waits, at idle power"
    )


class Serving(Section):
    """The keys of a node that say how its engine serves."""

    servers: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=1, description="requests (or batches) that the engine serves at once"
    )
    discipline: Literal["fifo", "priority", "preemptive", "sharing"] = Field(
        default="fifo",
        description="order of service: as they come, by `order` (preemptive: interrupting what is "
        "lower), or all at once at a part of the speed",
    )
    order: Annotated[tuple[Kind, ...], Field(strict=False)] | None = Field(
        default=None,
        description="kinds of work from first to last, for priority and preemptive; by default "
        "inference, background, training",
    )
    host_discipline: Literal["fifo", "sharing"] = Field(
        default="fifo",
        description="order in which the host serves trainings: one step after the other, or all "
        "trainings at once at a part of its speed",
    )
    capacity: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="requests that the engine holds, waiting or served; one more is refused",
    )
    batch: Batch | None = Field(default=None, description="serve requests in batches")
    slowdown: Annotated[float, Field(ge=1)] = Field(
        default=1.0,
        description="factor by which other processes prolong all work on the node, at its power",
    )
    level: Level | None = Field(default=None, description="operating point of the node")
    levels: Mapping[str, OperatingPoint] = Field(
        default_factory=dict,
        description="operating points that a strategy may choose while it runs, by name",
    )
    start_level: str | None = Field(
        default=None, description="which of `levels` it starts at; by default the card's own speed"
    )

    memory: Annotated[Bytes, Positive] | None = Field(
        default=None,
        description="what models may take of the engine's memory; a version that does not fit is "
        "refused. By default the card's constant memory, else no limit",
    )
    load_rate: Annotated[BitPerSecond, Positive] | None = Field(
        default=None,
        description="rate at which a version that is not in memory is loaded before it is asked; "
        "by default at once",
    )

    @model_validator(mode="after")
    def _loads_in_order(self) -> Self:
        if self.load_rate is None:
            return self
        is_plain = self.discipline == "fifo" and self.servers == 1
        if not is_plain or self.batch is not None or self.capacity is not None:
            raise ValueError(
                "expected a load_rate where one request is served after the other (discipline "
                "fifo, one server, neither batch nor capacity)"
            )
        return self

    sleep: Sleep | None = Field(
        default=None, description="when the idle engine sleeps; by default never"
    )

    @model_validator(mode="after")
    def _can_sleep(self) -> Self:
        if self.sleep is None:
            return self
        plain = {"servers": 1, "discipline": "fifo", "capacity": None, "batch": None, "levels": {}}
        for key, value in plain.items():
            if getattr(self, key) != value:
                raise ValueError(f"expected no {key} beside sleep: it needs one plain fifo engine")
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        is_ranked = self.discipline in ("priority", "preemptive")
        if self.order is not None:
            if not is_ranked:
                raise ValueError(
                    f"expected no order where the discipline is {self.discipline}: it knows none"
                )
            if sorted(self.order) != sorted(KINDS):
                raise ValueError(
                    f"expected an order of {', '.join(KINDS)}, got {', '.join(self.order)}"
                )
        if self.batch is not None and self.discipline != "fifo":
            raise ValueError("expected batches with the discipline fifo: they are served in order")
        if self.level is not None and self.levels:
            raise ValueError("expected either a level or levels to choose from, got both")
        if self.start_level is not None and self.start_level not in self.levels:
            raise ValueError(
                "expected a start_level among "
                f"{', '.join(self.levels) or 'levels (there are none)'}, got {self.start_level!r}"
            )
        return self

    @property
    def ranks(self) -> dict[Kind, int]:
        """The place of each kind of work in the order of service; equal where there is none."""
        if self.discipline not in ("priority", "preemptive"):
            return dict.fromkeys(KINDS, 0)
        return {kind: rank for rank, kind in enumerate(self.order or KINDS)}
