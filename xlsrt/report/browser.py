"""Data of the error browser: every alignment with word times, and as much sound as fits."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile

from xlsrt.errors import UserError
from xlsrt.report.decodings import Decoded

log = logging.getLogger(__name__)

SAMPLE_RATE = 16000


def browser_data(decoded: Sequence[Decoded], audio_megabytes: float) -> dict[str, Any]:
    """``{decodings: [{name, dataset, utterances: [{utt, pairs}]}], audio: {dataset/utt: data URI}}``.

    A pair is [kind, ref, hyp, start]: seconds at which the recognised word begins, None where unknown.
    """
    decodings = [
        {
            "name": f"{d.dataset}: {d.model}, {d.decoding} ({d.counts.error_rate:.2f} %)",
            "dataset": d.dataset,
            "utterances": _utterances(d),
        }
        for d in decoded
    ]
    return {"decodings": decodings, "audio": _audio(decoded, audio_megabytes * 1e6)}


def word_starts(path: Path) -> dict[str, list[float]]:
    """Start of each word by utterance, from a ``words.ctm``; empty where there is none."""
    starts: dict[str, list[float]] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").split("\n"):
            fields = line.split(" ")
            if len(fields) >= 5:
                starts.setdefault(fields[0], []).append(float(fields[2]))
    return starts


def _utterances(decoded: Decoded) -> list[dict[str, Any]]:
    starts = word_starts(decoded.path / "words.ctm")
    rows = []
    for utt, alignment in decoded.alignments.items():
        times = starts.get(utt, [])
        heard = sum(hyp is not None for _, _, hyp in alignment.pairs)
        following = iter(times if len(times) == heard else [None] * heard)
        pairs = [
            [k, ref, hyp, next(following) if hyp is not None else None] for k, ref, hyp in alignment.pairs
        ]
        rows.append({"utt": utt, "pairs": pairs})
    return rows


def _audio(decoded: Sequence[Decoded], budget: float) -> dict[str, str]:
    """MP3 of the utterances with most errors over all decodings; the sets share the budget."""
    datasets = list(dict.fromkeys(d.dataset for d in decoded))
    audio: dict[str, str] = {}
    for number, dataset in enumerate(datasets):
        share = (budget - sum(map(len, audio.values()))) / (len(datasets) - number)
        systems = [d for d in decoded if d.dataset == dataset]
        errors: dict[str, int] = {}
        for system in systems:
            for utt, alignment in system.alignments.items():
                errors[utt] = errors.get(utt, 0) + alignment.counts.errors
        order = sorted(errors, key=lambda utt: (-errors[utt], utt))
        try:
            audio.update(_sounds(systems[0], order, share))
        except UserError as error:
            log.warning("the page has no sound of %s: %s", dataset, error)
    return audio


def _sounds(decoded: Decoded, order: Sequence[str], budget: float) -> dict[str, str]:
    from xlsrt.decoding.sets import DataDir, load_samples, read_set

    if "data_dir" not in decoded.facts or budget <= 0:
        return {}
    data = DataDir(decoded.facts["data_dir"])
    entries = {entry.name: entry for entry in read_set(data.path)}
    sounds: dict[str, str] = {}
    used = 0
    for utt in order:
        # About 4 kB a second: not worth reading what will not fit.
        if utt not in entries or used + entries[utt].num_samples / SAMPLE_RATE * 5000 > budget:
            continue
        buffer = io.BytesIO()
        samples = load_samples(data, entries[utt])
        soundfile.write(buffer, samples, SAMPLE_RATE, format="MP3", subtype="MPEG_LAYER_III")
        uri = "data:audio/mpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
        if used + len(uri) > budget:
            continue
        used += len(uri)
        sounds[f"{decoded.dataset}/{utt}"] = uri
    return sounds
