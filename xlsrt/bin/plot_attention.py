"""Draw who sees whom in attention contexts, a stream's cache, and what a trained model attends to."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import check_needs, make_room, run_main
from xlsrt.errors import UserError

MOST_PACKETS = 2000
"""A moving picture has one frame for each."""


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.plot_attention", description=__doc__)
    parser.add_argument("--output_dir", type=Path, required=True, help="receives the pictures")
    parser.add_argument(
        "--context",
        action="append",
        metavar="CHUNK,LEFT,SINKS",
        help="full, or ms, ms or all, frames, such as 640,1280,16; may be given many times "
        "(default: the training stages' contexts). The last one is streamed and, with --model, measured in "
        "(default with --model: the model's own)",
    )
    parser.add_argument(
        "--seconds", type=float, default=3.2, help="length of audio in patterns and stream, at most 40"
    )
    parser.add_argument("--packet_ms", type=float, default=80.0, help="length of the stream's packets")
    parser.add_argument("--format", choices=["png", "svg", "pdf"], default="png", help="of the pictures")
    parser.add_argument("--quiet", action="store_true", help="draw, and print neither files nor measures")
    measured = parser.add_argument_group("measured attention")
    measured.add_argument("--model", "--exp_dir", type=Path, help="experiment or packed model; needs --wav")
    measured.add_argument("--model_file", help="checkpoint in it (default: the average of the best)")
    measured.add_argument("--wav", type=Path, help="utterance to measure on")
    measured.add_argument(
        "--first", type=int, help="first frames to take for sinks (default: the context's sinks, else 16)"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from xlsrt.report import figures, patterns, streaming
    from xlsrt.report.attention import MOST_SECONDS, received_figure, share_figure, write_facts
    from xlsrt.report.measure import measure_file

    make_room(args.output_dir / "stream.gif")
    # Both comparisons are false of nan.
    if not 0.02 <= args.seconds <= MOST_SECONDS:
        raise UserError(f"--seconds {args.seconds:g}: pictures show 0.02 s (one frame) to {MOST_SECONDS} s")
    frames = round(args.seconds * 50)
    least = args.seconds / MOST_PACKETS
    if args.packet_ms != 0 and not least <= args.packet_ms / 1000 <= MOST_SECONDS:
        raise UserError(
            f"--packet_ms {args.packet_ms:g}: of {args.seconds:g} s at least {1000 * least:g} (a picture has "
            f"at most {MOST_PACKETS} packets), at most {1000 * MOST_SECONDS}"
        )
    if (args.model is None) != (args.wav is None):
        raise UserError("attention is measured with a model on an utterance: give both --model and --wav")
    if args.first is not None and args.first < 1:
        raise UserError(f"--first {args.first}: one frame at least")
    check_needs(args, first="model", model_file="model")
    named = [patterns.parse_context(text) for text in args.context or []] or patterns.stage_contexts()
    drawn = {
        "patterns": figures.pattern_figure(named, frames),
        "density": figures.density_figure(named),
        "memory": figures.memory_figure(named, figures.BYTES_300M, figures.MODEL_300M),
    }
    lines: list[str] = []
    if args.model is not None:
        context = named[-1].context if args.context else None
        measured = measure_file(args.model, args.wav, context, args.first, args.model_file)
        lines += [measured.text(), *map(str, write_facts(measured, args.output_dir))]
        drawn |= {"sinks": share_figure(measured), "received": received_figure(measured)}
    streamed = named[-1].context
    if not streamed.is_full:
        drawn["stream"] = figures.stream_figure(streamed, args.seconds, args.packet_ms)
        path = args.output_dir / "stream.gif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(streaming.animation(streamed, args.seconds, args.packet_ms))
        lines.append(str(path))
    for name, figure in drawn.items():
        path = args.output_dir / f"{name}.{args.format}"
        figures.save(figure, path)
        lines.append(str(path))
    if not args.quiet:
        print(*lines, sep="\n")


if __name__ == "__main__":
    run_main(main)
