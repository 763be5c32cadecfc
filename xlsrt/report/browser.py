"""Data of the error browser: every alignment with word times, and as much sound as fits."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from xlsrt.ctm import aligned_by, read_ctm
from xlsrt.data.kaldi import DataDir
from xlsrt.decoding.outputs import WORDS, read_stable
from xlsrt.errors import UserError
from xlsrt.report.decodings import Decoded
from xlsrt.report.names import short_names
from xlsrt.units import SAMPLE_RATE

log = logging.getLogger(__name__)

PEAKS_PER_SECOND = 25
"""Bars of the drawn waveform."""

NAMED = 5
"""How many utterances whose sound cannot be read are named."""

Times = list[list[float]]
"""[start, end] of each word in seconds."""


@dataclass
class Sounds:
    """What is heard of the sets, by ``<dataset>/<utterance>``.

    Attributes:
        audio: MP3 as data URIs. waves: loudest sample of each 40 ms, base64 of one byte each.
        seconds: length of every utterance. said: times of the reference's words, where they are known.
        aligned: by set, the model that found these by forced alignment.
        unread: utterances whose audio could not be read.
    """

    audio: dict[str, str] = field(default_factory=dict)
    waves: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    said: dict[str, Times] = field(default_factory=dict)
    aligned: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    @property
    def no_room(self) -> int:
        """Utterances that are there and did not fit into the page."""
        return len(self.seconds.keys() - self.audio.keys() - set(self.unread))


def browser_data(decoded: Sequence[Decoded], audio_megabytes: float) -> dict[str, Any]:
    """``{decodings: [{name, dataset, context, utterances: [{utt, pairs}]}], chosen, audio, waves, ...}``.

    A pair is [kind, ref, hyp, start, end, stable]: seconds at which the recognised word begins and ends, and
    which the stream had heard when it could not change any more; None where unknown. The context is [chunk,
    left, sinks] in frames. ``chosen`` is the decoding that is shown first, ``audible`` says how many of the
    utterances can be heard. The other fields are those of `Sounds`.
    """
    short = short_names(decoded)
    decodings = [
        {
            "name": f"{d.dataset}: {' '.join(short[d.path])} ({d.counts.error_rate:.1f} %)",
            "dataset": d.dataset,
            "context": _context(d),
            "utterances": _utterances(d),
        }
        for d in decoded
    ]
    sounds = _sounds(decoded, audio_megabytes * 1e6)
    audible = _audible(decoded, sounds)
    return {"decodings": decodings, "chosen": first_shown(decoded), "audible": audible, **vars(sounds)}


def first_shown(decoded: Sequence[Decoded]) -> int:
    """The best streaming decoding of the first set, or its best one."""

    def rank(index: int) -> tuple[bool, float]:
        context = decoded[index].context
        return context is None or context.is_full, decoded[index].counts.error_rate

    return min((i for i, d in enumerate(decoded) if d.dataset == decoded[0].dataset), key=rank)


def _audible(decoded: Sequence[Decoded], sounds: Sounds) -> str:
    """How many utterances can be heard, why the others cannot, and what to do about it."""
    utterances = {(d.dataset, utt) for d in decoded for utt in d.alignments}
    said = f"{len(sounds.audio)} of {len(utterances)} can be heard"
    if sounds.no_room:
        said += ", those with most errors first; --audio_megabytes for more"
    if sounds.unread:
        more = ", ..." if len(sounds.unread) > NAMED else ""
        said += (
            f". The sound of {len(sounds.unread)} cannot be read: {', '.join(sounds.unread[:NAMED])}{more}"
        )
    return f"{said}."


def word_times(path: Path) -> dict[str, Times]:
    """Start and end of each word by utterance, from a CTM file; empty where none is or it is damaged."""
    if not path.is_file():
        return {}
    try:
        table = read_ctm(path)
    except UserError as error:
        log.warning("the page has no times of words from %s: %s", path, error)
        return {}
    return {utt: [[start, round(end, 3)] for _, start, end in words] for utt, words in table.items()}


def _context(decoded: Decoded) -> list[int | None] | None:
    context = decoded.context
    return None if context is None else [context.chunk_frames, context.left_frames, context.sink_frames]


def _utterances(decoded: Decoded) -> list[dict[str, Any]]:
    times = word_times(decoded.path / WORDS)
    try:
        stable = read_stable(decoded.path)
    except UserError as error:
        log.warning("the page does not say when words of %s stood: %s", decoded.path, error)
        stable = {}
    rows = []
    for utt, alignment in decoded.alignments.items():
        heard = sum(hyp is not None for _, _, hyp in alignment.pairs)
        spans: Sequence[Sequence[float | None]] = times.get(utt, [])
        ends: Sequence[float | None] = stable.get(utt, [])
        spans = spans if len(spans) == heard else [(None, None)] * heard
        ends = ends if len(ends) == heard else [None] * heard
        following = iter([[*span, end] for span, end in zip(spans, ends, strict=True)])
        pairs = [
            [kind, ref, hyp, *(next(following) if hyp is not None else (None, None, None))]
            for kind, ref, hyp in alignment.pairs
        ]
        rows.append({"utt": utt, "pairs": pairs})
    return rows


def _sounds(decoded: Sequence[Decoded], budget: float) -> Sounds:
    """Of the utterances with most errors over all decodings; the sets share the budget (bytes)."""
    datasets = list(dict.fromkeys(d.dataset for d in decoded))
    sounds = Sounds()
    for number, dataset in enumerate(datasets):
        share = (budget - sum(map(len, sounds.audio.values()))) / (len(datasets) - number)
        systems = [d for d in decoded if d.dataset == dataset]
        folder = next((d.data_dir for d in systems if d.data_dir is not None), None)
        if folder is None:
            continue
        errors: dict[str, int] = {}
        words: dict[str, int] = {}
        for system in systems:
            for utt, alignment in system.alignments.items():
                errors[utt] = errors.get(utt, 0) + alignment.counts.errors
                words[utt] = alignment.counts.ref
        order = sorted(errors, key=lambda utt: (-errors[utt], utt))
        times = next((d.word_times for d in systems if d.word_times is not None), None)
        said = {} if times is None else word_times(times)
        if times is not None and said and (model := aligned_by(times)):
            sounds.aligned[dataset] = model
        try:
            _add_sounds(sounds, dataset, DataDir(folder), {utt: words[utt] for utt in order}, said, share)
        except UserError as error:
            log.warning("the page has no sound of %s: %s", dataset, error)
    return sounds


def _add_sounds(
    sounds: Sounds,
    dataset: str,
    data: DataDir,
    words: Mapping[str, int],
    said: Mapping[str, Times],
    budget: float,
) -> None:
    """Of the utterances in ``words``, each with the number of its words, in this order while they fit.

    said: times of the reference's words.
    """
    from xlsrt.data.waveforms import load_samples, read_set

    entries = {entry.name: entry for entry in read_set(data.path)}
    used = 0
    for utt in words:
        if utt not in entries:
            continue
        key, seconds = f"{dataset}/{utt}", entries[utt].num_samples / SAMPLE_RATE
        sounds.seconds[key] = round(seconds, 3)
        if len(said.get(utt, [])) == words[utt]:
            sounds.said[key] = list(said.get(utt, []))
        # About 4 kB a second: not worth reading what will not fit.
        if used + seconds * 5000 > budget:
            continue
        try:
            samples = load_samples(data, entries[utt])
        except UserError as error:
            log.warning("the page has no sound of %s: %s", key, error)
            sounds.unread.append(key)
            continue
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, SAMPLE_RATE, format="MP3", subtype="MPEG_LAYER_III")
        uri = "data:audio/mpeg;base64," + _base64(buffer.getvalue())
        if used + len(uri) > budget:
            continue
        used += len(uri)
        sounds.audio[key], sounds.waves[key] = uri, _base64(peaks(samples).tobytes())


def peaks(samples: np.ndarray) -> np.ndarray:
    """(S,) -> uint8, the largest magnitude of each 40 ms, 255 for the loudest."""
    width = SAMPLE_RATE // PEAKS_PER_SECOND
    padded = np.pad(np.abs(samples), (0, -len(samples) % width))
    tops = padded.reshape(-1, width).max(axis=1, initial=0.0)
    return np.round(255 * tops / max(float(tops.max(initial=0.0)), 1e-9)).astype(np.uint8)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
