"""The data set, its pools, and the tasks that it becomes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ecsim.core.units import Bytes, Seconds
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
    deadline: Annotated[Seconds, Positive] | None = Field(
        default=None, description="time a task may take"
    )
