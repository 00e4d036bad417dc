"""A device card of this host: measured, fitted, and with its own held-out error in it."""

from __future__ import annotations

import dataclasses
import datetime
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from ecsim.core.errors import UserError
from ecsim.costs.calibration import Calibration
from ecsim.costs.cards import Card, user_cards
from ecsim.profiling import fit
from ecsim.profiling.networks import calibration_networks
from ecsim.profiling.timing import Measured, Nets, measure_twice


def calibrate(
    rounds: int = 15, nets: Nets | None = None, own: Nets | None = None
) -> tuple[Calibration, dict[str, Measured]]:
    """Measure networks on this host, fit the model on them, and keep their operations as a table.

    The errors are honest. Of the model: every network in turn is left out of a fit of its own, and
    the whole of its pass compared with what that fit expects. Of the table: whole passes are
    compared in rounds other than those that it was measured in.

    Parameters
    ----------
    nets : to fit on, by default `calibration_networks`.
    own : other networks, whose operations go to the table alone; none enters the fit.
    """
    fitted = nets or calibration_networks()
    everything, again = measure_twice({**fitted, **(own or {})}, rounds)
    measured = {name: everything[name] for name in fitted}
    source = f"ecsim calibrate, {datetime.date.today()}, {machine()}, one thread, one sample"
    held_out: dict[str, float] = {}
    for name, one in measured.items():
        others = {key: value for key, value in measured.items() if key != name}
        held_out |= fit.errors(fit.fit(others, source), {name: one})
    made = fit.fit(measured, source)
    held_out |= fit.errors(made, {name: everything[name] for name in own or {}})
    error = sum(held_out.values()) / len(held_out)
    tabled = dataclasses.replace(made, table=fit.table(everything.values()))
    table_errors = fit.errors(tabled, again)
    made = dataclasses.replace(
        tabled,
        held_out_error=error,
        held_out=held_out,
        table_error=sum(table_errors.values()) / len(table_errors),
    )
    return made, measured


def write_card(
    path: Path,
    name: str,
    rounds: int,
    idle_power: str | None,
    active_power: str | None,
    own: Nets | None = None,
) -> Card:
    """Calibrate this host and write its device card; give it as a scenario will read it."""
    if (idle_power is None) != (active_power is None):
        raise UserError("give both --idle-power and --active-power, or neither")
    calibration, measured = calibrate(rounds, own=own)
    data = {"devices": {name: card_data(calibration, measured, idle_power, active_power)}}
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    path.write_text(f"# {calibration.source}\n{text}", encoding="utf-8")
    try:
        return user_cards(path)["devices"][name]
    except UserError:
        path.unlink()
        raise


def card_data(
    calibration: Calibration,
    measured: Mapping[str, Measured],
    idle_power: str | None = None,
    active_power: str | None = None,
) -> dict[str, Any]:
    """Give the plain data of a device card; unknown powers are assumed, with a wide range."""
    macs = sum(call.macs for one in measured.values() for call in one.calls)
    seconds = sum(one.whole_s for one in measured.values())
    constants: dict[str, Any] = {
        "macs_per_s": {
            "value": f"{macs / seconds / 1e9:.4g} Gop/s",
            "source": "mean rate over the calibration's networks, for work not listed by operation",
        },
        "overhead": {"value": "0 s", "source": "in the calibration's seconds per call"},
    }
    if idle_power is not None:
        source = "given to ecsim calibrate"
        constants["idle_power"] = {"value": idle_power, "source": source}
        constants["active_power"] = {"value": active_power, "source": source}
    else:
        source = "no meter: a core's share of a computer"
        for key, value, low_high in (
            ("idle_power", "2 W", ["0.5 W", "10 W"]), ("active_power", "8 W", ["2 W", "30 W"]),
        ):  # fmt: skip
            constants[key] = {
                "value": value, "source": source, "assumed": True, "range": low_high,
            }  # fmt: skip
    return {
        "title": f"{machine()}, one thread",
        "can_train": True,
        "constants": constants,
        "calibration": calibration.to_plain(),
    }


def machine() -> str:
    """Describe this host: processor, number of cores, torch."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {os.cpu_count()} cores, torch {torch.__version__}"
