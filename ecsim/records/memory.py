"""Giving memory that is free back to the system, so that what comes next does not lie on top."""

from __future__ import annotations

import ctypes
import sys


def release() -> None:
    """Let Arrow and the C library give back what they keep for later; a few milliseconds.

    Long runs leave holes between small objects, which arrays of other sizes do not fit. Of the C
    libraries only glibc can be asked; with another one this does less.
    """
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
