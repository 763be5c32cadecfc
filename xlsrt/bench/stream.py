"""What predictor, joint and search cost a live stream, beside its encoder.

An encoder with random weights takes noise, chunk by chunk, with full caches. The search gets as many frames
as come out, for a head that says 4 tokens a second, because what random weights say is nothing a search would
meet. Packets are short, as a microphone's are.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

import torch

from xlsrt.bench import common
from xlsrt.bench.encoder import build
from xlsrt.bench.speaker import speaking_head, speech
from xlsrt.context import AttentionContext
from xlsrt.errors import UserError
from xlsrt.search import BeamSearch, GreedySearch
from xlsrt.units import HOP, SAMPLE_RATE

HELP = "predictor, joint and search beside the encoder, in a live stream"
CASES = ("greedy", "beam")


@dataclass
class Share:
    """Seconds spent in the encoder and in the search, and what came out."""

    encoder: float = 0.0
    search: float = 0.0
    audio: float = 0.0
    tokens: int = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench stream``."""
    parser.add_argument("--preset", default="xls_r_300m", help="encoder size (default: %(default)s)")
    parser.add_argument("--num_layers", type=int, help="fewer layers than the preset's, for a quick look")
    parser.add_argument("--chunk_frames", type=int, default=32, help="of 20 ms (default: %(default)s)")
    parser.add_argument("--left_frames", type=int, default=32, help="left context (default: %(default)s)")
    parser.add_argument("--sink_frames", type=int, default=16, help="attention sinks (default: %(default)s)")
    parser.add_argument("--packet_ms", type=int, default=80, help="audio per packet (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=8, help="measured, in each round (default: %(default)s)"
    )
    parser.add_argument("--streams", type=int, default=1, help="that advance together (default: %(default)s)")
    parser.add_argument("--vocab_size", type=int, default=500, help="tokens (default: %(default)s)")
    parser.add_argument("--beam_size", type=int, default=4, help="of the beam search (default: %(default)s)")
    common.add_arguments(parser, CASES, CASES)


def run(args: argparse.Namespace) -> None:
    """Print what encoder and search cost, and the search's share of the encoder's cost."""
    cases = common.begin(args, CASES)
    if min(args.packet_ms, args.seconds, args.streams) <= 0:
        raise UserError("--packet_ms, --seconds and --streams must be above 0")
    encoder = build(args)
    context = AttentionContext(args.chunk_frames, args.left_frames, args.sink_frames)
    width = encoder.config.hidden_size
    head = speaking_head(width, args.vocab_size, min(512, width))
    frames = speech(head, args.streams, round(args.seconds * 50) + args.chunk_frames).frames.to(args.device)
    head = head.to(args.device)
    print(f"{args.preset}, {encoder.config.num_layers} layers, {context}, {common.conditions(args)}")
    print(f"{'search':<10} {'encoder s/s':>12} {'search s/s':>12} {'share':>8} {'tokens/s':>9}")
    for case in cases:
        search: Any = GreedySearch(head) if case == "greedy" else BeamSearch(head, args.beam_size)
        rounds = [measured(encoder, context, search, frames, args) for _ in range(args.rounds + 1)][1:]
        best = Share(
            min(r.encoder for r in rounds), min(r.search for r in rounds), rounds[0].audio, rounds[0].tokens
        )
        costs = (best.encoder / best.audio, best.search / best.audio)
        share, rate = 100 * best.search / best.encoder, best.tokens / best.audio / args.streams
        name = case if case == "greedy" else f"beam {args.beam_size}"
        print(f"{name:<10} {costs[0]:>12.4f} {costs[1]:>12.5f} {share:>7.2f}% {rate:>9.2f}", flush=True)


@torch.no_grad()
def measured(
    encoder: Any, context: AttentionContext, search: Any, frames: torch.Tensor, args: argparse.Namespace
) -> Share:
    """One stretch of streams. With one thread times are of the CPU, which other processes disturb least."""
    on_gpu = torch.device(args.device).type == "cuda"
    clock = time.process_time if args.threads == 1 and not on_gpu else time.perf_counter
    state = encoder.init_state(args.streams, context)
    generator = torch.Generator().manual_seed(0)
    filling = ((context.cache_frames or 0) + 2 * args.chunk_frames) * HOP + 80

    def noise(samples: int) -> torch.Tensor:
        return 0.05 * torch.randn(args.streams, samples, generator=generator).to(args.device)

    _, _, state = encoder.step(noise(filling), state)
    found, total, at = search.init_state(args.streams), Share(), 0
    packet = args.packet_ms * SAMPLE_RATE // 1000
    for _ in range(round(args.seconds * SAMPLE_RATE / packet)):
        samples = noise(packet)
        common.synchronize(args.device)
        begin = clock()
        out, lens, state = encoder.step(samples, state)
        common.synchronize(args.device)
        middle = clock()
        count = out.size(1)
        found = search.step(frames[:, at : at + count], lens, found)
        search.best(found)
        search.stable(found)
        common.synchronize(args.device)
        total.encoder, total.search = total.encoder + middle - begin, total.search + clock() - middle
        total.audio += args.packet_ms / 1000
        at += count
    total.tokens = sum(len(hypothesis.tokens) for hypothesis in search.best(found))
    return total
