"""Decode a data directory with a trained model, in shards that resume; writes ESPnet's output files."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from xlsrt.bin import add_fusion_options, fusion_values, run_main
from xlsrt.errors import UserError


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
        "--data_dir", type=Path, required=True, help="Kaldi data directory, e.g. dump/raw/test"
    )
    parser.add_argument(
        "--output_dir", type=Path, required=True, help="receives text, token, token_int, score ..."
    )
    parser.add_argument(
        "--also",
        type=Path,
        nargs=2,
        action="append",
        default=[],
        metavar=("DECODE_CONFIG", "OUTPUT_DIR"),
        help="another configuration, of another search alone: it shares the encoder's work, and a run of its "
        "own afterwards has only the final files to write. --nbest and --lm ... are not for it",
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
    parser.add_argument("--batch_size", type=int, default=16, help="utterances of a batch, at most")
    parser.add_argument(
        "--batch_seconds",
        type=float,
        help="padded audio of a batch, at most (default: 240; 1200 for streams whose cache does not grow)",
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

    config = DecodeConfig.from_file(args.decode_config)
    nbest = config.nbest if args.nbest is None else args.nbest
    search = {**config.search, **fusion_values(args)}
    config = replace(config, mode=args.mode or config.mode, search=search, nbest=nbest)
    others = [(DecodeConfig.from_file(path), folder) for path, folder in args.also]
    job = runner.Job(
        exp_dir=args.exp_dir,
        model_file=args.model_file,
        config=config,
        data_dir=args.data_dir,
        output_dir=args.output_dir,
        nj=args.nj,
        ngpu=args.ngpu,
        batch_size=args.batch_size,
        batch_seconds=args.batch_seconds,
        num_threads=args.num_threads,
        also=tuple((replace(other, mode=args.mode or other.mode), folder) for other, folder in others),
    )
    if args.merge:
        runner.merge(job)
    elif args.job is not None:
        runner.decode_shard(job, args.job)
    elif args.cmd:
        from xlsrt.decoding import jobs

        words = list(sys.argv[1:] if cmd is None else cmd)
        jobs.decode(job, args.cmd, [sys.executable, "-m", "xlsrt.bin.asr_decode", *words, "--cmd", ""])
    else:
        runner.decode(job)


if __name__ == "__main__":
    run_main(main)
