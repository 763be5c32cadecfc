"""Which files a model is made of: an experiment's, a packed folder's or a zip's. Loads no torch."""

from __future__ import annotations

from pathlib import Path

from xlsrt.errors import UserError

SETTINGS, WEIGHTS = "model.json", "model.safetensors"
"""Of a packed model."""
MODEL_FILES = ("valid.*.ave.pth", "valid.*.ave_*best.pth", "valid.*.best.pth", "latest.pth")
"""Where `model_file=None` looks, in this order; of several files of one kind the newest."""


def is_pack(path: Path) -> bool:
    """Whether ``path`` is a packed model's folder or a zip."""
    return (path / SETTINGS).is_file() or (path.is_file() and path.suffix == ".zip")


def check_model_file(path: Path, model_file: str | None) -> None:
    """Refuse to choose among the checkpoints of a packed model, which has but one.

    Its own file may be named: ``decoding.json`` does so.
    """
    if model_file is not None and is_pack(path) and model_file not in (WEIGHTS, path.name):
        raise UserError(
            f"{path} is a packed model with one set of weights: leave model_file ({model_file}) out, or give "
            "the experiment directory that it was packed from"
        )


def find_weights(directory: Path, model_file: str | None) -> Path:
    """The weights file that ``model_file`` means."""
    if model_file is not None:
        named = Path(model_file)
        for path in (directory / named, directory / f"{model_file}.pth", named):
            if path.is_file():
                return path
        present = ", ".join(sorted(path.name for path in directory.glob("*.pth"))) or "none"
        raise UserError(f"{directory} has no model file {model_file}; present: {present}")
    for pattern in MODEL_FILES:
        found = [path for path in directory.glob(pattern) if path.is_file()]
        if found:
            return max(found, key=lambda path: (path.stat().st_mtime, path.name))
    raise UserError(
        f"{directory} holds no weights ({', '.join(MODEL_FILES)}); train first or name model_file"
    )


def model_files(path: Path, model_file: str | None) -> list[Path]:
    """The files that decide a model's answers, weights first.

    Raises:
        UserError: as `check_model_file` and `find_weights`.
    """
    check_model_file(path, model_file)
    if not is_pack(path):
        return [find_weights(path, model_file), path / "config.yaml"]
    if path.is_file():
        return [path]
    others = sorted(file for file in path.iterdir() if file.is_file() and file.name != WEIGHTS)
    return [path / WEIGHTS, *others]
