"""Seconds of each operation inside a running network, on this host: one thread, one sample.

An operation measured by itself finds its weights in the cache and its output warm, which inside a
network it does not; so whole networks run and each call is timed where it stands. CPU time of the
thread, medians over rounds in which all networks take turns, since other load comes and goes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from ecsim.core.types import Operation
from ecsim.models.calls import describe, observe


@dataclass(frozen=True, slots=True)
class Measured:
    """One network's calls and what they took.

    Attributes
    ----------
    calls : the operations in the order of their calls, each with ``calls`` = 1.
    seconds : median of each call.
    whole_s : median of the undisturbed pass.
    """

    calls: tuple[Operation, ...]
    seconds: tuple[float, ...]
    whole_s: float

    def by_signature(self) -> dict[str, tuple[Operation, float, int]]:
        """Give per signature the operation, its mean seconds and how often it is called."""
        found: dict[str, tuple[Operation, float, int]] = {}
        for call, seconds in zip(self.calls, self.seconds, strict=True):
            _, total, n = found.get(call.signature, (call, 0.0, 0))
            found[call.signature] = (call, total + seconds, n + 1)
        return {key: (call, total / n, n) for key, (call, total, n) in found.items()}


Nets = Mapping[str, tuple[nn.Module, Sequence[int]]]


def measure(nets: Nets, rounds: int = 15) -> dict[str, Measured]:
    """Time every operation and the whole of each network.

    Parameters
    ----------
    nets : by name, a network and the shape of one sample.
    rounds : of which medians are taken; a first one, to warm up, is left out.
    """
    return measure_twice(nets, rounds, 1)[0]


def measure_twice(nets: Nets, rounds: int = 15, times: int = 2) -> list[dict[str, Measured]]:
    """Time networks in two (or more) sets of `rounds` that take turns, to compare with each other.

    The sets meet the same load of the machine, and have no measurement in common.
    """
    samples = {name: sample_of(net, shape) for name, (net, shape) in nets.items()}
    calls: dict[str, list[Operation]] = {}
    timed: dict[str, list[list[float]]] = {name: [] for name in nets}
    whole: dict[str, list[float]] = {name: [] for name in nets}
    with one_thread():
        for number in range(rounds * times + 1):
            for name, (net, shape) in nets.items():
                net.eval()
                with torch.no_grad():
                    net(samples[name])
                    start = time.thread_time()
                    net(samples[name])
                    took = time.thread_time() - start
                found, seconds = _timed(net, shape, samples[name])
                if number:
                    calls[name] = found
                    timed[name].append(seconds)
                    whole[name].append(took)
    return [
        {
            name: Measured(
                tuple(calls[name]),
                tuple(median(column) for column in zip(*timed[name][i::times], strict=True)),
                median(whole[name][i::times]),
            )
            for name in nets
        }
        for i in range(times)
    ]


def sample_of(net: nn.Module, shape: Sequence[int]) -> Tensor:
    """Give one sample of noise, always the same."""
    like = next(net.parameters())
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, *shape, generator=generator).to(like)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread for a while."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _timed(
    net: nn.Module, shape: Sequence[int], sample: Tensor
) -> tuple[list[Operation], list[float]]:
    raw: list[tuple[Any, tuple[Any, ...], Any]] = []
    seconds: list[float] = []

    def call(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        start = time.thread_time()
        output = func(*args, **kwargs)
        seconds.append(time.thread_time() - start)
        raw.append((func, args, output))
        return output

    observe(net, shape, call, sample)
    return [describe(func, args, output) for func, args, output in raw], seconds
