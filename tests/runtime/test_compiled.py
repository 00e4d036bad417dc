"""The compiled twins of a few methods change nothing, are used when they fit, and only then."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import ecsim
from ecsim import compiled
from ecsim.kernel import After, FifoServer, Ledger, Use, World

PACKAGE = Path(ecsim.__file__).parent
RUN = """
import json, sys
from pathlib import Path
from ecsim import compiled
from ecsim.runtime.run import run_scenario
out = run_scenario(Path(sys.argv[1]), out=Path(sys.argv[2])).path
print(json.dumps([str(out), compiled.is_used]))
"""
needs_build = pytest.mark.skipif(
    not compiled.is_used, reason=f"compares with the compiled path, and {compiled.why_not}"
)


def run(scenario, out, pure):
    env = os.environ | {"ECSIM_PURE": "1" if pure else "0"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, scenario, out],
        env=env, check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    folder, is_used = json.loads(done.stdout.splitlines()[-1])
    assert is_used is not pure
    assert json.loads((Path(folder) / "manifest.json").read_text())["compiled"] is not pure
    return Path(folder)


@needs_build
def test_both_paths_write_the_same_tables_to_the_bit(write_scenario, tmp_path):
    nodes = {
        "cam": {"count": 6, "tier": "edge", "card": "darwin3"},
        "cloud": {
            "tier": "cloud",
            "card": "rtx3090",
            "outages": {"schedule": [{"at": "12 s", "for": "1 s"}]},
        },
    }
    links = [{"between": ["cam", "cloud"], "card": "wifi_2012", "uplink": "8 Mbit/s"}]
    scenario = write_scenario(
        "twins",
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
            "phase": "10 s",
            "arrivals": {"kind": "poisson", "rate": "9 /s"},
            "payload": "60 kB",
            "deadline": "100 ms",
        },
        topology={"nodes": nodes, "links": links},
        strategies=[
            {"name": "ecc_snn", "threshold": 0.5, "timeout": "80 ms", "on_timeout": "edge"},
            {"name": "cloud_only"},
        ],
        run={"engine": "event", "probe": "1 s"},
    )
    folders = [run(scenario, tmp_path / f"{pure}", pure) for pure in (False, True)]
    names = [sorted(path.name for path in folder.glob("*.parquet")) for folder in folders]
    assert names[0] == names[1]
    assert "tasks.parquet" in names[0]
    for name in names[0]:
        one, other = (pq.read_table(folder / name).to_pandas() for folder in folders)
        assert list(one) == list(other)
        for column in one:
            if one[column].dtype == np.float64:  # to the bit, NaN and the sign of zero included
                np.testing.assert_array_equal(
                    one[column].to_numpy().view(np.int64), other[column].to_numpy().view(np.int64)
                )
            else:
                assert one[column].astype(object).equals(other[column].astype(object)), column


@needs_build
@pytest.mark.parametrize("changed", ["", "kernel/travel.py"])
def test_a_build_is_used_with_its_own_sources_only(tmp_path, changed):
    copy = tmp_path / "ecsim"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    if changed:
        (copy / changed).write_text((copy / changed).read_text() + "\n# another line\n")
    code = "import json, ecsim.compiled as c; print(json.dumps([c.__file__, c.is_used, c.why_not]))"
    env = os.environ | {"PYTHONPATH": str(tmp_path), "ECSIM_PURE": ""}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env, cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    file, is_used, why_not = json.loads(done.stdout)
    assert Path(file).parent == copy
    assert is_used is not bool(changed)
    assert ("changed" in why_not) is not is_used


@needs_build
def test_the_methods_are_the_compiled_ones():
    for method in (World.spawn, World._loop, Use.start, After.start):
        assert not hasattr(method, "__code__")


def test_what_is_not_plain_is_left_to_python():
    """Whole numbers where floats are usual, several units, an account that is too short."""
    world = World()
    server = FifoServer(world, "s", n_servers=2)
    ledger = Ledger(2)
    seen = []

    def flow():
        yield Use(server, 1, 2, stage=1)
        yield After(3)
        seen.append(world.now)
        with pytest.raises(IndexError):
            yield Use(server, 1.0, stage=7)
        yield Use(server, 1.0)

    world.spawn(flow(), ledger=ledger, item="task")
    world.run()
    assert seen == [4.0]
    assert world.now == 5.0
    assert (ledger.service_s, ledger.joules) == ([1.0, 1.0], [0.0, 2.0])
    assert world.n_done == 1
