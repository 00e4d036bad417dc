"""A camera so slow that cutting a small network pays, and what its runs say of the cut."""

CARDS = """
devices:
  mcu:
    title: a slow camera
    constants:
      macs_per_s: {value: 20 Mop/s, source: made up}
      overhead: {value: 0 s, source: made up}
      idle_power: {value: 0.1 W, source: made up}
      active_power: {value: 0.6 W, source: made up}
  server:
    title: a fast server
    constants:
      macs_per_s: {value: 1 Gop/s, source: made up}
      overhead: {value: 0 s, source: made up}
      idle_power: {value: 1 W, source: made up}
      active_power: {value: 2 W, source: made up}
"""


def lab(write, name, *strategies, rate="8 Mbit/s", link=None, model="vgg", load="2 /s", **more):
    line = {"between": ["cam", "cloud"], "card": "ethernet_gigabit", "latency": "2 ms"}
    sections = {
        "cards": "cards.yaml",
        "stream": {
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 6},
            "phase": "20 s",
            "arrivals": {"kind": "periodic", "rate": load},
            "payload": "3 kB",
        },
        "topology": {
            "nodes": {
                "cam": {"tier": "edge", "card": "mcu"},
                "cloud": {"tier": "cloud", "card": "server"},
            },
            "links": [line | {"uplink": rate} | (link or {})],
        },
        "models": {"edge": {"name": "vgg"}, "cloud": {"name": model}},
        "learning": {
            "cloud": {"epochs": 1},
            "setup": {"name": "joint_distillation", "epochs": 1},
            "update": "none",
        },
        "strategies": list(strategies),
    } | more
    path = write(name, **sections)
    path.with_name("cards.yaml").write_text(CARDS)
    return path


ADAPTIVE = {"name": "adaptive_split", "weight": 1.0, "hold": "400 ms", "probe": "1 s"}


def of(table, label):
    return table[table["strategy"] == label].reset_index(drop=True)


def cuts(run, label):
    """Give when which number of layers came to the device."""
    marks = of(run.marks, label)
    found = marks[marks["name"] == "layers_on_device"]
    return list(zip(found["t_s"].round(3), found["value"].astype(int), strict=True))
