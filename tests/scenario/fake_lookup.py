"""Names and parameters that stand for the registry in the tests of `ecsim.scenario`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval

from ecsim.core.units import Bytes, PerSecond, Seconds
from ecsim.scenario import File, Loaded

Read = Callable[..., Loaded]


@dataclass(frozen=True)
class NoParams:
    """No keys."""


@dataclass(frozen=True)
class NpzParams:
    """Attributes
    ----------
    path : the file.
    """

    path: File


@dataclass(frozen=True)
class ClassIncrementalParams:
    """Sizes of the groups.

    Attributes
    ----------
    base_classes : classes known at the start;
        none is not enough.
    increment : int
        New classes per phase.
    classes : what a phase shows.
    """

    base_classes: Annotated[int, Ge(1)]
    increment: Annotated[int, Ge(1)]
    classes: Literal["seen_and_new", "whole"] = "seen_and_new"


@dataclass(frozen=True)
class PoissonParams:
    rate: Annotated[PerSecond, Gt(0)]


@dataclass(frozen=True)
class PeriodicParams:
    rate: Annotated[PerSecond, Gt(0)]
    offset: Annotated[Seconds, Ge(0)] = 0.0


@dataclass(frozen=True)
class VggParams:
    size: Literal["small", "vgg9"] = "vgg9"
    steps: Annotated[int, Ge(1)] = 4
    widths: tuple[int, ...] = ()
    dropout: float | None = 0.5
    spread: bool = False

    def __post_init__(self) -> None:
        if self.size == "vgg9" and self.widths:
            raise ValueError("expected widths only with the size small")


@dataclass(frozen=True)
class TrainingParams:
    epochs: Annotated[int, Ge(1)] = 12


@dataclass(frozen=True)
class DistillParams:
    logit_weight: float = 0.5
    temperature: Annotated[float, Gt(0)] = 3.0
    old_weight: float = 0.5


@dataclass(frozen=True)
class PublishedParams:
    table: str = "ecc_snn_cifar100"


@dataclass(frozen=True)
class EccSnnParams:
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.3
    reply: Bytes = 100.0
    entropy: Literal["all", "min_over_heads"] = "all"


@dataclass(frozen=True)
class RandomOffloadParams:
    rate: float | str = 0.5


TABLE: dict[str, dict[str, type[Any]]] = {
    "data": {"digits": NoParams, "npz": NpzParams},
    "schedule": {"class_incremental": ClassIncrementalParams},
    "skew": {"none": NoParams},
    "arrivals": {"poisson": PoissonParams, "periodic": PeriodicParams},
    "model": {"spiking_vgg": VggParams, "vgg": VggParams},
    "cloud_training": {"supervised": TrainingParams},
    "setup": {"joint_distillation": DistillParams},
    "update": {"self_distillation": DistillParams},
    "costs": {"counted": NoParams, "published": PublishedParams},
    "strategy": {
        "ecc_snn": EccSnnParams,
        "edge_only": NoParams,
        "cloud_only": NoParams,
        "random_offload": RandomOffloadParams,
    },
    "device_card": {"darwin3": NoParams, "rtx3090": NoParams, "raspberry_pi_4b": NoParams},
    "link_card": {"wifi_2012": NoParams, "lte_2012": NoParams},
}


class FakeLookup:
    def names(self, kind: str) -> list[str]:
        return sorted(TABLE[kind])

    def params_of(self, kind: str, name: str) -> type[Any]:
        return TABLE[kind][name]

    def boundaries(self, costs: str) -> Sequence[str]:
        return ("published",) if costs == "published" else ("device", "op")

    def metrics(self) -> Sequence[str]:
        return ("accuracy", "cur", "latency_s.mean", "latency_s.p95")
