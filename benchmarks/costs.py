"""How well work becomes seconds on this host, on networks that informed nothing.

Calibrates on random chains (`ecsim.profiling.networks`), then compares with VGG, ResNet, MobileNet
and spiking VGG, batch 1, one thread, CPU time, medians of interleaved rounds:

(a) the network's own table of operations, measured inside it, in rounds other than those compared;
(b) the model fitted on the other networks;
and what it costs to choose a split point by (b): the first operations run here, the rest on a
server of ten times this host's speed behind links of 2 to 200 Mbit/s; regret is against the best
choice by the operations' measured seconds.

The evaluation is blind: sizes and shapes in `SEEN_IN_DESIGN` were looked at while kinds of
operations and calibration networks were chosen; those compared were not, neither they nor
another network at their resolution.

Usage: python benchmarks/costs.py [--rounds 15] [-o benchmarks/results/costs.json]
"""

import argparse
import dataclasses
import json
import os
import statistics
from pathlib import Path

from ecsim.models import create
from ecsim.models.ann.mobilenet import MobileNet
from ecsim.models.ann.resnet import ResNet
from ecsim.models.ann.vgg import VGG
from ecsim.models.snn.vgg import SpikingVGG
from ecsim.profiling import fit
from ecsim.profiling.card import calibrate, machine
from ecsim.profiling.timing import measure_twice

LINKS_BIT_PER_S = (2e6, 5e6, 10e6, 20e6, 50e6, 100e6, 200e6)
SPEED_UP = 10.0
SEEN_IN_DESIGN = (
    "vgg vgg9 32x32", "vgg vgg11 32x32", "resnet small 32x32", "resnet resnet18 32x32",
    "mobilenet v2 32x32", "mobilenet v2 96x96", "spiking_vgg small 32x32", "spiking_vgg vgg9 32x32",
)  # fmt: skip


def blind_networks():
    chosen = (
        ("vgg", VGG.Params("vgg16"), 48),
        ("vgg", VGG.Params("small"), 56),
        ("resnet", ResNet.Params("resnet34"), 40),
        ("resnet", ResNet.Params("small"), 112),
        ("mobilenet", MobileNet.Params("small"), 40),
        ("mobilenet", MobileNet.Params("v2"), 128),
        ("spiking_vgg", SpikingVGG.Params("small", steps=6), 56),
        ("spiking_vgg", SpikingVGG.Params("vgg9", steps=3), 40),
    )
    return {
        f"{name} {params.size} {side}x{side}": (
            create(name, params, (3, side, side), [range(10)]), (3, side, side),
        )
        for name, params, side in chosen
    }  # fmt: skip


def regrets(calls, true_s, expected_s, in_values):
    """Relative regret per link of the cut chosen by the expected seconds."""
    cuts = [(0, in_values)]
    cuts += [
        (i, call.read)
        for i, call in enumerate(calls)
        if i and (call.kind.startswith("conv") or call.kind == "linear")
    ]
    cuts += [(len(calls), 0.0)]

    def total_s(seconds, cut, rate):
        where, values = cut
        here, there = sum(seconds[:where]), sum(seconds[where:]) / SPEED_UP
        return here + values * 32 / rate + there

    found = []
    for rate in LINKS_BIT_PER_S:
        chosen = min(cuts, key=lambda cut: total_s(expected_s, cut, rate))
        best = min(total_s(true_s, cut, rate) for cut in cuts)
        found.append(total_s(true_s, chosen, rate) / best - 1.0)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("-o", "--output", type=Path, default=None)
    options = parser.parse_args()
    calibration, _ = calibrate(options.rounds)
    model = dataclasses.replace(calibration, table={})
    nets = blind_networks()
    first, second = measure_twice(nets, options.rounds)
    rows, all_regrets = {}, []
    for name, one in second.items():
        own = dataclasses.replace(model, table=fit.table([first[name]]))
        expected = [model.time_s(call) for call in one.calls]
        true = [own.time_s(call) for call in one.calls]
        _, shape = nets[name]
        regret = regrets(one.calls, true, expected, shape[0] * shape[1] * shape[2])
        all_regrets += regret
        rows[name] = {
            "measured_ms": 1e3 * one.whole_s,
            "table_ms": 1e3 * sum(true),
            "model_ms": 1e3 * sum(expected),
            "table_error": abs(sum(true) / one.whole_s - 1.0),
            "model_error": abs(sum(expected) / one.whole_s - 1.0),
            "mean_split_regret": statistics.mean(regret),
            "operations": len(one.calls),
        }
    result = {
        "machine": machine(),
        "rounds": options.rounds,
        "mean_table_error": statistics.mean(row["table_error"] for row in rows.values()),
        "mean_model_error": statistics.mean(row["model_error"] for row in rows.values()),
        "mean_split_regret": statistics.mean(all_regrets),
        "calibration_held_out_error": calibration.held_out_error,
        "calibration_table_error": calibration.table_error,
        "load_average": os.getloadavg(),
        "seen_in_design": SEEN_IN_DESIGN,
        "networks": rows,
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
