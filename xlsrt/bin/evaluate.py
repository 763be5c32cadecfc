"""Decode or score every model with every configuration meant for it; used by stages 10 and 11 of run.sh."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.data.arguments import yes_or_no
from xlsrt.processes import die_with_parent
from xlsrt.recipe.decoding import find_configs, plan_decoding
from xlsrt.recipe.evaluation import Shards, decode, score
from xlsrt.recipe.stages import load_stages
from xlsrt.recipe.word_times import Aligning, first_stage


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="evaluate", description=__doc__)
    parser.add_argument("task", choices=["decode", "score"], help="what to do")
    parser.add_argument(
        "--stages_config", nargs="+", required=True, help="stage table; later files over earlier ones"
    )
    parser.add_argument("--variants", default="default", help="rows of the table")
    parser.add_argument("--expdir", type=Path, required=True, help="folder of all experiments")
    parser.add_argument("--asr_exp", required=True, help="experiments without their suffix _stage<variant>")
    parser.add_argument("--model_file", default="ave", help="best, ave or a file name")
    parser.add_argument("--decode_configs", required=True, help="files or patterns")
    parser.add_argument(
        "--config_folders", nargs="+", type=Path, default=[Path()], help="where they are looked up"
    )
    parser.add_argument(
        "--all_contexts", type=yes_or_no, default=False, help="also contexts that a model never saw"
    )
    parser.add_argument("--dumpdir", type=Path, required=True, help="formatted sets, such as dump/raw")
    parser.add_argument("--test_sets", required=True, help="names in it")
    parser.add_argument("--bpemodel", type=Path, help="SentencePiece model, to score tokens")
    parser.add_argument(
        "--ngram_dir", type=Path, help="n-gram models of tokens, for configurations with lm: ngram"
    )
    parser.add_argument("--nj", type=int, default=1, help="parallel shards of a set")
    parser.add_argument("--ngpu", type=int, default=0, help="GPUs that they share; 0: CPU")
    parser.add_argument("--cmd", default="utils/run.pl", help="cluster backend")
    return parser


def main(cmd: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(cmd)
    die_with_parent(signal.SIGTERM)
    table = load_stages(*args.stages_config)
    plans = plan_decoding(
        table,
        args.variants,
        args.asr_exp,
        find_configs(args.decode_configs, args.config_folders),
        [args.dumpdir / name for name in dict.fromkeys(args.test_sets.replace(",", " ").split())],
        args.model_file,
        args.all_contexts,
        args.ngram_dir is not None,
    )
    if args.task == "decode":
        return decode(plans, Shards(args.nj, args.ngpu, args.cmd), args.ngram_dir)
    aligning = Aligning(first_stage(table, args.asr_exp), args.ngpu, args.cmd)
    return score(plans, args.expdir, args.bpemodel, aligning)


if __name__ == "__main__":
    run_main(main)
