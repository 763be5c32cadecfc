"""Joins utterances of a training batch to longer ones, as recordings of minutes have them.

Corpora come cut into sentences, and a transducer that has only heard single sentences learns that nothing
follows a sentence's last words: on recordings of minutes it falls silent. Joined utterances teach it to go
on.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from xlsrt.transducer.training_conf import JoinConfig
from xlsrt.units import HOP, SAMPLE_RATE


def join_batch(
    config: JoinConfig,
    number: int,
    speech: tuple[Tensor, Tensor],
    text: tuple[Tensor, Tensor],
    space: int | None,
    draw: torch.Generator,
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """A batch of fewer and longer utterances with every sample and token of the given one.

    Args:
        number: so many become one, where they are short enough and the batch can be divided.
        speech: waveforms (B, S) and samples of each (B,). text: ids (B, U), any value where padded, and
            tokens of each (B,).
        space: id put between two transcripts, for tokens that do not mark where a word begins.
        draw: decides everything; drawn on the CPU, so that the groups do not depend on the device.

    Returns:
        speech and text again, padded with 0 and -1.
    """
    (wav, lens), (ids, id_lens) = speech, text
    samples, tokens = lens.tolist(), id_lens.tolist()
    pauses = _drawn(config.pause, config.pause_skew, len(samples), draw)
    leads = _drawn(config.lead, 1.0, len(samples), draw) if config.lead[1] else [0] * len(samples)
    quiet = partial(_quiet, zeros=config.zeros, draw=draw)
    wavs, texts = [], []
    for group in _groups(config, number, samples, pauses, draw):
        first = group[0]
        pieces = [quiet(leads[first], wav[first, : samples[first]])] if leads[first] else []
        words: list[Tensor] = []
        for at, row in enumerate(group):
            said = ids[row, : tokens[row]]
            if at:
                pieces.append(quiet(pauses[row], wav[group[at - 1], : samples[group[at - 1]]]))
                if space is not None and len(said) and any(len(part) for part in words):
                    words.append(said.new_tensor([space]))
            pieces.append(wav[row, : samples[row]])
            words.append(said)
        wavs.append(torch.cat(pieces))
        texts.append(torch.cat(words))
    return _padded(wavs, lens, 0), _padded(texts, id_lens, -1)


def _drawn(between: tuple[float, float], skew: float, count: int, draw: torch.Generator) -> list[int]:
    """Samples of the pause before each of so many rows."""
    low, high = between
    share = torch.rand(count, generator=draw, dtype=torch.float64) ** skew
    return [round(x) for x in ((low + (high - low) * share) * SAMPLE_RATE).tolist()]


def _groups(
    config: JoinConfig, number: int, samples: list[int], pauses: list[int], draw: torch.Generator
) -> list[list[int]]:
    """Rows in random order, cut into groups of about one size, since different ones would be padded."""
    rows = torch.randperm(len(samples), generator=draw).tolist()
    pause = sum(pauses) / len(pauses)
    mean = sum(samples) / len(samples) + pause
    number = max(1, min(number, int((config.seconds * SAMPLE_RATE + pause) / mean)))
    count = -(-len(rows) // number)
    groups = [rows[at::count] for at in range(count)]
    return [part for group in groups for part in _within(group, samples, pauses, config)]


def _within(group: list[int], samples: list[int], pauses: list[int], config: JoinConfig) -> list[list[int]]:
    """A group, cut where it would be longer than allowed."""
    parts: list[list[int]] = []
    room = 0.0
    for row in group:
        room -= samples[row] + pauses[row]
        if room < 0 or not parts:
            parts.append([])
            room = config.seconds * SAMPLE_RATE - samples[row]
        parts[-1].append(row)
    return parts


def _quiet(length: int, before: Tensor, zeros: float, draw: torch.Generator) -> Tensor:
    if zeros and float(torch.rand(1, generator=draw)) < zeros:
        return before.new_zeros(length)
    noise = torch.randn(length, generator=draw).to(before)
    whole = before[: len(before) // HOP * HOP].view(-1, HOP)
    if not len(whole):
        return torch.zeros_like(noise)
    return noise * whole.pow(2).mean(1).min().sqrt()


def _padded(rows: list[Tensor], lens: Tensor, value: int) -> tuple[Tensor, Tensor]:
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
    return padded, torch.tensor([len(row) for row in rows]).to(lens)
