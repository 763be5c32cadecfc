"""Find out when the words of known transcripts were said, with a trained model's CTC head."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import make_room, run_main
from xlsrt.errors import UserError


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.align", description=__doc__)
    parser.add_argument(
        "--model", "--exp_dir", type=Path, required=True, help="experiment or packed model with a CTC head"
    )
    parser.add_argument("--model_file", help="checkpoint in it (default: the average of the best)")
    parser.add_argument("--data_dir", type=Path, required=True, help="Kaldi data directory with text")
    parser.add_argument(
        "--output", type=Path, required=True,
        help="CTM file; as word_times.ctm in the data directory, scoring and report measure delays by it",
    )  # fmt: skip
    parser.add_argument(
        "--context", metavar="CHUNK,LEFT,SINKS", help="full, or ms, ms or all, frames (default: the model's)"
    )
    parser.add_argument("--word_times", type=Path, help="true times, to compare with")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    parser.add_argument("--quiet", action="store_true", help="say only what went wrong")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    level = logging.WARNING if args.quiet else logging.INFO
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s")
    from xlsrt.alignment.word_times import write_word_times
    from xlsrt.report.patterns import parse_context

    if args.word_times is not None and args.word_times.resolve() == args.output.resolve():
        raise UserError(f"--output {args.output} would overwrite the true times of --word_times")
    make_room(args.output)
    context = None if args.context is None else parse_context(args.context).context
    said = write_word_times(
        args.model, args.data_dir, args.output, context, args.model_file, args.device, args.word_times
    )
    if not args.quiet:
        print(said)


if __name__ == "__main__":
    run_main(main)
