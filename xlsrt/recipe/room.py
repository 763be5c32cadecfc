"""Whether the disks have room for what a run will write, told before it begins.

What trainings leave is counted from below: where not even that fits, the run is refused. What stage 2 will
write is estimated, and a warning. Quotas are not seen here; the write that meets one says so (`xlsrt.files`).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xlsrt.data.forecast import audio_bytes
from xlsrt.errors import UserError

GB = 1e9
_FLOAT = 4


def model_bytes(settings: Mapping[str, Any], parameters: int) -> int:
    """The least that a training leaves on disk: its best models, their average, and the last checkpoint with
    the optimiser's two moments.

    Args:
        settings: all of the training's. parameters: that the model has at least.
    """
    keep, patience = settings["keep_nbest_models"], settings["patience"]
    most = keep if isinstance(keep, int) else max(keep, default=1)
    # It gives up after so many epochs at the earliest.
    epochs = min(settings["max_epoch"], settings["max_epoch"] if patience is None else patience + 1)
    # Other optimisers may hold less, and parameters that do not learn have no moments.
    moments = 2 if settings["optim"] in ("adam", "adamw") and not settings["freeze_param"] else 0
    return _FLOAT * parameters * (max(1, min(most, epochs)) + 1 + 1 + moments)


def still_to_write(least: int, exp_dir: Path) -> int:
    """Of the ``least`` bytes of a training, those that do not lie in its folder yet."""
    return max(0, least - sum(path.stat().st_size for path in exp_dir.glob("*.pth") if not path.is_symlink()))


def check_models_fit(folder: Path, needed: int) -> None:
    """Refuse trainings whose models cannot all fit. folder: that of the experiments. needed: bytes."""
    free = free_bytes(folder)
    if needed > free:
        raise UserError(
            f"--expdir {folder}: the models of these trainings take at least {_gb(needed)}, and {_gb(free)} "
            "are free there: make room, choose another place (--expdir), keep fewer models "
            "(keep_nbest_models in --train_config), or train fewer stages at a time (--stop_stage)"
        )


def warn_of_audio(dumpdir: Path, data: Path, options: Mapping[str, str], exp: Path, models: int = 0) -> None:
    """Say so if the formatted audio will hardly fit.

    Args:
        data: folder of the sets. options: of run.sh. exp: that of the experiments, where ``models`` bytes
            will be written, perhaps to the same disk.
    """
    others = f"{options.get('valid_set', '')} {options.get('test_sets', '')}".split()
    speeds = [float(word) for word in options.get("speed_perturb_factors", "").split()]
    needed = 0.0
    for number, name in enumerate(dict.fromkeys([options.get("train_set", ""), *others])):
        factors = [] if number else speeds
        out = dumpdir / "raw" / f"{name}{'_sp' if factors else ''}"
        if not (out / "wav.scp").exists():
            needed += audio_bytes(data / name, options.get("audio_format", "auto"), factors or [1.0])
    models = models if _disk(dumpdir) == _disk(exp) else 0
    free = free_bytes(dumpdir) - models
    if needed > free:
        also = f" beside {_gb(models)} of models" if models else ""
        print(
            f"warning: --dumpdir {dumpdir}: stage 2 will write about {_gb(needed)} of audio, and {_gb(free)} "
            f"are free there{also}: make room, or choose another place (--dumpdir)",
            file=sys.stderr,
        )


def free_bytes(folder: Path) -> int:
    """Of the disk that a folder lies on, or will lie on."""
    return shutil.disk_usage(_existing(folder)).free


def _disk(folder: Path) -> int:
    return _existing(folder).stat().st_dev


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _gb(size: float) -> str:
    return f"{max(0.0, size) / GB:.1f} GB"
