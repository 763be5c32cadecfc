"""Names of copies at other speeds, as Kaldi's perturb_data_dir_speed gives them."""

from __future__ import annotations

import re

_PREFIX = re.compile(r"sp\d+(?:\.\d+)?-")


def prefix_of(speed: float) -> str:
    """What an utterance's and a speaker's name at this speed begins with: ``sp0.9-``; nothing at 1.0."""
    return "" if speed == 1.0 else f"sp{speed:g}-"


def original_names(utt: str, speaker: str) -> tuple[str, str]:
    """Both names without that. It stands before both or it is none: ``sp1-001`` may be what ``sp1`` says."""
    found = _PREFIX.match(utt)
    if found is None or not speaker.startswith(found[0]):
        return utt, speaker
    return utt[found.end() :], speaker[found.end() :]
