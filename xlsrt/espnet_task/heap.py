"""How the C library's heap behaves while a training runs on a CPU."""

from __future__ import annotations

import ctypes
import os

# mallopt's numbers in glibc's malloc.h, with what they are set to.
_TRIM_THRESHOLD = (-1, 2**31 - 1)
_MMAP_MAX = (-4, 0)
_ARENA_MAX = (-8, 1)


def keep_freed_memory() -> None:
    """Let this process keep what it frees for its next tensors.

    glibc gives large blocks back to the system at once, and each batch's tensors are fetched, zeroed and
    mapped page by page again: a tenth of a small model's training step. Without effect where the C library
    has no ``mallopt`` (musl, macOS), and where the environment sets glibc's allocator (``MALLOC_...``).
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        for parameter, value in (_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX):
            mallopt(parameter, value)
