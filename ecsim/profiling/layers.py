"""The work of each layer of a network: MACs, synaptic operations, bytes and memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ecsim.core import registry
from ecsim.core.errors import DataError
from ecsim.core.types import FloatArray
from ecsim.models import create
from ecsim.models.incremental import IncrementalNet
from ecsim.models.layers import observed_layers
from ecsim.scenario.params import checked_params


@dataclass(frozen=True, slots=True)
class Row:
    """Work of one layer, mean over the samples.

    Attributes
    ----------
    name, type : of the module; empty name and "total" for the sum.
    output : shape of what it gives for one sample and time-step.
    bytes_moved : weights, inputs, outputs and membranes, see `ecsim.models.work`.
    weight_bytes : memory of its weights.
    activation_bytes : memory of its input and output for one sample.
    """

    name: str
    type: str
    output: tuple[int, ...]
    macs: float
    sops: float
    neuron_updates: float
    bytes_moved: float
    weight_bytes: int
    activation_bytes: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Rows in the order in which layers were called; `peak_bytes` is the largest working set."""

    rows: tuple[Row, ...]
    total: Row
    peak_bytes: int


def build(
    model: str, given: Mapping[str, Any], shape: Sequence[int], classes: int
) -> IncrementalNet:
    """Give a fresh network by its registered name; raise `UserError` for a wrong key or value."""
    params = checked_params(registry.resolve("model", model).Params, given)
    return create(model, params, shape, [range(classes)])


def samples(file: Path | None, shape: Sequence[int]) -> FloatArray:
    """Give the samples of an npy file, or one of standard normal noise; (N, C, H, W)."""
    if file is None:
        return np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    try:
        found = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"expected an npy file of samples, got {str(file)!r}: {error}") from None
    is_fitting = isinstance(found, np.ndarray) and found.shape[1:] == tuple(shape) and len(found)
    if not is_fitting or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
        sizes = ", ".join(map(str, shape))
        raise DataError(f"{file}: expected finite samples of shape (N, {sizes})")
    samples: FloatArray = found.astype(np.float32)
    return samples


def profile(net: IncrementalNet, x: FloatArray) -> Profile:
    """Count the work of every layer for samples x (N, C, H, W), mean over them."""
    rows = []
    peak = 0.0
    for seen in observed_layers(net, torch.as_tensor(x)):
        row = Row(
            seen.name, seen.type, seen.output, seen.macs, seen.sops,
            seen.neuron_updates, seen.bytes_moved, seen.weight_bytes, seen.activation_bytes,
        )  # fmt: skip
        rows.append(row)
        peak = max(peak, row.activation_bytes)
    sums = {
        key: sum(getattr(row, key) for row in rows)
        for key in ("macs", "sops", "neuron_updates", "bytes_moved", "weight_bytes")
    }
    total = Row("", "total", (), **sums, activation_bytes=peak)
    return Profile(tuple(rows), total, round(peak))


def measure(net: nn.Module, x: FloatArray, rounds: int = 15) -> dict[str, float]:
    """Give the CPU seconds of each leaf module for one sample, by name; "" is the whole.

    Medians over `rounds` passes of the whole network, one thread, after one pass to warm up: a
    layer finds the caches as it does in use. What happens between the modules is in the whole only.
    """
    leaves = {name: module for name, module in net.named_modules() if not list(module.children())}
    found: dict[str, list[float]] = {name: [] for name in leaves}
    whole = []
    sample = torch.as_tensor(x[:1])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    net.eval()
    try:
        for number in range(rounds + 1):
            spent = _timed_pass(net, leaves, sample)
            start = time.thread_time()
            with torch.no_grad():
                net(sample)
            if number:
                whole.append(time.thread_time() - start)
                for name, seconds in spent.items():
                    found[name].append(seconds)
    finally:
        torch.set_num_threads(threads)
    return {name: median(times) for name, times in found.items() if times} | {"": median(whole)}


def _timed_pass(
    net: nn.Module, leaves: Mapping[str, nn.Module], sample: Tensor
) -> dict[str, float]:
    spent: dict[str, float] = {}
    began: dict[str, float] = {}
    with ExitStack() as stack, torch.no_grad():
        for name, module in leaves.items():

            def before(_: Any, __: Any, name: str = name) -> None:
                began[name] = time.thread_time()

            def after(_: Any, __: Any, ___: Any, name: str = name) -> None:
                spent[name] = spent.get(name, 0.0) + time.thread_time() - began[name]

            stack.callback(module.register_forward_pre_hook(before).remove)
            stack.callback(module.register_forward_hook(after).remove)
        net(sample)
    return spent
