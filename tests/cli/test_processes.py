"""What needs a process of its own: hash seeds, signals, a damaged cache."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

import ecsim

TRAINED = {
    "models": {
        "edge": {"name": "spiking_vgg", "size": "small", "steps": 2},
        "cloud": {"name": "vgg", "size": "small"},
    },
    "learning": {
        "cloud": {"name": "supervised", "epochs": 1},
        "setup": {"name": "joint_distillation", "epochs": 1},
        "update": {"name": "self_distillation", "epochs": 1},
    },
}
TABLES = ("tasks", "updates", "energy", "probe")


def start(path, out, cache, hash_seed="0", **options):
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "ECSIM_CACHE": str(cache)}
    command = [sys.executable, "-m", "ecsim", "run", str(path), "--out", str(out)]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process, code=0):
    output, errors = process.communicate(timeout=240)
    assert process.returncode == code, output + errors
    assert "Traceback" not in errors
    return output + errors


def test_another_process_with_another_hash_seed_gives_the_same_tables(write_scenario, tmp_path):
    path = write_scenario(**TRAINED)
    runs = [
        start(path, tmp_path / name, tmp_path / f"cache-{name}", hash_seed)
        for name, hash_seed in (("a", "1"), ("b", "2"))
    ]
    for process in runs:
        finish(process)
    one, two = (ecsim.load("small", tmp_path / name) for name in ("a", "b"))
    assert len(one.updates) > 0
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(one, table), getattr(two, table))


@pytest.mark.parametrize("damage", ["truncated", "not torch"])
def test_a_damaged_cache_entry_is_rebuilt_and_said(write_scenario, tmp_path, damage):
    path = write_scenario(**TRAINED)
    cache = tmp_path / "cache"
    first = ecsim_run(path, tmp_path / "a", cache)
    for entry in (*cache.glob("*.pt"), *cache.glob("*.npz")):
        content = entry.read_bytes()
        entry.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"no")
    notes = []
    second = ecsim_run(path, tmp_path / "b", cache, notes)
    assert len(notes) == len(list(cache.glob("*.pt")))
    assert all("unreadable and is rebuilt" in note for note in notes)
    pd.testing.assert_frame_equal(first.tasks, second.tasks)
    third = ecsim_run(path, tmp_path / "c", cache, notes)
    assert all(made["cached"] for made in third.manifest["trainings"])


def test_cached_predictions_stand_for_the_networks(write_scenario, tmp_path):
    """Without one network to load the run is the same, and knows which trainings it rests on."""
    path, cache = write_scenario(**TRAINED), tmp_path / "cache"
    first = ecsim_run(path, tmp_path / "a", cache)
    for entry in cache.glob("*.pt"):
        entry.unlink()
    second = ecsim_run(path, tmp_path / "b", cache)
    assert not list(cache.glob("*.pt"))
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(first, table), getattr(second, table))
    keys = [{(made["key"], made["what"]) for made in run.manifest["trainings"]}
            for run in (first, second)]  # fmt: skip
    assert keys[0] == keys[1]
    assert first.updates["train_loss"].notna().all()


def test_two_processes_that_need_one_training_train_it_once(write_scenario, tmp_path):
    path = write_scenario(**TRAINED)
    runs = [start(path, tmp_path / name, tmp_path / "cache") for name in ("a", "b")]
    for process in runs:
        finish(process)
    trained = [
        made["key"]
        for name in ("a", "b")
        for made in ecsim.load("small", tmp_path / name).manifest["trainings"]
        if not made["cached"]
    ]
    assert len(trained) == len(set(trained)) > 2


def ecsim_run(path, out, cache, notes=None):
    from ecsim.learning.cache import ArtefactCache
    from ecsim.runtime.run import run_scenario

    said = notes if notes is not None else []
    return run_scenario(path, out=out, cache=ArtefactCache(cache, warn=said.append))


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_interrupted_run_leaves_nothing_that_looks_whole(write_scenario, tmp_path, sent, code):
    path = write_scenario()
    out = tmp_path / "runs"
    override = ["stream.phase=20000 s"]  # long enough to be met in the middle
    environment = os.environ | {"ECSIM_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(
        [sys.executable, "-m", "ecsim", "run", str(path), "--out", str(out), "--set", *override],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(out.glob(".*.partial-*")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(sent)
    output = finish(process, code)
    assert ("interrupted" in output) is (code == 130)
    assert [entry for entry in out.iterdir() if not entry.name.startswith(".")] == []
    if code == 130:
        assert list(out.iterdir()) == []
    finish(start(path, out, tmp_path / "cache"))  # the next run clears what a kill left
    assert [entry.name[:6] for entry in out.iterdir()] == ["small-"]
