"""Make dumps for training from data directories: 16 kHz mono audio, checked, with utt2num_samples."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.data.arguments import yes_or_no
from xlsrt.data.format import FormatOptions, format_set
from xlsrt.errors import UserError


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.format_data", description=__doc__)
    parser.add_argument(
        "--data_dir", type=Path, required=True, help="Kaldi data directory (wav.scp, text, utt2spk)"
    )
    parser.add_argument("--output_dir", type=Path, required=True, help="the dump, such as dump/raw/train")
    parser.add_argument("--nj", type=int, default=1, help="parallel processes (default: %(default)s)")
    parser.add_argument("--sample_rate", type=int, default=16000, help="Hz (default: %(default)s)")
    parser.add_argument(
        "--audio_format",
        default="flac",
        help="flac or wav: a file for each utterance; flac.ark: archives of a gigabyte; auto: flac.ark from "
        "100,000 utterances on, else flac (default: flac)",
    )
    parser.add_argument(
        "--speed_perturb",
        default="",
        metavar='"0.9 1.0 1.1"',
        help="a copy of the set at each of these speeds",
    )
    parser.add_argument(
        "--allow_pipes", type=yes_or_no, default=False, help="run commands that stand in wav.scp"
    )
    parser.add_argument(
        "--drop_bad",
        type=yes_or_no,
        default=False,
        help="leave unusable audio out and list it in <dump>/dropped",
    )
    parser.add_argument(
        "--pass_through",
        type=yes_or_no,
        default=True,
        help="point to audio that is right already, do not copy it",
    )
    parser.add_argument(
        "--need_text", type=yes_or_no, default=True, help="whether a set without text is an error"
    )
    return parser


def parse_speeds(text: str) -> tuple[float, ...]:
    """Factors apart by blanks or commas; none means 1.0 alone."""
    try:
        return tuple(float(word) for word in text.replace(",", " ").split()) or (1.0,)
    except ValueError:
        raise UserError(f'--speed_perturb "{text}": write factors such as "0.9 1.0 1.1"') from None


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = FormatOptions(
        sample_rate=args.sample_rate,
        audio_format=args.audio_format,
        speeds=parse_speeds(args.speed_perturb),
        allow_pipes=args.allow_pipes,
        drop_bad=args.drop_bad,
        need_text=args.need_text,
        pass_through=args.pass_through,
    )
    format_set(args.data_dir, args.output_dir, options, args.nj)


if __name__ == "__main__":
    run_main(main)
