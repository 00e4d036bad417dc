"""Running a network in spatial parts, with exactly the rows and columns that a plan grants.

Every part works on its own tile and what it fetches; anything else is not a number. Split equals
unsplit: within rounding, since a kernel may add up in another order on tiles of another size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf, nan, prod
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecsim.core.errors import UserError
from ecsim.partition.spatial.plans import Segment, SplitPlan
from ecsim.partition.spatial.shares import Tile
from ecsim.partition.spatial.stacks import Layer, Stack, pointwise
from ecsim.partition.spatial.windows import Window

_SPLITTABLE = (
    nn.Conv2d,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.BatchNorm2d, nn.Dropout, nn.Dropout2d, nn.ELU, nn.GELU, nn.Hardswish, nn.Identity,
    nn.LeakyReLU, nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.SiLU, nn.Tanh,
)  # fmt: skip


def leading_chain(modules: Iterable[nn.Module]) -> list[tuple[str, nn.Module]]:
    """Give the layers with which a chain of modules begins that can be split in space.

    Containers (`Sequential`, `ModuleList`) are opened; the chain ends before the first layer that
    looks at all pixels at once, such as a linear one.
    """
    found: list[tuple[str, nn.Module]] = []
    for name, module in _opened(modules):
        if not isinstance(module, _SPLITTABLE):
            break
        found.append((name, module))
    return found


def stack_of(chain: Sequence[tuple[str, nn.Module]], in_shape: Sequence[int]) -> Stack:
    """Give the stack of a chain of layers on samples of shape (C, H, W).

    Raises
    ------
    UserError : for a layer whose parts would not equal the whole: padding other than with zeros,
        average poolings that count pixels outside differently, or layers that do not fit.
    """
    channels, height, width = in_shape
    layers = []
    for name, module in chain:
        layers.append(_layer(name, module, channels))
        channels = layers[-1].channels
    try:
        return Stack((in_shape[0], height, width), tuple(layers))
    except ValueError as error:
        raise UserError(str(error)) from None


def run_split(plan: SplitPlan, modules: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Give what a chain of modules puts out for x (N, C, H, W), computed in parts and put together.

    Raises `UserError` for modules in training mode, whose statistics would be those of a tile.
    """
    if any(module.training and list(module.buffers()) for module in modules):
        raise UserError("a network is split in evaluation mode only")
    tiles = [_take(x, tile) for tile in plan.scatter]
    for segment in plan.segments:
        shape = plan.stack.shapes[segment.start]
        tiles = [
            _run_part(
                plan.stack, segment, part, modules, _gathered(segment, part, tiles, shape[1:])
            )
            for part in range(plan.n_parts)
        ]
    return assemble(plan.segments[-1].outputs, tiles, plan.stack.shapes[-1][1:])


def assemble(tiles: Sequence[Tile], parts: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Put tiles (N, C, rows, columns) together to a map (N, C, *size); what is missing is NaN."""
    n, channels = parts[0].shape[:2]
    whole = parts[0].new_full((n, channels, *size), nan)
    for tile, part in zip(tiles, parts, strict=True):
        whole[:, :, _slice(tile.rows), _slice(tile.cols)] = part
    return whole


def _gathered(
    segment: Segment, part: int, tiles: Sequence[Tensor], size: tuple[int, int]
) -> Tensor:
    """Give what a part needs of a segment's input, out of its own tile and what it fetches."""
    owned = segment.owned
    own = [(owned[part] & segment.inputs[part][0], part)]
    fetched = [(fetch.tile, fetch.source) for fetch in segment.fetches if fetch.part == part]
    n, channels = tiles[part].shape[:2]
    whole = tiles[part].new_full((n, channels, *size), nan)
    for tile, source in own + fetched:
        rows = _slice(tile.rows, owned[source].rows.start)
        cols = _slice(tile.cols, owned[source].cols.start)
        whole[:, :, _slice(tile.rows), _slice(tile.cols)] = tiles[source][:, :, rows, cols]
    return _take(whole, segment.inputs[part][0])


def _run_part(
    stack: Stack, segment: Segment, part: int, modules: Sequence[nn.Module], x: Tensor
) -> Tensor:
    needed = (*segment.inputs[part], segment.outputs[part])
    for i in range(segment.start, segment.stop):
        have, wanted = needed[i - segment.start : i - segment.start + 2]
        layer, module = stack.layers[i], modules[i]
        if not wanted.pixels:
            shape = (x.shape[0], layer.channels, len(wanted.rows), len(wanted.cols))
            x = x.new_empty(shape)
        elif isinstance(module, nn.Conv2d):
            x = F.conv2d(
                _padded(x, layer, have, wanted, 0.0), module.weight, module.bias,
                module.stride, 0, module.dilation, module.groups,
            )  # fmt: skip
        elif isinstance(module, nn.MaxPool2d):
            x = F.max_pool2d(
                _padded(x, layer, have, wanted, -inf), module.kernel_size, module.stride, 0,
                module.dilation,
            )  # fmt: skip
        elif isinstance(module, nn.AvgPool2d):
            padded = _padded(x, layer, have, wanted, 0.0)
            x = F.avg_pool2d(padded, module.kernel_size, module.stride)
        else:
            x = module(x)
    return x


def _padded(x: Tensor, layer: Layer, have: Tile, wanted: Tile, value: float) -> Tensor:
    """Give exactly the rows and columns under the windows of the wanted outputs."""
    top, bottom = _beyond(layer.rows, have.rows, wanted.rows)
    left, right = _beyond(layer.cols, have.cols, wanted.cols)
    return (
        F.pad(x, (left, right, top, bottom), value=value) if top or bottom or left or right else x
    )


def _beyond(window: Window, have: range, wanted: range) -> tuple[int, int]:
    """Give how much lies under the windows before and after what is there; negative: too much."""
    first, last = window.first(wanted.start), window.first(wanted.stop - 1) + window.extent
    return have.start - first, last - have.stop


def _take(x: Tensor, tile: Tile) -> Tensor:
    return x[:, :, _slice(tile.rows), _slice(tile.cols)]


def _slice(rows: range, origin: int = 0) -> slice:
    return slice(rows.start - origin, rows.stop - origin) if rows else slice(0, 0)


def _opened(modules: Iterable[nn.Module], prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for i, module in enumerate(modules):
        if isinstance(module, nn.Sequential | nn.ModuleList):
            yield from _opened(module, f"{prefix}{i}.")
        else:
            yield f"{prefix}{i}", module


def _layer(name: str, module: nn.Module, channels: int) -> Layer:
    weights = sum(p.numel() for p in module.parameters())
    if isinstance(module, nn.Conv2d):
        rows, cols = windows_of(module)
        macs = channels // module.groups * prod(module.kernel_size)
        return Layer(name, "conv", rows, cols, module.out_channels, macs, weights)
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return Layer(name, "pool", *windows_of(module), channels)
    return pointwise(name, channels, weights)


def windows_of(module: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) -> tuple[Window, Window]:
    """Give the windows of a layer along rows and columns; raise `UserError` as `stack_of` does."""
    what = type(module).__name__
    kernel, stride = _pair(module.kernel_size), _pair(module.stride or module.kernel_size)
    dilation = (1, 1) if isinstance(module, nn.AvgPool2d) else _pair(module.dilation)
    ceil = not isinstance(module, nn.Conv2d) and module.ceil_mode
    if isinstance(module, nn.Conv2d) and module.padding_mode != "zeros":
        raise UserError(f"a {what} that pads with {module.padding_mode!r} cannot be split")
    padding = (0, 0)
    if module.padding == "same":
        around = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if any(a % 2 for a in around):
            raise UserError(f"a {what} with an even kernel and padding 'same' cannot be split")
        padding = around[0] // 2, around[1] // 2
    elif module.padding != "valid":
        padding = _pair(cast("int | tuple[int, int]", module.padding))
    if isinstance(module, nn.AvgPool2d) and (
        ceil or module.divisor_override or (padding != (0, 0) and not module.count_include_pad)
    ):
        raise UserError(f"an {what} whose divisor changes at the border cannot be split")
    rows, cols = (Window(kernel[i], stride[i], padding[i], dilation[i], ceil) for i in (0, 1))
    return rows, cols


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def predict_split(
    net: nn.Module, plan: SplitPlan, modules: Sequence[nn.Module], x: Tensor
) -> Tensor:
    """Give a network's output with its leading chain computed in parts, and the rest as a whole.

    The network must call the last module of the chain once, with nothing of what came before it
    used any more afterwards; its own result there is replaced by that of the parts.
    """
    with torch.no_grad():
        split = run_split(plan, modules, x)
    handle = modules[-1].register_forward_hook(lambda *_: split)
    try:
        with torch.no_grad():
            return cast(Tensor, net(x))
    finally:
        handle.remove()
