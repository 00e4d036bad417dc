"""The paper's protocol: a deployed version on a whole pool, in no simulated time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecsim.core.types import IntArray, ModelRef, Prediction

if TYPE_CHECKING:
    from ecsim.collab.oracle import Predictor


@dataclass(frozen=True, slots=True)
class Probed:
    """What a version achieves on a pool.

    Attributes
    ----------
    n : samples of the pool.
    accuracy : of the edge version alone, over all classes of the pool.
    accuracy_known : over the samples of classes it has a column for; None without such samples.
    system_accuracy, cur : of edge and cloud together by the strategy's rule, and the share that
        the rule uploads; None for a strategy without such a rule.
    """

    n: int
    accuracy: float
    accuracy_known: float | None
    system_accuracy: float | None
    cur: float | None


def probe(
    edge: ModelRef,
    cloud: ModelRef,
    edge_predictor: Predictor,
    cloud_predictor: Predictor,
    pool: IntArray,
    labels: IntArray,
    offloads: Callable[[Prediction], bool | None],
) -> Probed:
    """Score a version on the samples of `pool`; `labels` is indexed by sample id."""
    known = set(edge.classes)
    n_right = n_known = n_right_known = n_system = n_uploaded = 0
    has_rule = True
    for sample_id, label in zip(pool.tolist(), labels[pool].tolist(), strict=True):
        prediction = edge_predictor.predict(edge, sample_id)
        is_right = prediction.label == label
        n_right += is_right
        n_known += label in known
        n_right_known += is_right and label in known
        uploads = offloads(prediction)
        if uploads is None:
            has_rule = False
        elif uploads:
            n_uploaded += 1
            n_system += cloud_predictor.predict(cloud, sample_id).label == label
        else:
            n_system += is_right
    n = len(pool)
    return Probed(
        n=n,
        accuracy=n_right / n,
        accuracy_known=n_right_known / n_known if n_known else None,
        system_accuracy=n_system / n if has_rule else None,
        cur=n_uploaded / n if has_rule else None,
    )
