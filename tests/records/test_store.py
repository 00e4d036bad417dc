import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from taskrows import store as store_rows

from ecsim.core.errors import StoreError
from ecsim.core.types import Task
from ecsim.records import store
from ecsim.records.arrow import read_tables
from ecsim.records.metrics import summarise
from ecsim.records.recorder import Recorder
from ecsim.records.store import Run, RunWriter, list_runs, load

NAME = "quickstart-ä [7]"


def record(folder, n=20):
    """Write n task rows of two strategies and one row of energy."""
    nothing = SimpleNamespace(
        wait_s=[0.0] * 5, service_s=[0.0] * 5, joules=[0.0] * 5, bytes=[0.0] * 5,
        propagation_s=0.0, wasted_j=0.0,
    )  # fmt: skip
    with Recorder(folder) as recorder:
        store_rows(
            recorder,
            [
                (
                    ("ecc_snn", "δ=0.3 <b>")[i % 2], Task(i, "cam[0]", i, 0, 1, float(i), 6e4),
                    "answered", i + 0.5, nothing, "edge", False, 1, 1, True, False, 0.1, 0, "key",
                )
                for i in range(n)
            ],
        )  # fmt: skip
        recorder.add(
            "energy", strategy="ecc_snn", node="cam[0]", tier="edge", component="inference",
            state="idle", seconds=10.0, joules=2.5, marginal_j=0.0,
        )  # fmt: skip


@pytest.fixture
def make_run():
    def make(root, name=NAME, n=20):
        with RunWriter(root, name) as writer:
            record(writer.path, n)
            summary = summarise(**read_tables(writer.path))
            return writer.commit({"seeds": {"world": 1}}, summary)

    return make


def hidden(root):
    return sorted(path.name for path in root.iterdir() if path.name.startswith("."))


def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_committed_run_opens_with_what_was_written(tmp_path, make_run):
    made = make_run(tmp_path)
    run = Run.open(tmp_path / NAME)
    assert run == made
    assert run.manifest["run"] == NAME
    assert run.manifest["seeds"] == {"world": 1}
    assert len(run.tasks) == 20
    assert run.tasks is run.tasks
    assert len(run.updates) == len(run.probe) == 0
    assert run.energy["joules"].sum() == 2.5
    assert sum(of["n"] for of in run.summary.values()) == 20
    assert json.loads((run.path / "summary.json").read_text()) == run.summary
    assert hidden(tmp_path) == []
    (row,) = list_runs(tmp_path)
    assert (row.name, row.n_tasks, set(row.labels)) == (NAME, 20, set(run.summary))


def test_nothing_is_visible_before_the_commit(tmp_path):
    with RunWriter(tmp_path, NAME) as writer:
        record(writer.path)
        (writer.path / "manifest.json").write_text("{}")
        assert list_runs(tmp_path) == []
        with pytest.raises(StoreError):
            load(NAME, tmp_path)
        assert len(hidden(tmp_path)) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_an_interrupted_run_leaves_nothing_and_the_earlier_run_stays(tmp_path, make_run, error):
    make_run(tmp_path, n=7)
    with pytest.raises(error), RunWriter(tmp_path, NAME) as writer:
        record(writer.path)
        raise error
    assert hidden(tmp_path) == []
    assert len(load(NAME, tmp_path).tasks) == 7


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_killed_run_leaves_nothing_that_is_listed_and_the_next_clears_it(tmp_path, make_run):
    code = (
        "import os, signal, sys\n"
        "from ecsim.records.recorder import Recorder\n"
        "from ecsim.records.store import RunWriter\n"
        "writer = RunWriter(sys.argv[1], 'killed')\n"
        "recorder = Recorder(writer.path)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(hidden(tmp_path)) == 1
    assert list_runs(tmp_path) == []
    with pytest.raises(StoreError):
        load("killed", tmp_path)
    make_run(tmp_path, "next")
    assert [path.name for path in tmp_path.iterdir()] == ["next"]


def test_a_second_run_of_the_same_name_replaces_the_first_only_at_its_commit(tmp_path, make_run):
    make_run(tmp_path, n=7)
    with RunWriter(tmp_path, NAME) as writer:
        record(writer.path, n=9)
        assert len(load(NAME, tmp_path).tasks) == 7
        writer.commit({}, {})
        assert len(load(NAME, tmp_path).tasks) == 9
    assert len(load(NAME, tmp_path).tasks) == 9
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_leftovers_of_living_processes_and_of_others_are_left_alone(tmp_path, make_run):
    mine = RunWriter(tmp_path, "slow")
    host = mine.path.name.split("-")[-2]
    other_host = tmp_path / f".x.partial-{dead_pid()}-{host}x-0a"
    not_ours = tmp_path / ".git"
    dead = tmp_path / f".x.partial-{dead_pid()}-{host}-0a"
    for folder in (other_host, not_ours, dead):
        folder.mkdir()
    make_run(tmp_path)
    assert not dead.exists()
    assert mine.path.exists() and other_host.exists() and not_ours.exists()
    record(mine.path)
    mine.commit({}, {})
    assert {row.name for row in list_runs(tmp_path)} == {"slow", NAME}


def test_a_run_set_aside_by_a_process_that_died_is_put_back(tmp_path, make_run):
    make_run(tmp_path, n=7)
    writer = RunWriter(tmp_path, "probe")
    host = writer.path.name.split("-")[-2]
    writer.abort()
    (tmp_path / NAME).rename(tmp_path / f".{NAME}.replaced-{dead_pid()}-{host}-0a")
    assert list_runs(tmp_path) == []
    RunWriter(tmp_path, "next").abort()
    assert len(load(NAME, tmp_path).tasks) == 7


def test_a_folder_that_is_no_run_is_never_replaced(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreError, match="not a run"):
        RunWriter(tmp_path, "notes")
    assert hidden(tmp_path) == []
    with RunWriter(tmp_path, "late") as writer:
        record(writer.path)
        (tmp_path / "late").mkdir()
        with pytest.raises(StoreError, match="not a run"):
            writer.commit({}, {})


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a\\b"])
def test_names_that_are_no_folder_names_are_refused(tmp_path, name):
    with pytest.raises(StoreError):
        RunWriter(tmp_path, name)


def test_a_commit_without_its_tables_is_refused(tmp_path):
    with RunWriter(tmp_path, NAME) as writer, pytest.raises(StoreError, match=r"tasks\.parquet"):
        writer.commit({}, {})
    assert list(tmp_path.iterdir()) == []


def test_load_takes_a_folder_a_name_or_the_beginning_of_one(tmp_path, make_run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = Path("results")
    for name in ("digits-1", "digits-2", "table"):
        make_run(results, name)
    assert load(results / "digits-1").path == results / "digits-1"
    assert load("digits-2").path == results / "digits-2"
    assert load("tab").path == results / "table"
    with pytest.raises(StoreError, match="several runs: digits-1, digits-2"):
        load("digits")
    with pytest.raises(StoreError, match="did you mean digits-"):
        load("dgits-1")
    with pytest.raises(StoreError, match="results has 3 runs"):
        load("zzz")
    (results / "empty").mkdir()
    with pytest.raises(StoreError, match=r"no manifest.json"):
        load(results / "empty")
    assert list_runs(tmp_path / "nowhere") == []


def test_a_run_without_its_time_series_is_not_whole(tmp_path):
    with RunWriter(tmp_path, NAME) as writer:
        record(writer.path)
        (writer.path / "series.parquet").write_bytes(b"rows")
        run = writer.commit({}, summarise(**read_tables(writer.path)))
    (run.path / "series.parquet").unlink()
    with pytest.raises(StoreError, match="not a whole run"):
        Run.open(run.path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "tasks.parquet").write_bytes(b"PAR1"), "not as long"),
        (lambda run: (run / "probe.parquet").unlink(), "not a whole run"),
        (lambda run: (run / "manifest.json").write_text("{"), "not a whole run"),
        (lambda run: (run / "manifest.json").write_text("[]"), "not a whole run"),
        (lambda run: (run / "manifest.json").write_text('{"format": 99}'), "format 99"),
    ],
)
def test_a_damaged_run_says_what_is_wrong_and_is_not_listed(tmp_path, make_run, damage, message):
    make_run(tmp_path)
    damage(tmp_path / NAME)
    with pytest.raises(StoreError, match=message):
        load(NAME, tmp_path)
    assert list_runs(tmp_path) == []


def test_html_is_escaped_and_lists_the_strategies(tmp_path, make_run):
    run = make_run(tmp_path, "a <b> & [c]")
    html = run._repr_html_()
    assert "a &lt;b&gt; &amp; [c]" in html
    assert "<td>δ=0.3 &lt;b&gt;</td>" in html
    assert html.count("<tr>") == 1 + len(run.summary)
    assert "<th>latency_s.mean (ms)</th>" in html and "<th>accuracy (%)</th>" in html
    of = next(iter(run.summary.values()))
    assert f"<td>{100 * of['accuracy']:.4g}</td>" in html
    of["stable"] = False
    assert "<td>unstable</td>" in run._repr_html_()


def test_figures_are_found_by_name(tmp_path, make_run):
    run = make_run(tmp_path)
    assert run.figures == {}
    (run.path / "figures").mkdir()
    (run.path / "figures" / "one.png").write_bytes(b"")
    (run.path / "figures" / "one.pdf").write_bytes(b"")
    assert run.figures == {"one": run.path / "figures" / "one.png"}


def test_listing_runs_loads_no_heavy_package(tmp_path, make_run):
    make_run(tmp_path)
    code = (
        "import sys\n"
        "from ecsim.records.store import list_runs, load\n"
        "import ecsim.report\n"
        "row, = list_runs(sys.argv[1])\n"
        "heavy = {'pandas', 'pyarrow', 'matplotlib', 'torch', 'simpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert len(load(row.path).tasks) == 20\n"
        "assert not {'matplotlib', 'torch', 'simpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_the_format_number_is_that_of_the_manifest(tmp_path, make_run):
    run = make_run(tmp_path)
    assert run.manifest["format"] == store.FORMAT
    about = run.manifest["files"]["tasks.parquet"]
    assert about["bytes"] == (run.path / "tasks.parquet").stat().st_size
    assert len(about["sha256"]) == 64
