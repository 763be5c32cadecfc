"""`Recognizer`: waveform to words, whole or as a stream."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xlsrt.context import AttentionContext
from xlsrt.data.audio import read_audio
from xlsrt.errors import UserError
from xlsrt.recognizer.audio import as_samples, warn_of_scale
from xlsrt.recognizer.endpoint import OF_NO_USE, EndpointRules
from xlsrt.recognizer.line import Engine, advance, close, open_line
from xlsrt.recognizer.model import Model
from xlsrt.recognizer.pack import load_model
from xlsrt.recognizer.result import Result
from xlsrt.recognizer.stream import Stream, StreamPool
from xlsrt.search import Hypothesis, own_lms, search_from_dict, search_settings
from xlsrt.units import FRAME_SECONDS, SAMPLE_RATE

BATCH_SECONDS = 120.0
"""Padded seconds of audio that `transcribe_batch` computes at once."""
PACKET_SECONDS = 20
"""Longer recordings go through the caches in packets of this size, so that memory does not grow with them."""


class Recognizer:
    """A trained model, a context and a search.

    Args:
        model: encoder, head and tokens.
        context: attention context, what `AttentionContext.from_dict` takes, or "full"; None: the model's own.
        search: as `search_from_dict` takes it, "greedy", "beam" or a mapping; None is the model's own.
        device: "cpu", "cuda", "cuda:1" ...

    Attributes:
        encoder, head, tokens, context, search: the parts, for tools that drive them themselves.
    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        model: Model,
        context: AttentionContext | Mapping[str, Any] | str | None = None,
        search: Mapping[str, Any] | str | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = _device(device)
        self.encoder = model.encoder.to(self.device).eval()
        self.head = model.head.to(self.device).eval()
        self.tokens = model.tokens
        if context is None:
            context = model.context
        elif isinstance(context, Mapping):
            context = AttentionContext.from_dict(dict(context))
        elif context == "full":
            context = AttentionContext.full()
        if not isinstance(context, AttentionContext):
            raise UserError(
                f"context is {context!r}; give an AttentionContext, a mapping such as {{'chunk_ms': 640, "
                "'left_ms': 640}, or 'full'"
            )
        self.context: AttentionContext = context
        wanted = search_settings(model.search if search is None else search)
        wanted.update({key: _own_lm(model, wanted[key], name) for key, name in own_lms(wanted).items()})
        self.search = search_from_dict(wanted, self.head, self.tokens)
        self.dtype = next(self.encoder.parameters()).dtype
        self._engine = Engine(self.encoder, self.search, self.context, self.tokens.spaces)

    @classmethod
    def from_exp(
        cls,
        exp_dir: Path | str,
        context: AttentionContext | Mapping[str, Any] | str | None = None,
        search: Mapping[str, Any] | str | None = None,
        model_file: str | None = None,
        device: str | torch.device = "cpu",
    ) -> Recognizer:
        """Load an experiment directory or packed model; `load_model` tells of ``model_file`` and errors."""
        return cls(load_model(Path(exp_dir), model_file), context, search, device)

    def transcribe(self, samples: Any, rate: int = SAMPLE_RATE) -> Result:
        """One recording -> its transcript. The same as `stream`, all packets and `finish`.

        Args:
            samples: (S,) as `as_samples` takes them, or the path of a sound file of any format and rate. A
                warning tells of samples far beyond [-1, 1].
            rate: of samples that are no file, in hertz; 16000 alone is taken.

        Raises:
            UserError: bad samples, or a file that cannot be read.
        """
        return self.transcribe_batch([samples], rate)[0]

    def transcribe_batch(self, recordings: Sequence[Any], rate: int = SAMPLE_RATE) -> list[Result]:
        """Recordings, each as `transcribe` takes it -> their transcripts, in order."""
        return [ranked[0] for ranked in self._transcribe(recordings, rate, 1)]

    def transcribe_nbest(self, samples: Any, count: int, rate: int = SAMPLE_RATE) -> list[Result]:
        """One recording as `transcribe` takes it -> at most ``count`` transcripts, best first.

        Raises:
            UserError: ``count`` is no whole number above 0, or more than the search keeps.
        """
        width = getattr(self.search, "beam_size", 1)
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UserError(f"{count!r} transcripts were asked for; give a whole number from 1 on")
        if count > width:
            raise UserError(f"{count} transcripts were asked for; this search keeps {width}, widen its beam")
        return self._transcribe([samples], rate, count)[0]

    @torch.no_grad()
    def _transcribe(self, recordings: Sequence[Any], rate: int, count: int) -> list[list[Result]]:
        """Recordings -> at most ``count`` transcripts of each, best first."""
        wavs = [self._samples(recording, rate) for recording in recordings]
        results: dict[int, list[Hypothesis]] = {}
        for rows in _batches([wav.numel() for wav in wavs]):
            found = self._hypotheses([wavs[row] for row in rows], count)
            results.update(zip(rows, found, strict=True))
        ends = [int(self.encoder.config.num_frames(wav.numel())) for wav in wavs]
        return [[self._result(one, 0, end) for one in results[row]] for row, end in enumerate(ends)]

    def stream(
        self, endpoint: EndpointRules | Mapping[str, Any] | None = None, preview: bool = False
    ) -> Stream:
        """A new stream.

        Args:
            endpoint: rules that close segments; None: one segment until `Stream.finish`.
            preview: also show, as unstable text, what the incomplete chunk sounds like so far; costs one more
                encoder step per packet.
        """
        return Stream(self, self._rules(endpoint), preview)

    def pool(
        self, endpoint: EndpointRules | Mapping[str, Any] | None = None, preview: bool = False
    ) -> StreamPool:
        """Many streams that are computed as one batch; arguments as in `stream`."""
        return StreamPool(self, self._rules(endpoint), preview)

    @property
    def minds_scale(self) -> bool:
        """Whether samples of another scale can change the words: statistics of the whole forgive them."""
        return self.encoder.config.input_norm != "utterance"

    def _rules(self, endpoint: EndpointRules | Mapping[str, Any] | None) -> EndpointRules | None:
        if endpoint is not None and self.context.is_full:
            raise UserError(f"{OF_NO_USE} a context with chunks")
        if endpoint is None or isinstance(endpoint, EndpointRules):
            return endpoint
        if not isinstance(endpoint, Mapping):
            raise UserError(
                f"endpoint is {endpoint!r}; give EndpointRules or a mapping such as "
                "{'trailing_silence': 0.5}"
            )
        return EndpointRules.from_dict(endpoint)

    def _samples(self, recording: Any, rate: int) -> Tensor:
        whose = "the audio"
        if isinstance(recording, (str, os.PathLike)):
            whose, recording, rate = str(recording), read_audio(recording), SAMPLE_RATE
        loud = partial(warn_of_scale, whose=whose) if self.minds_scale else None
        return as_samples(recording, rate, self.device, self.dtype, loud)

    def _hypotheses(self, wavs: list[Tensor], count: int) -> list[list[Hypothesis]]:
        search, packet = self.search, PACKET_SECONDS * SAMPLE_RATE
        short = max(wav.numel() for wav in wavs) <= 2 * packet
        if short or self.context.cache_frames is None or self.encoder.why_offline():
            lens = torch.tensor([wav.numel() for wav in wavs], device=self.device)
            padded = torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True)
            enc, counts = self.encoder(padded, lens, self.context)
            state = search.step(enc, counts, search.init_state(len(wavs)))
            return search.nbest(search.drain(state), count)
        lines = [open_line(self._engine, None) for _ in wavs]
        for start in range(0, max(wav.numel() for wav in wavs), packet):
            lines = advance(self._engine, lines, [wav[start : start + packet] for wav in wavs])
        ended = close(self._engine, lines)
        return [search.nbest(line.search, count)[0] for line in ended]

    def _result(self, hypothesis: Hypothesis, start: int, end: int) -> Result:
        """A hypothesis with its text; frames from the start of the stream."""
        group = self.head.config.output_subsampling
        words = self.tokens.words(hypothesis.tokens, hypothesis.frames, hypothesis.probs, group, end)
        return Result(
            self.tokens.text(hypothesis.tokens).strip(),
            words,
            hypothesis,
            round(start * FRAME_SECONDS, 3),
            round(end * FRAME_SECONDS, 3),
        )


def _own_lm(model: Model, word: str, name: str) -> Any:
    """The n-gram model of that file name, which a search's settings call ``word``."""
    if name not in model.ngrams:
        raise UserError(
            f"search: `{word}` is an n-gram model of the model's own, and no {name} lies beside its weights: "
            "train it (run.sh --use_ngram true, or xlsrt.bin.train_ngram), or name an ARPA file"
        )
    return model.ngrams[name]


def _device(name: str | torch.device) -> torch.device:
    """A device that is there and that this has been tried on: sums in float64 are not for every one (mps)."""
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError, ValueError):
        raise UserError(f"device {name!r} is none that PyTorch knows: cpu, cuda, cuda:1 ...") from None
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device {name}: the recogniser computes on cpu or cuda (cuda:1 ...); choose one")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device {name}: PyTorch sees {torch.cuda.device_count()} GPUs here; use cpu")
    return device


def _batches(lengths: Sequence[int]) -> Iterable[list[int]]:
    """Indices of recordings of like length, at most `BATCH_SECONDS` with the padding; always at least one."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        if batch and (len(batch) + 1) * lengths[row] > BATCH_SECONDS * SAMPLE_RATE:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
