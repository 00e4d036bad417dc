"""The runs of some cells in their order, whichever engine makes those that are missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path

from ecsim.core.errors import EcsimError
from ecsim.experiment import engines
from ecsim.experiment.cells import Cell
from ecsim.experiment.job import Job, Outcome, work
from ecsim.records.store import Run
from ecsim.runtime.progress import Progress


def runs_of(
    cells: Iterable[Cell],
    folder: Path,
    *,
    jobs: int = 1,
    plugins: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Generator[Run, None, None]:
    """Give the run of each cell; closing the iterator ends what is under way.

    Parameters
    ----------
    cells : asked for one by one, a few ahead of the runs given.
    folder : of the runs.
    jobs : processes that make runs at the same time; the runs do not depend on it.
    plugins : files that a process has to load before.
    progress : told about trainings and arms where everything happens in this process.

    Raises
    ------
    EcsimError : a cell failed; those before it were given, and stay.
    """
    left = iter(cells)
    for cell in left:
        run = cell.finished(folder)
        if run is None:
            yield from _made(chain([cell], left), folder, jobs, plugins, progress)
            return
        yield run


def _made(
    cells: Iterator[Cell],
    folder: Path,
    jobs: int,
    plugins: Sequence[Path],
    progress: Progress | None,
) -> Iterator[Run]:
    wanted: deque[Cell] = deque()
    is_here = jobs == 1  # where plugins are loaded, nothing dies, and what fails would fail again
    names = () if is_here else tuple(str(plugin.resolve()) for plugin in plugins)

    def queue() -> Iterator[Job]:
        for cell in cells:
            wanted.append(cell)
            yield Job(cell, folder, names)

    engine = engines.make(None, jobs, retries=0 if is_here else engines.RETRIES)
    make = partial(work, progress=progress) if is_here else work
    ended: dict[str, Outcome] = {}
    with closing(engine.run(queue(), make)) as outcomes:
        for outcome in outcomes:
            ended[outcome.id] = outcome
            while wanted and wanted[0].name in ended:
                yield _run(ended.pop(wanted[0].name), folder / wanted.popleft().name)


def _run(outcome: Outcome, path: Path) -> Run:
    if outcome.mistake is not None:
        raise outcome.mistake
    if outcome.failed:
        raise EcsimError(f"{path.name} failed: {outcome.error}\n{outcome.details}".rstrip())
    return Run.open(path)
