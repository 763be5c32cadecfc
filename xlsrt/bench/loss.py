"""What a training step costs from the encoder's frames on, in time and memory: losses with their joint.

The default sizes suit a CPU. Those of the figures in the field, for a GPU:
--device cuda --batch_size 30 --frames 500 --tokens 100 --vocab_size 500 (or 5000).
"""

from __future__ import annotations

import argparse
import os
import resource
from collections.abc import Callable
from pathlib import Path

import torch

from xlsrt.bench import common
from xlsrt.bench.common import Case
from xlsrt.errors import UserError
from xlsrt.transducer import HeadConfig, TransducerHead
from xlsrt.transducer.loss import torchaudio_loss

HELP = "transducer losses with their joint, beside torchaudio's: time and peak memory"
CASES = ("torchaudio", "full", "pruned")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench loss``."""
    parser.add_argument("--batch_size", type=int, default=4, help="utterances (default: %(default)s)")
    parser.add_argument(
        "--frames",
        type=int,
        default=150,
        help="of the longest; others have 80 %% and more (default: %(default)s)",
    )
    parser.add_argument("--tokens", type=int, default=40, help="of the longest (default: %(default)s)")
    parser.add_argument("--vocab_size", type=int, default=500, help="tokens (default: %(default)s)")
    parser.add_argument(
        "--size", type=int, default=512, help="encoder, predictor, joint (default: %(default)s)"
    )
    parser.add_argument(
        "--prune_range", type=int, default=5, help="of the pruned loss (default: %(default)s)"
    )
    common.add_arguments(parser, CASES, CASES)


def run(args: argparse.Namespace) -> None:
    """Print time and peak memory of a step of each loss."""
    cases = common.begin(args, CASES)
    if min(args.batch_size, args.frames, args.tokens, args.size) < 1:
        raise UserError("--batch_size, --frames, --tokens and --size must be 1 or more")
    steps = {case: step_of(case, args) for case in cases}
    print(
        f"batch {args.batch_size}, {args.frames * 4 // 5} to {args.frames} frames, {args.tokens} tokens, "
        f"vocabulary {args.vocab_size}, width {args.size}, {common.conditions(args)}"
    )
    # Memory first: a fork must not inherit threads, nor memory that an earlier case has left free.
    peaks = {case: peak_bytes(step, args.device) for case, step in steps.items()}
    costs = common.measure({case: Case(step, 1.0) for case, step in steps.items()}, args.rounds, args.device)
    print(f"{'loss':<12} {'wall s':>9} {'CPU s':>9} {'ratio':>7} {'peak MB':>9} {'ratio':>7}")
    base = peaks[costs[0].name] or 1
    for cost in costs:
        peak = peaks[cost.name]
        memory = f"{peak / 1e6:>9.1f} {peak / base:>7.3f}" if peak is not None else f"{'-':>9} {'-':>7}"
        print(f"{cost.name:<12} {cost.wall:>9.4f} {cost.cpu:>9.4f} {cost.ratio:>7.3f} {memory}", flush=True)


def step_of(case: str, args: argparse.Namespace) -> Callable[[], None]:
    """Forward and backward of one loss, from encoder frames to the gradients of frames and weights."""
    torch.manual_seed(0)
    config = HeadConfig(
        args.size,
        args.vocab_size,
        predictor_size=args.size,
        joint_size=args.size,
        ctc_weight=0.0,
        loss="pruned" if case == "pruned" else "full",
        prune_range=args.prune_range,
    )
    head = TransducerHead(config).to(args.device)
    enc = torch.randn(args.batch_size, args.frames, args.size, device=args.device, requires_grad=True)
    lens = torch.randint(args.frames * 4 // 5, args.frames + 1, (args.batch_size,))
    tokens = torch.randint(1, args.vocab_size, (args.batch_size, args.tokens), device=args.device)
    token_lens = torch.randint(max(1, args.tokens * 4 // 5), args.tokens + 1, (args.batch_size,))
    lens[0], token_lens[0] = args.frames, args.tokens
    lens, token_lens = lens.to(args.device), token_lens.to(args.device)

    def loss() -> torch.Tensor:
        if case != "torchaudio":
            return head.losses(enc, lens, tokens, token_lens)["loss"]
        frames = head.joint.encoder_projection(enc)
        said = head.joint.predictor_projection(head.predictor(tokens))
        logits = head.joint(frames.unsqueeze(2), said.unsqueeze(1))
        return torchaudio_loss(logits, tokens, lens, token_lens, 0).sum() / args.batch_size

    @torch.enable_grad()
    def step() -> None:
        loss().backward()
        enc.grad = None
        head.zero_grad(set_to_none=True)

    return step


def peak_bytes(step: Callable[[], None], device: str) -> int | None:
    """The most memory that a step holds beyond what was there before; None where that cannot be told."""
    if torch.device(device).type == "cuda":
        step()
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    if not Path("/proc/self/statm").is_file():
        return None
    # A process of its own: a peak does not come down again.
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            torch.set_num_threads(1)
            before = resident_bytes()
            step()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            os.write(writer, str(peak - before).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return int(answer) if answer else None


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
