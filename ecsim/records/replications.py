"""A scenario's replicates: ordinary runs beside each other, and intervals over them.

::

    results/<name>-<hash>/replications.json    written last; seeds, run names, intervals
    results/<name>-<hash>/runs/<run name>/     one ordinary run for each replicate
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecsim.core.errors import StoreError
from ecsim.records import shown
from ecsim.records.metrics import METRICS, metric
from ecsim.records.store import FORMAT, Run

if TYPE_CHECKING:
    import pandas as pd

FILE = "replications.json"


@dataclass(frozen=True)
class Replications:
    """The finished replicates of a scenario.

    Attributes
    ----------
    path : their folder.
    manifest : the scenario, the seeds and runs, why it ended, and the intervals.
    """

    path: Path
    manifest: dict[str, Any] = field(repr=False)

    @cached_property
    def runs(self) -> list[Run]:
        """The runs, in the order of the replicates."""
        return [Run.open(self.path / "runs" / name) for name in self.manifest["runs"]]

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per replicate and strategy: replicate, seed, strategy, then every metric."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"replicate": i, "seed": seed, "strategy": label}
                | {path: metric(run.summary, label, path) for path in METRICS}
                for i, (seed, run) in enumerate(zip(self.manifest["seeds"], self.runs, strict=True))
                for label in run.summary
            ]
        )

    @cached_property
    def intervals(self) -> pd.DataFrame:
        """One row per strategy and metric: mean, low, high, n; bounds are NaN where n is 1."""
        import pandas as pd

        frame = pd.DataFrame(self.manifest["intervals"])
        numbers = ["mean", "low", "high"]
        frame[numbers] = frame[numbers].astype(float)
        return frame

    def _repr_html_(self) -> str:
        found = {(row["strategy"], row["metric"]): row for row in self.manifest["intervals"]}
        rows = []
        for label in dict.fromkeys(strategy for strategy, _ in found):
            stable = found[label, "stable"]["mean"]
            cells = [_with_half(found[label, path], path, stable) for path in shown.IN_NOTEBOOKS]
            rows.append((label, *cells))
        title = f"{self.path.name}: {len(self.manifest['runs'])} replicates"
        heads = ("strategy", *map(shown.named, shown.IN_NOTEBOOKS))
        return shown.table(title, heads, rows, "± is half a 95 % interval (Student's t).")


def _with_half(row: Mapping[str, Any], path: str, stable: float | None) -> str:
    text = shown.result(row["mean"], path, stable)
    if row["high"] is None or text in ("-", "unstable"):
        return text
    return f"{text} ± {shown.number(row['high'] - row['mean'], path, '{:.2g}')}"


def read_replications(folder: str | Path) -> Replications:
    """Open the replicates in a folder; raise `StoreError` unless they are whole."""
    path = Path(folder)
    try:
        manifest = json.loads((path / FILE).read_text(encoding="utf-8"))
        if manifest["kind"] != "replications" or manifest["format"] != FORMAT:
            raise StoreError(f"{path / FILE} is of another kind or format ({FORMAT} is read)")
        found = Replications(path, manifest)
        if not (len(manifest["runs"]) == len(manifest["seeds"]) == len(found.runs)):
            raise StoreError(f"{path / FILE} has not as many seeds as runs")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} holds no whole replications: {error}") from error
    except StoreError as error:
        raise StoreError(f"{error}; the same `ecsim run` makes what is missing") from error
    return found
