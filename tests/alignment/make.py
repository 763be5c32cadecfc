"""A model of letters, with a CTC head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.recognizer.make import make_exp

LETTERS = ["<blank>", "<unk>", "<space>", *"abcdefghi", "<sos/eos>"]


def letter_model(path: Path, **more: Any) -> Path:
    """An experiment as `make_exp` makes it."""
    return make_exp(path, token_list=LETTERS, token_type="char", **more)
