"""Score a set (--ref, --hyp, --score_dir), or collect all scores (--expdir) into RESULTS.md."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import check_needs, make_room, run_main
from xlsrt.errors import UserError


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.score", description=__doc__)
    one = parser.add_argument_group("score one set")
    one.add_argument("--ref", type=Path, help="reference transcripts in Kaldi's form: <utterance> <words>")
    one.add_argument("--hyp", type=Path, help="hypotheses, same form and utterances, in any order")
    one.add_argument(
        "--score_dir", type=Path, help="receives score_wer/, score_cer/, with --bpemodel score_ter/"
    )
    one.add_argument("--bpemodel", type=Path, help="SentencePiece model to cut both sides with, for TER")
    one.add_argument("--compare", type=Path, help="other hypotheses: is the difference in WER significant?")
    one.add_argument("--utt2spk", type=Path, help="speakers (default: utt2spk beside --ref, if any)")
    one.add_argument(
        "--word_times",
        type=Path,
        help="when the reference's words were said, a CTM file, for the delays of streams (default: "
        "word_times.ctm beside --ref, if any)",
    )
    many = parser.add_argument_group("collect")
    many.add_argument("--expdir", type=Path, help="folder of experiments: RESULTS.md in it and in each")
    many.add_argument("--asr_exp", type=Path, nargs="+", help="collect these experiments only")
    many.add_argument("--command", help="command line to note in RESULTS.md")
    parser.add_argument("--quiet", action="store_true", help="write the files, say only what went wrong")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    level = logging.WARNING if args.quiet else logging.INFO
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s")
    from xlsrt.report import results as collection
    from xlsrt.report.scoring import comparison_text, score_files

    single = [args.ref, args.hyp, args.score_dir]
    collecting = args.expdir is not None or args.asr_exp is not None
    if args.quiet and args.compare:
        raise UserError("--quiet prints nothing, and --compare is printed only: leave one of them out")
    if collecting == any(single) or (any(single) and not all(single)):
        raise UserError(
            "give --ref, --hyp and --score_dir to score, or --expdir or --asr_exp to collect scores"
        )
    check_needs(args, bpemodel="score_dir", compare="score_dir", utt2spk="score_dir", word_times="score_dir")
    if collecting:
        results = collection.write_all_results(args.expdir, args.command) if args.expdir else []
        for model_dir in args.asr_exp or []:
            results += collection.write_model_results(model_dir, args.command)
        if not args.quiet:
            print(collection.summary_text(dict.fromkeys(results)))
        return
    check_needs(args, command="expdir")
    make_room(args.score_dir / "score")
    scores = score_files(args.ref, args.hyp, args.score_dir, args.bpemodel, args.utt2spk, args.word_times)
    if args.compare:
        print(comparison_text(args.ref, args.hyp, args.compare))
    if not args.quiet:
        rates = "  ".join(f"{name.upper()} {score.counts.error_rate:.2f} %" for name, score in scores.items())
        print(f"{args.score_dir}: {rates}  ({next(iter(scores.values())).counts.utterances} utterances)")


if __name__ == "__main__":
    run_main(main)
