"""Measure what the encoder costs beside torchaudio and Hugging Face: ``python -m xlsrt.bin.bench encoder``.

Random weights: speed does not depend on what they are. Every round runs each case once, so that a busy
machine slows all of them alike; the best round counts. Ratios are to torchaudio's offline forward of 10 s.
"""

from __future__ import annotations

import argparse
import copy
import resource
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from xlsrt.bin import run_main
from xlsrt.errors import UserError

if TYPE_CHECKING:
    from xlsrt.context import AttentionContext
    from xlsrt.encoder import XlsrConfig, XlsrEncoder

CASES = ("offline", "stream", "batch", "windows", "bf16", "train", "memory")
OFFLINE_SECONDS, TRAIN_SECONDS, SAMPLE_RATE = 10, 15, 16000

Case = tuple[Callable[[], object], float]
"""What to run, and how many seconds of audio it covers."""


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    encoder = kinds.add_parser("encoder", help="the encoder, offline and streaming")
    encoder.add_argument("--preset", default="xls_r_300m", help="encoder size (default: %(default)s)")
    encoder.add_argument("--num_layers", type=int, help="fewer layers than the preset's, for a quick look")
    encoder.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    encoder.add_argument(
        "--rounds", type=int, default=3, help="the best of so many counts (default: %(default)s)"
    )
    encoder.add_argument("--device", default="cpu", help="torch device (default: %(default)s)")
    encoder.add_argument("--left_frames", type=int, default=32, help="left context (default: %(default)s)")
    encoder.add_argument("--sink_frames", type=int, default=16, help="attention sinks (default: %(default)s)")
    encoder.add_argument("--cases", default=",".join(CASES), help="comma-separated, of: %(default)s")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    cases = args.cases.split(",")
    unknown = sorted(set(cases) - set(CASES))
    if unknown:
        raise UserError(f"--cases: unknown {', '.join(unknown)}; known: {', '.join(CASES)}")

    import torch

    from xlsrt.encoder import XlsrConfig, XlsrEncoder

    torch.set_num_threads(args.threads)
    overrides = {} if args.num_layers is None else {"num_layers": args.num_layers}
    dropouts = dict.fromkeys(("hidden_dropout", "attention_dropout", "feat_proj_dropout", "layer_drop"), 0.0)
    config = XlsrConfig.preset(args.preset, mask_time_prob=0.0, **dropouts, **overrides)
    encoder = XlsrEncoder(config).eval().to(args.device)
    todo = collect(encoder, cases, args)
    size = f"{args.preset}, {config.num_layers} layers"
    print(f"{size}, {args.threads} thread(s), torch {torch.__version__}, {args.device}")
    print(f"{'case':<64} {'wall s/s':>9} {'CPU s/s':>9} {'ratio':>6}")
    for name, wall, cpu, ratio in measure(todo, args.rounds, args.device):
        print(f"{name:<64} {wall:>9.4f} {cpu:>9.4f} {ratio:>6.2f}", flush=True)
    if "memory" in cases:
        print(f"memory after 1 h of one stream minus after 1 min: {hour_of_memory() / 1e6:.2f} MB (tiny)")


def collect(encoder: XlsrEncoder, cases: Sequence[str], args: argparse.Namespace) -> dict[str, Case]:
    """The cases asked for, by name; the first one is the baseline."""
    import torch

    from xlsrt.context import AttentionContext

    def context(chunk: int) -> AttentionContext:
        return AttentionContext(chunk, args.left_frames, args.sink_frames)

    wav = torch.randn(1, OFFLINE_SECONDS * SAMPLE_RATE, device=args.device) * 0.05
    theirs = torchaudio_model(encoder.config).to(args.device)
    todo: dict[str, Case] = {
        "torchaudio, offline, 10 s": (lambda: theirs.extract_features(wav), OFFLINE_SECONDS)
    }
    if "offline" in cases:
        todo["offline, full attention"] = (lambda: encoder(wav), OFFLINE_SECONDS)
        todo[f"offline, {context(32)}"] = (lambda: encoder(wav, None, context(32)), OFFLINE_SECONDS)
    if "stream" in cases:
        for chunk in (32, 16, 64):
            todo[f"stream, {context(chunk)}"] = stream_case(encoder, context(chunk), 1)
    if "batch" in cases:
        todo[f"8 streams, {context(32)}"] = stream_case(encoder, context(32), 8)
    if "windows" in cases:
        model = hugging_face_model(encoder.config).to(args.device)
        for left, right in ((640, 0), (1280, 640)):
            window = wav[:, : (left + 640 + right) * SAMPLE_RATE // 1000]
            todo[f"HF windows, left {left} ms, right {right} ms, stride 640 ms"] = (
                partial(model, window),
                0.64,
            )
    if "bf16" in cases:
        half = copy.deepcopy(encoder).to(torch.bfloat16)
        todo[f"stream, bf16 weights, {context(32)}"] = stream_case(half, context(32), 1)
    if "train" in cases:
        long = torch.randn(1, TRAIN_SECONDS * SAMPLE_RATE, device=args.device) * 0.05
        for name, which in (("full attention", AttentionContext.full()), (str(context(32)), context(32))):
            todo[f"training step, {name}"] = (partial(train_step, encoder, long, which), TRAIN_SECONDS)
    return todo


def stream_case(encoder: XlsrEncoder, context: AttentionContext, streams: int) -> Case:
    """One step of streams whose caches are full; cost counts per second of audio of one stream."""
    import torch

    assert context.chunk_frames is not None
    hop, device = context.chunk_frames * 320, encoder.masked_spec_embed.device
    packet = torch.randn(streams, hop, device=device) * 0.05
    state = encoder.init_state(streams, context)
    _, _, state = encoder.step(torch.randn(streams, 80, device=device), state)
    filled = (context.cache_frames or 0) // context.chunk_frames + 2
    for _ in range(filled):
        _, lens, state = encoder.step(packet, state)
    assert (lens == context.chunk_frames).all()
    return (lambda: encoder.step(packet, state)), streams * hop / SAMPLE_RATE


def train_step(encoder: XlsrEncoder, wav: Any, context: AttentionContext) -> None:
    """Forward and backward."""
    import torch

    encoder.train()
    with torch.enable_grad():
        encoder(wav, None, context)[0].square().mean().backward()
    encoder.zero_grad(set_to_none=True)
    encoder.eval()


def torchaudio_model(config: XlsrConfig) -> Any:
    """torchaudio's wav2vec 2.0 of the same size, random weights."""
    from torchaudio.models import wav2vec2_model

    layers = [
        list(layer) for layer in zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True)
    ]
    model = wav2vec2_model(
        extractor_mode="layer_norm" if config.feat_extract_norm == "layer" else "group_norm",
        extractor_conv_layer_config=layers,
        extractor_conv_bias=config.conv_bias,
        encoder_embed_dim=config.hidden_size,
        encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=config.pos_conv_kernel,
        encoder_pos_conv_groups=config.pos_conv_groups,
        encoder_num_layers=config.num_layers,
        encoder_num_heads=config.num_heads,
        encoder_attention_dropout=0.0,
        encoder_ff_interm_features=config.ffn_size,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_norm_first=config.layer_norm_first,
        encoder_layer_drop=0.0,
        aux_num_out=None,
    )
    return model.eval()


def hugging_face_model(config: XlsrConfig) -> Any:
    """Hugging Face's wav2vec 2.0 of the same size, random weights."""
    try:
        from transformers import Wav2Vec2Config, Wav2Vec2Model
    except ImportError:
        raise UserError(
            "case windows needs transformers: install it, or leave the case out of --cases"
        ) from None
    names = {
        "num_hidden_layers": "num_layers",
        "num_attention_heads": "num_heads",
        "intermediate_size": "ffn_size",
    }
    same = ("hidden_size", "conv_dim", "conv_kernel", "conv_stride", "conv_bias", "feat_extract_norm")
    fields = {name: getattr(config, name) for name in same} | {
        k: getattr(config, v) for k, v in names.items()
    }
    return Wav2Vec2Model(Wav2Vec2Config(**fields, do_stable_layer_norm=config.layer_norm_first)).eval()


def measure(todo: dict[str, Case], rounds: int, device: str) -> list[tuple[str, float, float, float]]:
    """Name, wall and CPU seconds per second of audio, ratio to the first case (one thread: of CPU time)."""
    import torch

    best: dict[str, tuple[float, float]] = {}
    on_gpu = torch.device(device).type == "cuda"
    with torch.no_grad():
        for _ in range(rounds + 1):
            for name, (run, seconds) in todo.items():
                wall, cpu = time.perf_counter(), time.process_time()
                run()
                if on_gpu:
                    torch.cuda.synchronize()
                wall, cpu = (time.perf_counter() - wall) / seconds, (time.process_time() - cpu) / seconds
                old = best.get(name, (float("inf"), float("inf")))
                best[name] = (min(old[0], wall), min(old[1], cpu))
    # With one CPU thread its own CPU time is what other processes disturb least.
    which = 1 if torch.get_num_threads() == 1 and not on_gpu else 0
    base = next(iter(best.values()))[which]
    return [(name, *times, times[which] / base) for name, times in best.items()]


def hour_of_memory() -> int:
    """Peak resident bytes after an hour of one stream minus after its first minute."""
    import torch

    from xlsrt.context import AttentionContext
    from xlsrt.encoder import XlsrConfig, XlsrEncoder

    encoder = XlsrEncoder(XlsrConfig.preset("tiny")).eval()
    state = encoder.init_state(1, AttentionContext(32, 32, 16))
    packet = torch.randn(1, 10240) * 0.05
    peaks = []
    for seconds in (60, 3600 - 60):
        for _ in range(int(seconds / 0.64)):
            _, _, state = encoder.step(packet, state)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return (peaks[1] - peaks[0]) * 1024


if __name__ == "__main__":
    run_main(main)
