import math
import random
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from taskrows import as_columns, store

from ecsim.core.types import Task
from ecsim.records.arrow import ROW_GROUP, read_frame, read_tables
from ecsim.records.recorder import Recorder
from ecsim.records.tables import PROBE, STAGES, STATUSES, TABLES, TASKS, UPDATES

DEVICES = ("cam[0]", "cam[1]", "Kamera Süd 📷", "a/b [x] 'q'")
LABELS = ("ecc_snn", "edge_only", "δ=0.3 [test]")


def random_row(r: random.Random, task_id: int) -> tuple[object, ...]:
    """One random task, as `store` takes it."""
    status = r.choice(STATUSES)
    is_answered = status in ("answered", "late")
    t_arrive_s = r.uniform(0, 100)
    deadline_s = r.choice([None, 0.1, 0.4])
    task = Task(
        task_id, r.choice(DEVICES), r.randrange(50), r.randrange(3), r.randint(1, 3), t_arrive_s,
        6e4, deadline_s,
    )  # fmt: skip
    ledger = SimpleNamespace(
        wait_s=[r.random() for _ in STAGES],
        service_s=[r.random() for _ in STAGES],
        joules=[r.random() for _ in STAGES],
        bytes=[r.choice([0.0, 6e4, 17.0]) for _ in STAGES],
        propagation_s=r.random(),
        wasted_j=r.choice([0.0, 0.25]),
    )
    return (
        r.choice(LABELS), task, status, t_arrive_s + r.random() * 0.5 if is_answered else math.nan,
        ledger, r.choice(["edge", "cloud"]) if is_answered else "", r.random() < 0.5,
        r.randrange(4), r.randrange(4), r.random() < 0.5, r.random() < 0.5,
        r.choice([math.nan, r.random()]), r.randrange(3), r.choice(["", "key-ä", "k" * 64]),
    )  # fmt: skip


@pytest.fixture
def rows():
    """Give n random argument tuples; the same for the same n and seed."""

    def make(n, seed=5):
        r = random.Random(seed)
        return [random_row(r, i) for i in range(n)]

    return make


UPDATE = {
    "strategy": "ecc_snn", "device": "cam[0]", "version": 1, "parent_key": "a", "key": "b",
    "phase": 0, "n_samples": 60, "n_classes": 6, "new_classes": "4 5", "t_start_s": 60.0,
    "t_deploy_s": 63.5, "seconds": 3.5, "joules": 12.25, "macs": 1e9, "source": "own",
}  # fmt: skip


def as_dict(row):
    """What one call says, column by column, worked out the slow way."""
    (strategy, task, status, t_answer_s, ledger, route, uploaded, label, predicted, seen, new,
     entropy, version, key) = row  # fmt: skip
    answered = status in ("answered", "late")
    out = {
        "strategy": strategy, "task_id": task.id, "device": task.device, "phase": task.phase,
        "visit": task.visit, "sample_id": task.sample_id, "status": status,
        "t_arrive_s": task.t_arrive_s, "t_answer_s": t_answer_s,
        "latency_s": t_answer_s - task.t_arrive_s if answered else math.nan,
        "propagation_s": ledger.propagation_s, "route": route, "uploaded": uploaded,
        "label": label, "predicted": predicted, "correct": answered and predicted == label,
        "seen": seen, "new_in_phase": new, "normalized_entropy": entropy,
        "model_version": version, "model_key": key, "wasted_j": ledger.wasted_j,
        "up_bytes": ledger.bytes[3], "down_bytes": ledger.bytes[4],
    }  # fmt: skip
    for i, stage in enumerate(("end", "edge", "cloud", "up", "down")):
        out[f"{stage}_wait_s"] = ledger.wait_s[i]
        out[f"{stage}_service_s"] = ledger.service_s[i]
        out[f"{stage}_j"] = ledger.joules[i]
    out["energy_j"] = math.fsum([*ledger.joules, ledger.wasted_j])
    out["corruption"] = ""
    out["exit"] = 0 if answered else -1
    out["deadline_met"] = None
    if task.deadline_s is not None:
        out["deadline_met"] = answered and t_answer_s - task.t_arrive_s <= task.deadline_s
    return out


def test_stored_rows_equal_rows_built_by_hand(tmp_path, rows):
    given = rows(500)
    with Recorder(tmp_path) as recorder:
        store(recorder, given)
    frame = read_frame(tmp_path / "tasks.parquet", TASKS)
    naive = pd.DataFrame([as_dict(row) for row in given])
    assert list(frame.columns) == list(TASKS.names)
    assert set(naive.columns) == set(frame.columns)
    for column in TASKS.columns:
        stored, expected = frame[column.name], naive[column.name]
        if column.name == "energy_j":  # the only sum: equal up to the order of additions
            np.testing.assert_allclose(stored, expected, rtol=4e-16 * len(STAGES))
        elif column.name == "deadline_met":
            assert [None if pd.isna(v) else bool(v) for v in stored] == list(expected)
        elif column.dtype == "float64":
            np.testing.assert_array_equal(stored.to_numpy(), expected.to_numpy())
        else:
            assert stored.tolist() == expected.tolist(), column.name


def test_ids_beyond_the_data_set_are_stored_as_sample_and_corruption(tmp_path, rows):
    """The ids of `rows` go to 49: with 20 samples those are clean, noise 1 and noise 2."""
    given = rows(300)
    with Recorder(tmp_path, n_samples=20) as recorder:
        store(recorder, given)
    frame = read_frame(tmp_path / "tasks.parquet", TASKS)
    ids = np.array([row[1].sample_id for row in given])
    assert ids.max() >= 40
    assert frame["sample_id"].tolist() == (ids % 20).tolist()
    names = np.array(["", "noise 1", "noise 2"])[ids // 20]
    assert frame["corruption"].tolist() == names.tolist()


def test_every_nan_is_a_null_in_the_file_and_only_where_declared(tmp_path, rows):
    with Recorder(tmp_path) as recorder:
        store(recorder, rows(200))
    stored = pq.read_table(tmp_path / "tasks.parquet")
    nulls = {name for name in stored.column_names if stored[name].null_count}
    assert nulls == {"t_answer_s", "latency_s", "normalized_entropy", "deadline_met"}
    assert stored.schema.field("edge_wait_s").metadata[b"unit"] == b"s"


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_row_groups_break_at_the_declared_size(tmp_path, rows, extra):
    few = [(LABELS[0], *row[1:]) for row in rows(64)]
    n = ROW_GROUP + extra
    with Recorder(tmp_path) as recorder:
        store(recorder, few * (n // 64) + few[: n % 64])
        counts = recorder.status_counts()
    file = pq.ParquetFile(tmp_path / "tasks.parquet")
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sizes == ([n] if extra <= 0 else [ROW_GROUP, extra])
    ids = file.read(columns=["task_id"])["task_id"].to_numpy()
    assert (ids == np.arange(n) % 64).all()
    assert sum(sum(by_status.values()) for by_status in counts.values()) == n


def test_texts_that_appear_only_in_a_later_row_group_are_read_back(tmp_path, rows):
    (row,) = rows(1)
    with Recorder(tmp_path) as recorder:
        store(recorder, [row] * ROW_GROUP)
        store(recorder, [("zz [new] ü", *row[1:])])
    labels = read_frame(tmp_path / "tasks.parquet", TASKS)["strategy"]
    assert labels.iloc[-1] == "zz [new] ü"
    assert set(labels.iloc[:-1]) == {row[0]}


def test_status_counts_name_every_status_of_every_label(tmp_path, rows):
    given = rows(300)
    with Recorder(tmp_path) as recorder:
        assert recorder.status_counts() == {}
        store(recorder, given)
        counts = recorder.status_counts()
    assert counts == recorder.status_counts()  # the same after the rows were written
    for label in {row[0] for row in given}:
        for status in ("answered", "late", "in_flight", "dropped", "died"):
            assert counts[label][status] == sum(r[0] == label and r[2] == status for r in given)


def test_equal_rows_give_equal_bytes(tmp_path, rows):
    for name, seed in (("one", 5), ("two", 5), ("other", 6)):
        (tmp_path / name).mkdir()
        with Recorder(tmp_path / name) as recorder:
            store(recorder, rows(300, seed))
            recorder.add("updates", **UPDATE)
    for table in TABLES:
        one, two = ((tmp_path / n / f"{table.name}.parquet").read_bytes() for n in ("one", "two"))
        assert one == two
    tasks = [(tmp_path / n / "tasks.parquet").read_bytes() for n in ("one", "other")]
    assert tasks[0] != tasks[1]


def test_a_block_that_cannot_be_stored_leaves_no_trace(tmp_path, rows):
    good, bad = rows(2)
    columns = as_columns([bad]) | dict.fromkeys(("device", "route", "model_key"), np.array([0]))
    texts = {"device": ["cam"], "route": ["edge"], "model_key": [""]}
    with Recorder(tmp_path) as recorder:
        for wrong, error in (
            ({"edge_wait_s": np.zeros(2)}, ValueError),
            ({"device": [1]}, IndexError),
        ):
            with pytest.raises(error):
                recorder.task_block("s", columns | wrong, texts)
        del columns["visit"]
        with pytest.raises(KeyError):
            recorder.task_block("s", columns, texts)
        store(recorder, [good])
    frame = read_frame(tmp_path / "tasks.parquet", TASKS)
    assert frame["task_id"].tolist() == [good[1].id]


def test_a_block_is_stored_in_the_order_asked_for(tmp_path, rows):
    given = [("s", *row[1:]) for row in rows(5)]
    columns = as_columns(given) | dict.fromkeys(("device", "route", "model_key"), np.zeros(5, int))
    texts = {"device": ["cam"], "route": ["edge"], "model_key": [""]}
    with Recorder(tmp_path) as recorder:
        recorder.task_block("s", columns, texts, order=np.array([3, 0, 4, 1]))
    assert read_frame(tmp_path / "tasks.parquet", TASKS)["task_id"].tolist() == [3, 0, 4, 1]


def test_small_tables_keep_their_values_and_nulls(tmp_path):
    with Recorder(tmp_path) as recorder:
        recorder.add("updates", **UPDATE)
        recorder.add("updates", **UPDATE | {"version": 2, "train_loss": 0.5})
        recorder.add(
            "probe", strategy="s", device="cam[0]", version=0, key="k", phase=0, t_s=0.0, n=300,
            accuracy=0.4, system_accuracy=None,
        )  # fmt: skip
    updates = read_frame(tmp_path / "updates.parquet", UPDATES)
    assert updates["version"].tolist() == [1, 2]
    assert math.isnan(updates["train_loss"][0])
    assert updates["train_loss"][1] == 0.5
    assert {k: updates[k].tolist()[0] for k in UPDATE} == UPDATE
    probe = read_frame(tmp_path / "probe.parquet", PROBE)
    assert math.isnan(probe["system_accuracy"][0])
    assert probe["accuracy"].tolist() == [0.4]


@pytest.mark.parametrize("change", [{"phse": 1}, {"key": None}])
def test_a_small_row_with_unknown_or_missing_columns_is_refused(tmp_path, change):
    name = next(iter(change))
    with Recorder(tmp_path) as recorder, pytest.raises(ValueError, match=rf"updates.*'{name}'"):
        recorder.add("updates", **UPDATE | change)


def test_rows_given_by_columns_are_checked_and_follow_the_others(tmp_path):
    one, two = (UPDATE | {"version": version} for version in (1, 2))
    columns = {name: [one[name], two[name]] for name in one}
    with Recorder(tmp_path) as recorder:
        recorder.add("updates", **UPDATE | {"version": 9})
        recorder.add_rows("updates", columns)
        with pytest.raises(ValueError, match="missing columns"):
            recorder.add_rows("updates", {"strategy": ["s"]})
        with pytest.raises(ValueError, match="different lengths"):
            recorder.add_rows("updates", columns | {"version": [1]})
    updates = read_frame(tmp_path / "updates.parquet", UPDATES)
    assert updates["version"].tolist() == [9, 1, 2]


def test_a_run_without_rows_has_empty_tables_of_the_declared_columns(tmp_path):
    Recorder(tmp_path).close()
    for table in TABLES:
        frame = read_frame(tmp_path / f"{table.name}.parquet", table)
        assert list(frame.columns) == list(table.names)
        assert len(frame) == 0
    assert read_tables(tmp_path)["energy"]["joules"].dtype == np.float64


def test_an_error_frees_the_file_and_writes_no_small_tables(tmp_path):
    with pytest.raises(RuntimeError), Recorder(tmp_path) as recorder:
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.parquet"]
    recorder.close()  # nothing more to do
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.parquet"]
