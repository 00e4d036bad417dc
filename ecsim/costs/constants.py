"""The constants that a card may have, by kind of card: their dimensions, and which must be there.

``ratio`` is a number without a unit. A boundary's energy may be given in one form only: `FORMS`.
"""

from __future__ import annotations

CONSTANTS: dict[str, dict[str, str]] = {
    "devices": {
        "macs_per_s": "throughput",  # effective rate of dense work
        "sops_per_s": "throughput",
        "overhead": "time",  # per inference or mini-batch
        "peak_macs_per_s": "throughput",  # for the roofline: what the data sheet allows
        "memory_rate": "bit rate",
        "memory": "size",  # what models may take of the engine's memory
        "joules_per_sop": "energy",
        "joules_per_mac": "energy",
        "idle_power": "power",
        "active_power": "power",
        "pue": "ratio",  # joules at the wall per joule of the device
        "host_idle_power": "power",  # the device's share of the computer around it
        "host_active_power": "power",
        "batch_fixed": "ratio",  # share of a sample's time that a batch pays once
    },
    "links": {
        "up_rate": "bit rate",
        "down_rate": "bit rate",
        "latency": "time",
        "up_slope": "energy per bit",
        "down_slope": "energy per bit",
        "base_power": "power",
        "up_valid_to": "bit rate",  # highest rate for which the power law was measured
        "down_valid_to": "bit rate",
        "promotion_time": "time",  # from sleep until the radio can transfer
        "promotion_power": "power",
        "tail_time": "time",  # connected after its last transfer
        "tail_power": "power",
    },
    "operations": {
        "joules_per_mac": "energy",
        "joules_per_int8_mac": "energy",  # without it as `joules_per_mac`
        "joules_per_sop": "energy",
        "joules_per_neuron_update": "energy",
        "joules_per_byte": "energy",
    },
    "published": {
        "edge_time": "time",
        "edge_energy": "energy",
        "upload_time": "time",
        "upload_energy": "energy",
        "cloud_time": "time",
        "cloud_energy": "energy",
    },
}

REQUIRED: dict[str, tuple[str, ...]] = {
    "devices": ("macs_per_s", "overhead"),
    "links": ("up_rate", "down_rate", "latency", "up_slope", "down_slope", "base_power"),
    "operations": tuple(name for name in CONSTANTS["operations"] if name != "joules_per_int8_mac"),
    "published": tuple(CONSTANTS["published"]),
}

# boundary -> constants of which a device card may have one
FORMS: dict[str, tuple[str, ...]] = {"device": ("joules_per_sop", "active_power")}
