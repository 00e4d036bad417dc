"""Which rows of its input a convolution or a pooling needs for given rows of its output.

An interval of rows (or of columns) is a Python `range` with step 1. The survey's overlap formulas
count padded inputs and hold for even divisions only (erratum 4); here the rows are exact: the
smallest interval that holds every row which some tap of the kernel really reads.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window along one axis, with the meaning that torch gives to its parameters.

    Raises `ValueError` for a kernel, stride or dilation below 1, or a padding below 0.

    Parameters
    ----------
    ceil : round the number of outputs up (`ceil_mode` of poolings), unless the last window would
        begin in the padding behind the input.
    """

    kernel: int = 1
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    ceil: bool = False

    def __post_init__(self) -> None:
        if min(self.kernel, self.stride, self.dilation) < 1 or self.padding < 0:
            raise ValueError(f"kernel, stride, dilation >= 1 and padding >= 0 expected: {self}")

    @property
    def extent(self) -> int:
        """Rows from the first tap of a window to its last."""
        return self.dilation * (self.kernel - 1) + 1

    def output_size(self, size: int) -> int:
        """Give the number of outputs over an input of `size`; raise `ValueError` for none.

        >>> Window(3, stride=2).output_size(8), Window(3, stride=2, ceil=True).output_size(8)
        (3, 4)
        """
        free = size + 2 * self.padding - self.extent
        if free < 0:
            raise ValueError(f"an input of {size} is too small for {self}")
        outputs = free // self.stride + 1
        if self.ceil and free % self.stride and outputs * self.stride < size + self.padding:
            outputs += 1
        return outputs

    def first(self, output: int) -> int:
        """Give the row under the first tap for an output; negative where that is padding."""
        return output * self.stride - self.padding

    def needs(self, outputs: range, size: int) -> range:
        """Give the rows of an input of `size` that the outputs need; empty where that is padding.

        >>> Window(3, padding=1).needs(range(4, 8), 16)
        range(3, 9)
        """
        low, high = size, 0
        for output in outputs:
            low = min(low, self._taps(output, size).start)
            if self.first(output) >= 0:
                break
        for output in reversed(outputs):
            taps = self._taps(output, size)
            high = max(high, taps[-1] + 1 if taps else 0)
            if self.first(output) + self.extent <= size:
                break
        return range(low, high) if low < high else range(0)

    def _taps(self, output: int, size: int) -> range:
        """Give the rows under the taps that lie inside the input; empty beginning at its end."""
        first, step = self.first(output), self.dilation
        if first < 0:
            first += -(first // step) * step  # the first tap at or after row 0
        stop = min(size, self.first(output) + self.extent)
        return range(first, stop, step) if first < stop else range(size, size)
