"""So many hours of a set, spread evenly over its speakers: the low-resource setting."""

from __future__ import annotations

import hashlib
import heapq
import logging
import math
import os
from collections import defaultdict
from pathlib import Path

from xlsrt.data.kaldi import DataDir
from xlsrt.data.speeds import original_names
from xlsrt.data.tables import load_table
from xlsrt.errors import UserError
from xlsrt.units import SAMPLE_RATE

log = logging.getLogger(__name__)


def choose_hours(source: str | os.PathLike[str], hours: float) -> list[str]:
    """Utterances of a dump that make ``hours`` together, at most one utterance less.

    The speaker with the least chosen so far gives the next utterance, in an order that depends on its name
    alone: the same set always gives the same choice, and a smaller one is part of a larger one. Copies at
    other speeds (``sp0.9-...``) come along with their original and do not count.

    Raises:
        UserError: ``hours`` is no number above 0, less than the first utterance, or lengths are not known.
    """
    if not 0 < hours < math.inf:
        raise UserError(f"--hours {hours:g}: give a number above 0")
    data = DataDir(source)
    data.require("utt2spk", "utt2num_samples")
    lengths = _lengths(data.path / "utt2num_samples")
    copies: dict[str, list[str]] = defaultdict(list)
    queues: dict[str, list[str]] = defaultdict(list)
    for utt, speaker in load_table(data.path / "utt2spk").items():
        original, voice = original_names(utt, speaker)
        if original not in copies:
            queues[voice].append(original)
        copies[original].append(utt)
    for queue in queues.values():
        queue.sort(key=lambda utt: hashlib.sha256(utt.encode()).digest(), reverse=True)
    unknown = [utt for utt, own in copies.items() if not any(one in lengths for one in own)]
    if unknown:
        raise UserError(
            f"{data.path}/utt2num_samples: {len(unknown)} utterances of utt2spk are missing, such as "
            f"{unknown[0]}: format the set anew (stage 2), or mend it with utils/fix_data_dir.sh"
        )
    wanted = round(hours * 3600 * SAMPLE_RATE)
    heap = [(0, speaker) for speaker in sorted(queues)]
    chosen: list[str] = []
    heard: set[str] = set()
    total = 0
    while heap:
        spoken, speaker = heapq.heappop(heap)
        utt = queues[speaker].pop()
        samples = (
            lengths[utt] if utt in lengths else max(lengths[copy] for copy in copies[utt] if copy in lengths)
        )
        if total + samples > wanted:
            break
        total += samples
        chosen += copies[utt]
        heard.add(speaker)
        if queues[speaker]:
            heapq.heappush(heap, (spoken + samples, speaker))
    else:
        if total < wanted:
            has = total / SAMPLE_RATE / 3600
            log.warning("%s: has only %.2f hours, not %g: all of it is used", data.path, has, hours)
    if not chosen:
        raise UserError(f"--hours {hours:g}: less than the first utterance of {data.path}; give more")
    hours_found = total / SAMPLE_RATE / 3600
    log.info("%s: %d utterances of %d speakers, %.3f hours", data.path, len(chosen), len(heard), hours_found)
    return chosen


def _lengths(path: Path) -> dict[str, int]:
    """Samples of each utterance."""
    lengths = {}
    for utt, value in load_table(path).items():
        if not value.isdecimal():
            raise UserError(f"{path}: utterance '{utt}' has {value!r} samples; a whole number is needed")
        lengths[utt] = int(value)
    return lengths
