"""The counted work of each layer of a net, in the order of their first calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ecsim.models.work import is_spiking, layer_work, observed, run


@dataclass(slots=True)
class Layer:
    """One layer or population of neurons; counts are means over the samples, of all its calls.

    Attributes
    ----------
    output : shape of what it gives for one sample (and, in a spiking net, one time-step).
    activation_bytes : memory of its input and output for one sample, of its largest call.
    """

    name: str
    type: str
    output: tuple[int, ...]
    macs: float = 0.0
    sops: float = 0.0
    neuron_updates: float = 0.0
    bytes_moved: float = 0.0
    weight_bytes: int = 0
    activation_bytes: float = 0.0


def observed_layers(net: nn.Module, x: Tensor) -> list[Layer]:
    """Run a net on samples x (N, C, H, W) and give what each of its layers did.

    The sums over layers are those of `work.predict`, but for the bytes of normalisation, which
    belongs to no counted layer. Raises `UserError` for a layer that cannot be counted.
    """
    spiking = is_spiking(net)
    like = next(net.parameters())
    size = like.element_size()
    dtype = torch.float64 if spiking else like.dtype
    n = len(x)
    names = {module: name for name, module in net.named_modules()}
    heads = getattr(net, "heads", None)
    readout = set() if heads is None else set(heads.modules())
    found: dict[nn.Module, Layer] = {}

    def layer_of(module: nn.Module, args: tuple[Any, ...], output: Any) -> Layer:
        steps = n * (output.shape[0] if getattr(module, "is_spiking", False) else 1)
        shape = tuple(output.shape[2:] if steps > n else output.shape[1:])
        if module not in found:
            found[module] = Layer(names[module], type(module).__name__, shape)
        layer = found[module]
        held = sum(tensor.numel() for tensor in args if isinstance(tensor, Tensor))
        layer.activation_bytes = max(layer.activation_bytes, (held + output.numel()) / n * size)
        return layer

    def on_layer(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        layer = layer_of(module, args, output)
        work = layer_work(module, args, output, n, not spiking or module in readout)
        layer.macs += float(work.macs.mean())
        layer.sops += float(work.sops.mean())
        if not layer.weight_bytes:
            layer.weight_bytes = sum(p.numel() * size for p in module.parameters())
            layer.bytes_moved += layer.weight_bytes
        layer.bytes_moved += float(work.read.mean() * size + work.spikes.mean() / 8)
        layer.bytes_moved += output.numel() / n * size

    def on_neurons(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        layer = layer_of(module, args, output)
        layer.neuron_updates += output.numel() / n
        layer.bytes_moved += output.numel() / n * (2 * size + 1 / 8)

    with observed(net, on_layer, on_neurons):
        run(net, x.to(like.device, dtype), dtype)
    return list(found.values())
