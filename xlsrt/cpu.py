"""What makes training on a CPU fast: few shapes, kernels and memory that are kept."""

from __future__ import annotations

import ctypes
import os

import torch
from torch import Tensor

from xlsrt.units import HOP, WINDOW

# mallopt's numbers in glibc's malloc.h, with what they are set to.
_TRIM_THRESHOLD = (-1, 2**31 - 1)
_MMAP_MAX = (-4, 0)
_ARENA_MAX = (-8, 1)

FRAMES = 32
"""Where `few_shapes` pay, audio is padded to multiples of so many frames."""

TOKENS = 8
"""Where `few_shapes` pay, the nodes of a lattice, one more than the tokens, are multiples of this."""

KERNELS = 4096
"""Kernels that oneDNN keeps, some 0.5 MB each; by itself it keeps 1,024 and compiles the others anew."""


def few_shapes(tensor: Tensor) -> bool:
    """Whether to pad to few shapes: oneDNN compiles its kernels for bfloat16 anew for every shape, and hardly
    two batches of joined utterances have one length.
    """
    return tensor.device.type == "cpu" and torch.is_autocast_enabled("cpu")


def padded_samples(samples: int) -> int:
    """The samples of the next multiple of `FRAMES` encoder frames that hold so many."""
    frames = -(-max(samples - WINDOW + HOP, 0) // HOP)
    return max(samples, rounded_up(frames, FRAMES) * HOP + WINDOW - HOP)


def rounded_up(number: int, multiple: int) -> int:
    """The next multiple."""
    return -(-number // multiple) * multiple


def prepare_training() -> None:
    """Let this process keep what it frees for its next tensors, and the kernels that were compiled for them.

    glibc gives large blocks back to the system at once, and each batch's tensors are fetched, zeroed and
    mapped page by page again: a tenth of a small model's training step. Without effect where the C library
    has no ``mallopt`` (musl, macOS), and where the environment sets glibc's allocator (``MALLOC_...``).

    A small model's training meets some 3,000 kernels an epoch. oneDNN reads its limit when it makes the first
    one: call this before the model computes anything. ``ONEDNN_PRIMITIVE_CACHE_CAPACITY`` in the environment
    is left as it is.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KERNELS))
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        for parameter, value in (_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX):
            mallopt(parameter, value)
