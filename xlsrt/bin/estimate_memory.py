"""Compute the memory that a training needs on each GPU; nothing is trained and no GPU is used."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.estimate_memory", description=__doc__)
    parser.add_argument(
        "--train_config", type=Path, required=True, help="training configuration, conf/train_*.yaml"
    )
    parser.add_argument(
        "--preset", help="sizes of the encoder, such as xls_r_1b (default: the configuration's preset)"
    )
    parser.add_argument("--ranks", type=int, default=1, help="GPUs of all nodes together")
    parser.add_argument("--vocab_size", type=int, default=500, help="number of tokens")
    parser.add_argument(
        "--utterance_seconds", type=float, default=20.0, help="length of the longest utterances"
    )
    parser.add_argument(
        "--tokens_per_second", type=float, default=4.0, help="of speech: about 4 pieces or 12 characters"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from xlsrt import memory
    from xlsrt.tree import read_tree

    settings = read_tree(args.train_config)
    found = memory.estimate(
        settings,
        memory.encoder_config(settings, args.preset),
        args.vocab_size,
        args.ranks,
        args.utterance_seconds,
        args.tokens_per_second,
    )
    print("\n".join(found.lines()))


if __name__ == "__main__":
    run_main(main)
