"""What the encoder costs beside torchaudio's and Hugging Face's, offline, streaming and in training.

Random weights: speed does not depend on what they are. Ratios are to torchaudio's offline forward of 10 s.
"""

from __future__ import annotations

import argparse
import copy
import resource
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from xlsrt.bench import common
from xlsrt.bench.capacity import serve
from xlsrt.bench.common import Case
from xlsrt.bench.reference import hugging_face_model, torchaudio_model
from xlsrt.context import AttentionContext
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.units import HOP, SAMPLE_RATE

HELP = "the encoder, offline and streaming"
CASES = ("offline", "stream", "batch", "windows", "bf16", "train", "memory", "memory_full", "streams")
DEFAULT = CASES[:-2]
MEMORY = "resident memory after 1 h of one stream minus after 1 min"
OFFLINE_SECONDS, TRAIN_SECONDS = 10, 15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench encoder``."""
    parser.add_argument("--preset", default="xls_r_300m", help="encoder size (default: %(default)s)")
    parser.add_argument("--num_layers", type=int, help="fewer layers than the preset's, for a quick look")
    parser.add_argument("--left_frames", type=int, default=32, help="left context (default: %(default)s)")
    parser.add_argument("--sink_frames", type=int, default=16, help="attention sinks (default: %(default)s)")
    parser.add_argument(
        "--streams_batch", type=int, default=128, help="streams in one pass of case streams (default: 128)"
    )
    parser.add_argument(
        "--ticks", type=int, default=100, help="chunk times that case streams runs for (default: 100)"
    )
    parser.add_argument(
        "--streams_dtype",
        choices=("bfloat16", "float32"),
        default="bfloat16",
        help="type of the weights in case streams (default: %(default)s)",
    )
    parser.add_argument(
        "--busy", type=int, default=0, help="other processes that keep a core busy meanwhile (default: 0)"
    )
    common.add_arguments(parser, CASES, DEFAULT)


def run(args: argparse.Namespace) -> None:
    """Measure the cases asked for."""
    cases = common.begin(args, CASES)
    if args.busy < 0:
        raise UserError("--busy must be 0 or more")
    encoder = build(args)
    beside = f", {args.busy} busy process(es) beside" if args.busy else ""
    print(f"{args.preset}, {encoder.config.num_layers} layers, {common.conditions(args)}{beside}", flush=True)
    with common.busy(args.busy):
        measure_cases(encoder, cases, args)


def measure_cases(encoder: XlsrEncoder, cases: Sequence[str], args: argparse.Namespace) -> None:
    """One line for each."""
    if set(cases) - {"memory", "memory_full", "streams"}:
        common.print_table(common.measure(collect(encoder, cases, args), args.rounds, args.device))
    if "memory" in cases:
        tiny = XlsrEncoder(XlsrConfig.preset("tiny")).eval()
        print(f"{MEMORY}: {growth_in_an_hour(tiny) / 1e6:.2f} MB (tiny)", flush=True)
    if "memory_full" in cases:
        print(f"{MEMORY}: {growth_in_an_hour(encoder) / 1e6:.2f} MB ({args.preset})", flush=True)
    if "streams" in cases:
        context = AttentionContext(32, args.left_frames, args.sink_frames)
        many = encoder.to(getattr(torch, args.streams_dtype))
        print(f"{args.streams_dtype}, {context}, batches of {args.streams_batch}:")
        print(serve(many, context, args.streams_batch, args.ticks), flush=True)


def build(args: argparse.Namespace) -> XlsrEncoder:
    """The encoder that the options describe: no dropout, no masks."""
    overrides = {} if args.num_layers is None else {"num_layers": args.num_layers}
    dropouts = dict.fromkeys(("hidden_dropout", "attention_dropout", "feat_proj_dropout", "layer_drop"), 0.0)
    config = XlsrConfig.preset(args.preset, mask_time_prob=0.0, **dropouts, **overrides)
    return XlsrEncoder(config).eval().to(args.device)


def collect(encoder: XlsrEncoder, cases: Sequence[str], args: argparse.Namespace) -> dict[str, Case]:
    """The cases asked for, by name; the first one is the baseline."""

    def context(chunk: int) -> AttentionContext:
        return AttentionContext(chunk, args.left_frames, args.sink_frames)

    wav = torch.randn(1, OFFLINE_SECONDS * SAMPLE_RATE, device=args.device) * 0.05
    theirs = torchaudio_model(encoder.config).to(args.device)
    todo = {"torchaudio, offline, 10 s": Case(lambda: theirs.extract_features(wav), OFFLINE_SECONDS)}
    if "offline" in cases:
        todo["offline, full attention"] = Case(lambda: encoder(wav), OFFLINE_SECONDS)
        todo[f"offline, {context(32)}"] = Case(lambda: encoder(wav, None, context(32)), OFFLINE_SECONDS)
    if "stream" in cases:
        for chunk in (32, 16, 64):
            todo[f"stream, {context(chunk)}"] = stream_case(encoder, context(chunk), 1)
    if "batch" in cases:
        todo[f"8 streams, {context(32)}"] = stream_case(encoder, context(32), 8)
    if "windows" in cases:
        model = hugging_face_model(encoder.config).to(args.device)
        for left, right in ((640, 0), (1280, 640)):
            window = wav[:, : (left + 640 + right) * SAMPLE_RATE // 1000]
            name = f"HF windows, left {left} ms, right {right} ms, stride 640 ms"
            todo[name] = Case(partial(model, window), 0.64)
    if "bf16" in cases:
        half = copy.deepcopy(encoder).to(torch.bfloat16)
        todo[f"stream, bf16 weights, {context(32)}"] = stream_case(half, context(32), 1)
    if "train" in cases:
        long = torch.randn(1, TRAIN_SECONDS * SAMPLE_RATE, device=args.device) * 0.05
        for name, which in (("full attention", AttentionContext.full()), (str(context(32)), context(32))):
            todo[f"training step, {name}"] = Case(partial(train_step, encoder, long, which), TRAIN_SECONDS)
    return todo


def stream_case(encoder: XlsrEncoder, context: AttentionContext, streams: int) -> Case:
    """One step of streams whose caches are full; cost counts per second of audio of one stream."""
    assert context.chunk_frames is not None
    hop, device = context.chunk_frames * HOP, encoder.masked_spec_embed.device
    packet = torch.randn(streams, hop, device=device) * 0.05
    state = encoder.init_state(streams, context)
    _, _, state = encoder.step(torch.randn(streams, 80, device=device), state)
    filled = (context.cache_frames or 0) // context.chunk_frames + 2
    for _ in range(filled):
        _, lens, state = encoder.step(packet, state)
    assert (lens == context.chunk_frames).all()
    return Case(lambda: encoder.step(packet, state), streams * hop / SAMPLE_RATE)


def train_step(encoder: XlsrEncoder, wav: Tensor, context: AttentionContext) -> None:
    """Forward and backward."""
    encoder.train()
    with torch.enable_grad():
        encoder(wav, None, context)[0].square().mean().backward()
    encoder.zero_grad(set_to_none=True)
    encoder.eval()


def growth_in_an_hour(encoder: XlsrEncoder) -> int:
    """Resident bytes after an hour of one stream minus after its first minute."""
    state = encoder.init_state(1, AttentionContext(32, 32, 16))
    packet = torch.randn(1, 10240, device=encoder.masked_spec_embed.device) * 0.05
    sizes = []
    for seconds in (60, 3600 - 60):
        for _ in range(int(seconds / 0.64)):
            _, _, state = encoder.step(packet, state)
        sizes.append(resident_bytes())
    return sizes[1] - sizes[0]


def resident_bytes() -> int:
    """Of this process: now, or at most so far where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
