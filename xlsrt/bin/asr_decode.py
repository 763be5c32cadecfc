"""Decode data directories with a trained model, in shards that resume; writes ESPnet's output files."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xlsrt.bin import add_fusion_options, fusion_values, run_main
from xlsrt.errors import UserError

if TYPE_CHECKING:
    from xlsrt.decoding.config import DecodeConfig


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.asr_decode", description=__doc__)
    parser.add_argument("--exp_dir", "--model", type=Path, required=True, help="experiment, or packed model")
    parser.add_argument(
        "--model_file", help="checkpoint in --exp_dir (default: the average of the best, else the best)"
    )
    parser.add_argument(
        "--decode_config",
        type=Path,
        required=True,
        help="YAML: context, search, mode, packet_ms, nbest, endpoint",
    )
    parser.add_argument(
        "--data_dir",
        type=Path,
        nargs="+",
        required=True,
        help="Kaldi data directories, e.g. dump/raw/test; the model is loaded once for all",
    )
    parser.add_argument(
        "--output_dir",
        type=Path,
        nargs="+",
        required=True,
        help="of each of them: receives text, token, token_int, score ...",
    )
    parser.add_argument(
        "--also",
        type=Path,
        nargs="+",
        action="append",
        default=[],
        metavar=("DECODE_CONFIG", "OUTPUT_DIR"),
        help="another configuration, of another search alone, and a folder for each --data_dir: it shares "
        "the encoder's work. --nbest and --lm ... are not for it",
    )
    parser.add_argument(
        "--mode", choices=["masked", "streaming"], help="instead of the one in --decode_config"
    )
    parser.add_argument(
        "--nbest", type=int, help="hypotheses to write of each utterance, instead of --decode_config's"
    )
    parser.add_argument("--nj", type=int, default=1, help="shards, decoded in as many processes")
    parser.add_argument(
        "--job", type=int, help="decode this shard only (from 1), for queues; then run with --merge"
    )
    parser.add_argument(
        "--cmd", default="", help="decode the shards as jobs of this cluster backend, e.g. utils/slurm.pl"
    )
    parser.add_argument(
        "--merge", action="store_true", help="decode nothing, write the final files of all shards"
    )
    parser.add_argument("--ngpu", type=int, default=0, help="GPUs that the shards share; 0: CPU")
    parser.add_argument("--batch_size", type=int, default=64, help="utterances of a batch, at most")
    parser.add_argument(
        "--batch_seconds",
        type=float,
        help="padded audio of a batch, at most (default: 1200; 240 for streams that keep all the past, and "
        "for whole recordings with an endpoint)",
    )
    parser.add_argument(
        "--num_threads",
        type=int,
        default=0,
        help="CPU threads of a shard, for large encoders on quiet machines; 0: one, or what --cmd asks for",
    )
    add_fusion_options(parser)
    parser.add_argument("--quiet", action="store_true", help="say warnings and errors only")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    level = logging.WARNING if args.quiet else logging.INFO
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s")
    if args.job is not None and args.merge:
        raise UserError("--job and --merge exclude each other: decode every shard, then merge")
    from xlsrt.decoding import runner
    from xlsrt.decoding.config import DecodeConfig
    from xlsrt.decoding.job import Job, check_sets

    config = DecodeConfig.from_file(args.decode_config)
    nbest = config.nbest if args.nbest is None else args.nbest
    search = {**config.search, **fusion_values(args)}
    config = replace(config, mode=args.mode or config.mode, search=search, nbest=nbest)
    also = [(_other(path, args.mode), folders) for path, *folders in args.also]
    for named, folders in (("--output_dir", args.output_dir), *(("--also", found) for _, found in also)):
        if len(folders) != len(args.data_dir):
            raise UserError(f"{named}: {len(folders)} folders for {len(args.data_dir)} data directories")
    jobs = [
        Job(
            exp_dir=args.exp_dir,
            model_file=args.model_file,
            config=config,
            data_dir=data_dir,
            output_dir=args.output_dir[at],
            nj=args.nj,
            ngpu=args.ngpu,
            batch_size=args.batch_size,
            batch_seconds=args.batch_seconds,
            num_threads=args.num_threads,
            also=tuple((other, folders[at]) for other, folders in also),
        )
        for at, data_dir in enumerate(args.data_dir)
    ]
    if args.merge:
        check_sets(jobs)
        runner.merge(jobs, again=True)
    elif args.job is not None:
        runner.decode_shard(args.job, *jobs)
    elif args.cmd:
        from xlsrt.decoding import queued

        words = list(sys.argv[1:] if cmd is None else cmd)
        queued.decode(jobs, args.cmd, [sys.executable, "-m", "xlsrt.bin.asr_decode", *words, "--cmd", ""])
    else:
        runner.decode(*jobs)


def _other(path: Path, mode: str | None) -> DecodeConfig:
    from xlsrt.decoding.config import DecodeConfig

    config = DecodeConfig.from_file(path)
    return replace(config, mode=mode or config.mode)


if __name__ == "__main__":
    run_main(main)
