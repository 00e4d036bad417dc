"""What the validation pool says about a version; for choices, and for them alone.

It is looked at outside simulated time, like the probe pool: a choice costs neither seconds nor
joules. No sample of it is ever in the stream or in a training (`streams.pools` deals them apart).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecsim.core.types import BoolArray, FloatArray, IntArray, ModelRef, Part, Prediction, Work

if TYPE_CHECKING:
    from ecsim.collab.oracle import Predictor


@dataclass(frozen=True, slots=True, eq=False)
class Validated:
    """A version on the validation pool, in the pool's order.

    Attributes
    ----------
    predictions : of the version, N of them.
    is_right : whether they are of the true class, shape (N,).
    """

    predictions: tuple[Prediction, ...]
    is_right: BoolArray

    @property
    def logits(self) -> FloatArray:
        """The version's logits, shape (N, K)."""
        return np.stack([prediction.logits for prediction in self.predictions])


class Validation:
    """The validation pool and the models that can be asked about it.

    Parameters
    ----------
    pool : ids of its samples.
    labels : true class by sample id, of all samples.
    n_classes : classes of the data set.
    edge, cloud : who predicts at the edge and in the cloud.
    cloud_model : the cloud's version at the start.
    heads_of : gives the number of columns of each head of a version.

    Attributes
    ----------
    cloud_model : the cloud's present version.
    """

    def __init__(
        self,
        pool: IntArray,
        labels: IntArray,
        n_classes: int,
        edge: Predictor,
        cloud: Predictor,
        cloud_model: ModelRef,
        heads_of: Callable[[ModelRef], tuple[int, ...]],
    ):
        self.n_classes = n_classes
        self.heads_of = heads_of
        self._pool = pool.tolist()
        self._labels = labels.tolist()
        self.n_samples = len(self._labels)
        self._edge = edge
        self._cloud = cloud
        self.cloud_model = cloud_model

    def is_right(self, sample_id: int, prediction: Prediction) -> bool:
        """Whether a prediction is of the sample's true class, which no device can know."""
        return bool(self._labels[sample_id] == prediction.label)

    def of(self, model: ModelRef) -> Validated:
        """Give what an edge version answers for the pool."""
        return self._asked(self._edge, model)

    def of_cloud(self) -> Validated:
        """Give what the cloud answers for the pool."""
        return self._asked(self._cloud, self.cloud_model)

    def of_part(self, model: ModelRef, part: Part, variant: int = 0) -> Validated:
        """Give what a part of a version, of either role, answers for a variant of the pool."""
        predictor = self._cloud if model.role == "cloud" else self._edge
        return self._asked(predictor, model, part, variant)

    def exits_of(self, model: ModelRef) -> tuple[Validated, ...]:
        """Give what each exit of a version, of either role, answers for the pool."""
        predictor = self._cloud if model.role == "cloud" else self._edge
        numbers = range(len(predictor.exits(model)))
        return tuple(self._asked(predictor, model, Part(exit=number)) for number in numbers)

    def works(self, model: ModelRef, part: Part, most: int) -> list[Work]:
        """Give what a part takes for the first samples of the pool, `most` of them at most."""
        predictor = self._cloud if model.role == "cloud" else self._edge
        return [predictor.predict(model, sample, part).work for sample in self._pool[:most]]

    @property
    def labels(self) -> IntArray:
        """The true class of each sample of the pool, in its order."""
        return np.array([self._labels[sample] for sample in self._pool])

    def _asked(
        self, predictor: Predictor, model: ModelRef, part: Part | None = None, variant: int = 0
    ) -> Validated:
        first = variant * self.n_samples
        predictions = tuple(predictor.predict(model, first + sample, part) for sample in self._pool)
        right = [self.is_right(s, p) for s, p in zip(self._pool, predictions, strict=True)]
        return Validated(predictions, np.array(right, dtype=bool))
