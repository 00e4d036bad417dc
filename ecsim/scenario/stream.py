"""The data set, its pools, and the tasks that it becomes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ecsim.core.units import Bytes, Seconds
from ecsim.core.variants import Kind
from ecsim.scenario.plugin import Plugin
from ecsim.scenario.section import Section

Positive = Field(gt=0)
Share = Annotated[float, Field(gt=0, lt=1)]


class Pools(Section):
    """Shares of the data set that the four disjoint pools take."""

    cloud: Share = Field(default=0.4, description="share that trains the models before the start")
    stream: Share = Field(default=0.35, description="share that arrives at the devices")
    validation: Share = Field(default=0.1, description="share for choosing parameters")
    probe: Share | Literal["test"] = Field(
        default=0.15,
        description="share that measures deployed versions, or `test`: the data set's published "
        "test part, whose samples are then in no other pool",
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        probe = 0.0 if self.probe == "test" else self.probe
        total = self.cloud + self.stream + self.validation + probe
        if total > 1 + 1e-9:  # a sum of decimal fractions may miss 1 by rounding
            raise ValueError(f"expected shares of at most 1 together, got {total:g}")
        return self


class Data(Plugin):
    """The data set."""

    registry: ClassVar[str] = "data"
    noun: ClassVar[str] = "data set"

    pools: Pools = Field(
        default_factory=dict, validate_default=True, description="shares of the disjoint pools"
    )
    samples: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="samples that are used, at most, besides the test part; drawn by class",
    )
    test_samples: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="samples of the test part that are used, at most; drawn by class"
    )

    @model_validator(mode="after")
    def _tested(self) -> Self:
        if self.test_samples is not None and self.pools.probe != "test":
            raise ValueError("test_samples has no effect without pools: {probe: test}")
        return self


class Schedule(Plugin):
    """Which classes arrive in which phase."""

    registry: ClassVar[str] = "schedule"
    noun: ClassVar[str] = "schedule"

    name: str = Field(alias="kind", description="registered schedule")


class Arrivals(Plugin):
    """When tasks arrive at a device."""

    registry: ClassVar[str] = "arrivals"
    noun: ClassVar[str] = "arrival process"

    name: str = Field(alias="kind", description="registered arrival process")


class Skew(Plugin):
    """How devices differ in the samples that they have."""

    registry: ClassVar[str] = "skew"
    noun: ClassVar[str] = "skew"

    name: str = Field(alias="kind", description="registered skew")


class Local(Section):
    """The part of its samples that a device has at a time."""

    share: Share = Field(description="share of its samples of each class that a device has")
    replace: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="share of these that each phase replaces by others, oldest first"
    )

    @model_validator(mode="after")
    def _has_others(self) -> Self:
        if self.share * (1 + self.replace) > 1 + 1e-9:  # decimal fractions
            most = (1 - self.share) / self.share
            raise ValueError(
                f"a share of {self.share:g} leaves too few others: expected to replace at most "
                f"{most:.3g}, got {self.replace:g}"
            )
        return self


class Corruption(Section):
    """A stretch of time in which devices see their samples corrupted."""

    kind: Kind = Field(description="noise, blur, brightness, contrast or occlusion")
    severity: Annotated[int, Field(ge=1, le=5)] = Field(description="strength, from 1 to 5")
    from_: Annotated[Seconds, Field(ge=0)] = Field(
        default=0.0, alias="from", description="begin, from the start of the run"
    )
    until: Annotated[Seconds, Positive] | None = Field(
        default=None, description="end; without it the end of the run"
    )
    devices: tuple[str, ...] | None = Field(
        default=None, strict=False, description="devices or groups of devices; without it all"
    )
    gradual: bool = Field(
        default=False, description="whether the severity grows step by step from 1 to `severity`"
    )

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.until is None and self.gradual:
            raise ValueError("expected until, by when a gradual corruption has grown")
        if self.until is not None and self.until <= self.from_:
            raise ValueError(f"expected an end after {self.from_:g} s, got {self.until:g} s")
        return self


class Stream(Section):
    """The tasks."""

    schedule: Schedule = Field(description="which classes arrive in which phase")
    phase: Annotated[Seconds, Positive] = Field(description="length of a phase")
    arrivals: Arrivals = Field(description="when tasks arrive, per device")
    payload: Annotated[Bytes, Positive] | None = Field(
        default=None, description="size of an uploaded sample; without it the sample's own bytes"
    )
    allocation: Literal["shared", "disjoint"] = Field(
        default="shared", description="whether devices draw from the same samples"
    )
    skew: Skew | None = Field(
        default=None, description="how devices differ in their samples; without it they do not"
    )
    local: Local | None = Field(
        default=None, description="part of its samples that a device has at a time; without it all"
    )
    corruptions: tuple[Corruption, ...] | None = Field(
        default=None, strict=False, description="when devices see their samples corrupted"
    )
    synchrony: Annotated[float, Field(ge=0, le=1)] = Field(
        default=1.0,
        description="how much devices go from phase to phase together: 1 at once; below, each by a "
        "drawn delay of up to 1 - synchrony phases",
    )
    deadline: Annotated[Seconds, Positive] | None = Field(
        default=None, description="time a task may take"
    )
