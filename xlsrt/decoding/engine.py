"""One batch of waveforms to hypotheses, masked or streaming.

Shape legend: B utterances, S samples at 16 kHz, T encoder frames of 20 ms, D encoder width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xlsrt.context import AttentionContext
from xlsrt.decoding.config import DecodeConfig
from xlsrt.decoding.outputs import Recognised
from xlsrt.encoder import XlsrEncoder
from xlsrt.recognizer import Recognizer
from xlsrt.search import Hypothesis, Search

SAMPLE_RATE = 16000


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
        stable: list[list[float]] | list[None] = [None] * len(wavs)
        if config.mode == "streaming":
            found, stable = decode_streaming(encoder, search, tensors, config.context, config.packet_samples)
        else:
            found = decode_masked(encoder, search, tensors, config.context)
        seconds = [len(wav) / SAMPLE_RATE for wav in wavs]
        return [self._recognised(*row) for row in zip(names, found, seconds, stable, strict=True)]

    def _recognised(
        self, name: str, found: Hypothesis, seconds: float, stable: list[float] | None
    ) -> Recognised:
        model = self.recognizer.tokens
        group = self.recognizer.head.config.output_subsampling
        words = model.words(found.tokens, found.frames, found.probs, group)
        return Recognised(
            utt=name,
            text=model.text(found.tokens).strip(),
            tokens=tuple(model.pieces(found.tokens)),
            token_ids=tuple(found.tokens),
            frames=tuple(found.frames),
            probs=tuple(round(prob, 6) for prob in found.probs),
            score=found.score,
            words=tuple((word.text, word.start, word.end, round(word.confidence, 6)) for word in words),
            stable=None
            if stable is None
            else tuple(stable[last] for _, _, last in model.spans(found.tokens)),
            audio_seconds=seconds,
        )


@torch.inference_mode()
def decode_masked(
    encoder: XlsrEncoder, search: Search, wavs: Sequence[Tensor], context: AttentionContext
) -> list[Hypothesis]:
    """Whole utterances, each (S,), under the context's mask."""
    padded, lens = pad(wavs)
    enc, enc_lens = encoder(padded, lens, context)
    return search.finish(search.step(enc, enc_lens, search.init_state(len(wavs))))


@torch.inference_mode()
def decode_streaming(
    encoder: XlsrEncoder,
    search: Search,
    wavs: Sequence[Tensor],
    context: AttentionContext,
    packet_samples: int,
) -> tuple[list[Hypothesis], list[list[float]]]:
    """The same utterances as streams that advance together, packet by packet, through the caches.

    Also, for each token, the seconds of audio that had been received when it could not change any more.
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
    hypotheses = search.finish(search.step(enc, enc_lens, found))
    for times, hypothesis, end in zip(stable, hypotheses, ends, strict=True):
        times += [end] * (len(hypothesis.tokens) - len(times))
    return hypotheses, stable


def pad(wavs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Waveforms (S,) of any length -> (B, S) with zeros behind, lengths (B,)."""
    lens = torch.tensor([wav.size(0) for wav in wavs], dtype=torch.long, device=wavs[0].device)
    return torch.nn.utils.rnn.pad_sequence(list(wavs), batch_first=True), lens
