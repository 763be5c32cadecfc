"""Whether bfloat16 pays on this CPU."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch

MULTIPLIERS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""Instructions that multiply bfloat16, by the names of `torch.cpu.get_capabilities`."""


@lru_cache(maxsize=1)
def multiplies_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware.

    Where it does not, PyTorch takes bfloat16 all the same, much more slowly than float32: on a CPU that has
    AVX2 at best, products of matrices took 8 times as long, and the position convolution 23 times.
    """
    known: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(known.get(name) for name in MULTIPLIERS)
