"""A chain of layers as neuron-level splits see it: windows, channels and work; no weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from ecsim.partition.spatial.windows import Window

Kind = Literal["conv", "pool", "pointwise"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a chain.

    Attributes
    ----------
    kind : what looks at neighbouring rows is "conv" or "pool"; all else is "pointwise".
    channels : of its output.
    macs : multiply-accumulates per value of its output.
    parameters : values that every part has to hold.
    moves : whether its input and output count as memory traffic; a normalisation's do not, since it
        folds into the layer before it.
    """

    name: str
    kind: Kind
    rows: Window
    cols: Window
    channels: int
    macs: int = 0
    parameters: int = 0
    moves: bool = True


class Shape(NamedTuple):
    """Shape of one sample's feature map."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Stack:
    """A chain of layers on inputs of one shape (C, H, W); raises `ValueError` where none fits."""

    in_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        _ = self.shapes

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape before each layer and after the last: one more than there are layers."""
        found = [Shape(*self.in_shape)]
        for layer in self.layers:
            _, height, width = found[-1]
            try:
                rows, cols = layer.rows.output_size(height), layer.cols.output_size(width)
            except ValueError as error:
                raise ValueError(f"layer {layer.name}: {error}") from None
            found.append(Shape(layer.channels, rows, cols))
        return tuple(found)

    @property
    def macs(self) -> int:
        """MACs of one sample, padding included, as the whole network counts them."""
        return sum(self.layer_macs(i, *self.shapes[i + 1][1:]) for i in range(len(self.layers)))

    def layer_macs(self, layer: int, rows: int, cols: int) -> int:
        """MACs of so many rows and columns of a layer's output."""
        return self.layers[layer].macs * self.layers[layer].channels * rows * cols


def conv(
    name: str, n_in: int, n_out: int, kernel: int, stride: int = 1, padding: int = 0,
    dilation: int = 1, *, bias: bool = False,
) -> Layer:  # fmt: skip
    """Give a convolution with a square kernel."""
    window = Window(kernel, stride, padding, dilation)
    weights = n_in * n_out * kernel * kernel
    return Layer(
        name, "conv", window, window, n_out, n_in * kernel * kernel, weights + n_out * bias
    )


def pool(
    name: str, channels: int, kernel: int, stride: int | None = None, padding: int = 0,
    *, ceil: bool = False,
) -> Layer:  # fmt: skip
    """Give a pooling with a square window; the stride is the kernel's size by default."""
    window = Window(kernel, stride or kernel, padding, 1, ceil)
    return Layer(name, "pool", window, window, channels)


def pointwise(name: str, channels: int, parameters: int = 0) -> Layer:
    """Give a layer that computes each value from the one at the same place.

    One with parameters is taken for a normalisation.
    """
    return Layer(
        name, "pointwise", Window(), Window(), channels, 0, parameters, moves=not parameters
    )


def vgg_stack(
    in_shape: tuple[int, int, int], blocks: Iterable[Iterable[int]], batch_norm: bool = True
) -> Stack:
    """Give blocks of 3x3 convolutions (padding 1) with ReLU, each closed by a 2x2 max-pooling.

    Parameters
    ----------
    blocks : for each block the channels of its convolutions.
    batch_norm : whether a batch normalisation follows each convolution; it has the convolution's
        bias then, and folds into it.
    """
    layers = []
    channels = in_shape[0]
    for b, block in enumerate(blocks, 1):
        for c, wanted in enumerate(block, 1):
            layers.append(conv(f"conv{b}_{c}", channels, wanted, 3, padding=1, bias=True))
            channels = wanted
            if batch_norm:
                layers.append(pointwise(f"norm{b}_{c}", channels, 2 * channels))
            layers.append(pointwise(f"relu{b}_{c}", channels))
        layers.append(pool(f"pool{b}", channels, 2))
    return Stack(in_shape, tuple(layers))
