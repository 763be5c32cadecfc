"""Transcribe audio of any length: files of any format, raw samples on standard input, a microphone."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xlsrt.bin import add_fusion_options, check_needs, fusion_values, run_main
from xlsrt.data.sources import RAW_FORMATS, check_files
from xlsrt.decoding.config import DecodeConfig
from xlsrt.errors import UserError
from xlsrt.recognizer.endpoint import EndpointRules
from xlsrt.search.options import COMMIT_SECONDS, KEYS

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
    parser.add_argument(
        "--decode_config",
        type=Path,
        metavar="YAML",
        help="context, search and endpoint from such a file, e.g. conf/live_640ms.yaml; options go first",
    )
    parser.add_argument("--chunk_ms", help="chunk of the context in ms, or 'full'; default: the model's own")
    parser.add_argument("--left_ms", help="with --chunk_ms: left context in ms, or 'all' (default: all)")
    parser.add_argument("--sink_frames", type=int, help="with --chunk_ms: attention sinks (default: 0)")
    found = "how words are found (default: as the model was packed with, else greedy)"
    parser.add_argument("--search", choices=["greedy", "beam"], help=found)
    parser.add_argument("--beam_size", type=int, help="hypotheses of the beam search (default: 4)")
    add_fusion_options(parser)
    parser.add_argument("--output", choices=FORMATS, default="text", help="format, on standard output")
    parser.add_argument(
        "--output_dir", type=Path, metavar="DIR", help="write a document for each file there instead"
    )
    parser.add_argument(
        "--stream", action="store_true", help="show partial results on standard error meanwhile"
    )
    parser.add_argument("--realtime", action="store_true", help="with --stream: no faster than the audio")
    parser.add_argument("--packet_ms", type=int, help="with --stream: audio per packet (default: 200)")
    parser.add_argument(
        "--endpoint", type=float, metavar="SECONDS", help="close a segment after such a silence"
    )
    parser.add_argument("--max_segment", type=float, metavar="SECONDS", help="close a segment at this length")
    parser.add_argument(
        "--restart_encoder",
        action=argparse.BooleanOptionalAction,
        help="the encoder begins anew at endpoints (default: yes, or as --decode_config says)",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    parser.add_argument("--num_threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    check_options(args)
    given = DecodeConfig.from_file(args.decode_config) if args.decode_config else None
    rules = endpoint(args, given.endpoint if given else None)
    import torch

    from xlsrt.decoding.listen import MICROPHONE, Documents, Listening, transcribe_sources
    from xlsrt.recognizer import Recognizer
    from xlsrt.recognizer.pack import load_model

    names = args.files or [MICROPHONE]
    documents = Documents(args.output, args.output_dir, names)
    documents.prepare()
    torch.set_num_threads(args.num_threads)
    model = load_model(args.model, args.model_file)
    recognizer = Recognizer(
        model,
        context(args) or (given.context if given and "context" in given.named else None),
        search(args, given.search if given and "search" in given.named else model.search),
        args.device,
    )
    live = args.stream or args.microphone is not None
    raw = (args.raw_format, args.raw_rate)
    how = Listening(rules, live, args.packet_ms, args.stream and args.realtime, *raw, args.microphone)
    transcribe_sources(recognizer, names, how, documents)


def check_options(args: argparse.Namespace) -> None:
    """Refuse what cannot be, before a model is loaded."""
    check_needs(args, left_ms="chunk_ms", sink_frames="chunk_ms", realtime="stream")
    if args.microphone is None:
        check_needs(args, packet_ms="stream")
    args.packet_ms = 200 if args.packet_ms is None else args.packet_ms
    for name, least in (("packet_ms", 1), ("raw_rate", 1000), ("num_threads", 1)):
        if getattr(args, name) < least:
            raise UserError(f"--{name} is {getattr(args, name)}; give {least} or more")
    if bool(args.files) == (args.microphone is not None):
        raise UserError("give audio files, `-` for raw samples on standard input, or --microphone")
    check_files(args.files)


def context(args: argparse.Namespace) -> dict[str, Any] | None:
    """The context that the options name, or None for the model's own."""
    if args.chunk_ms is None:
        return None
    values = {"chunk_ms": args.chunk_ms, "left_ms": args.left_ms or "all"}
    for key, word in (("chunk_ms", "full"), ("left_ms", "all")):
        if values[key].isdigit():
            values[key] = int(values[key])
        elif values[key] != word:
            raise UserError(f"--{key} is {values[key]!r}; give milliseconds or {word!r}")
    return {**values, "sink_frames": args.sink_frames or 0}


def search(args: argparse.Namespace, base: Mapping[str, Any] | None) -> dict[str, Any]:
    """The search that the options name, over the settings ``base`` of a file or of the model."""
    values = fusion_values(args)
    if args.beam_size is not None:
        values["beam_size"] = args.beam_size
    given = dict(base or {})
    kind = args.search or ("beam" if values else given.get("type", "greedy"))
    if kind == "greedy":
        given = {key: value for key, value in given.items() if key in KEYS["greedy"]}
    else:
        given.setdefault("commit_seconds", COMMIT_SECONDS)
    return {**given, **values, "type": kind}


def endpoint(args: argparse.Namespace, base: EndpointRules | None) -> EndpointRules | None:
    """The endpoint rules that the options name, over those of a file."""
    values = asdict(base) if base else {}
    if args.endpoint is not None or args.max_segment is not None:
        times = {"trailing_silence": args.endpoint, "max_seconds": args.max_segment}
        values = {"restart_encoder": True, **values, **times}
    if args.restart_encoder is not None and not values:
        raise UserError("--restart_encoder is for an endpoint: add --endpoint or --max_segment")
    if args.restart_encoder is not None:
        values["restart_encoder"] = args.restart_encoder
    return EndpointRules.from_dict(values) if values else None


if __name__ == "__main__":
    run_main(main)
