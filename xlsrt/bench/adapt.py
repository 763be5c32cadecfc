"""What an optimisation step of self-supervised adaptation costs: forward, backward and AdamW's update.

Random weights and noise: speed does not depend on what they are. Ratios are to the step of the encoder alone.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable, Sequence

import torch
from torch import nn

from xlsrt.bench import common
from xlsrt.bench.common import Case
from xlsrt.context import AttentionContext
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.encoder.checkpoints.pretraining import NAMES
from xlsrt.pretrain.best_rq import BestRq, BestRqConfig
from xlsrt.pretrain.contrastive import Contrastive, ContrastiveConfig
from xlsrt.pretrain.masked import MaskConfig, masked_pass
from xlsrt.units import SAMPLE_RATE

HELP = "steps of self-supervised adaptation"
CASES = ("encoder", "best_rq", "contrastive")
# As in wav2vec 2.0 large: 2 groups of 320 codes of 384 dimensions, compared in 768.
_GROUPS, _CODES, _WIDTH, _SIZE = 2, 320, 384, 768


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench adapt``."""
    parser.add_argument("--preset", default="xls_r_300m", help="encoder size (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=1, help="utterances of a step (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="of each utterance (default: %(default)s)"
    )
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16, weights stay in float32")
    parser.add_argument("--save_memory", action="store_true", help="gradient checkpointing")
    common.add_arguments(parser, CASES, CASES)


def run(args: argparse.Namespace) -> None:
    """Measure the cases asked for; print their cost, hours of audio per hour, and the peak of memory."""
    cases = common.begin(args, CASES)
    todo = collect(cases, args)
    print(f"{args.preset}, {args.batch} x {args.seconds:g} s, {common.conditions(args)}")
    costs = common.measure(todo, args.rounds, args.device)
    common.print_table(costs)
    for cost in costs:
        print(f"{cost.name}: {1 / cost.wall:.1f} hours of audio per hour")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if torch.device(args.device).type == "cuda":
        peak = torch.cuda.max_memory_allocated(args.device)
    print(f"peak memory {peak / 1e9:.1f} GB, of all cases together")


def collect(cases: Sequence[str], args: argparse.Namespace) -> dict[str, Case]:
    """The cases asked for, by name, in the order of `CASES`."""
    config = XlsrConfig.preset(args.preset, gradient_checkpointing=args.save_memory, layer_drop=0.0)
    encoder = XlsrEncoder(config).train().to(args.device)
    samples = int(args.seconds * SAMPLE_RATE)
    wav = torch.randn(args.batch, samples, device=args.device) * 0.05
    context = AttentionContext(32, 32, 16)
    heads: dict[str, nn.Module] = {"encoder": nn.Identity()}
    if "best_rq" in cases:
        heads["best_rq"] = BestRq(encoder, BestRqConfig()).to(args.device)
    if "contrastive" in cases:
        heads["contrastive"] = Contrastive(encoder, random_heads(config), ContrastiveConfig()).to(args.device)

    def step(name: str) -> Callable[[], None]:
        head = heads[name]
        kind = torch.device(args.device).type
        optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=1e-5)

        def once() -> None:
            with torch.enable_grad(), torch.autocast(kind, torch.bfloat16, enabled=args.bf16):
                if name == "encoder":
                    loss = encoder(wav, None, context)[0].float().square().mean()
                else:
                    loss, _ = head(masked_pass(encoder, wav, None, context, MaskConfig()))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        return once

    audio = args.batch * args.seconds
    return {f"{name}, {context}": Case(step(name), audio) for name in CASES if name in cases}


def random_heads(config: XlsrConfig) -> dict[str, torch.Tensor]:
    """Quantiser and projections of the size that XLSR has."""
    joined = _GROUPS * _WIDTH
    shapes = [(1, _GROUPS * _CODES, _WIDTH), (_GROUPS * _CODES, config.conv_dim[-1]), (_GROUPS * _CODES,)]
    shapes += [(_SIZE, joined), (_SIZE,), (_SIZE, config.hidden_size), (_SIZE,)]
    return {name: torch.randn(shape) * 0.05 for name, shape in zip(NAMES, shapes, strict=True)}
