"""The operations that a network's forward pass really calls, as torch dispatches them.

What a calibrated device prices: every convolution, product, normalisation, point-wise operation
and copy of one sample's pass, with its sizes. Calls that move no values (a view, a transpose, an
empty tensor) are of the kind "view", any other arithmetic on values of the kind "other". Torch's
fused attention is off, so that its parts count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ecsim.core.types import Operation, Operations

_DEPTHWISE_MACS = 4  # input channels per group at most, for a convolution to count as depthwise
# libraries choose other code for a convolution that mostly reads its weights, and again for one of
# less pixels than a vector has lanes
_FEW_PIXELS, _LEAST_PIXELS = 32, 16
_CONV = ("convolution", "_convolution", "mkldnn_convolution")
_PRODUCTS = {"addmm": 1, "mm": 0, "bmm": 0, "baddbmm": 1, "linear": 0}
_POOLS = ("max_pool2d_with_indices", "avg_pool2d")
_SUMS = ("_adaptive_avg_pool2d", "mean", "sum", "max", "amax")
_CHOICES = ("where", "ge", "gt", "le", "lt", "eq", "ne", "masked_fill")
_NORMS = (
    "native_batch_norm", "_native_batch_norm_legit_no_training", "batch_norm",
    "native_layer_norm", "_softmax", "cudnn_batch_norm",
)  # fmt: skip
_VIEWS = (
    "view", "_unsafe_view", "reshape", "t", "transpose", "permute", "expand", "unsqueeze",
    "squeeze", "select", "slice", "detach", "alias", "unbind", "split", "flatten", "unflatten",
    "split_with_sizes", "as_strided", "lift_fresh",
)  # fmt: skip


def operations_of(net: nn.Module, in_shape: Sequence[int], x: Tensor | None = None) -> Operations:
    """Give the operations of one sample's forward pass (all zeros, or `x`) in evaluation mode."""
    calls: dict[Operation, int] = {}

    def count(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        output = func(*args, **kwargs)
        operation = describe(func, args, output)
        calls[operation] = calls.get(operation, 0) + 1
        return output

    observe(net, in_shape, count, x)
    rows = (
        Operation(o.kind, o.signature, n, o.macs, o.read, o.written, o.weights)
        for o, n in calls.items()
    )
    return Operations(tuple(rows))


Call = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


def observe(net: nn.Module, in_shape: Sequence[int], call: Call, x: Tensor | None = None) -> None:
    """Run one sample (all zeros, or `x`) and let `call` make every operation's call."""
    like = next(net.parameters())
    if x is None:
        x = torch.zeros(1, *in_shape, dtype=like.dtype, device=like.device)
    modes = {module: module.training for module in net.modules()}
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    net.eval()
    try:
        with torch.no_grad(), _Watch(call):
            net(x)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for module, mode in modes.items():
            module.training = mode


def observe_calls(call: Call) -> TorchDispatchMode:
    """Give a context in which `call` makes every operation's call."""
    return _Watch(call)


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Hands each operation to a function instead of calling it."""

    def __init__(self, call: Call):
        super().__init__()  # type: ignore[no-untyped-call]
        self._call = call

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return self._call(func, args, kwargs or {})


def describe(func: Any, args: tuple[Any, ...], output: Any) -> Operation:
    """Give kind, signature and sizes of one call."""
    name = str(func).split(".")[1] if "." in str(func) else str(func)
    inputs = [arg for arg in _flat(args) if isinstance(arg, Tensor)]
    outputs = [arg for arg in _flat((output,)) if isinstance(arg, Tensor)]
    base = name.rstrip("_")
    written = float(outputs[0].numel()) if outputs else 0.0
    read = float(sum(tensor.numel() for tensor in inputs))
    shapes = " ".join("x".join(map(str, tensor.shape)) for tensor in inputs)
    extra = ""
    macs = weights = 0.0
    if base in _CONV or name in _CONV:
        x, weight = inputs[:2]
        per_output = weight[0].numel()
        stride, groups = args[3], args[8]
        extra = f" stride {'x'.join(map(str, stride))} groups {groups}"
        macs = written * per_output
        read, weights = float(x.numel()), float(weight.numel())
        kind = _conv_kind(weight, groups, written / weight.shape[0])
    elif base in _PRODUCTS:
        a, b = inputs[_PRODUCTS[base] :][:2]
        macs = float(a.numel() * b.shape[-1 if base != "linear" else 0])
        read, weights = float(a.numel()), float(b.numel())
        kind = "linear"
    elif base in _VIEWS:
        return Operation("view", "view")
    elif not inputs or not outputs or outputs[0].numel() <= 1:
        return Operation("view", name)
    elif base in _POOLS:
        kind = "pool"
    elif base in _SUMS:
        kind = "sum"
    elif base in _CHOICES:
        kind = "choice"
    elif base in _NORMS:
        kind, read = "norm", float(inputs[0].numel())
    else:
        kind = "other"
    return Operation(kind, f"{name} {shapes}{extra}", 1, macs, read, written, weights)


def _conv_kind(weight: Tensor, groups: int, pixels: float) -> str:
    if groups > 1 and weight.shape[1] <= _DEPTHWISE_MACS:
        return "conv_depthwise"
    if math.prod(weight.shape[2:]) == 1:
        return "conv_1x1"
    if weight.shape[1] <= _DEPTHWISE_MACS:
        return "conv_image"
    if pixels < _LEAST_PIXELS:
        return "conv_least_pixels"
    return "conv_few_pixels" if pixels <= _FEW_PIXELS else "conv"


def _flat(values: Any) -> list[Any]:
    found = []
    for value in values:
        found += _flat(value) if isinstance(value, tuple | list) else [value]
    return found
