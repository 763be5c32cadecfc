"""Train the token model: SentencePiece (bpe.model, tokens.txt) or characters (tokens.txt)."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.data.tokens import BPE_MODES, read_texts, train_bpe, train_char

log = logging.getLogger(__name__)


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.train_tokens", description=__doc__)
    parser.add_argument(
        "--text", type=Path, nargs="+", required=True, help="Kaldi text files of the training set"
    )
    parser.add_argument(
        "--output_dir", type=Path, required=True, help="such as data/token_list/bpe_unigram100"
    )
    parser.add_argument("--token_type", choices=("bpe", "char"), default="bpe", help="(default: %(default)s)")
    parser.add_argument("--nbpe", type=int, default=100, help="size of the token list (default: %(default)s)")
    parser.add_argument("--bpemode", choices=BPE_MODES, default="unigram", help="(default: %(default)s)")
    parser.add_argument(
        "--character_coverage",
        type=float,
        default=1.0,
        help="part of the characters that get a token (default: 1.0)",
    )
    parser.add_argument("--bpe_nlsyms", default="", help="symbols kept whole, apart by commas")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    texts = read_texts(args.text)
    if args.token_type == "char":
        tokens = train_char(texts, args.output_dir)
    else:
        tokens = train_bpe(
            texts,
            args.output_dir,
            size=args.nbpe,
            mode=args.bpemode,
            character_coverage=args.character_coverage,
            user_defined=[symbol for symbol in args.bpe_nlsyms.split(",") if symbol],
        )
    log.info("%s/tokens.txt: %d tokens", args.output_dir, len(tokens))


if __name__ == "__main__":
    run_main(main)
