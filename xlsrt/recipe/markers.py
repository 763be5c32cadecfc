"""Done-markers: a step that succeeded leaves a file with a fingerprint of everything that it was made from.

A step is skipped when its marker holds the fingerprint that it would have now. The fingerprint covers the
command (without options that change only speed), the content of the input files, and the version of our code
for that kind of step. A marker is itself an input of later steps, so that a change travels down the recipe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from xlsrt.errors import UserError
from xlsrt.files import write_text

# Raise the number of a kind when its output changes for the same input: everything after it is then redone.
STEP_VERSIONS = {
    "data": 2,
    "format": 1,
    "tokens": 1,
    "ngram": 1,
    "shapes": 1,
    "train": 1,
    "decode": 1,
    "score": 2,
    "report": 2,
    "pack": 1,
}

# Stages of run.sh that make files which others start from.
_MADE_BY = {
    "data/*/*": "stage 1",
    "raw/*/*": "stage 2",
    "token_list/*/*": "stage 3",
    "asr_stats_*/*/*": "stage 4",
    "*_stage*/.done": "the stage (5 to 9) that trains it",
    "*_stage*/*/*/.decoded": "stage 10",
    "*_stage*/*/*/text": "stage 10",
    "*_stage*/*/*/score_*/*": "stage 11",
}

# Options that change how fast a result comes, not the result. Their value, if they have one, follows them.
SPEED_OPTIONS = {
    "--nj",
    "--ngpu",
    "--num_workers",
    "--cmd",
    "--log",
    "--num_nodes",
    "--init_file_prefix",
    "--log_interval",
}


def relevant_command(command: Sequence[str]) -> list[str]:
    """The command without interpreter path and without speed options."""
    kept: list[str] = []
    skip_value = False
    for index, word in enumerate(command):
        if skip_value:
            skip_value = False
        elif word in SPEED_OPTIONS:
            skip_value = True
        elif index == 0:
            kept.append(Path(word).name if "python" not in Path(word).name else "python")
        else:
            kept.append(word)
    return kept


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def fingerprint(kind: str, words: Sequence[str], inputs: Iterable[str | Path]) -> str:
    """What a step's result depends on, as one hash. An input that is missing is a `UserError`.

    Args:
        kind: key of `STEP_VERSIONS`. words: the settings, or the `relevant_command`. inputs: files.
    """
    digest = hashlib.sha256(f"{kind} {STEP_VERSIONS[kind]}\n".encode())
    digest.update(json.dumps(list(words)).encode())
    for path in map(Path, inputs):
        if not path.is_file():
            stage = next((stage for part, stage in _MADE_BY.items() if path.match(part)), None)
            which = f"run {stage} first" if stage else "the stage that makes it has not been run"
            raise UserError(f"{path}: no such file; {which} (see run.sh --help)")
        digest.update(f"{path.name} {file_digest(path)}\n".encode())
    return digest.hexdigest()


def read_marker(path: Path) -> dict[str, Any]:
    """The marker's content; empty when there is none or it cannot be read as one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_marker(path: Path, content: dict[str, Any]) -> None:
    """Write a marker so that it is there whole or not at all."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def is_done(marker: Path, wanted: str, outputs: Iterable[str | Path] = ()) -> bool:
    """Whether the step has been done with this fingerprint and its outputs are still there."""
    return read_marker(marker).get("fingerprint") == wanted and all(Path(path).exists() for path in outputs)
