"""Search for good values with Optuna; every trial is a cell in the store of a sweep.

What has been tried is kept in `search.journal`, lines of JSON, so that the same command goes on. A
trial's choice follows from the seed, its number and the results before it: a search that was
interrupted chooses as one that was not, with any engine and number of workers.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecsim.core.errors import ScenarioError, UserError
from ecsim.core.randomness import derive_seed
from ecsim.experiment.cells import Cell
from ecsim.experiment.collect import collect
from ecsim.experiment.design import at
from ecsim.experiment.engines import Engine
from ecsim.experiment.pareto import write_trials
from ecsim.experiment.plan import Study, folder_name
from ecsim.experiment.progress import SweepProgress
from ecsim.experiment.sweep import Folder
from ecsim.records.metrics import METRICS, is_energy, metric
from ecsim.records.store import ROOT, Run
from ecsim.records.sweeps import Sweep, read_sweep
from ecsim.scenario import assertion
from ecsim.scenario.messages import not_one_of
from ecsim.scenario.sweep import Range, Search

_NOTHING: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric of a strategy, and whether more of it is better."""

    label: str
    path: str
    is_maximised: bool

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Read ``maximize ecc_snn.accuracy``, whose form the schema has checked."""
        direction, name = text.split()
        label, _, path = name.partition(".")
        return cls(label, path, direction == "maximize")

    @property
    def name(self) -> str:
        """Label and metric."""
        return f"{self.label}.{self.path}"


def search(
    path: str | os.PathLike[str],
    engine: Engine,
    *,
    overrides: Mapping[str, object] = _NOTHING,
    out: str | Path = ROOT,
    plugins: Iterable[str | os.PathLike[str]] = (),
    progress: SweepProgress | None = None,
) -> Sweep:
    """Run the trials of a search that are left; give all of them as a sweep.

    The folder gets `trials.csv` (every trial with its objectives) and `pareto.csv` (the feasible
    ones that no other beats in all objectives), beside what a sweep has.

    Raises
    ------
    UserError : the input is wrong, or Optuna is missing; nothing was run.
    """
    optuna = _optuna()
    study_file = Study.read(path, overrides)
    wanted = study_file.search
    if wanted is None:
        raise study_file.without("search")
    objectives = [Objective.parse(text) for text in wanted.objectives]
    probe = _check(study_file, wanted, objectives)
    progress = progress or SweepProgress()
    settings = wanted.model_dump(mode="json", by_alias=True)
    del settings["trials"], settings["batch"]
    name = folder_name(study_file.name, [probe.digest, repr(sorted(settings.items()))])
    about = {"section": "search", "keys": list(wanted.keys), "search": settings, "axes": []}
    folder = Folder(study_file, out, name, about, plugins)
    with _quiet(optuna):
        trials = _Trials(optuna, folder.path / "search.journal", study_file, wanted, objectives)
        cells = trials.cells()
        folder.plan(cells.values())
        progress.begin(wanted.trials, trials.n_finished)
        while trials.n_finished < wanted.trials:
            batch = trials.ask(min(wanted.batch, wanted.trials - trials.n_finished))
            cells |= batch
            folder.plan({cell.name: cell for cell in cells.values()}.values())
            distinct = {cell.name: cell for cell in batch.values()}
            with closing(folder.run(distinct.values(), engine)) as outcomes:
                for outcome in outcomes:
                    progress.end_of_cell(outcome)
            for number, cell in batch.items():
                trials.tell(number, cell.finished(folder.cells))
        write_trials(folder.path, trials.rows(), wanted, objectives)
    collect(folder.path)
    return read_sweep(folder.path)


def _check(study: Study, wanted: Search, objectives: list[Objective]) -> Cell:
    """Load the scenario at both ends of every range and every choice; give the first."""
    lowest = {
        key: study.placed(_choices(of)[0], ("search", "keys", key))
        for key, of in wanted.keys.items()
    }
    first, loaded = study.cell(wanted, lowest)
    problems: dict[Any, None] = {}
    boundaries = {loaded.scenario.energy.boundary: None}
    for key, of in wanted.keys.items():
        for value in _choices(of):
            placed = study.placed(value, ("search", "keys", key))
            try:
                _, other = study.cell(wanted, {**lowest, key: placed})
                boundaries[other.scenario.energy.boundary] = None
            except ScenarioError as error:
                problems |= dict.fromkeys(error.problems)
    labels = [entry.label for entry in loaded.scenario.strategies]
    named = [(("search", "objectives", i), o.label, o.path) for i, o in enumerate(objectives)]
    for i, text in enumerate(wanted.constraints):
        named += [
            (("search", "constraints", i), of.label, of.path)
            for of in assertion.parse(text).metrics
        ]
    for place, label, path in named:
        if label not in labels:
            message = not_one_of(label, labels, "strategy's label")
            problems[study.problem(place, message)] = None
        if path not in METRICS:
            problems[study.problem(place, not_one_of(path, METRICS, "metric"))] = None
        elif is_energy(path) and len(boundaries) > 1:
            message = f"expected one energy boundary in all trials, got {' and '.join(boundaries)}"
            problems[study.problem(place, message)] = None
    if problems:
        raise ScenarioError(list(problems))
    return first


def _choices(of: Range | tuple[Any, ...]) -> list[Any]:
    return [at(of, 0.0), at(of, 1.0)] if isinstance(of, Range) else list(of)


class _Trials:
    """What has been tried and what is tried next."""

    def __init__(
        self, optuna: Any, journal: Path, study: Study, wanted: Search, objectives: list[Objective]
    ):
        self._optuna = optuna
        self._study_file = study
        self._wanted = wanted
        self._objectives = objectives
        backend = optuna.storages.journal.JournalFileBackend(str(journal))
        self._study = optuna.create_study(
            study_name="search",
            storage=optuna.storages.JournalStorage(backend),
            directions=["maximize" if o.is_maximised else "minimize" for o in objectives],
            load_if_exists=True,
        )
        self._distributions = {key: _distribution(optuna, of) for key, of in wanted.keys.items()}

    @property
    def n_finished(self) -> int:
        """Number of trials that have a result, or failed."""
        return sum(trial.state.is_finished() for trial in self._study.trials)

    def cells(self) -> dict[int, Cell]:
        """Give the cells of all trials so far by number."""
        return {t.number: self._cell(t.params) for t in self._study.trials if self._is_chosen(t)}

    def ask(self, n: int) -> dict[int, Cell]:
        """Give the trials to run next: first those that an interruption left without a result."""
        left = [t for t in self._study.trials if not t.state.is_finished() and self._is_chosen(t)]
        chosen = {trial.number: self._cell(trial.params) for trial in left[:n]}
        for _ in range(n - len(chosen)):
            self._study.sampler = self._sampler(len(self._study.trials))
            trial = self._study.ask(self._distributions)
            chosen[trial.number] = self._cell(trial.params)
        return dict(sorted(chosen.items()))

    def tell(self, number: int, run: Run | None) -> None:
        """Keep the result of a trial; None: it failed."""
        state = self._optuna.trial.TrialState
        values = [metric(run.summary, o.label, o.path) for o in self._objectives] if run else []
        if run is None or any(value != value for value in values):
            self._study.tell(number, state=state.FAIL)
            return
        trial = self._optuna.trial.Trial(self._study, self._study.trials[number]._trial_id)
        trial.set_user_attr("violation", self._violations(run))
        self._study.tell(number, values)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give each finished trial: number, cell, values, objectives, whether it is feasible."""
        for trial in self._study.trials:
            if not self._is_chosen(trial):
                continue
            cell = self._cell(trial.params)
            found = trial.values or [None] * len(self._objectives)
            yield {
                "trial": trial.number,
                "cell": cell.name,
                **cell.values,
                **{o.name: value for o, value in zip(self._objectives, found, strict=True)},
                "feasible": trial.values is not None and not any(self._violation_of(trial)),
            }

    def _is_chosen(self, trial: Any) -> bool:
        return {*trial.params} == {*self._distributions}

    def _cell(self, params: Mapping[str, Any]) -> Cell:
        values = {}
        for key, of in self._wanted.keys.items():
            share = params[key]
            values[key] = at(of, share) if isinstance(of, Range) else of[share]
        return self._study_file.cell(self._wanted, values)[0]

    def _sampler(self, number: int) -> Any:
        seed = derive_seed(self._wanted.seed, f"trial/{number}")
        constraints = self._violation_of if self._wanted.constraints else None
        samplers = self._optuna.samplers
        if self._wanted.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        make = samplers.TPESampler if self._wanted.sampler == "tpe" else samplers.NSGAIISampler
        return make(seed=seed, constraints_func=constraints)

    def _violations(self, run: Run) -> list[float]:
        """Give 0 for each constraint that holds and 1 for each that does not."""

        def value(label: str, path: str) -> float:
            return metric(run.summary, label, path)

        return [
            0.0 if assertion.parse(text).evaluate(value) else 1.0
            for text in self._wanted.constraints
        ]

    @staticmethod
    def _violation_of(trial: Any) -> list[float]:
        return list(trial.user_attrs.get("violation", ()))


def _distribution(optuna: Any, of: Range | tuple[Any, ...]) -> Any:
    """Give the share of a range, or the index of a choice: what a share means is ours."""
    if isinstance(of, Range):
        return optuna.distributions.FloatDistribution(0.0, 1.0)
    return optuna.distributions.CategoricalDistribution(list(range(len(of))))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise UserError("a search needs Optuna: pip install 'ecsim[search]'") from None
    return optuna


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Keep Optuna's log and its notes on experimental features to itself."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # newer ones want `Trial.set_constraint`, which those before 5 do not have
            warnings.filterwarnings("ignore", "`constraints_func`", FutureWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
