"""The update log and the pages of devices with updates, against the tables they show."""

import pandas as pd
import pytest

from ecsim.records.store import Run
from ecsim.records.tables import BATTERIES, UPDATES
from ecsim.report.html.page import render
from ecsim.report.html.sections.series import of_run

UPDATE = {
    "strategy": "ecc_snn", "device": "cam[1]", "version": 1, "parent_key": "p", "key": "k",
    "phase": 1, "n_samples": 37, "n_classes": 6, "new_classes": "4 5", "t_start_s": 10.0,
    "t_deploy_s": 12.5, "seconds": 2.25, "joules": 9.5, "macs": 1e9, "source": "own",
    "train_loss": 0.125, "trained_at": "cam[1]", "memory_bytes": 1e6, "sent_bytes": 0.0,
}  # fmt: skip
TAKEN = UPDATE | {
    "strategy": "edge_only", "source": "ecc_snn", "seconds": None, "joules": None,
    "train_loss": None, "trained_at": None, "memory_bytes": None, "sent_bytes": None,
}  # fmt: skip
BATTERY = {
    "strategy": "ecc_snn", "node": "cam[1]", "capacity_j": 1000.0, "initial_j": 900.0,
    "final_j": 123.0, "charged_j": 0.0, "drawn_j": 777.0, "n_depleted": 2, "down_s": 3.5,
}  # fmt: skip


@pytest.fixture
def page(run):
    assert set(UPDATE) == set(UPDATES.names) and set(BATTERY) == set(BATTERIES.names)
    found = Run(run.path, run.manifest, run.summary)
    frame = pd.DataFrame([TAKEN, UPDATE])
    columns = dict.fromkeys(
        ("seconds", "joules", "train_loss", "memory_bytes", "sent_bytes"), float
    )
    found.__dict__["updates"] = frame.astype(columns)
    found.__dict__["batteries"] = pd.DataFrame([BATTERY])
    return render([found])


def words(page, caption):
    """The texts of a table's body, in order."""
    body = page.split(f"<caption>{caption}</caption>")[1].split("<tbody>")[1].split("</tbody>")[0]
    return [part.split(">")[-1] for part in body.split("</t") if part.split(">")[-1]]


def test_the_log_shows_each_version(page):
    assert words(page, "Deployed versions") == [
        "ecc_snn", "cam[1]", "1", "10.0", "12.5", "2.25", "9.50", "37", "6", "4 5", "own", "0.12",
        "edge_only", "cam[1]", "1", "10.0", "12.5", "-", "-", "37", "6", "4 5", "ecc_snn", "-",
    ]  # fmt: skip


def test_a_device_shows_its_own_updates_and_its_battery(page):
    first = words(page, "cam[1]: tasks and updates")
    assert first[first.index("ecc_snn") + 8 : first.index("ecc_snn") + 10] == ["1", "9500"]
    assert first[first.index("edge_only") + 8 : first.index("edge_only") + 10] == ["0", "0"]
    assert words(page, "cam[1]: battery") == [
        "ecc_snn", "1000", "900", "123", "0", "777", "2", "3.50",
    ]  # fmt: skip
    assert "<caption>cam[0]: battery" not in page


def test_series_show_peaks_of_queues_and_means_of_use(run):
    """Of 250 readings three make a point: the highest number of jobs, the mean of the others."""
    n = 250
    jobs = [7 if i == 100 else i % 2 for i in range(n)]
    reading = {"strategy": "ecc_snn", "place": "cloud", "component": "gpu"}
    rows = [
        reading | {"t_s": float(i), "n_jobs": jobs[i], "utilisation": (i % 3) / 2, "watts": 80.0}
        for i in range(n)
    ]
    rows += [
        reading | {"place": "link 0", "component": "up", "t_s": float(i), "n_jobs": 0,
                   "utilisation": 0.1, "watts": None}
        for i in range(n)
    ]  # fmt: skip
    found = Run(run.path, run.manifest, run.summary)
    frame = pd.DataFrame(rows).astype({"n_jobs": "Int32", "watts": float})
    found.__dict__["series"] = frame
    section = of_run(found)
    assert "A point stands for 3 readings" in section.body
    table = words(section.body, "Jobs that wait or are served")
    by_time = {table[i + 1]: table[i + 2 : i + 4] for i in range(0, len(table), 4)}
    assert len(by_time) == 84  # the last of them of one reading
    assert by_time["101"] == ["7.00", "0"] and by_time["2.00"] == ["1.00", "0"]
    assert set(words(section.body, "Use since the last reading")[2:-4:4]) == {"50.0"}
    power = words(section.body, "Mean power since the last reading")
    assert power[:6] == ["ecc_snn", "2.00", "80.0", "ecc_snn", "5.00", "80.0"]
    manifest = run.manifest | {"files": {}}
    assert of_run(Run(run.path, manifest, run.summary)) is None
