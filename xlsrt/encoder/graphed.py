"""`XlsrEncoder.step` with its pass over a chunk replayed as a CUDA graph: one launch instead of a thousand.

A bounded context gives every chunk the same shapes, so one graph serves a batch size and context for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
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
    each holds its input and output, about twice the state. Weights that change, move or give way to others
    end the graphs made of them; make this object anew after replacing whole modules. Ends of streams
    (`XlsrEncoder.flush`) and contexts that keep all the past have no fixed shape and run as usual. Where
    capturing fails, which a log line says once, and on CPUs the same buffers are filled without a graph.
    """

    def __init__(self, encoder: XlsrEncoder, most: int = 4) -> None:
        self.encoder, self.most = encoder, most
        self._captures = True
        self._chunks: dict[tuple[object, ...], StaticChunk] = {}
        # Not encoder.parameters(): walking the modules of 24 layers takes a millisecond or two, each time.
        self._weights = [module._parameters for module in encoder.modules() if module._parameters]
        self._stamp: tuple[object, ...] | None = None

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
        stamp = self._stamp_of_weights()
        if stamp != self._stamp:
            self._chunks.clear()
            self._stamp = stamp
        if key in self._chunks and not self._chunks[key].holds():
            del self._chunks[key]
        # Buffers made in inference mode could not be filled outside of it.
        with torch.inference_mode(False), torch.no_grad():
            if key not in self._chunks:
                while len(self._chunks) >= self.most:
                    del self._chunks[next(iter(self._chunks))]
                self._chunks[key] = self._new_chunk(wav, state)
            return self._chunks[key](wav, state)

    def _stamp_of_weights(self) -> tuple[object, ...]:
        """Where the weights lie, which is what a graph knows of them; of the position convolution, of whose
        kernel graphs read a copy, also its version.
        """
        copied = tuple(
            0 if part.is_inference() else part._version
            for part in self.encoder.encoder.pos_conv_embed.parameters()
        )
        places = (p.data_ptr() for part in self._weights for p in part.values() if p is not None)
        return (copied, *places)

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
        self._captured = False
        self._kernels: dict[int, Tensor] | None = None

    def __call__(self, wav: Tensor, state: EncoderState) -> tuple[Tensor, EncoderState]:
        """wav (B, 80 + 320 C) -> y (B, C, D) and the state after it, none of them shared with the buffers."""
        self.wav.copy_(wav)
        for name in streaming.PER_CHUNK:
            getattr(self.before, name).copy_(getattr(state, name))
        self._replay()
        assert self.after is not None
        y, after = self.after
        return y.clone(), state.with_tensors(**_copies(after))

    def holds(self) -> bool:
        """Whether all that a graph reads is still what the encoder computes with, weights apart.

        The encoder drops its copy of the position kernel in train() and eval(): it may be of old weights.
        """
        return not self._captured or self._kernels is self.encoder.encoder.pos_conv_embed.kept

    def capture(self) -> None:
        """On CUDA record the pass as a graph; until then, and where this fails, it runs as written."""
        if self.wav.device.type == "cuda":
            self._record()

    def _record(self) -> None:
        device = self.wav.device
        # Half-precision copies of weights that autocast keeps would go with its block, the graph would not:
        # it makes its own each time.
        autocast = torch.autocast(
            device.type,
            torch.get_autocast_dtype(device.type),
            torch.is_autocast_enabled(device.type),
            cache_enabled=False,
        )
        with torch.cuda.device(device), autocast:
            before, stream = torch.cuda.current_stream(device), _side_stream(device)
            try:
                stream.wait_stream(before)
                with torch.cuda.stream(stream):
                    for _ in range(WARM_UPS):
                        self._run()
                before.wait_stream(stream)
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, stream=stream):
                    self._run()
            finally:
                # torch.cuda.graph stays on its stream where the end of the capture fails.
                torch.cuda.set_stream(before)
        self._kernels = self.encoder.encoder.pos_conv_embed.kept
        self._captured, self._replay = True, graph.replay

    def _run(self) -> None:
        self.after = streaming.encode_chunk(self.encoder, self.wav, self.before, None)


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """The one stream of a GPU on which graphs are captured: cuBLAS keeps work space for each it has met."""
    return torch.cuda.Stream(device)


def _copies(state: EncoderState) -> dict[str, Tensor]:
    return {name: getattr(state, name).clone() for name in streaming.PER_CHUNK}
