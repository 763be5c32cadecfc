"""Train an n-gram model of the recogniser's tokens on transcripts, for beam search; writes ARPA."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.errors import UserError

log = logging.getLogger(__name__)


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
    from xlsrt.data.kneser_ney import estimate_ngram, joined, write_arpa
    from xlsrt.data.tokens import BLANK, SOS_EOS, SPACE, UNK, make_tokenizer, read_texts, read_token_list

    known = set(read_token_list(args.token_list)) - {BLANK, SOS_EOS}
    tokenizer = make_tokenizer(args.token_type, args.bpemodel)
    between = [SPACE] if args.token_type == "char" else []
    wanted = [(args.output, args.text, args.order, args.prune)]
    if args.bigram is not None:
        wanted.append((args.bigram, args.text[:1], 2, []))
    for output, texts, order, prune in wanted:
        # What the recogniser cannot write is unknown to it.
        sentences = [
            [token if token in known else UNK for token in tokenizer.tokens(text)]
            for text in read_texts(texts, copies=False)
        ]
        model = estimate_ngram(joined(sentences, args.join, between), order, known, prune)
        write_arpa(model, output)
        sizes = " ".join(str(len(grams)) for grams in model.probs)
        log.info("%s: %d sentences, n-grams of 1 to %d tokens: %s", output, len(sentences), order, sizes)
        if args.valid_text is not None:
            bits, count = model.bits(map(tokenizer.tokens, read_texts([args.valid_text])))
            told = 2 ** (bits / count), bits / count
            log.info("%s: perplexity %.2f per token, %.2f bits", args.valid_text, *told)


if __name__ == "__main__":
    run_main(main)
