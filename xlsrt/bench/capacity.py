"""How many streams one device serves in real time, and how much of its matrix rate that takes.

Every stream sends a chunk of audio in each chunk time; batches of streams are encoded one after another. A
tick is in time if all of them are done before the next chunk arrives.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from xlsrt.bench.common import synchronize
from xlsrt.context import AttentionContext
from xlsrt.encoder import EncoderState, XlsrConfig, XlsrEncoder
from xlsrt.encoder.graphed import GraphedStep
from xlsrt.units import SAMPLE_RATE

IN_TIME = 0.99
"""Share of the ticks that must be done within the chunk time."""


@dataclass(frozen=True)
class Capacity:
    """streams: served in real time; tick_seconds: the 99th percentile; rate: operations per second while at
    it; peak: those of one large product in the same type.
    """

    streams: int
    tick_seconds: float
    rate: float
    peak: float

    def __str__(self) -> str:
        return (
            f"{self.streams} streams in real time, 99 % of ticks within {self.tick_seconds * 1000:.0f} ms, "
            f"{self.rate / 1e12:.2f} of {self.peak / 1e12:.2f} TFLOP/s ({self.rate / self.peak:.0%})"
        )


def serve(encoder: XlsrEncoder, context: AttentionContext, batch: int, ticks: int) -> Capacity:
    """Find the most streams, in whole batches, of which ``IN_TIME`` of ``ticks`` ticks are in time."""
    assert context.chunk_frames is not None
    device = encoder.masked_spec_embed.device
    hop = context.chunk_frames * encoder.config.hop
    allowed = hop / SAMPLE_RATE
    step = GraphedStep(encoder)
    packet = torch.randn(batch, hop, device=device) * 0.05
    state = encoder.init_state(batch, context)
    _, _, state = step(torch.randn(batch, 80, device=device) * 0.05, state)
    for _ in range((context.cache_frames or 0) // context.chunk_frames + 3):
        _, _, state = step(packet, state)
    once = sorted(tick(step, packet, [state]) for _ in range(5))[2]
    groups = max(1, int(allowed / once))
    while True:
        try:
            times = sorted(_ticks(step, packet, state, groups, ticks))
        except torch.OutOfMemoryError:
            if groups == 1:
                raise
            groups = max(1, groups * 3 // 4)
            continue
        last = times[math.ceil(IN_TIME * len(times)) - 1]
        done = groups if last <= allowed else 0
        if done or groups == 1:
            work = groups * batch * chunk_operations(encoder.config, context)
            rate = work * len(times) / sum(times)
            return Capacity(done * batch, last, rate, matrix_rate(device, encoder.masked_spec_embed.dtype))
        groups -= max(1, groups // 20)


def _ticks(
    step: GraphedStep, packet: torch.Tensor, state: EncoderState, groups: int, ticks: int
) -> list[float]:
    states = [state] * groups
    return [tick(step, packet, states) for _ in range(ticks)]


def tick(step: GraphedStep, packet: torch.Tensor, states: list[EncoderState]) -> float:
    """Advance every batch by a chunk, states in place in the list; returns seconds."""
    begin = time.perf_counter()
    for number, state in enumerate(states):
        _, _, states[number] = step(packet, state)
    synchronize(str(packet.device))
    return time.perf_counter() - begin


def chunk_operations(config: XlsrConfig, context: AttentionContext) -> int:
    """Floating-point operations of the products in one chunk of one stream, caches full."""
    assert context.chunk_frames is not None and context.cache_frames is not None
    chunk, size = context.chunk_frames, config.hidden_size
    products, channels, steps = 0, 1, config.window + (chunk - 1) * config.hop
    for width, kernel, stride in zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True):
        steps = (steps - kernel) // stride + 1
        products += steps * width * channels * kernel
        channels = width
    products += chunk * channels * size
    taps = config.pos_conv_kernel // 2 + min(config.pos_conv_kernel // 2 - 1, chunk - 1) + 1
    products += chunk * size * size // config.pos_conv_groups * taps
    keys = context.cache_frames + chunk
    layer = chunk * (4 * size * size + 2 * size * config.ffn_size) + 2 * chunk * keys * size
    return 2 * (products + config.num_layers * layer)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a large product, the best of five."""
    size = 8192 if device.type == "cuda" else 512
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        begin = time.perf_counter()
        a @ b
        synchronize(str(device))
        best = min(best, time.perf_counter() - begin)
    return 2 * size**3 / best
