"""Speed of spiking training: forward and backward of the spiking VGG-9 against other libraries.

python benchmarks/spiking.py [--batch 64] [--rounds 5] [--extra FOLDER] [-o FILE]

The same layers, initial weights and batch in each library (T = 4, 32 x 32 x 3, 100 classes, LIF
with sigmoid surrogate, hard reset, one thread); printed is by how much the gradient of the first
convolution differs. snnTorch lets the gradient through its reset, so that it differs by design. A
library that is not installed is left out and named. CPU time, medians of interleaved rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ecsim.models import create
from ecsim.models.snn.vgg import SpikingVGG

STEPS = 4
Net = tuple[nn.Module, Callable[[Tensor], Tensor]]


def ours() -> Net:
    net = create(
        "spiking_vgg", SpikingVGG.Params(size="vgg9", steps=STEPS), (3, 32, 32), [range(100)]
    )
    return net, net


def like_ours(
    neuron: Callable[[], nn.Module], over_time: Callable[[nn.Module, Tensor], Tensor]
) -> Net:
    """Give the same network with other neurons; `over_time` runs them over (T, N, ...)."""
    net, _ = ours()
    neurons = nn.ModuleList()
    for stage in net.backbone.stages:
        if hasattr(stage, "lif"):
            neurons.append(neuron())
    net.other = neurons

    def run(x: Tensor) -> Tensor:
        x, k = x.unsqueeze(0), 0
        for stage in net.backbone.stages:
            if not hasattr(stage, "lif"):
                x = F.max_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2])
                continue
            current = stage.synapses(x.flatten(0, 1)).unflatten(0, x.shape[:2])
            if x.shape[0] == 1:  # as is usual there too: the first convolution once
                current = current.expand(STEPS, *current.shape[1:])
            x, k = over_time(neurons[k], current), k + 1
        return net.heads[0](x.mean(0).flatten(1))

    return net, run


def spikingjelly() -> Net:
    from spikingjelly.activation_based import functional, neuron, surrogate

    def make() -> nn.Module:
        return neuron.LIFNode(
            tau=2.0, decay_input=True, v_threshold=1.0, v_reset=0.0, detach_reset=True,
            step_mode="m", surrogate_function=surrogate.Sigmoid(alpha=4.0),
        )  # fmt: skip

    def over_time(node: nn.Module, current: Tensor) -> Tensor:
        functional.reset_net(node)
        return node(current)

    return like_ours(make, over_time)


def snntorch() -> Net:
    import snntorch as snn
    from snntorch import surrogate

    def make() -> nn.Module:
        return snn.Leaky(
            beta=0.5, threshold=1.0, reset_mechanism="zero", reset_delay=False,
            spike_grad=surrogate.sigmoid(slope=4),
        )  # fmt: skip

    def over_time(node: nn.Module, current: Tensor) -> Tensor:
        membrane, spikes = node.init_leaky(), []
        for t in range(STEPS):
            spike, membrane = node(0.5 * current[t], membrane)
            spikes.append(spike)
        return torch.stack(spikes)

    return like_ours(make, over_time)


def step(net: nn.Module, run: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    """Give the CPU time of one forward and backward pass."""
    net.zero_grad(set_to_none=True)
    before_s = time.process_time()
    F.cross_entropy(run(x), y).backward()
    return time.process_time() - before_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--extra", help="folder with libraries that are not installed here")
    parser.add_argument("-o", type=Path, help="file for the result")
    asked = parser.parse_args()
    if asked.extra:
        sys.path.append(asked.extra)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(asked.batch, 3, 32, 32, generator=generator)
    y = torch.randint(100, (asked.batch,), generator=generator)
    nets: dict[str, Net] = {}
    absent = []
    for make in (ours, spikingjelly, snntorch):
        try:
            nets[make.__name__] = make()
        except ImportError:
            absent.append(make.__name__)
    times: dict[str, list[float]] = {name: [] for name in nets}
    for number in range(asked.rounds + 1):
        for name, (net, run) in nets.items():
            took_s = step(net.train(), run, x, y)
            if number:  # the first round allocates
                times[name].append(took_s)
    first = "backbone.stages.0.synapses.0.weight"
    gradients = {name: dict(net.named_parameters())[first].grad for name, (net, _) in nets.items()}
    mine = gradients["ours"]
    result = {
        "batch": asked.batch,
        "rounds": asked.rounds,
        "torch": torch.__version__,
        "absent": absent,
        "cpu_s": {name: statistics.median(found) for name, found in times.items()},
        "ours_against": {
            name: statistics.median(
                a / b for a, b in zip(times["ours"], found, strict=True)
            )
            for name, found in times.items() if name != "ours"
        },
        "gradient_differs_by": {
            name: float((found - mine).abs().max() / mine.abs().max())
            for name, found in gradients.items() if name != "ours"
        },
    }  # fmt: skip
    text = json.dumps(result, indent=2)
    print(text)
    if asked.o:
        asked.o.write_text(text + "\n")


if __name__ == "__main__":
    main()
