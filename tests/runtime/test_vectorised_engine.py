"""The vectorised engine against the event loop: the same rows to the bit, the same books."""

import numpy as np
import pandas as pd
import pytest

from ecsim.core.errors import UserError
from ecsim.core.registry import register
from ecsim.runtime.run import run_scenario
from ecsim.strategies.edge_only import EdgeOnly

ARMS = [
    {"name": "edge_only"},
    {"name": "cloud_only"},
    {"name": "ecc_snn", "threshold": 0.5},
    {"name": "random_offload", "rate": 0.3},
    {"name": "random_offload", "label": "matched", "rate": "match ecc_snn"},
]
PRIVATE = [{"between": ["cam", "cloud"], "card": "wifi_2012", "radio": False}]
SHARED = [{"between": ["cam", "cloud"], "card": "wifi_2012", "radio": False, "shared": True}]
LOADED = [
    {
        "between": ["cam", "cloud"],
        "card": "wifi_2012",
        "radio": False,
        "shared": True,
        "uplink": "5 Mbit/s",
    }
]
TWO_CLOUDS = {
    "cam": {"count": 3, "tier": "edge", "card": "darwin3"},
    "near": {"tier": "cloud", "card": "rtx3090"},
    "far": {"tier": "cloud", "card": "rtx3090"},
}
THREE = {
    "cam": {"count": 4, "tier": "end", "card": "darwin3"},
    "hub": {"tier": "edge", "card": "raspberry_pi_4b"},
    "cloud": {"tier": "cloud", "card": "rtx3090"},
}
TWO_HOPS = [
    {"between": ["cam", "hub"], "card": "wifi_2012", "radio": False, "shared": True},
    {"between": ["hub", "cloud"], "card": "wifi_2012", "radio": False},
]
PERIODIC = {"kind": "periodic", "rate": "10 /s"}  # every device at the same instants
POISSON = {"kind": "poisson", "rate": "9 /s"}


def both(write_scenario, tmp_path, nodes=None, links=None, arrivals=POISSON, run=None, **stream):
    made = []
    for engine in ("event", "vectorised"):
        scenario = {
            "stream": {
                "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
                "phase": "10 s",
                "arrivals": arrivals,
                "payload": "60 kB",
                **stream,
            },
            "strategies": ARMS,
            "run": {"engine": engine, **(run or {})},
        }
        if links is not None:
            cameras = {"count": 3, "tier": "edge", "card": "darwin3"}
            plain = {"cam": cameras, "cloud": {"tier": "cloud", "card": "rtx3090"}}
            scenario["topology"] = {"nodes": nodes or plain, "links": links}
        path = write_scenario(engine, **scenario)
        made.append(run_scenario(path, out=tmp_path / "runs"))
    return made


SYSTEMS = {
    "private": {"links": PRIVATE},
    "shared": {"links": SHARED},
    "overloaded": {"links": LOADED},
    "two clouds": {
        "nodes": TWO_CLOUDS,
        "links": [
            {"between": ["cam", "near"], "card": "wifi_2012", "radio": False, "latency": "1 ms"},
            {"between": ["cam", "far"], "card": "wifi_2012", "radio": False, "latency": "9 ms"},
        ],
    },
    "two hops": {"nodes": THREE, "links": TWO_HOPS},
    "ties": {"links": SHARED, "arrivals": PERIODIC},
    "ties on private links": {"links": PRIVATE, "arrivals": PERIODIC},
    "warm-up and deadline": {"links": SHARED, "run": {"warmup": "13 s"}, "deadline": "50 ms"},
    "radios with tails": {"links": [{"between": ["cam", "cloud"], "card": "wifi_2012"}]},
    "long tails on a shared medium, read in the middle": {
        "links": [{"between": ["cam", "cloud"], "card": "3g_2012", "shared": True}],
        "arrivals": {"kind": "poisson", "rate": "0.2 /s"},
        "run": {"warmup": "13 s"},
    },
    "seed of long streams": {"links": PRIVATE, "arrivals": {"kind": "poisson", "rate": "60 /s"}},
}


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_it_gives_what_the_event_loop_gives(write_scenario, tmp_path, system):
    event, vectorised = both(write_scenario, tmp_path, **system)
    assert set(event.manifest["engines"].values()) == {"event"}
    assert set(vectorised.manifest["engines"].values()) == {"vectorised"}
    order = ["strategy", "task_id"]
    rows = [run.tasks.sort_values(order).reset_index(drop=True) for run in (event, vectorised)]
    pd.testing.assert_frame_equal(*rows, check_exact=True, check_categorical=False)
    # rows come in the order in which the tasks ended, but for ties
    for label in vectorised.manifest["engines"]:
        ends = vectorised.tasks.loc[vectorised.tasks["strategy"] == label, "t_answer_s"]
        assert (np.diff(ends) >= 0.0).all()
    for table in ("energy", "queues"):
        pd.testing.assert_frame_equal(
            getattr(event, table), getattr(vectorised, table), rtol=1e-9, atol=1e-9
        )
    pd.testing.assert_frame_equal(event.probe, vectorised.probe)


PLAIN = {
    "nodes": {
        "cam": {"count": 2, "tier": "edge", "card": "darwin3"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    },
    "links": PRIVATE,
}
UNSUITED = {
    "time-outs": {"topology": PLAIN, "strategies": [{"name": "cloud_only", "timeout": "1 s"}]},
    "other tenants": {
        "topology": {
            "nodes": {
                "cam": {"count": 2, "tier": "edge", "card": "darwin3"},
                "cloud": {
                    "tier": "cloud",
                    "card": "rtx3090",
                    "background": {"rate": "1 /s", "service": "5 ms"},
                },
            },
            "links": PRIVATE,
        }
    },
    "half duplex": {
        "topology": {
            **PLAIN,
            "links": [{**PRIVATE[0], "duplex": "half"}],
        }
    },
    "cut short": {"topology": PLAIN, "run": {"drain": "1 s"}},
    "promotion": {
        "topology": {**PLAIN, "links": [{**PRIVATE[0], "card": "lte_2012", "radio": True}]}
    },
    "outages": {
        "topology": {
            **PLAIN,
            "nodes": {
                **PLAIN["nodes"],
                "cloud": {
                    **PLAIN["nodes"]["cloud"],
                    "outages": {"schedule": [{"at": "5 s", "for": "1 s"}]},
                },
            },
        }
    },
    "battery": {
        "topology": {
            **PLAIN,
            "nodes": {
                **PLAIN["nodes"],
                "cam": {**PLAIN["nodes"]["cam"], "battery": {"capacity": "1 MJ"}},
            },
        }
    },
    "finite buffer": {
        "topology": {
            **PLAIN,
            "nodes": {
                **PLAIN["nodes"],
                "cloud": {**PLAIN["nodes"]["cloud"], "capacity": 3},
            },
        }
    },
    "loss": {
        "topology": {
            **PLAIN,
            "links": [{**PRIVATE[0], "loss": {"probability": 0.1, "timeout": "9 ms"}}],
        }
    },
    "jitter": {
        "topology": {
            **PLAIN,
            "links": [{**PRIVATE[0], "jitter": {"kind": "exponential", "mean": "1 ms"}}],
        }
    },
}


@pytest.mark.parametrize("sections", UNSUITED.values(), ids=UNSUITED)
def test_what_it_cannot_do_runs_event_by_event_and_says_so(write_scenario, tmp_path, sections):
    auto = run_scenario(write_scenario("auto", **sections), out=tmp_path / "runs")
    assert set(auto.manifest["engines"].values()) == {"event"}
    run = {**sections.get("run", {}), "engine": "vectorised"}
    path = write_scenario("forced", **{**sections, "run": run})
    with pytest.raises(UserError, match="cannot run vectorised: "):
        run_scenario(path, out=tmp_path / "runs")


@register("strategy", "stubborn_for_tests")
class Stubborn(EdgeOnly):
    """Does something else than the strategy whose way it inherits."""

    def serve(self, task, ctx):
        yield ctx.after(1.0)
        return (yield from super().serve(task, ctx))


def test_a_way_is_not_inherited_by_another_serve(write_scenario, tmp_path):
    path = write_scenario(topology=PLAIN, strategies=[{"name": "stubborn_for_tests"}])
    run = run_scenario(path, out=tmp_path / "runs")
    assert run.manifest["engines"] == {"stubborn_for_tests": "event"}
    assert (run.tasks["latency_s"] > 1.0).all()
