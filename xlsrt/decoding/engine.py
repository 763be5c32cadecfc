"""One batch of waveforms to hypotheses, masked or streaming.

Shape legend: B utterances, S samples at 16 kHz, T encoder frames of 20 ms, D encoder width.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xlsrt.context import AttentionContext
from xlsrt.decoding.config import DecodeConfig
from xlsrt.decoding.job import CACHED_SECONDS, HEARD_SECONDS
from xlsrt.decoding.outputs import Recognised, with_cost
from xlsrt.encoder import XlsrEncoder
from xlsrt.recognizer import EndpointRules, Recognizer
from xlsrt.recognizer.line import Engine, advance, close, open_line, pad, search_whole
from xlsrt.recognizer.pack import load_model
from xlsrt.search import Hypothesis, Search
from xlsrt.units import SAMPLE_RATE

Segment = tuple[Hypothesis, list[float] | None]
"""A hypothesis and, in streams, for each token the seconds of audio after which it could not change."""


@dataclass(frozen=True)
class Found:
    """What a search made of a batch.

    Attributes:
        ranked: hypotheses of each utterance, best first.
        stable: in streams, the seconds of audio that had been received when each token of the best could not
            change any more.
        seconds: what the encoder and this search took.
    """

    ranked: list[list[Hypothesis]]
    stable: list[list[float]] | None
    seconds: float


class Decoder:
    """A trained model and one or several ways of decoding, which share the encoder's work.

    Args:
        exp_dir, model_file: as `Recognizer.from_exp` takes them.
        configs: how to decode; several differ in the search alone (`DecodeConfig.hears_as`).
        device: torch's name of it.
    """

    def __init__(
        self, exp_dir: Path, model_file: str | None, configs: Sequence[DecodeConfig], device: str
    ) -> None:
        model = load_model(exp_dir, model_file)
        self.recognizers = [Recognizer(model, config.context, config.search, device) for config in configs]
        self.configs = configs
        self.device = device

    def __call__(self, names: Sequence[str], wavs: Sequence[np.ndarray]) -> list[list[Recognised]]:
        """Decode a batch of waveforms (S,): for each configuration the utterances, with what they cost."""
        first, encoder = self.configs[0], self.recognizers[0].encoder
        tensors = [torch.from_numpy(wav).to(self.device) for wav in wavs]
        streaming, packet = first.mode == "streaming", first.packet_samples
        lengths = [len(wav) / SAMPLE_RATE for wav in wavs]
        if first.endpoint is not None:
            begin = clock(self.device)
            own = self.recognizers[0]
            engine = Engine(encoder, own.search, first.context, own.tokens.spaces)
            if streaming:
                segments = streamed_segments(engine, first.endpoint, tensors, packet)
            else:
                segments = masked_segments(engine, first.endpoint, tensors)
            results = [self._recognised(*row) for row in zip(names, segments, lengths, strict=True)]
            return [with_cost(results, clock(self.device) - begin)]
        ways = [
            (one.search, config.nbest) for one, config in zip(self.recognizers, self.configs, strict=True)
        ]
        if streaming:
            found = decode_streaming(encoder, ways, tensors, first.context, packet)
        else:
            found = decode_masked(encoder, ways, tensors, first.context)
        return [with_cost(self._all_recognised(names, one, lengths), one.seconds) for one in found]

    def _all_recognised(
        self, names: Sequence[str], found: Found, lengths: Sequence[float]
    ) -> list[Recognised]:
        times: Sequence[list[float] | None] = found.stable or [None] * len(names)
        return [
            replace(
                self._recognised(name, [(best, stable)], seconds),
                others=tuple(self._recognised(name, [(other, None)], seconds) for other in others),
            )
            for name, (best, *others), stable, seconds in zip(
                names, found.ranked, times, lengths, strict=True
            )
        ]

    def _recognised(self, name: str, segments: Sequence[Segment], seconds: float) -> Recognised:
        """The segments of an utterance as one hypothesis. Each begins with a new word."""
        model = self.recognizers[0].tokens
        group = self.recognizers[0].head.config.output_subsampling
        there = int(self.recognizers[0].encoder.config.num_frames(round(seconds * SAMPLE_RATE)))
        parts = [part for part, _ in segments]
        words = [
            word for part in parts for word in model.words(part.tokens, part.frames, part.probs, group, there)
        ]
        ids = [token for part in parts for token in part.tokens]
        stable = [
            times[last]
            for part, times in segments
            if times is not None
            for _, _, last in model.spans(part.tokens)
        ]
        return Recognised(
            utt=name,
            text=" ".join(text for part in parts if (text := model.text(part.tokens).strip())),
            tokens=tuple(model.pieces(ids)),
            token_ids=tuple(ids),
            frames=tuple(frame for part in parts for frame in part.frames),
            probs=tuple(round(prob, 6) for part in parts for prob in part.probs),
            score=sum(part.score for part in parts),
            words=tuple((word.text, word.start, word.end, round(word.confidence, 6)) for word in words),
            stable=None if any(times is None for _, times in segments) else tuple(stable),
            audio_seconds=seconds,
        )


@torch.inference_mode()
def masked_segments(engine: Engine, rules: EndpointRules, wavs: Sequence[Tensor]) -> list[list[Segment]]:
    """Whole utterances, each (S,), under the context's mask, cut into segments where the rules say so."""
    found = search_whole(engine, rules, wavs)
    return [[*((one.hypothesis, None) for one in closed), (last, None)] for closed, last in found]


@torch.inference_mode()
def streamed_segments(
    engine: Engine, rules: EndpointRules, wavs: Sequence[Tensor], packet_samples: int
) -> list[list[Segment]]:
    """The same utterances packet by packet, with the times of `decode_streaming`."""
    lines = [open_line(engine, rules) for _ in wavs]
    found: list[list[Segment]] = [[] for _ in wavs]
    times: list[list[float]] = [[] for _ in wavs]

    def end_segment(row: int, best: Hypothesis, now: float) -> None:
        found[row].append((best, times[row] + [now] * (len(best.tokens) - len(times[row]))))
        times[row] = []

    for start in range(0, max(wav.size(0) for wav in wavs), packet_samples):
        rows = [row for row, wav in enumerate(wavs) if start < wav.size(0)]
        packets = [wavs[row][start : start + packet_samples] for row in rows]
        for row, line in zip(rows, advance(engine, [lines[row] for row in rows], packets), strict=True):
            now = min(start + packet_samples, wavs[row].size(0)) / SAMPLE_RATE
            for closed in line.closed:
                end_segment(row, closed.hypothesis, now)
            if line.start != lines[row].start:
                # What closed may also have been spaces alone, which are dropped.
                times[row] = []
            times[row] += [now] * (engine.search.stable(line.search)[0] - len(times[row]))
            lines[row] = replace(line, closed=())
    for row, line in enumerate(close(engine, lines)):
        end_segment(row, engine.search.best(line.search)[0], wavs[row].size(0) / SAMPLE_RATE)
    return found


@torch.inference_mode()
def decode_masked(
    encoder: XlsrEncoder,
    ways: Sequence[tuple[Search, int]],
    wavs: Sequence[Tensor],
    context: AttentionContext,
) -> list[Found]:
    """Whole utterances, each (S,), under the context's mask.

    ways: searches, each with the number of hypotheses to hand out.
    """
    device = wavs[0].device
    begin = clock(device)
    enc, enc_lens = heard_whole(encoder, wavs, context)
    heard = clock(device) - begin
    found = []
    for search, nbest in ways:
        begin = clock(device)
        ended = search.drain(search.step(enc, enc_lens, search.init_state(len(wavs))))
        found.append(Found(search.nbest(ended, nbest), None, heard + clock(device) - begin))
    return found


def heard_whole(
    encoder: XlsrEncoder, wavs: Sequence[Tensor], context: AttentionContext
) -> tuple[Tensor, Tensor]:
    """Waveforms (S,), some at a time, under the context's mask -> (B, T, D), (B,) frames."""
    most = HEARD_SECONDS if wavs[0].is_cuda else min(HEARD_SECONDS, CACHED_SECONDS)
    parts: list[Tensor] = []
    group: list[Tensor] = []
    for wav in [*wavs, None]:
        longest = max(map(len, [*group, wav])) if wav is not None else math.inf
        if group and longest * (len(group) + 1) > most * SAMPLE_RATE:
            enc, lens = encoder(*pad(group), context)
            parts += [one[:length] for one, length in zip(enc, lens.tolist(), strict=True)]
            group = []
        group += [] if wav is None else [wav]
    return pad(parts)


@torch.inference_mode()
def decode_streaming(
    encoder: XlsrEncoder,
    ways: Sequence[tuple[Search, int]],
    wavs: Sequence[Tensor],
    context: AttentionContext,
    packet_samples: int,
) -> list[Found]:
    """The same utterances as streams that advance together, packet by packet, through the caches."""
    device = wavs[0].device
    begin = clock(device)
    padded, lens = pad(wavs)
    state = encoder.init_state(len(wavs), context)
    heard = clock(device) - begin
    ends = [wav.size(0) / SAMPLE_RATE for wav in wavs]
    searches = [_Listening(search, nbest, ends) for search, nbest in ways]
    for start in range(0, padded.size(1), packet_samples):
        begin = clock(device)
        packet = padded[:, start : start + packet_samples]
        left = (lens - start).clamp(0, packet.size(1))
        enc, enc_lens, state = encoder.step(packet, state, left)
        heard += clock(device) - begin
        for search in searches:
            search.step(enc, enc_lens, (start + packet_samples) / SAMPLE_RATE)
    begin = clock(device)
    enc, enc_lens = encoder.flush(state)
    heard += clock(device) - begin
    return [search.finish(enc, enc_lens, heard) for search in searches]


class _Listening:
    """A search at work on streams that end after so many seconds each."""

    def __init__(self, search: Search, nbest: int, ends: Sequence[float]) -> None:
        self.search, self.nbest, self.ends = search, nbest, ends
        self.state = search.init_state(len(ends))
        self.stable: list[list[float]] = [[] for _ in ends]
        self.seconds = 0.0

    def step(self, enc: Tensor, enc_lens: Tensor, now: float) -> None:
        """Hear what a packet gave, after ``now`` seconds of audio."""
        begin = clock(enc.device)
        self.state = self.search.step(enc, enc_lens, self.state)
        for times, count, end in zip(self.stable, self.search.stable(self.state), self.ends, strict=True):
            times += [min(now, end)] * (count - len(times))
        self.seconds += clock(enc.device) - begin

    def finish(self, enc: Tensor, enc_lens: Tensor, heard: float) -> Found:
        """Hear the last frames. heard: seconds that the encoder took."""
        begin = clock(enc.device)
        ended = self.search.drain(self.search.step(enc, enc_lens, self.state))
        ranked = self.search.nbest(ended, self.nbest)
        for times, hypotheses, end in zip(self.stable, ranked, self.ends, strict=True):
            times += [end] * (len(hypotheses[0].tokens) - len(times))
        return Found(ranked, self.stable, heard + self.seconds + clock(enc.device) - begin)


def clock(device: torch.device | str) -> float:
    """Seconds, once the device has done what it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
