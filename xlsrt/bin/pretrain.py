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

OBJECTIVES = ("phonemes", "best_rq", "contrastive")
UTTERANCES = 1 << 32
"""Seeds of utterances that a training may use up; those of the next --seed follow."""
SEEDS = 256
"""Trainings below the seeds of the validation utterances (`xlsrt.pretrain.loop.VALID_SEED`)."""
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
    """``--objective`` decides whose options the others are."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--objective", choices=OBJECTIVES, default="phonemes")
    return first.parse_known_args(words)[0].objective


def main(cmd: Sequence[str] | None = None) -> None:
    words = list(sys.argv[1:] if cmd is None else cmd)
    if _objective(words) != "phonemes":
        from xlsrt.espnet_task.ssl_task import XlsrSslTask

        XlsrSslTask.main(cmd=words)
        return
    args = get_parser().parse_args(words)
    if not 0 <= args.seed < SEEDS:
        raise UserError(f"--seed {args.seed}: give 0 to {SEEDS - 1}, others would hear the validation speech")

    import torch

    from xlsrt.data.synth.pretraining import make_utterance
    from xlsrt.encoder import XlsrConfig, XlsrEncoder
    from xlsrt.encoder.checkpoints import save_pretrained
    from xlsrt.pretrain.data import SyntheticBatches, collate
    from xlsrt.pretrain.loop import VALID_SEED, Pretraining, PretrainOptions, collect_or_load
    from xlsrt.pretrain.model import PhonemeModel

    if args.threads:
        torch.set_num_threads(args.threads)
    options = PretrainOptions(**{f.name: getattr(args, f.name) for f in fields(PretrainOptions)})
    args.output_dir.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    inventory = collect_or_load(args.output_dir, make_utterance)
    # Speech is made afresh for every update: nothing to overfit, so dropout would only slow learning.
    dropouts = ("hidden_dropout", "attention_dropout", "feat_proj_dropout", "layer_drop", "mask_time_prob")
    config = XlsrConfig.preset(args.preset, **dict.fromkeys(dropouts, 0.0))
    encoder = XlsrEncoder.from_pretrained(args.init) if args.init else XlsrEncoder(config)
    model = PhonemeModel(encoder, len(inventory))
    made = sorted(
        (make_utterance(VALID_SEED + i) for i in range(args.valid_utterances)), key=lambda u: len(u.wav)
    )
    valid = [collate(made[i : i + 10], inventory) for i in range(0, len(made), 10)]
    dataset = SyntheticBatches(
        make_utterance, inventory, options.batch_seconds, first_seed=options.seed * UTTERANCES
    )
    run = Pretraining(model, dataset, valid, options, args.output_dir, args.num_workers)
    if run.resume():
        print(f"resuming at update {run.update} of {options.updates}", flush=True)
    run.run()
    save_pretrained(encoder, args.output_dir / "encoder", dtype=getattr(torch, args.dtype))
    print(f"encoder written to {args.output_dir / 'encoder'}")


if __name__ == "__main__":
    run_main(main)
