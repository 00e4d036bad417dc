"""Joules of two energy boundaries never share an axis, a table or a mean."""

import re

import pytest
import yaml

import ecsim
from ecsim.core.errors import UserError
from ecsim.report.html.page import render

ENERGY = ("energy_per_task_j.total",)


@pytest.fixture(scope="module")
def sweep(write_shared_scenario):
    """Give a sweep of 2 boundaries x 2 payloads."""
    path = write_shared_scenario(
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 5, "increment": 5},
            "phase": "2 s", "payload": "1 kB", "arrivals": {"kind": "poisson", "rate": "2 /s"},
        },
        strategies=[{"name": "cloud_only"}],
    )  # fmt: skip
    axes = [
        {"keys": {"energy.boundary": ["device", "op"]}},
        {"keys": {"stream.payload": ["1 kB", "9 kB"]}},
    ]
    plan = path.with_name("boundaries.yaml")
    plan.write_text(yaml.safe_dump({"scenario": path.name, "sweep": {"axes": axes}}))
    return ecsim.sweep(plan, out=path.parent / "results")


@pytest.mark.parametrize("kind", ["pareto", "energy", "heatmap", "parallel"])
def test_figures_of_energies_refuse_two_boundaries(sweep, kind):
    metrics = {"pareto": (*ENERGY, "accuracy"), "heatmap": ENERGY}.get(kind, ())
    with pytest.raises(
        UserError, match=r"several boundaries, device, op, .*energy\.boundary=device"
    ):
        ecsim.plot(kind, sweep, metrics=metrics)
    where = {"energy.boundary": "op"}
    frame = ecsim.plot("energy", sweep, where=where).frame
    assert len(frame) == 2  # payloads


def test_other_metrics_and_one_boundary_are_shown(sweep):
    with pytest.raises(UserError, match=r"energy_share\.cloud: energies of several boundaries"):
        ecsim.table(sweep, metrics=["energy_share.cloud"])
    assert ecsim.table(sweep, metrics=["accuracy", "latency_s.mean"]).count(r"\\") >= 4
    assert "energy" in ecsim.table(sweep, where={"energy.boundary": "device"})


def test_runs_that_are_no_sweep_are_named_so(sweep):
    runs = list(sweep.runs.values())
    assert {run.manifest["boundary"] for run in runs} == {"device", "op"}
    with pytest.raises(UserError, match="choose runs of one boundary"):
        ecsim.plot("energy", *runs)
    page = render(runs[:1] + runs[-1:])
    beside = page.partition("The results beside each other")[2].partition("</table>")[0]
    assert "energy boundary device" in beside and "energy boundary op" in beside


def test_a_report_draws_each_boundary_apart(sweep):
    page = render([sweep])
    found = re.findall(r"<figcaption[^>]*>([^<]*)", page) + re.findall(
        r"<caption[^>]*>([^<]*)", page
    )
    of_energy = [title for title in found if title.lower().startswith("energy per task")]
    assert of_energy
    for title in of_energy:
        assert ("boundary device" in title) != ("boundary op" in title), title
    ranges = [title for title in found if title.startswith("Lowest and highest")]
    assert len(ranges) == 2
