"""The keys of a scenario and what they mean.

The larger parts have files of their own: `stream`, `topology`, `models` and `strategy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ecsim.core.randomness import SEED_NAMES, derive_seed
from ecsim.core.units import Seconds
from ecsim.scenario.files import File
from ecsim.scenario.models import Learning, Models
from ecsim.scenario.names import run_name
from ecsim.scenario.plugin import Plugin
from ecsim.scenario.replications import Replications
from ecsim.scenario.section import Context, Section
from ecsim.scenario.strategy import StrategyEntry
from ecsim.scenario.stream import Data, Stream
from ecsim.scenario.sweep import Search, Sweep
from ecsim.scenario.topology import Topology

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


def _not_empty(entries: tuple[StrategyEntry, ...]) -> tuple[StrategyEntry, ...]:
    if not entries:
        raise ValueError("expected at least one strategy, got an empty list")
    return entries


class Seeds(Section):
    """One seed for each kind of randomness; those not given are derived from `seed`."""

    world: Seed = Field(description="seed of arrivals, background load and random choices")
    data: Seed = Field(description="seed of the pools and decks of samples")
    order: Seed = Field(description="seed of the order of the classes")
    train: Seed = Field(description="seed of initial weights and training")


class Energy(Section):
    """What is counted as energy."""

    boundary: str = Field(
        description="op (arithmetic), op_memory (and memory traffic), device (the whole board) or "
        "wall (and its share of the building); by default the cost model's"
    )


class Costs(Plugin):
    """What turns counted work and bytes into seconds and joules."""

    registry: ClassVar[str] = "costs"
    default_name: ClassVar[str] = "counted"
    noun: ClassVar[str] = "cost model"


class Compute(Section):
    """Where this host trains and predicts; no part of the simulated system."""

    device: Literal["auto", "cpu", "cuda"] = Field(default="cpu", description="where torch runs")
    threads: Annotated[int, Field(ge=1)] = Field(default=1, description="CPU threads of torch")
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="number format")


def _until_done(value: Any) -> Any:
    return None if value == "until done" else value


class RunSection(Section):
    """The measured window."""

    warmup: Annotated[Seconds, Field(ge=0)] = Field(
        default=0.0, description="time at the start that is left out of every figure"
    )
    horizon: Annotated[Seconds, Field(gt=0)] | None = Field(
        default=None,
        description="time at which arrivals and the window end; by default with the last phase, "
        "which a longer horizon prolongs",
    )
    tasks: Annotated[int, Field(ge=1, le=10**9)] | None = Field(
        default=None, description="number of tasks after which they end, instead of a horizon"
    )
    engine: Literal["auto", "event", "vectorised"] = Field(
        default="auto",
        description="how it is simulated: event by event, all tasks of a stage at once "
        "(vectorised), or auto: vectorised where that gives the same",
    )
    drain: Annotated[Annotated[Seconds, Field(ge=0)] | None, BeforeValidator(_until_done)] = Field(
        default=None,
        description="time after the horizon in which tasks may still be answered, or 'until done'",
    )
    probe: Annotated[Seconds, Field(gt=0)] | None = Field(
        default=None, description="distance of the readings in series.parquet; by default none"
    )
    trace: Annotated[int, Field(ge=0)] = Field(
        default=0, description="how many of the first tasks are in spans.parquet, with all updates"
    )

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.horizon is not None and self.tasks is not None:
            raise ValueError("expected either horizon or tasks, got both")
        if self.horizon is not None and self.horizon <= self.warmup:
            raise ValueError(
                f"expected a horizon after the warm-up of {self.warmup:g} s, got {self.horizon:g} s"
            )
        return self


class Scenario(Section):
    """A world, the strategies compared in it, and what must hold at the end."""

    version: Literal[1] = Field(default=1, description="version of this format")
    name: Annotated[str, AfterValidator(run_name)] = Field(description="name of the scenario")
    seed: Seed = Field(default=0, description="seed from which the others are derived")
    seeds: Seeds = Field(description="one seed for each kind of randomness")
    cards: File | None = Field(
        default=None, description="file of device and link cards of your own"
    )
    data: Data = Field(description="the data set")
    stream: Stream = Field(description="the tasks")
    topology: Topology = Field(description="nodes and links")
    models: Models = Field(description="models of the tiers")
    learning: Learning = Field(
        default_factory=dict, validate_default=True, description="training before and during it"
    )
    energy: Energy = Field(description="what is counted as energy")
    costs: Costs = Field(
        default_factory=dict,
        validate_default=True,
        description="what turns counted work into seconds and joules",
    )
    compute: Compute = Field(
        default_factory=dict, validate_default=True, description="where this host trains"
    )
    run: RunSection = Field(
        default_factory=dict, validate_default=True, description="the measured window"
    )
    replications: Replications | None = Field(
        default=None, description="how often it is run, with other seeds; by default once"
    )
    strategies: Annotated[
        tuple[StrategyEntry, ...], Field(strict=False), AfterValidator(_not_empty)
    ] = Field(description="strategies to compare")
    assertions: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(), alias="assert", description="comparisons that must hold at the end"
    )
    sweep: Sweep | None = Field(
        default=None, exclude=True, description="cells of `ecsim sweep`; no part of a single run"
    )
    search: Search | None = Field(
        default=None, exclude=True, description="trials of `ecsim search`; no part of a single run"
    )

    @classmethod
    def completed(cls, given: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """Derive the seeds that are not given, and the boundary from the cost model."""
        data = dict(given)
        seed, seeds = data.get("seed", 0), data.get("seeds", {})
        if isinstance(seeds, dict):
            seed = seed if isinstance(seed, int) else 0  # a mistake, which validation reports
            data["seeds"] = {name: derive_seed(seed, name) for name in SEED_NAMES} | seeds
        costs, energy = data.get("costs", {}), data.get("energy", {})
        name = costs.get("name", Costs.default_name) if isinstance(costs, dict) else None
        if name in context.lookup.names("costs") and isinstance(energy, dict):
            data["energy"] = {"boundary": context.lookup.boundaries(name)[0]} | energy
        elif "energy" not in data:
            data["energy"] = {"boundary": ""}
        return data

    def strategy(self, label: str) -> StrategyEntry:
        """Give the strategy of a label; raise `KeyError` when there is none."""
        for entry in self.strategies:
            if entry.label == label:
                return entry
        raise KeyError(label)
