"""Replay: a few samples of every class stay on the device and are learned again.

Source: Rebuffi et al., iCaRL, 2017, for the shared budget of exemplars; here they are a uniform
sample of each class instead of herded ones. An upper reference for methods without exemplars.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge

from ecsim.core.randomness import derive_seed
from ecsim.core.types import Labelled
from ecsim.learning.update import UpdateMethod


class Replay(UpdateMethod):
    """Train all weights on the buffer (L_new) and on exemplars with their labels.

    Exemplars of the first classes are samples of the set-up, with true labels, and come with the
    first version; later ones are taken from the buffer, with the cloud's labels. Every known class
    has the same number.
    """

    @dataclass(frozen=True, kw_only=True)
    class Params(UpdateMethod.Params):
        """Number of exemplars, length and step size.

        Attributes
        ----------
        exemplars : samples that a device keeps over all classes.
        """

        exemplars: Annotated[int, Ge(0)] = 100

    params: Params

    def keeps(self, samples: Labelled, n_classes: int) -> Labelled:
        """Keep of each class those samples whose own random numbers are lowest.

        So that what is kept is a uniform sample, whatever the order in which samples came.
        """
        per_class = self.params.exemplars // n_classes
        rank = np.array(
            [derive_seed(self._train_seed, f"exemplar/{i}") for i in samples.sample_ids.tolist()],
            dtype=np.uint64,
        )
        kept = [
            rows[np.argsort(rank[rows], kind="stable")[:per_class]]
            for rows in (np.flatnonzero(samples.labels == c) for c in np.unique(samples.labels))
        ]
        rows = np.sort(np.concatenate(kept)) if kept else np.empty(0, np.int64)
        return Labelled(samples.sample_ids[rows], samples.labels[rows])
