"""Pretrain an encoder: on synthetic speech in many languages, or on unlabelled audio.

--objective phonemes (default): a small encoder, nothing but made-up speech goes in; the options below.
--objective best_rq or contrastive: any encoder, self-supervised, on audio without transcripts, with ESPnet's
options and a configuration such as conf/adapt.yaml; add --help to see them.
Kill it at any moment and run it again: it goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.errors import UserError
from xlsrt.tree import read_tree

OBJECTIVES = ("phonemes", "best_rq", "contrastive")
OPTION_HELP = {
    "updates": "optimisation steps",
    "batch_seconds": "padded audio in a batch",
    "peak_lr": "learning rate after the warm-up; falls to zero along a cosine",
    "warmup": "updates until the peak",
    "weight_decay": "of AdamW, on matrices only",
    "frame_weight": "share of the frame loss at the start",
    "frame_weight_end": "share of the frame loss at the end; the rest is CTC",
    "full_prob": "share of batches with full attention; the others draw a chunked context",
    "amp": "compute in bfloat16 (a CPU that does not multiply it: in float32)",
    "seed": "of weights, speech and contexts",
}


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """The text above as it is written, and every default."""


def get_parser() -> argparse.ArgumentParser:
    from xlsrt.pretrain.loop import PretrainOptions

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_HelpFormatter)
    parser.add_argument("--objective", choices=OBJECTIVES, default="phonemes", help="what is learnt")
    parser.add_argument(
        "--output_dir", type=Path, required=True, help="checkpoint, log and final export (HF layout)"
    )
    parser.add_argument("--preset", default="small", help="encoder size: a preset of XlsrConfig")
    parser.add_argument(
        "--init", default=None, help="start from this encoder (anything from_pretrained reads)"
    )
    parser.add_argument("--num_workers", type=int, default=1, help="processes that make speech")
    parser.add_argument(
        "--threads", type=int, default=0, help="CPU threads of the training step, 0: torch's default"
    )
    parser.add_argument("--valid_utterances", type=int, default=100, help="size of the fixed validation set")
    parser.add_argument(
        "--dtype", choices=["float16", "float32"], default="float16", help="of the exported weights"
    )
    defaults = PretrainOptions()
    for field in fields(PretrainOptions):
        value = getattr(defaults, field.name)
        if isinstance(value, bool):
            parser.add_argument(
                f"--{field.name}",
                action=argparse.BooleanOptionalAction,
                default=value,
                help=OPTION_HELP[field.name],
            )
        else:
            parser.add_argument(
                f"--{field.name}", type=type(value), default=value, help=OPTION_HELP[field.name]
            )
    return parser


def _objective(words: Sequence[str]) -> str:
    """``--objective``, or that of ``--config``, which decides whose options the others are.

    Raises:
        UserError: a configuration that cannot be read or names none.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--objective", choices=OBJECTIVES)
    first.add_argument("--config")
    given = first.parse_known_args(words)[0]
    if given.objective or not given.config:
        return given.objective or "phonemes"
    named: str | None = read_tree(given.config).get("objective")
    if named not in OBJECTIVES[1:]:
        raise UserError(
            f"{given.config}: its objective is {named!r}; write {' or '.join(OBJECTIVES[1:])} (phonemes "
            "takes no configuration), or give --objective"
        )
    return named


def main(cmd: Sequence[str] | None = None) -> None:
    words = list(sys.argv[1:] if cmd is None else cmd)
    if _objective(words) != "phonemes":
        from xlsrt.espnet_task.ssl_task import XlsrSslTask

        XlsrSslTask.main(cmd=words)
        return
    args = get_parser().parse_args(words)
    from xlsrt.pretrain.loop import PretrainOptions
    from xlsrt.pretrain.phonemes import pretrain_phonemes

    options = PretrainOptions(**{field.name: getattr(args, field.name) for field in fields(PretrainOptions)})
    pretrain_phonemes(
        args.output_dir,
        options,
        preset=args.preset,
        init=args.init,
        num_workers=args.num_workers,
        threads=args.threads,
        valid_utterances=args.valid_utterances,
        dtype=args.dtype,
    )


if __name__ == "__main__":
    run_main(main)
