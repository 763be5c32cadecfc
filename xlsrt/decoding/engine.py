"""One batch of waveforms to hypotheses, masked or streaming.

Shape legend: B utterances, S samples at 16 kHz, T encoder frames of 20 ms, D encoder width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xlsrt.context import AttentionContext
from xlsrt.decoding.config import DecodeConfig
from xlsrt.decoding.outputs import Recognised
from xlsrt.encoder import XlsrEncoder
from xlsrt.recognizer import EndpointRules, Recognizer
from xlsrt.recognizer.line import Engine, advance, close, open_line, pad, search_whole
from xlsrt.search import Hypothesis, Search

SAMPLE_RATE = 16000

Segment = tuple[Hypothesis, list[float] | None]
"""A hypothesis and, in streams, for each token the seconds of audio after which it could not change."""


class Decoder:
    """A trained model and a way of decoding.

    Args:
        exp_dir, model_file: as `Recognizer.from_exp` takes them.
        config: how to decode.
        device: torch's name of it.
    """

    def __init__(self, exp_dir: Path, model_file: str | None, config: DecodeConfig, device: str) -> None:
        self.recognizer = Recognizer.from_exp(exp_dir, config.context, config.search, model_file, device)
        self.config = config
        self.device = device

    def __call__(self, names: Sequence[str], wavs: Sequence[np.ndarray]) -> list[Recognised]:
        """Decode a batch of waveforms (S,)."""
        config, encoder, search = self.config, self.recognizer.encoder, self.recognizer.search
        tensors = [torch.from_numpy(wav).to(self.device) for wav in wavs]
        streaming, packet = config.mode == "streaming", config.packet_samples
        if config.endpoint is not None:
            engine = Engine(encoder, search, config.context)
            if streaming:
                found = streamed_segments(engine, config.endpoint, tensors, packet)
            else:
                found = masked_segments(engine, config.endpoint, tensors)
        elif streaming:
            ranked, times = decode_streaming(encoder, search, tensors, config.context, packet, config.nbest)
            found = [[(row[0], stable)] for row, stable in zip(ranked, times, strict=True)]
        else:
            ranked = decode_masked(encoder, search, tensors, config.context, config.nbest)
            found = [[(row[0], None)] for row in ranked]
        seconds = [len(wav) / SAMPLE_RATE for wav in wavs]
        results = [self._recognised(*row) for row in zip(names, found, seconds, strict=True)]
        if config.nbest == 1:
            return results
        others = [
            tuple(self._recognised(result.utt, [(other, None)], result.audio_seconds) for other in row[1:])
            for result, row in zip(results, ranked, strict=True)
        ]
        return [replace(result, others=rest) for result, rest in zip(results, others, strict=True)]

    def _recognised(self, name: str, segments: Sequence[Segment], seconds: float) -> Recognised:
        """The segments of an utterance as one hypothesis. Each begins with a new word."""
        model = self.recognizer.tokens
        group = self.recognizer.head.config.output_subsampling
        parts = [part for part, _ in segments]
        words = [word for part in parts for word in model.words(part.tokens, part.frames, part.probs, group)]
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
            times[row] += [now] * (engine.search.stable(line.search)[0] - len(times[row]))
            lines[row] = replace(line, closed=())
    for row, line in enumerate(close(engine, lines)):
        end_segment(row, engine.search.best(line.search)[0], wavs[row].size(0) / SAMPLE_RATE)
    return found


@torch.inference_mode()
def decode_masked(
    encoder: XlsrEncoder, search: Search, wavs: Sequence[Tensor], context: AttentionContext, nbest: int = 1
) -> list[list[Hypothesis]]:
    """Whole utterances, each (S,), under the context's mask: the ``nbest`` best hypotheses of each."""
    padded, lens = pad(wavs)
    enc, enc_lens = encoder(padded, lens, context)
    return search.nbest(search.drain(search.step(enc, enc_lens, search.init_state(len(wavs)))), nbest)


@torch.inference_mode()
def decode_streaming(
    encoder: XlsrEncoder,
    search: Search,
    wavs: Sequence[Tensor],
    context: AttentionContext,
    packet_samples: int,
    nbest: int = 1,
) -> tuple[list[list[Hypothesis]], list[list[float]]]:
    """The same utterances as streams that advance together, packet by packet, through the caches.

    Also, for each token of the best hypotheses, the seconds of audio that had been received when it could not
    change any more.
    """
    padded, lens = pad(wavs)
    state = encoder.init_state(len(wavs), context)
    found = search.init_state(len(wavs))
    ends = [wav.size(0) / SAMPLE_RATE for wav in wavs]
    stable: list[list[float]] = [[] for _ in wavs]
    for start in range(0, padded.size(1), packet_samples):
        packet = padded[:, start : start + packet_samples]
        left = (lens - start).clamp(0, packet.size(1))
        enc, enc_lens, state = encoder.step(packet, state, left)
        found = search.step(enc, enc_lens, found)
        now = (start + packet_samples) / SAMPLE_RATE
        for times, count, end in zip(stable, search.stable(found), ends, strict=True):
            times += [min(now, end)] * (count - len(times))
    enc, enc_lens = encoder.flush(state)
    hypotheses = search.nbest(search.drain(search.step(enc, enc_lens, found)), nbest)
    for times, ranked, end in zip(stable, hypotheses, ends, strict=True):
        times += [end] * (len(ranked[0].tokens) - len(times))
    return hypotheses, stable
