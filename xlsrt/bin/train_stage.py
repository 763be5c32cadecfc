"""Train one variant of the stage table, unless it is done; used by stages 5 to 9 of run.sh."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.processes import die_with_parent
from xlsrt.recipe.stages import load_stages
from xlsrt.recipe.train_step import train
from xlsrt.recipe.training import Corpus, make_plan


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train_stage", description=__doc__)
    parser.add_argument("--variant", required=True, help="row of the stage table, such as 2b")
    parser.add_argument(
        "--stages_config", nargs="+", required=True, help="stage table; later files over earlier ones"
    )
    parser.add_argument(
        "--train_config", nargs="+", required=True, help="training configuration, the same way"
    )
    parser.add_argument("--last_config", nargs="*", default=[], help="laid over everything else")
    parser.add_argument("--asr_exp", required=True, help="experiment without its suffix _stage<variant>")
    parser.add_argument(
        "--pretrained", help="encoder of the first stage; empty: as --train_config says; none: random"
    )
    parser.add_argument("--train_dump", type=Path, required=True, help="formatted training set")
    parser.add_argument("--valid_dump", type=Path, required=True, help="formatted validation set")
    parser.add_argument("--stats_dir", type=Path, required=True, help="shapes of both")
    parser.add_argument("--token_type", choices=["bpe", "char"], required=True, help="kind of token")
    parser.add_argument("--token_list", type=Path, required=True, help="file with a token a line")
    parser.add_argument("--bpemodel", type=Path, help="SentencePiece model")
    parser.add_argument("--num_splits", type=int, default=1, help="parts of the training set, see stage 4")
    parser.add_argument("--ngpu", type=int, default=0, help="GPUs of a node; 0: CPU")
    parser.add_argument(
        "--num_nodes",
        type=int,
        default=1,
        help="nodes; without GPU: CPU ranks, on one machine except with slurm and ssh",
    )
    parser.add_argument("--cmd", default="utils/run.pl", help="cluster backend")
    parser.add_argument("--seed", type=int, help="seed of training")
    return parser


def main(cmd: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(cmd)
    die_with_parent(signal.SIGTERM)
    corpus = Corpus(
        args.train_dump,
        args.valid_dump,
        args.stats_dir,
        args.token_type,
        args.token_list,
        args.bpemodel,
        args.num_splits,
    )
    plan = make_plan(
        load_stages(*args.stages_config),
        args.variant,
        args.asr_exp,
        args.train_config,
        corpus,
        args.pretrained,
        args.last_config,
        args.seed,
    )
    return train(plan, corpus.inputs(plan.settings), args.cmd, args.ngpu, args.num_nodes)


if __name__ == "__main__":
    run_main(main)
