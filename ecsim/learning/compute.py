"""Where and how exactly trainings run: device, threads, number format."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

from ecsim.core.errors import UserError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Compute:
    """The execution that results depend on, bit for bit.

    fp32 on a CPU with one thread is the reproducible default. Nothing is seeded here.
    torch is imported when something is computed, not before.

    Attributes
    ----------
    device : `auto` takes a GPU when there is one.
    threads : CPU threads of torch; sums are taken in another order with another number.
    precision : `bf16` computes convolutions and products in bfloat16 (weights stay float32)
        and lays images out channels-last.
    """

    device: Literal["auto", "cpu", "cuda"] = "cpu"
    threads: int = 1
    precision: Literal["fp32", "bf16"] = "fp32"

    @property
    def kind(self) -> str:
        """`cpu` or `cuda`; raise `UserError` when a GPU is asked for and there is none."""
        if self.device == "cpu":
            return "cpu"
        import torch

        found = torch.cuda.is_available()
        if self.device == "cuda" and not found:
            raise UserError("compute.device: cuda is asked for, but torch finds no GPU; use auto")
        return "cuda" if found else "cpu"

    @property
    def tag(self) -> str:
        """What a content hash needs to know of the execution, torch's version included."""
        return f"torch {metadata.version('torch')}/{self.kind}/{self.precision}/{self.threads}"

    @contextmanager
    def active(self) -> Iterator[None]:
        """Compute this way inside the block; the caller's settings come back afterwards."""
        import torch

        keep_freed_memory()
        threads = torch.get_num_threads()
        cudnn: Any = torch.backends.cudnn
        flags = cudnn.deterministic, cudnn.benchmark
        torch.set_num_threads(self.threads)
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            with torch.autocast(
                self.kind,
                dtype=torch.bfloat16,
                enabled=self.precision == "bf16",
                cache_enabled=False,  # a block lasts a whole training: cached weights would be old
            ):
                yield
        finally:
            torch.set_num_threads(threads)
            cudnn.deterministic, cudnn.benchmark = flags

    def put(self, net: torch.nn.Module) -> None:
        """Move a network to where it is trained."""
        net.to(self.kind)
        if self.precision == "bf16":
            import torch

            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def tensor(self, array: Any) -> torch.Tensor:
        """Copy an array to where it is used; images (N, C, H, W) are laid out for the precision."""
        import torch

        tensor = torch.as_tensor(array).to(self.kind)
        if self.precision == "bf16" and tensor.ndim == 4:
            return tensor.to(memory_format=torch.channels_last)
        return tensor


_MALLOPT = {-1: 2**31 - 1, -2: 2**26, -3: 2**30}  # M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD


@cache
def keep_freed_memory() -> None:
    """Keep blocks that are freed for the next ones, where the C library is glibc.

    By default it gives a large block back to the system at once, and each layer's output costs page
    faults again: as much time as the layers themselves for a spiking network in float64. The most
    memory that is taken at any one time stays the same.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library
        return
    for what, n_bytes in _MALLOPT.items():
        mallopt(what, n_bytes)
