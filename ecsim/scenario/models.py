"""The models of the tiers, and how the edge model learns."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    model_validator,
)

from ecsim.core.units import Seconds
from ecsim.scenario.files import File
from ecsim.scenario.plugin import Plugin
from ecsim.scenario.section import Section

Count = Annotated[float, Field(ge=0)]


class TrainedModel(Plugin):
    """A model that is trained here, or starts from the user's weights."""

    registry: ClassVar[str] = "model"
    noun: ClassVar[str] = "model"

    weights: File | None = Field(default=None, description="file of trained weights to start from")


class PredictionWork(Section):
    """Counted work of one inference of a model that is known by its predictions alone."""

    macs: Count = Field(default=0.0, description="multiply-accumulates")
    sops: Count = Field(default=0.0, description="synaptic operations")
    neuron_updates: Count = Field(default=0.0, description="membrane updates")
    bytes_moved: Count = Field(default=0.0, description="bytes of weights and activations moved")
    steps: Annotated[int, Field(ge=1)] = Field(default=1, description="equal pieces of service")


class Predictions(Section):
    """A model that is known by its predictions alone."""

    predictions: File = Field(description="npz file of logits, one row per sample")
    work: PredictionWork = Field(description="counted work of one inference")


def _model(value: Any, info: ValidationInfo) -> TrainedModel | Predictions:
    form = Predictions if isinstance(value, dict) and "predictions" in value else TrainedModel
    return form.model_validate(value, context=info.context)


Model = Annotated[
    TrainedModel | Predictions,
    PlainValidator(_model, json_schema_input_type=TrainedModel | Predictions),
    PlainSerializer(lambda model: model.model_dump(mode="json", by_alias=True)),
]


class Models(Section):
    """The models of the tiers."""

    edge: Model = Field(description="model of the edge devices")
    cloud: Model = Field(description="model of the cloud")


class CloudTraining(Plugin):
    """How the cloud model learns before the start."""

    registry: ClassVar[str] = "cloud_training"
    default_name: ClassVar[str] = "supervised"
    noun: ClassVar[str] = "training of the cloud model"

    knowledge: Literal["all_classes", "base_only", "delayed"] = Field(
        default="all_classes",
        description="classes the cloud knows: all from the start, only ever the base classes, or "
        "each new one as soon as labels of it have come",
    )
    label_delay: Annotated[Seconds, Field(ge=0)] | None = Field(
        default=None,
        description="for knowledge: delayed, time from a class's first phase to labels of it",
    )


class Setup(Plugin):
    """How the edge model learns before the start."""

    registry: ClassVar[str] = "setup"
    default_name: ClassVar[str] = "joint_distillation"
    noun: ClassVar[str] = "set-up"


class Drift(Section):
    """The test on the normalised entropies of a device's own answers."""

    test: Literal["page_hinkley", "adwin"] = Field(
        default="page_hinkley", description="Page-Hinkley, or an adaptive window (ADWIN2)"
    )
    tolerance: Count = Field(
        default=0.05, description="of page_hinkley: rise of the mean that is no drift"
    )
    threshold: Annotated[float, Field(gt=0)] = Field(
        default=5.0,
        description="of page_hinkley: sum of the excess over it at which a drift is detected",
    )
    delta: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.002, description="of adwin: about the probability of a false cut at one answer"
    )
    least: Annotated[int, Field(ge=1)] = Field(
        default=30,
        description="answers before a detection: since the start or the last one, or in adwin's "
        "window",
    )

    @model_validator(mode="after")
    def _has_effect(self) -> Self:
        others = ("tolerance", "threshold") if self.test == "adwin" else ("delta",)
        for name in others:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} has no effect with test: {self.test}")
        return self


class Update(Plugin):
    """How and when a device trains its model during the run."""

    registry: ClassVar[str] = "update"
    noun: ClassVar[str] = "update method"

    when: Literal["end_of_phase", "buffer_full", "charging", "periodic", "drift_detected"] = Field(
        default="end_of_phase",
        description="what starts an update; charging: the begin of a window in which the device's "
        "battery is charged; drift_detected: a lasting rise of the device's entropies",
    )
    every: Annotated[Seconds, Field(gt=0)] | None = Field(
        default=None, description="time between the starts of updates, for when: periodic"
    )
    drift: Drift = Field(
        default_factory=dict,
        validate_default=True,
        description="how when: drift_detected sees a drift",
    )
    where: Literal["device", "cloud"] = Field(
        default="device",
        description="where the training runs; cloud: the device uploads what it buffered, and "
        "gets the new weights back",
    )
    labels: Literal["cloud", "oracle"] = Field(
        default="cloud",
        description="what is learned of a buffered sample: the cloud's answer, or the true class",
    )
    only_while_charging: bool = Field(
        default=False,
        description="whether an update waits until the device's battery is being charged",
    )
    while_updating: Literal["share", "offline", "idle_only"] = Field(
        default="share", description="how inference goes on during an update"
    )
    buffer: Annotated[int, Field(ge=1)] = Field(
        default=512, description="samples that a device's buffer holds"
    )


def _none(value: Any) -> Any:
    return None if value == "none" else value


class Learning(Section):
    """How the models are made, and how the edge model is kept up to date."""

    cloud: CloudTraining = Field(
        default_factory=dict,
        validate_default=True,
        description="how the cloud model learns before the start",
    )
    setup: Setup = Field(
        default_factory=dict,
        validate_default=True,
        description="how the edge model learns before the start",
    )
    update: Annotated[Update | None, BeforeValidator(_none)] = Field(
        default=None, description="how a device trains during the run; without it, or none, never"
    )
