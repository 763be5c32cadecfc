"""Adapt the encoder on audio without transcripts, unless it is done; used by stage 5 of run.sh."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.data.arguments import yes_or_no
from xlsrt.processes import die_with_parent
from xlsrt.recipe.adapt import data_steps, find_sources, make_adaptation, split, unlabelled_data
from xlsrt.recipe.step import run_step
from xlsrt.recipe.train_step import train


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="adapt", description=__doc__)
    parser.add_argument("--sets", required=True, help="sets below --data_dirs, or folders of audio files")
    parser.add_argument("--data_dirs", type=Path, nargs="+", required=True, help="where sets are looked for")
    parser.add_argument("--dumpdir", type=Path, required=True, help="where formatted audio goes")
    parser.add_argument("--adapt_config", nargs="+", required=True, help="how; later files over earlier ones")
    parser.add_argument("--train_config", nargs="+", required=True, help="of the stages that follow")
    parser.add_argument("--last_config", nargs="*", default=[], help="laid over everything else")
    parser.add_argument(
        "--adapt_exp", type=Path, required=True, help="experiment; its encoder/ is the result"
    )
    parser.add_argument(
        "--pretrained", help="encoder to adapt; empty: as --train_config says; none: random weights"
    )
    parser.add_argument("--allow_pipes", type=yes_or_no, default=False, help="run commands in wav.scp")
    parser.add_argument(
        "--audio_format", default="flac", help="of the formatted audio, as format_data has it"
    )
    parser.add_argument("--nj", type=int, default=1, help="parallel jobs of data preparation")
    parser.add_argument("--ngpu", type=int, default=0, help="GPUs of a node; 0: CPU")
    parser.add_argument("--num_nodes", type=int, default=1, help="nodes; without GPU: CPU ranks")
    parser.add_argument("--cmd", default="utils/run.pl", help="cluster backend")
    parser.add_argument("--seed", type=int, help="seed of training")
    return parser


def main(cmd: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(cmd)
    die_with_parent(signal.SIGTERM)
    data = unlabelled_data(find_sources(args.sets, args.data_dirs), args.dumpdir)
    for step in data_steps(data, args.nj, args.allow_pipes, args.audio_format):
        if code := run_step(step):
            return code
    split(data)
    plan = make_adaptation(
        args.adapt_exp,
        args.adapt_config,
        args.train_config,
        data,
        args.pretrained,
        args.last_config,
        args.seed,
    )
    return train(plan, data.inputs(), args.cmd, args.ngpu, args.num_nodes)


if __name__ == "__main__":
    run_main(main)
