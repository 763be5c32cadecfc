"""`XlsrEncoder.step` with its pass over a chunk replayed as a CUDA graph: one launch instead of a thousand.

A bounded context gives every chunk the same shapes, so one graph serves a batch size and context for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xlsrt.encoder import streaming
from xlsrt.encoder.state import EncoderState

if TYPE_CHECKING:
    from xlsrt.encoder.encoder import XlsrEncoder

logger = logging.getLogger(__name__)

WARM_UPS = 3
"""Passes before a capture: libraries choose their kernels and take their workspaces in them."""


class GraphedStep:
    """Called like `XlsrEncoder.step`, with equal results; on CUDA each chunk is one graph.

    A graph is captured per batch size, context and state of the weights, and the ``most`` latest are kept;
    each holds its input and output, about twice the state. Ends of streams (`XlsrEncoder.flush`) and contexts
    that keep all the past have no fixed shape and run as usual. Where capturing fails, which a log line says
    once, and on CPUs the same buffers are filled without a graph.
    """

    def __init__(self, encoder: XlsrEncoder, most: int = 4) -> None:
        self.encoder, self.most = encoder, most
        self._captures = encoder.masked_spec_embed.device.type == "cuda"
        self._chunks: dict[tuple[object, ...], StaticChunk] = {}

    @torch.no_grad()
    def __call__(
        self, packet: Tensor, state: EncoderState, lens: Tensor | None = None
    ) -> tuple[Tensor, Tensor, EncoderState]:
        """See `XlsrEncoder.step`."""
        return streaming.step(self.encoder, packet, state, lens, self._encode)

    def _encode(
        self, encoder: XlsrEncoder, wav: Tensor, state: EncoderState, lens: Tensor | None
    ) -> tuple[Tensor, EncoderState]:
        if lens is not None or state.context.cache_frames is None:
            return streaming.encode_chunk(encoder, wav, state, lens)
        device = wav.device.type
        autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        key = (wav.shape, state.context, state.model, state.keys.dtype, autocast)
        if key not in self._chunks:
            while len(self._chunks) >= self.most:
                del self._chunks[next(iter(self._chunks))]
            self._chunks[key] = self._new_chunk(wav, state)
        return self._chunks[key](wav, state)

    def _new_chunk(self, wav: Tensor, state: EncoderState) -> StaticChunk:
        chunk = StaticChunk(self.encoder, wav, state)
        if self._captures:
            try:
                chunk.capture()
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self._captures = False
                first = str(error).strip().partition("\n")[0]
                logger.warning("CUDA graphs do not work here (%s): streams run without them", first)
        return chunk


class StaticChunk:
    """`encode_chunk` between fixed input and output tensors, as CUDA graphs need it."""

    def __init__(self, encoder: XlsrEncoder, wav: Tensor, state: EncoderState) -> None:
        self.encoder = encoder
        self.wav = wav.clone()
        self.before = state.with_tensors(
            **{name: getattr(state, name).clone() for name in streaming.PER_CHUNK}
        )
        self.after: tuple[Tensor, EncoderState] | None = None
        self._replay: Callable[[], None] = self._run

    def __call__(self, wav: Tensor, state: EncoderState) -> tuple[Tensor, EncoderState]:
        """wav (B, 80 + 320 C) -> y (B, C, D) and the state after it, none of them shared with the buffers."""
        self.wav.copy_(wav)
        for name in streaming.PER_CHUNK:
            getattr(self.before, name).copy_(getattr(state, name))
        self._replay()
        assert self.after is not None
        y, after = self.after
        return y.clone(), state.with_tensors(**_copies(after))

    def capture(self) -> None:
        """Record the pass as a graph; until then, and where this fails, it runs as written."""
        stream = torch.cuda.Stream(self.wav.device)
        stream.wait_stream(torch.cuda.current_stream(self.wav.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                self._run()
        torch.cuda.current_stream(self.wav.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._run()
        self._replay = graph.replay

    def _run(self) -> None:
        self.after = streaming.encode_chunk(self.encoder, self.wav, self.before, None)


def _copies(state: EncoderState) -> dict[str, Tensor]:
    return {name: getattr(state, name).clone() for name in streaming.PER_CHUNK}
