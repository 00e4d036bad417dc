"""Results of any kind, brought into one form: runs, each with the swept values it was made with.

A run is one part, a folder of replications one per replicate, a sweep one per cell. Parts that
differ in nothing but their seeds are replicates of each other: they are shown as a mean with
Student's 95 % interval. A mean over other swept keys is no sample of anything and has no interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ecsim.core.errors import UserError
from ecsim.records.metrics import flatten
from ecsim.records.replications import Replications
from ecsim.records.store import Run
from ecsim.records.sweeps import Sweep
from ecsim.report.keys import brief_of, is_seed, number_of, show, together
from ecsim.report.quantities import quantity
from ecsim.scenario.messages import did_you_mean
from ecsim.statistics.interval import t_interval

if TYPE_CHECKING:
    import pandas as pd

MOST_SERIES = 14
"""As many lines as have styles of their own."""


@dataclass(frozen=True)
class Part:
    """One run: the result that it is of, and the values of the swept keys (none for a run)."""

    source: str
    values: Mapping[str, Any]
    run: Run


@dataclass(frozen=True)
class Series:
    """What one line or bar shows: a strategy in the runs that are replicates of each other."""

    label: str
    strategy: str
    runs: tuple[Run, ...]

    def means(self, metrics: Sequence[str]) -> dict[str, Any]:
        """Give the mean of each metric with its interval, as a row of `Material.means`."""
        return _means([run.summary[self.strategy] for run in self.runs], metrics)


@dataclass(frozen=True)
class Material:
    """The parts of all results, and those of their strategies that are looked at."""

    parts: tuple[Part, ...]
    strategies: tuple[str, ...]

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Swept keys that vary, without seeds; of keys that go together, the first."""
        settings = [part.values for part in self.parts]
        varied = [
            key for key in self._all_keys
            if not is_seed(key) and len({show(values.get(key)) for values in settings}) > 1
        ]  # fmt: skip
        same = together(settings, varied)
        return tuple(key for key in varied if key not in same)

    @cached_property
    def _all_keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key for part in self.parts for key in part.values))

    def means(self, metrics: Sequence[str], keys: Sequence[str] | None = None) -> pd.DataFrame:
        """Give the mean of each metric per source, values of `keys` and strategy.

        Columns: source, the keys, strategy, n (parts), n_unstable, and for each metric its mean
        and ``METRIC low`` and ``METRIC high``, NaN where there is no interval. By default all
        keys that vary; with fewer, the others are averaged over.

        Raises `UserError` for an unknown metric, or for energies of several boundaries.
        """
        import pandas as pd

        self.check_boundary(metrics)
        chosen = self.keys if keys is None else tuple(self.checked_key(key) for key in keys)
        is_sample = set(self.keys) <= set(chosen)
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        brief = self._brief(chosen)
        for part in self.parts:
            for label, of in part.run.summary.items():
                if label in self.strategies:
                    values = tuple(_plain(part.values.get(key), brief[key]) for key in chosen)
                    groups.setdefault((part.source, *values, label), []).append(of)
        rows = [
            dict(zip(("source", *chosen, "strategy"), group, strict=True))
            | _means(found, metrics, is_sample=is_sample)
            for group, found in groups.items()
        ]
        return pd.DataFrame(rows)

    def check_boundary(self, metrics: Sequence[str]) -> None:
        """Raise `UserError` when energies are asked for whose boundaries differ."""
        energies = [metric for metric in metrics if quantity(metric).is_energy]
        found = list(
            dict.fromkeys(str(part.run.manifest.get("boundary", "")) for part in self.parts)
        )
        if energies and len(found) > 1:
            key = next((key for key in self._all_keys if key == "energy.boundary"), None)
            choose = f"--where {key}={found[0]}" if key else "runs of one boundary"
            raise UserError(
                f"{energies[0]}: energies of several boundaries, {', '.join(found)}, are not shown "
                f"together; choose {choose}, or other metrics"
            )

    def series(self) -> list[Series]:
        """Give each strategy at each combination of swept values.

        Raises `UserError` when they are more than one figure can tell apart.
        """
        groups: dict[tuple[str, ...], list[Run]] = {}
        several = len({part.source for part in self.parts}) > 1
        brief = self._brief(self.keys)
        for part in self.parts:
            words = [
                f"{key.rpartition('.')[2]} {brief[key][show(part.values.get(key))]}"
                for key in self.keys
            ]
            for label in part.run.summary:
                if label in self.strategies:
                    name = ", ".join([label, *words, *([part.source] if several else [])])
                    groups.setdefault((name, label), []).append(part.run)
        if len(groups) > MOST_SERIES:
            raise UserError(
                f"expected at most {MOST_SERIES} lines or bars in one figure, got {len(groups)}; "
                "choose with --arms LABEL,... or --where KEY=VALUE"
            )
        return [Series(name, label, tuple(runs)) for (name, label), runs in groups.items()]

    def _brief(self, keys: Iterable[str]) -> dict[str, dict[str, str]]:
        return {key: brief_of(part.values.get(key) for part in self.parts) for key in keys}

    def checked_key(self, key: str) -> str:
        """Give a swept key; raise `UserError` naming the nearest when there is none."""
        if key in self._all_keys:
            return key
        if not self._all_keys:
            raise UserError(f"expected a sweep, as only a sweep has the key {key!r}")
        hint = did_you_mean(key, self._all_keys) or f"; swept are: {', '.join(self._all_keys)}"
        raise UserError(f"{key!r} is not a swept key{hint}")

    def only(self, arms: Sequence[str] = (), where: Mapping[str, str] | None = None) -> Material:
        """Give the same with some strategies, or the parts whose swept keys have some values.

        Raises `UserError` for a label, key or value that there is not.
        """
        for arm in arms:
            if arm not in self.strategies:
                there = "; there are: " + ", ".join(self.strategies)
                hint = did_you_mean(arm, self.strategies) or there
                raise UserError(f"no strategy {arm!r}{hint}")
        parts = self.parts
        for key, text in (where or {}).items():
            self.checked_key(key)
            values = list(dict.fromkeys(str(part.values.get(key)) for part in parts))
            number = number_of(text)
            parts = tuple(
                part for part in parts
                if str(part.values.get(key)) == text
                or (number is not None and number_of(part.values.get(key)) == number)
            )  # fmt: skip
            if not parts:
                raise UserError(f"{key}: expected one of {', '.join(values)}, got {text!r}")
        return replace(self, parts=parts, strategies=tuple(arms) or self.strategies)


def gather(results: Iterable[Run | Replications | Sweep]) -> Material:
    """Bring runs, replications and sweeps into one form; each is named after its folder."""
    parts: list[Part] = []
    for result in results:
        name = result.path.name
        if isinstance(result, Run):
            parts.append(Part(name, {}, result))
        elif isinstance(result, Sweep):
            for cell, run in result.runs.items():
                parts.append(Part(name, result.planned[cell], run))
        else:
            parts += [Part(name, {}, run) for run in result.runs]
    labels = dict.fromkeys(label for part in parts for label in part.run.summary)
    if not labels:
        raise UserError("expected at least one run with a strategy, got none")
    return Material(tuple(parts), tuple(labels))


def _plain(value: Any, brief: Mapping[str, str]) -> Any:
    """Give a swept value; of one that is a mapping or a list its short text."""
    return brief[show(value)] if isinstance(value, Mapping | list) else value


def _means(
    found: Sequence[Mapping[str, Any]], metrics: Sequence[str], *, is_sample: bool = True
) -> dict[str, Any]:
    flat = [dict(flatten(of)) for of in found]
    row: dict[str, Any] = {"n": len(flat)}
    row["n_unstable"] = sum(not of.get("stable", True) for of in flat)
    for metric in metrics:
        known = [float(of[metric]) for of in flat if of.get(metric) is not None]
        interval = t_interval(known) if known else None
        row[metric] = interval.mean if interval else float("nan")
        has = interval is not None and is_sample and interval.n > 1
        row[f"{metric} low"] = interval.low if interval and has else float("nan")
        row[f"{metric} high"] = interval.high if interval and has else float("nan")
    return row
