"""When nodes and links go out or slow down, and the batteries that may run empty."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ecsim.core.units import Joules, Seconds, Watts
from ecsim.scenario.section import Section, mistake

Positive = Field(gt=0)
Share = Annotated[float, Field(ge=0, le=1)]


class Period(Section):
    """A stretch of time."""

    at: Annotated[Seconds, Field(ge=0)] = Field(description="begin, from the start of the run")
    for_: Annotated[Seconds, Positive] = Field(alias="for", description="length")


def _in_order(periods: tuple[Period, ...]) -> tuple[Period, ...]:
    """Refuse a period that begins before the end of the one above it."""
    mistakes = []
    end = 0.0
    for i, period in enumerate(periods):
        if period.at < end:
            message = f"expected a begin at or after the end of the one before, {end:g} s"
            mistakes.append(mistake(f"{message}, got {period.at:g} s", i, "at"))
        end = period.at + period.for_
    if mistakes:
        raise ValidationError.from_exception_data("schedule", mistakes)
    return periods


Periods = Annotated[tuple[Period, ...], Field(strict=False), AfterValidator(_in_order)]


class Times(Section):
    """Periods that are drawn from the world's random streams, or scheduled."""

    mtbf: Annotated[Seconds, Positive] | None = Field(
        default=None, description="mean time from the end of one to the begin of the next"
    )
    mttr: Annotated[Seconds, Positive] | None = Field(
        default=None, description="mean length of one (time to repair)"
    )
    distribution: Literal["exponential", "weibull", "deterministic"] = Field(
        default="exponential", description="distribution of both times"
    )
    shape: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="shape of the weibull distribution; below 1: infant mortality"
    )
    schedule: Periods = Field(default=(), description="fixed periods, instead of drawn ones")

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        given = [key for key in ("mtbf", "mttr") if getattr(self, key) is not None]
        if self.schedule and given:
            raise ValueError(f"expected either mtbf and mttr or a schedule, got {given[0]} too")
        if not self.schedule and len(given) < 2:
            got = f"{given[0]} alone" if given else "neither"
            raise ValueError(f"expected mtbf and mttr, or a schedule, got {got}")
        if (self.shape is None) == (self.distribution == "weibull"):
            has = "no shape" if self.shape is None else f"a shape for {self.distribution}"
            raise ValueError(f"expected a shape with the distribution weibull alone, got {has}")
        return self


class Outages(Times):
    """Outages of a node or a link."""

    policy: Literal["lose", "resume"] = Field(
        default="lose",
        description="lose: what is under way fails, and what comes meanwhile; resume: it waits",
    )


class BrownOuts(Times):
    """Stretches of time in which a node computes slowly."""

    speed: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="share of its normal speed that a node has meanwhile"
    )


class Charging(Section):
    """When a battery is charged, and how strongly."""

    power: Annotated[Watts, Positive] = Field(description="power into the battery")
    every: Annotated[Seconds, Positive] | None = Field(
        default=None, description="period of the charging windows; without it: all the time"
    )
    for_: Annotated[Seconds, Positive] | None = Field(
        default=None, alias="for", description="length of the window in each period"
    )
    at: Annotated[Seconds, Field(ge=0)] = Field(
        default=0.0, description="begin of the first window"
    )
    schedule: Periods = Field(default=(), description="fixed windows, instead of a period")

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if (self.every is None) != (self.for_ is None):
            given = "every" if self.for_ is None else "for"
            raise ValueError(f"expected every and for together, got {given} alone")
        if self.schedule and (self.every is not None or self.at):
            raise ValueError("expected either a period or a schedule, got both")
        if self.every is not None and self.for_ is not None and self.for_ > self.every:
            raise ValueError(
                f"expected a window within its period of {self.every:g} s, got {self.for_:g} s"
            )
        return self


class Battery(Section):
    """A store of energy that everything on the node draws from."""

    capacity: Annotated[Joules, Positive] = Field(description="energy when full")
    initial: Share = Field(default=1.0, description="charge at the start, as a share of capacity")
    cut_off: Share = Field(
        default=0.0, description="share of capacity at which the node shuts down"
    )
    restart: Share = Field(default=0.1, description="share of capacity from which it works again")
    charging: Charging | None = Field(default=None, description="how it is charged; never without")

    @model_validator(mode="after")
    def _are_in_order(self) -> Self:
        if not self.cut_off < self.restart:
            raise ValueError(
                f"expected a restart above the cut-off of {self.cut_off:g}, got {self.restart:g}"
            )
        if not self.cut_off < self.initial:
            raise ValueError(
                f"expected an initial charge above the cut-off of {self.cut_off:g}, "
                f"got {self.initial:g}"
            )
        return self
