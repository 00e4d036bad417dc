"""How often a scenario is run, each time with other seeds, and when that is often enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from ecsim.scenario.links import Finding, items_at, mapping_at
from ecsim.scenario.lookup import Lookup
from ecsim.scenario.messages import not_one_of
from ecsim.scenario.section import Context, Section

_MOST = 10_000


class Stop(Section):
    """A precision that is enough."""

    metric: str = Field(description="label.metric whose mean is to be precise")
    half_width_ratio: Annotated[float, Field(gt=0)] = Field(
        description="half width of its 95 % interval over its mean, at which no more is run"
    )


class Replications(Section):
    """Runs that differ in their seeds alone: initialisation, class order, pools and world."""

    min: Annotated[int, Field(ge=2, le=_MOST)] = Field(
        default=3, description="number of replicates that are run in any case"
    )
    max: Annotated[int, Field(ge=2, le=_MOST)] = Field(
        description="number after which it ends; by default min"
    )
    stop: Stop | None = Field(default=None, description="precision at which it ends earlier")
    jobs: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=1, description="processes that run replicates at the same time"
    )

    @classmethod
    def completed(cls, given: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """Let max be min where it is not given."""
        least = given.get("min", 3)
        is_least = isinstance(least, int) and 2 <= least <= _MOST  # else it is reported as min
        return {"max": least if is_least else _MOST} | dict(given)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"expected max of at least min ({self.min}), got {self.max}")
        if self.max > self.min and self.stop is None:
            raise ValueError(
                f"expected stop, which decides between {self.min} and {self.max} replicates"
            )
        return self


def check_replications(data: dict[str, Any], lookup: Lookup) -> Iterator[Finding]:
    """Find seeds that would be the same in all replicates, and stop rules about nothing."""
    section = mapping_at(data, "replications")
    if not section:
        return
    for name in mapping_at(data, "seeds"):
        yield (
            ("seeds", name),
            "expected no seed of one kind with replications, as all replicates would share it; "
            "give seed alone",
        )
    metric = mapping_at(section, "stop").get("metric")
    if not isinstance(metric, str):
        return
    label, _, path = metric.partition(".")
    entries = [entry for _, entry in items_at(data, "strategies") if isinstance(entry, dict)]
    names = [entry.get("label", entry.get("name")) for entry in entries]
    labels = [name for name in names if isinstance(name, str)]
    where = ("replications", "stop", "metric")
    if label not in labels:
        yield where, not_one_of(label, labels, "strategy's label")
    elif path not in lookup.metrics():
        yield where, not_one_of(path, lookup.metrics(), "metric")
