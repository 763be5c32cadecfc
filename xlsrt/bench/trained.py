"""A trained model for a benchmark on recorded speech: its options, and the recogniser they ask for."""

from __future__ import annotations

import argparse
from pathlib import Path

from xlsrt.bench import common
from xlsrt.decoding.config import DecodeConfig
from xlsrt.errors import UserError
from xlsrt.recognizer import Recognizer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every such benchmark."""
    parser.add_argument(
        "--exp_dir", "--model", type=Path, required=True, help="trained model, or packed model"
    )
    parser.add_argument("--data_dir", type=Path, required=True, help="speech, e.g. dump/raw/test")
    parser.add_argument(
        "--decode_config",
        type=Path,
        help="context and search, e.g. conf/decode_streaming_640ms.yaml (default: the model's own)",
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="torch device (default: %(default)s)")


def recognizer_of(args: argparse.Namespace) -> Recognizer:
    """The model with the context and search asked for.

    Raises:
        UserError: the configuration closes segments, which the benchmark decides itself.
    """
    common.check_machine(args)
    if args.decode_config is None:
        return Recognizer.from_exp(args.exp_dir, device=args.device)
    config = DecodeConfig.from_file(args.decode_config)
    if config.endpoint is not None:
        raise UserError(
            f"--decode_config {args.decode_config}: leave its endpoint out; where segments close is this "
            "benchmark's own"
        )
    return Recognizer.from_exp(args.exp_dir, config.context, config.search, device=args.device)
