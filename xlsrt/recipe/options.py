"""Values of run.sh's options and places it writes to, looked at before any work."""

from __future__ import annotations

import contextlib
import math
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from xlsrt.errors import UserError

_MODEL = re.compile(r"best|ave|latest\.pth|\d+epoch\.pth|(train|valid)\.\w+\.(best|ave|ave_\d+best)\.pth")
"""What ``--inference_asr_model`` may be before there is a model: the names that ESPnet gives."""


def check_options(values: Mapping[str, str]) -> None:
    """Refuse values that a later stage would stumble over.

    Args:
        values: options of run.sh by name; those that have no rule here pass.

    Raises:
        UserError: names the option, its value and what to write.
    """
    for name, value in values.items():
        wanted = _RULES[name](value) if name in _RULES else None
        if wanted:
            raise UserError(f"--{name} {value}: write {wanted}")
    shortest, longest = (values.get(name) for name in ("min_wav_duration", "max_wav_duration"))
    if shortest and longest and float(shortest) >= float(longest):
        raise UserError(
            f"--min_wav_duration {shortest} --max_wav_duration {longest}: no utterance is longer than the "
            "first and shorter than the second: swap them"
        )


def check_model_choice(choice: str, prefix: str) -> None:
    """``--inference_asr_model``: best, ave, a name that training gives, or a file of an experiment.

    Args:
        prefix: path of the experiments without ``_stage<variant>``.
    """
    path = Path(prefix)
    there = any((folder / choice).is_file() for folder in path.parent.glob(f"{path.name}_stage*"))
    if not _MODEL.fullmatch(choice) and not there:
        raise UserError(
            f"--inference_asr_model {choice}: no {prefix}_stage*/{choice} is there: write ave, best or the "
            "name of such a file"
        )


def check_writable(option: str, folder: Path) -> None:
    """Refuse a folder that cannot be made or written to; what is made to find out is removed again."""
    made: list[Path] = []
    try:
        for path in [*reversed(folder.parents), folder]:
            if not path.is_dir():
                path.mkdir()
                made.append(path)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{option} {folder}: cannot be written ({error.strerror}): choose another place, or mend this one"
        ) from None
    finally:
        for path in reversed(made):
            with contextlib.suppress(OSError):  # another run may have begun to use it
                path.rmdir()


def _one_of(*names: str) -> Callable[[str], str | None]:
    listed = f"{', '.join(names[:-1])} or {names[-1]}"
    return lambda value: None if value in names else listed


def _whole(least: int) -> Callable[[str], str | None]:
    return lambda value: None if value.isdecimal() and int(value) >= least else f"a number from {least} on"


def _seconds(value: str) -> str | None:
    return None if _finite(value) >= 0 else "a number of seconds"


def _hours(value: str) -> str | None:
    return None if value == "all" or _finite(value) > 0 else "a number such as 0.17 or 1, or all"


def _speeds(value: str) -> str | None:
    fit = all(0.5 <= _finite(factor) <= 2.0 for factor in value.split())
    return None if fit else 'factors between 0.5 and 2.0, such as "0.9 1.0 1.1"'


def _finite(text: str) -> float:
    """-1 for what is no finite decimal number."""
    try:
        number = float(text) if re.fullmatch(r"[0-9.]+(e-?\d+)?", text) else -1.0
    except ValueError:
        return -1.0
    return number if math.isfinite(number) else -1.0


_RULES: dict[str, Callable[[str], str | None]] = {
    "audio_format": _one_of("flac", "wav", "flac.ark", "auto"),
    "gpu_inference": _one_of("true", "false", "auto"),
    "use_ngram": _one_of("true", "false", "auto"),
    "train_hours": _hours,
    "speed_perturb_factors": _speeds,
    "min_wav_duration": _seconds,
    "max_wav_duration": _seconds,
    "nbpe": _whole(2),
    "ngram_num": _whole(1),
    "nj": _whole(1),
    "inference_nj": _whole(1),
    "num_splits_asr": _whole(1),
    "seed": _whole(0),
}
