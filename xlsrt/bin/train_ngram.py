"""Train an n-gram model of the recogniser's tokens on transcripts, for beam search; writes ARPA."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.data.token_ngram import Tokens, train_token_ngram
from xlsrt.errors import UserError


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.train_ngram", description=__doc__)
    parser.add_argument(
        "--text",
        type=Path,
        nargs="+",
        required=True,
        help="Kaldi text files; copies at other speeds (sp0.9-...) count once",
    )
    parser.add_argument("--token_list", type=Path, required=True, help="tokens.txt of the recogniser")
    parser.add_argument("--token_type", choices=("bpe", "char"), default="bpe", help="(default: %(default)s)")
    parser.add_argument("--bpemodel", type=Path, help="bpe.model beside a bpe token list")
    parser.add_argument("--order", type=int, default=8, help="tokens of the longest n-gram (default: 8)")
    parser.add_argument(
        "--prune",
        type=int,
        nargs="*",
        default=[],
        metavar="COUNT",
        help="leave out n-grams that come at most so many times: a number for each length, 0 for single "
        "tokens; the last holds for longer ones too, as in KenLM's --prune (default: none is left out)",
    )
    parser.add_argument(
        "--join",
        type=int,
        default=3,
        help="sentences come alone or up to so many in a row, as in recordings of minutes (default: 3)",
    )
    parser.add_argument("--output", type=Path, required=True, help="ARPA file to write")
    parser.add_argument(
        "--bigram",
        type=Path,
        metavar="FILE",
        help="also write a bigram model of the first --text alone, the transcripts, for a search with lodr",
    )
    parser.add_argument("--valid_text", type=Path, help="Kaldi text file whose perplexity is told")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    if args.join < 1:
        raise UserError(f"--join {args.join}: give 1 or more sentences in a row")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    tokens = Tokens.read(args.token_list, args.token_type, args.bpemodel)
    told = {"join": args.join, "valid_text": args.valid_text}
    train_token_ngram(tokens, args.text, args.output, order=args.order, prune=args.prune, **told)
    if args.bigram is not None:
        train_token_ngram(tokens, args.text[:1], args.bigram, order=2, **told)


if __name__ == "__main__":
    run_main(main)
