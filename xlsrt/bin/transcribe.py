"""Transcribe audio of any length: files of any format, raw samples on standard input, a microphone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import add_fusion_options, check_needs, fusion_values, run_main
from xlsrt.data.sources import RAW_FORMATS, check_files
from xlsrt.decoding.config import DecodeConfig
from xlsrt.errors import UserError
from xlsrt.live.documents import SUFFIXES, Documents
from xlsrt.live.settings import chosen_context, chosen_endpoint, chosen_search


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
    parser.add_argument(
        "--model", "--exp_dir", type=Path, required=True, help="experiment directory or packed model"
    )
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
    parser.add_argument("--output", choices=list(SUFFIXES), default="text", help="format, on standard output")
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
    rules = chosen_endpoint(args.endpoint, args.max_segment, args.restart_encoder, given)
    import torch

    from xlsrt.live.listen import MICROPHONE, Listening, transcribe_sources
    from xlsrt.recognizer import Recognizer
    from xlsrt.recognizer.pack import load_model

    names = args.files or [MICROPHONE]
    documents = Documents(args.output, args.output_dir, names)
    documents.prepare()
    torch.set_num_threads(args.num_threads)
    model = load_model(args.model, args.model_file)
    context = chosen_context(args.chunk_ms, args.left_ms, args.sink_frames, given)
    search = chosen_search(args.search, args.beam_size, fusion_values(args), given, model.search)
    recognizer = Recognizer(model, context, search, args.device)
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


if __name__ == "__main__":
    run_main(main)
