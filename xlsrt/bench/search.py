"""What a second of audio costs in the searches, ours and ESPnet's, on the same head and the same frames.

Without --exp_dir the head is made up, says 4 tokens a second and knows what it says. With --exp_dir and
--data_dir it is a trained one on recorded speech, in the context the model was made for. Ours get all
utterances as one batch; ESPnet's take one after the other, and the dearest of them only the first few.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from xlsrt.bench import common
from xlsrt.bench.common import Case
from xlsrt.bench.speaker import Speech, speaking_head, speech
from xlsrt.errors import UserError
from xlsrt.report.edits import Counts, align
from xlsrt.search import BeamSearch, GreedySearch, Search
from xlsrt.transducer import TransducerHead

HELP = "greedy and beam search, beside ESPnet's"
CASES = ("greedy", "beam", "espnet_greedy", "espnet_default", "espnet_alsd", "espnet_maes")

Tokens = Callable[[], list[list[int]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench search``."""
    parser.add_argument("--batch_size", type=int, default=32, help="utterances (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="length of each (default: %(default)s)")
    parser.add_argument("--vocab_size", type=int, default=500, help="tokens (default: %(default)s)")
    parser.add_argument("--joint_size", type=int, default=512, help="of the joint (default: %(default)s)")
    parser.add_argument(
        "--beam_size", type=int, default=4, help="of the beam searches (default: %(default)s)"
    )
    parser.add_argument(
        "--espnet_utterances", type=int, default=4, help="that its beam searches get (default: %(default)s)"
    )
    parser.add_argument(
        "--exp_dir", "--model", type=Path, help="trained model, or packed model; with --data_dir"
    )
    parser.add_argument("--data_dir", type=Path, help="speech for --exp_dir, e.g. dump/raw/test")
    common.add_arguments(parser, CASES, CASES)


def run(args: argparse.Namespace) -> None:
    """Measure the cases asked for; print throughput and error rate of each."""
    cases = common.begin(args, CASES)
    if (args.exp_dir is None) != (args.data_dir is None):
        raise UserError("give --exp_dir and --data_dir together, or neither")
    head, found = recorded(args) if args.exp_dir else made_up(args)
    print(f"{len(found.tokens)} utterances, vocabulary {head.config.vocab_size}, {common.conditions(args)}")
    todo, results = {}, {}
    for case in cases:
        name, count, tokens = case_of(case, head, found, args)
        results[name] = (tokens, count)
        todo[name] = Case(tokens, float(found.lens[:count].sum()) / 50)
    print(f"{'case':<44} {'times real time':>16} {'CPU s/s':>9} {'ratio':>8} {'errors':>8}")
    for cost in common.measure(todo, args.rounds, args.device):
        tokens, count = results[cost.name]
        wrong = error_rate(found.tokens[:count], tokens())
        costs = f"{1 / cost.wall:>16.0f} {cost.cpu:>9.5f} {cost.ratio:>8.2f}"
        print(f"{cost.name:<44} {costs} {wrong:>7.2f}%", flush=True)


def error_rate(said: Sequence[Sequence[int]], found: Sequence[Sequence[int]]) -> float:
    """Of tokens, in percent."""
    pairs = zip(said, found, strict=True)
    return sum((align(_words(s), _words(f)).counts for s, f in pairs), Counts()).error_rate


def _words(tokens: Sequence[int]) -> list[str]:
    return [str(token) for token in tokens]


def made_up(args: argparse.Namespace) -> tuple[TransducerHead, Speech]:
    """The head and frames of `xlsrt.bench.speaker`."""
    head = speaking_head(args.joint_size, args.vocab_size, args.joint_size)
    found = speech(head, args.batch_size, round(args.seconds * 50))
    return head.to(args.device), Speech(found.frames.to(args.device), found.lens, found.tokens)


@torch.no_grad()
def recorded(args: argparse.Namespace) -> tuple[TransducerHead, Speech]:
    """A trained head, the frames of its encoder, and the tokens of the transcripts."""
    from xlsrt.data.kaldi import DataDir
    from xlsrt.data.waveforms import load_samples, read_set
    from xlsrt.recognizer import Recognizer
    from xlsrt.recognizer.line import pad

    recognizer = Recognizer.from_exp(args.exp_dir, device=args.device)
    entries = read_set(args.data_dir)[: args.batch_size]
    data = DataDir(args.data_dir)
    texts = {u.utt: u.text or "" for u in data.utterances(need_text=True)}
    wavs = [torch.from_numpy(load_samples(data, entry)).to(args.device) for entry in entries]
    frames, lens = recognizer.encoder(*pad(wavs), recognizer.context)
    tokens = [recognizer.tokens.encode(texts[entry.name]) for entry in entries]
    return recognizer.head, Speech(frames, lens, tokens)


def case_of(
    case: str, head: TransducerHead, found: Speech, args: argparse.Namespace
) -> tuple[str, int, Tokens]:
    """A case's name, how many utterances it takes, and what to run."""
    whole = len(found.tokens)
    if case in ("greedy", "beam"):
        search: Search = GreedySearch(head) if case == "greedy" else BeamSearch(head, args.beam_size)
        name = f"{case}{'' if case == 'greedy' else f' {args.beam_size}'}, batch {whole}"
        return name, whole, lambda: _batched(search, found.frames, found.lens)
    from xlsrt.espnet_task.reference_search import espnet_search

    kind = case.removeprefix("espnet_")
    beam = 1 if kind == "greedy" else args.beam_size
    count = whole if kind == "greedy" else min(whole, args.espnet_utterances)
    theirs = espnet_search(head, beam, "default" if kind == "greedy" else kind)
    name = f"ESPnet {kind}{'' if kind == 'greedy' else f' {beam}'}, one by one"
    # ESPnet's searches know no groups of frames: they get them ready made.
    groups, lens = head.grouped(found.frames[:count], found.lens[:count].to(found.frames.device))
    rows = [frames[:length] for frames, length in zip(groups, lens.tolist(), strict=True)]
    return name, count, lambda: [theirs(row) for row in rows]


def _batched(search: Search, frames: Tensor, lens: Tensor) -> list[list[int]]:
    state = search.step(frames, lens, search.init_state(len(lens)))
    return [hypothesis.tokens for hypothesis in search.finish(state)]
