"""When the words of known transcripts were said, by a trained model's CTC head."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xlsrt.alignment.boundaries import WordFrames, quiet_frames, word_bounds
from xlsrt.alignment.tokens import align_tokens
from xlsrt.errors import UserError
from xlsrt.recognizer import Recognizer
from xlsrt.units import FRAME_SECONDS, SAMPLE_RATE

WHOLE_SECONDS = 40.0
"""Longer recordings are encoded as streams, where the context is bounded."""


@dataclass(frozen=True)
class SaidWord:
    """A word of the transcript: seconds, and the geometric mean of its tokens' probabilities."""

    word: str
    start: float
    end: float
    prob: float


class Aligner:
    """A trained model that says when words were said.

    Args:
        recognizer: the model, in the context in which it encodes.

    Raises:
        UserError: it has no CTC head.
    """

    def __init__(self, recognizer: Recognizer, name: str = "the model") -> None:
        if recognizer.head.ctc is None:
            raise UserError(
                f"{name} has no CTC head, which alignment needs: choose a model that was trained with "
                "model_conf.ctc_weight above 0"
            )
        self.recognizer = recognizer

    @torch.inference_mode()
    def __call__(self, samples: np.ndarray, text: str) -> list[SaidWord]:
        """The words of ``text`` in ``samples`` (S,) at 16 kHz.

        Raises:
            UserError: the text does not fit into the audio or the vocabulary; the audio is too long for a
                context without bounds.
        """
        model = self.recognizer
        ids = model.tokens.encode(text)
        if "<unk>" in model.tokens.pieces(ids):
            unknown = {c for c in text if "<unk>" in model.tokens.pieces(model.tokens.encode(c))}
            raise UserError(f"the vocabulary lacks {' '.join(sorted(unknown))} of {text!r}")
        wav = torch.from_numpy(samples).to(model.device, model.dtype)
        log_probs = self._log_probs(wav)
        spans = align_tokens(log_probs, ids, model.head.config.blank_id)
        assert len(spans) == len(ids)
        words = text.split()
        found = model.tokens.spans(ids)
        if len(found) != len(words):
            raise UserError(
                f"the vocabulary makes {len(found)} words of {len(words)}: it lacks characters of {text!r}"
            )
        frames = [
            WordFrames(spans[a].start, spans[b].end, self._letters(ids[a]), self._letters(ids[b]))
            for _, a, b in found
        ]
        bounds = word_bounds(frames, quiet_frames(samples, len(log_probs)))
        return [
            SaidWord(
                word,
                round(start * FRAME_SECONDS, 3),
                round(end * FRAME_SECONDS, 3),
                math.exp(sum(math.log(max(span.prob, 1e-30)) for span in spans[a : b + 1]) / (b + 1 - a)),
            )
            for word, (_, a, b), (start, end) in zip(words, found, bounds, strict=True)
        ]

    def _letters(self, token: int) -> int:
        return len(self.recognizer.tokens.text([token]).strip()) or 1

    def _log_probs(self, wav: Tensor) -> Tensor:
        """(S,) -> (T, V)."""
        encoder, context = self.recognizer.encoder, self.recognizer.context
        # As in streams: the cost grows with the square of the length.
        if context.cache_frames is None and len(wav) > encoder.config.max_stream_seconds * SAMPLE_RATE:
            raise UserError(
                f"{len(wav) / SAMPLE_RATE:.0f} s are too long for a context without bounds ({context}): "
                "give a bounded one (--context 640,640,16), a model trained in such, or cut it (segments)"
            )
        if len(wav) <= WHOLE_SECONDS * SAMPLE_RATE or context.cache_frames is None:
            enc, _ = encoder(wav[None], None, context)
            return self.recognizer.head.ctc_log_probs(enc)[0]
        state, parts = encoder.init_state(1, context), []
        for packet in wav.split(int(WHOLE_SECONDS * SAMPLE_RATE)):
            enc, _, state = encoder.step(packet[None], state)
            parts.append(enc)
        parts.append(encoder.flush(state)[0])
        return torch.cat([self.recognizer.head.ctc_log_probs(enc)[0] for enc in parts])
