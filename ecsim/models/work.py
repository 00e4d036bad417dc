"""Counted work: what a net's forward pass really does for each sample.

Counted are convolutions and linear layers (as MACs, or as synaptic operations where their input
is spikes) and the updates of spiking neurons. Normalisation folds into the layer before it; pooling
and activations are not counted.

A layer of a spiking net whose input from a sample holds only 0 and 1 at all time-steps is driven by
events: it costs one synaptic operation per (spike, synapse) pair that exists, so that a spike at
the border, which reaches fewer neurons under padding and stride, costs less. Any other layer is
dense: it costs its MACs at every time-step it runs, zeros and padding included, and so do all
layers of a net without spiking neurons, and the classifier, which reads time-averaged spikes once.

Attention (`nn.MultiheadAttention`) is dense: its projections and both products of its matrices.
Torch's fused path, which would pass the hooks by, is off while a net is observed.

Bytes, own model with ideal reuse: every weight is read once per inference; a layer reads its input
(spikes as bits) and writes its output once per time-step, in the dtype of the weights (8-bit
layers, `ecsim.models.ann.int8`: a byte for each); a neuron's update reads and writes its membrane
and writes one bit.

A module with weights of its own that is neither (recurrent or transposed layers, a
learned embedding) cannot be counted and is refused, unless it says what it costs: an attribute
``own_macs``, the MACs of one sample in one call, beside those of the layers inside it. Neurons are
modules with a true attribute ``is_spiking``, counted when they are called (not by `LIF.step`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray
from ecsim.models.counted import Counted
from ecsim.models.incremental import IncrementalNet
from ecsim.models.operations import attention_macs, layer_macs, per_sample, synaptic_operations
from ecsim.models.snn.binary import BinaryConv2d

Hook: TypeAlias = Callable[[nn.Module, tuple[Any, ...], Any], None]


def predict(
    net: IncrementalNet,
    x: Tensor | FloatArray,
    *,
    approximate_sops: bool = False,
    dtype: torch.dtype | None = None,
) -> Counted:
    """Run a net on samples and count the work of each.

    The pass is without gradient and in evaluation mode; the net is left as it was. A spiking net is
    run in float64 unless `dtype` says otherwise: at a threshold, rounding that depends on the size
    of the batch would make or lose whole spikes, and with them counts and labels.

    Parameters
    ----------
    net : any backbone whose layers see time and batch as one axis, time first (T N, ...).
    x : (N, C, H, W) or (N, T, C, H, W).
    approximate_sops : count SOPs as mean spike rate x MACs x T instead, as is common in papers.
    dtype : of the computation; None is float64 for a spiking net, else that of the weights.

    Raises
    ------
    UserError
        when a layer holds weights that no rule here counts.
    """
    spiking = is_spiking(net)
    like = next(net.parameters())
    dtype = dtype or (torch.float64 if spiking else like.dtype)
    x = torch.as_tensor(x).to(like.device, dtype)
    n = x.shape[0]
    macs, sops, updates = np.zeros(n), np.zeros(n), np.zeros(n)
    moved = np.full(n, float(param_bytes(net)) - _saved_bytes(net))
    int8 = np.zeros(n)
    readout = readout_of(net)

    def on_layer(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        is_dense = not spiking or layer in readout
        work = layer_work(layer, args, output, n, is_dense, approximate_sops)
        macs[:] += work.macs
        sops[:] += work.sops
        size = getattr(layer, "value_bytes", like.element_size())
        moved[:] += work.read * size + work.spikes / 8
        moved[:] += output.numel() / n * size
        if size == 1:
            int8[:] += work.macs

    def on_neurons(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        updates[:] += output.numel() / n
        moved[:] += output.numel() / n * (2 * like.element_size() + 1 / 8)

    with observed(net, on_layer, on_neurons):
        logits = run(net, x, dtype)
    return Counted(logits.float().numpy(force=True), macs, sops, updates, moved, int8)


def run(net: nn.Module, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Give a net's output for x, computed in a dtype that need not be that of its weights."""
    weights = {k: v.to(dtype) if v.is_floating_point() else v for k, v in _tensors(net)}
    output: Tensor = torch.func.functional_call(net, weights, (x,))
    return output


@dataclass(frozen=True, slots=True, eq=False)
class LayerWork:
    """Work of one call of a layer for each of N samples.

    `macs` and `sops` are (N,); of its input, `read` are the values that are not spikes and
    `spikes` the positions where a spike can be, (N,).
    """

    macs: FloatArray
    sops: FloatArray
    read: FloatArray
    spikes: FloatArray


def layer_work(
    layer: nn.Module,
    args: tuple[Any, ...],
    output: Any,
    n: int,
    is_dense: bool,
    approximate_sops: bool = False,
) -> LayerWork:
    """Count one call of a layer; `is_dense` says that no spikes are looked for in its input."""
    dense = _macs(layer, args, output, n) / n
    size = sum(tensor.numel() for tensor in args if isinstance(tensor, Tensor)) / n
    nothing = np.zeros(n)
    if is_dense or hasattr(layer, "own_macs") or isinstance(layer, nn.MultiheadAttention):
        return LayerWork(np.full(n, dense), nothing, np.full(n, size), nothing)
    seen = args[0].unflatten(0, (-1, n))  # (T N, ...) -> (T, N, ...)
    binary = per_sample(seen * seen == seen).all(1).numpy(force=True)
    if approximate_sops:
        sops: FloatArray = per_sample(seen).mean(1, dtype=torch.float64).numpy(force=True) * dense
    else:
        sops = synaptic_operations(layer, seen)
    return LayerWork(
        np.where(binary, 0.0, dense),
        np.where(binary, sops, 0.0),
        np.where(binary, 0.0, size),
        np.where(binary, size, 0.0),
    )


def readout_of(net: nn.Module) -> set[nn.Module]:
    """Give the layers that read time-averaged spikes, at any exit, and so are dense."""
    found: set[nn.Module] = set()
    for name in ("heads", "early_heads"):
        heads = getattr(net, name, None)
        found |= set() if heads is None else set(heads.modules())
    return found


def dense_macs(net: nn.Module, in_shape: Sequence[int]) -> float:
    """Give the MACs of one sample's dense forward pass over all time-steps.

    What the pass costs where spikes are ordinary floats, as in training on a dense engine.
    """
    total = 0.0

    def on_layer(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        nonlocal total
        total += _macs(layer, args, output, 1)

    _run_blank(net, in_shape, on_layer)
    return total


def param_bytes(net: nn.Module) -> int:
    """Give the bytes of a net's weights: parameters and statistics, as a transfer moves them.

    A binary weight takes one bit.
    """
    tensors = cast(dict[str, Tensor], net.state_dict()).values()
    size = sum(t.numel() * t.element_size() for t in tensors if t.is_floating_point())
    for module in net.modules():
        if isinstance(module, BinaryConv2d):
            bits = module.weight.numel()
            size += -(-bits // 8) - bits * module.weight.element_size()
    return size


def _saved_bytes(net: nn.Module) -> float:
    """Give by how much the weights that are read are smaller than those that are stored."""
    saved = 0.0
    for layer in net.modules():
        size = getattr(layer, "value_bytes", None)
        if size is not None:
            weight = cast(Tensor, layer.weight)
            saved += weight.numel() * (weight.element_size() - size)
    return saved


def activation_bytes(net: nn.Module, in_shape: Sequence[int]) -> float:
    """Give the bytes that one sample's training keeps for its backward pass.

    Own model: what every innermost module puts out, over all time-steps. A module that works in
    place is counted as if it did not: an upper bound.
    """
    total = 0

    def on_call(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        nonlocal total
        total += output.numel() * output.element_size() if isinstance(output, Tensor) else 0

    hooks = [m.register_forward_hook(on_call) for m in net.modules() if not [*m.children()]]
    try:
        _run_blank(net, in_shape, lambda *_: None)
    finally:
        for hook in hooks:
            hook.remove()
    return float(total)


def bytes_moved(net: nn.Module, in_shape: Sequence[int]) -> float:
    """Give an estimate of the bytes that one sample's forward pass reads and writes.

    Own model: every weight is read once (it stays at its layer over the time-steps), and every
    counted layer reads its input and writes its output once per time-step in the dtype of the net.
    For spikes, which could be packed into bits, it is an upper bound.
    """
    total = 0

    def on_layer(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        nonlocal total
        seen = (t for t in (*args, output) if isinstance(t, Tensor))
        total += sum(t.numel() * t.element_size() for t in seen)

    _run_blank(net, in_shape, on_layer)
    return float(param_bytes(net) + total)


def _macs(layer: nn.Module, args: tuple[Any, ...], output: Any, n: int) -> float:
    """Give the MACs of a counted layer for all n samples."""
    own = getattr(layer, "own_macs", None)
    if own is not None:
        return float(own * n)
    if isinstance(layer, nn.MultiheadAttention):
        return float(attention_macs(layer, *args))
    return float(layer_macs(layer, output))


def is_countable(layer: nn.Module) -> bool:
    """Give whether a rule here counts a layer's work."""
    if isinstance(layer, _ConvNd):
        return not isinstance(layer, _ConvTransposeNd)
    return isinstance(layer, nn.Linear | nn.MultiheadAttention) or hasattr(layer, "own_macs")


def _plain(hook: Hook) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]:
    """Give keyword arguments of a module's call as arguments, and attention's output alone."""

    def on_call(
        module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        if isinstance(module, nn.MultiheadAttention):
            names = ("query", "key", "value")[len(args) :]
            args = (*args[:3], *(kwargs[name] for name in names))
            output = output[0]
        hook(module, args, output)

    return on_call


def _tensors(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from net.named_parameters()
    yield from net.named_buffers()


def is_spiking(net: nn.Module) -> bool:
    """Give whether a net has spiking neurons."""
    return any(getattr(module, "is_spiking", False) for module in net.modules())


def _run_blank(net: nn.Module, in_shape: Sequence[int], on_layer: Hook) -> None:
    """Run one all-zero sample, to see the shapes of a net's layers."""
    like = next(net.parameters())
    with observed(net, on_layer, lambda *_: None):
        net(torch.zeros(1, *in_shape, dtype=like.dtype, device=like.device))


@contextmanager
def observed(net: nn.Module, on_layer: Hook, on_neurons: Hook) -> Iterator[None]:
    """Put hooks on counted layers and neurons, evaluation mode and no gradient, for a while."""
    modes = {module: module.training for module in net.modules()}
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with ExitStack() as stack, torch.no_grad():
        stack.callback(torch.backends.mha.set_fastpath_enabled, fused)
        for name, module in net.named_modules():
            if getattr(module, "is_spiking", False):
                hook = on_neurons
            elif is_countable(module):
                hook = on_layer
            elif isinstance(module, nn.LayerNorm):  # its weights may have the rank of an image
                continue
            elif any(p.dim() > 1 for p in module.parameters(recurse=False)):
                raise UserError(
                    f"cannot count the work of {name!r}, a {type(module).__name__} with weights of "
                    "its own; build it from Conv and Linear layers or give it `own_macs`"
                )
            else:
                continue
            stack.callback(module.register_forward_hook(_plain(hook), with_kwargs=True).remove)
        net.eval()
        try:
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode
