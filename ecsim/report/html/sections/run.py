"""The sections of one run, in the order in which they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecsim.report.html.section import Section
from ecsim.report.html.sections import (
    devices,
    exits,
    figures,
    logs,
    phases,
    provenance,
    series,
    summary,
    timeline,
    warnings,
)

if TYPE_CHECKING:
    from ecsim.records.store import Run


def of_run(run: Run) -> list[Section]:
    """Give the sections that a run has something for."""
    found = [
        summary.of_run(run),
        warnings.of([run.summary], run.manifest),
        figures.of_summary(run.summary, figures.distribution(run)),
        phases.of_summary(run.summary, run.manifest),
        exits.of_summary(run.summary),
        devices.of_run(run),
        logs.energy(run),
        logs.queues(run),
        series.of_run(run),
        logs.updates(run),
        timeline.of_run(run),
        provenance.of(run.manifest),
    ]
    return [section for section in found if section is not None]
