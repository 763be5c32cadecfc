"""A model of letters, with a CTC head, and recordings to align with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import soundfile

from tests.recognizer.make import make_exp, noise

LETTERS = ["<blank>", "<unk>", "<space>", *"abcdefghi", "<sos/eos>"]


def letter_model(path: Path, **more: Any) -> Path:
    """An experiment as `make_exp` makes it."""
    return make_exp(path, token_list=LETTERS, token_type="char", **more)


def three_recordings(folder: Path) -> Path:
    """Two utterances that can be aligned, and one, u3, whose words do not fit into it."""
    folder.mkdir(parents=True)
    for utt, seconds in (("u1", 2.0), ("u2", 1.0), ("u3", 0.1)):
        soundfile.write(folder / f"{utt}.wav", noise(seconds, seed=int(utt[1])).numpy(), 16000)
    names = ("u1", "u2", "u3")
    (folder / "wav.scp").write_text("".join(f"{utt} {folder / utt}.wav\n" for utt in names))
    (folder / "utt2spk").write_text("".join(f"{utt} {utt}\n" for utt in names))
    (folder / "text").write_text("u1 bad cab\nu2 a\nu3 aabbccdd\n")
    return folder
