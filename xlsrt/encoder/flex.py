"""Block-sparse attention on CUDA through FlexAttention: blocks of frames that nobody sees are never computed.

Which blocks those are follows from `AttentionContext`, once per forward; no layer meets a T x T mask.
Shapes: B utterances, T frames, N chunks, Q blocks of queries, K blocks of keys, H heads, D hidden size.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from xlsrt.context import AttentionContext, rule

logger = logging.getLogger(__name__)

BLOCK = 128
"""Frames of a block, FlexAttention's own size."""


VARIANTS = 64
"""Compilations allowed: of each kind of context, dtype and gradient mode one. Beyond torch's own limit, 8, it
would run uncompiled, which makes the whole (B, H, T, T) matrix, and only a log line would tell."""


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., Any]:
    compiler: Any = torch.compile
    if "recompile_limit" in inspect.signature(compiler).parameters:
        return compiler(flex_attention, dynamic=True, recompile_limit=VARIANTS)
    # Older torch has one limit for all functions.
    from torch import _dynamo

    config: Any = _dynamo.config
    name = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"
    setattr(config, name, max(VARIANTS, getattr(config, name)))
    return compiler(flex_attention, dynamic=True)


class _Broken:
    """Whether compiling has failed in this process: it is tried once, and said once."""

    said = False


class FlexPlan:
    """Chunked attention whose cost follows what is visible. Equal to `DensePlan` without dropout.

    On CPU FlexAttention is not compiled and has no gradient: there it serves tests only.
    """

    def __init__(self, context: AttentionContext, lens: Tensor, frames: int) -> None:
        assert not context.is_full
        self.mask = block_mask(context, lens, frames)

    @staticmethod
    def serves(context: AttentionContext, frames: int, device: torch.device, dropout: float) -> bool:
        """Whether this way is open: FlexAttention knows no dropout, and is worth compiling on CUDA alone."""
        many = context.chunk_frames is not None and context.chunk_frames < frames
        return many and device.type == "cuda" and dropout == 0.0 and not _Broken.said

    def attend(self, q: Tensor, k: Tensor, v: Tensor, heads: int, dropout: float) -> Tensor:
        """q, k, v (B, T, D) -> (B, T, D)."""
        assert dropout == 0.0
        batch, frames, size = q.shape
        q, k, v = (x.unflatten(2, (heads, size // heads)).transpose(1, 2) for x in (q, k, v))
        run: Any = _compiled() if q.device.type == "cuda" else flex_attention
        return run(q, k, v, block_mask=self.mask).transpose(1, 2).reshape(batch, frames, size)


class FlexOrDense:
    """`FlexPlan` until it fails, which a missing compiler makes it do; then the plain mask, for good."""

    def __init__(self, flex: Callable[[], FlexPlan], dense: Callable[[], Any]) -> None:
        self._make_flex, self._make_dense = flex, dense
        self._flex: FlexPlan | None = None
        self._dense: Any = None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, heads: int, dropout: float) -> Tensor:
        """q, k, v (B, T, D) -> (B, T, D)."""
        if not _Broken.said:
            try:
                self._flex = self._flex or self._make_flex()
                return self._flex.attend(q, k, v, heads, dropout)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                _Broken.said = True
                first = str(error).strip().partition("\n")[0]
                logger.warning(
                    "FlexAttention does not work here (%s: %s): attention goes on with a plain mask, "
                    "which gives the same at a higher cost",
                    type(error).__name__,
                    first,
                )
        self._dense = self._dense or self._make_dense()
        return self._dense.attend(q, k, v, heads, dropout)


def block_mask(context: AttentionContext, lens: Tensor, frames: int) -> BlockMask:
    """What FlexAttention has to know: per block of queries the blocks of keys seen in part and in whole.

    lens (B,) valid frames. Built of one row per chunk, whose queries all see the same keys.
    """
    some, every = visible_blocks(context, lens, frames)
    counts, order = _listed(some & ~every)
    full_counts, full_order = _listed(every)
    return BlockMask.from_kv_blocks(
        counts, order, full_counts, full_order, BLOCK, _mask_mod(context, lens), seq_lengths=(frames, frames)
    )


def visible_blocks(context: AttentionContext, lens: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """(B, 1, Q, K) booleans: some query of the block sees some key of the other; every one sees all."""
    assert context.chunk_frames is not None
    device, chunk, blocks = lens.device, context.chunk_frames, -(-frames // BLOCK)
    chunks = -(-frames // chunk)
    keys = torch.arange(blocks * BLOCK, device=device)
    first = torch.arange(chunks, device=device) * chunk
    seen = context.visible(first[:, None], keys[None]) & (keys < frames)  # (N, K * BLOCK)
    valid = keys[None] < lens[:, None]  # (B, K * BLOCK)
    # Chunks of each block of queries: from lo up to, not including, hi.
    edges = torch.arange(blocks, device=device) * BLOCK
    lo, hi = edges // chunk, ((edges + BLOCK).clamp(max=frames) - 1) // chunk + 1

    def over_chunks(x: Tensor) -> Tensor:
        """(N, K) -> (Q, K): how many chunks of the block of queries have it."""
        total = torch.nn.functional.pad(x.long().cumsum(0), (0, 0, 1, 0))
        return total[hi] - total[lo]

    by_block = seen.unflatten(1, (blocks, BLOCK))
    some = over_chunks(by_block.any(2)) > 0
    every = over_chunks(by_block.all(2)) == (hi - lo)[:, None]
    # Every query sees at least itself, padding too: see `_mask_mod`.
    some = some & valid.unflatten(1, (blocks, BLOCK)).any(2)[:, None] | torch.eye(
        blocks, dtype=torch.bool, device=device
    )
    every = every & valid.unflatten(1, (blocks, BLOCK)).all(2)[:, None]
    return some[:, None], every[:, None]


def _listed(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 1, Q, K) booleans -> how many are set (B, 1, Q), and their columns first (B, 1, Q, K)."""
    order = (~blocks).to(torch.uint8).argsort(dim=-1, stable=True)
    return blocks.sum(-1).to(torch.int32), order.to(torch.int32).contiguous()


def _mask_mod(context: AttentionContext, lens: Tensor) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """The rule for single frames; its numbers are tensors, so that no new context compiles anew."""

    def tensor(value: int) -> Tensor:
        return torch.tensor(value, device=lens.device)

    assert context.chunk_frames is not None
    chunk, sinks = tensor(context.chunk_frames), tensor(context.sink_frames)
    left = None if context.left_frames is None else tensor(context.left_frames)

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        # Padded queries that would see nothing see themselves: their result is dropped, but must be a number.
        return (rule(q, k, chunk, left, sinks) & (k < lens[b])) | (q == k)

    return mask_mod
