"""Transcribe audio of any length: files of any format, raw samples on standard input, a microphone."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlsrt.bin import add_fusion_options, fusion_values, run_main
from xlsrt.data.sources import RAW_FORMATS, check_files, microphone_packets, packets_of
from xlsrt.errors import UserError

if TYPE_CHECKING:
    from xlsrt.recognizer import Recognizer, Result

FORMATS = ("text", "json", "srt", "vtt", "ctm")


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.transcribe", description=__doc__)
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="audio files (WAV, FLAC, MP3, Ogg, SPHERE ...); `-`: raw samples on standard input, one channel",
    )
    parser.add_argument(
        "--microphone",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="listen until Ctrl-C, and show what is heard meanwhile; needs the package sounddevice",
    )
    parser.add_argument("--raw_format", choices=list(RAW_FORMATS), default="s16le", help="samples of `-`")
    parser.add_argument("--raw_rate", type=int, default=16000, help="samples a second of `-`")
    parser.add_argument("--model", type=Path, required=True, help="experiment directory or packed model")
    parser.add_argument("--model_file", help="checkpoint in an experiment directory")
    parser.add_argument("--chunk_ms", help="chunk of the context in ms, or 'full'; default: the model's own")
    parser.add_argument("--left_ms", default="all", help="left context in ms, or 'all' (with --chunk_ms)")
    parser.add_argument("--sink_frames", type=int, default=0, help="attention sinks (with --chunk_ms)")
    found = "how words are found (default: greedy, or beam where an option is for it)"
    parser.add_argument("--search", choices=["greedy", "beam"], help=found)
    parser.add_argument("--beam_size", type=int, help="hypotheses of the beam search (default: 4)")
    add_fusion_options(parser)
    parser.add_argument("--output", choices=FORMATS, default="text", help="format, on standard output")
    parser.add_argument(
        "--stream", action="store_true", help="show partial results on standard error meanwhile"
    )
    parser.add_argument("--realtime", action="store_true", help="with --stream: no faster than the audio")
    parser.add_argument("--packet_ms", type=int, default=200, help="with --stream: audio per packet")
    parser.add_argument(
        "--endpoint", type=float, metavar="SECONDS", help="close a segment after such a silence"
    )
    parser.add_argument("--max_segment", type=float, metavar="SECONDS", help="close a segment at this length")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    more = "CPU threads; more help on quiet machines only (default: 1)"
    parser.add_argument("--num_threads", type=int, default=1, help=more)
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    if args.packet_ms < 1:
        raise UserError(f"--packet_ms is {args.packet_ms}; give 1 or more")
    if args.raw_rate < 1000:
        raise UserError(f"--raw_rate is {args.raw_rate}; give samples a second, 1000 or more")
    if bool(args.files) == (args.microphone is not None):
        raise UserError("give audio files, `-` for raw samples on standard input, or --microphone")
    if args.num_threads < 1:
        raise UserError(f"--num_threads is {args.num_threads}; give 1 or more")
    if len(args.files) > 1 and args.output in ("srt", "vtt"):
        raise UserError(f"--output {args.output} makes one document: give one file at a time")
    check_files(args.files)
    import torch

    from xlsrt.recognizer import Recognizer
    from xlsrt.recognizer.formats import formatted

    torch.set_num_threads(args.num_threads)
    recognizer = Recognizer.from_exp(
        args.model, context(args), search(args), model_file=args.model_file, device=args.device
    )
    failed = 0
    for name in args.files or ["microphone"]:
        try:
            results = transcribed(recognizer, name, args)
        except UserError as error:
            if len(args.files) < 2:
                raise
            print(f"error: {error}", file=sys.stderr)  # the others are not to suffer
            failed += 1
            continue
        sys.stdout.write(f"{name}: " if len(args.files) > 1 and args.output == "text" else "")
        sys.stdout.write(formatted(Path(name).stem if args.output == "ctm" else name, results, args.output))
        sys.stdout.flush()
    if failed:
        raise UserError(f"{failed} of {len(args.files)} files could not be transcribed, see above")


def context(args: argparse.Namespace) -> dict[str, Any] | None:
    """The context that the options name, or None for the model's own."""
    if args.chunk_ms is None:
        return None
    values = {"chunk_ms": args.chunk_ms, "left_ms": args.left_ms}
    for key, word in (("chunk_ms", "full"), ("left_ms", "all")):
        if values[key] == word:
            values[key] = None if key == "chunk_ms" else "all"
        elif values[key].isdigit():
            values[key] = int(values[key])
        else:
            raise UserError(f"--{key} is {values[key]!r}; give milliseconds or {word!r}")
    return {**values, "sink_frames": args.sink_frames}


def search(args: argparse.Namespace) -> dict[str, Any]:
    """The search that the options name."""
    values = fusion_values(args)
    if args.beam_size is not None:
        values["beam_size"] = args.beam_size
    return {"type": args.search or ("beam" if values else "greedy"), **values}


def transcribed(recognizer: Recognizer, name: str, args: argparse.Namespace) -> list[Result]:
    """All segments of a file."""
    rules = None
    if args.endpoint is not None or args.max_segment is not None:
        rules = {"trailing_silence": args.endpoint, "max_seconds": args.max_segment}
    stream = recognizer.stream(endpoint=rules)
    rate, live = recognizer.sample_rate, args.stream or args.microphone is not None
    size = args.packet_ms * rate // 1000 if live else 20 * rate
    if args.microphone is not None:
        source = microphone_packets(args.microphone, size)
    else:
        source = packets_of(name, size, args.raw_format, args.raw_rate)
    results: list[Result] = []
    begin, sent, shown = time.monotonic(), 0, ""
    try:
        for packet in source:
            sent += len(packet)
            if args.stream and args.realtime:
                time.sleep(max(0.0, begin + sent / rate - time.monotonic()))
            partial = stream.accept(packet)
            results += partial.finished
            if live and partial.text != shown:
                shown = partial.text
                print(f"{sent / rate:8.2f} s  {partial.stable}|{partial.unstable}", file=sys.stderr)
    except KeyboardInterrupt:
        if args.microphone is None:
            raise
    return [*results, stream.finish()]


if __name__ == "__main__":
    run_main(main)
