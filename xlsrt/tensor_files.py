"""Files of tensors, written whole and read without running code of theirs: safetensors, PyTorch's.

A file may be damaged, a web server's page or an attack. It ends in a `UserError` that names it and the way
out: what the caller says as ``way_out``, or to fetch it again.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.files import atomic_open

_FETCH = "fetch it again"
_RESAVE = "use a .safetensors version, or re-save its state dict alone with torch.save"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_REFUSED = re.compile(r"(Unsupported|GLOBAL|Trying to call)(?:(?! Please use)[^\n]){0,100}")
_LFS_MARK = b"version https://git-lfs"
_LISTED = 12


class NotWeightsOnly(UserError):
    """A PyTorch file whose pickle holds more than tensors and plain containers."""


def check_readable(path: Path, way_out: str = _FETCH) -> None:
    """Refuse what is there in name only: no file, an empty one, a Git LFS pointer instead of the weights."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            _check_head(file.read(len(_LFS_MARK)), path, way_out)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): make it readable, or {way_out}") from None


def _check_head(head: bytes, name: object, way_out: str) -> None:
    if not head:
        raise UserError(f"{name} is empty: {way_out}")
    if head.startswith(_LFS_MARK):
        raise UserError(
            f"{name} is a Git LFS pointer, not the weights: run `git lfs pull` there, or fetch the file "
            "itself"
        )


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file by name."""
    check_readable(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except SafetensorError as error:
        raise damaged(path, path.stat().st_size, error) from None


def check_safetensors(path: Path) -> None:
    """Refuse a safetensors file that is missing or cut off; tensors are not read."""
    check_readable(path)
    try:
        with safe_open(path, framework="pt"):
            pass
    except SafetensorError as error:
        raise damaged(path, path.stat().st_size, error) from None


def parse_safetensors(content: bytes, name: str, way_out: str = _FETCH) -> dict[str, Tensor]:
    """All tensors in the bytes of a safetensors file; ``name`` stands for it in errors."""
    _check_head(content[: len(_LFS_MARK)], name, way_out)
    try:
        return safetensors.torch.load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise damaged(name, len(content), error, way_out) from None


def read_torch(path: Path, way_out: str | None = None, mapped: bool = True) -> Any:
    """What ``torch.load`` gives with ``weights_only=True``, on the CPU.

    Args:
        mapped: tensors stay in the file until they are used: a config read from shapes costs no reading of
            tensors, and loading no second copy. False for what outlives the file or is changed in place.

    Raises:
        NotWeightsOnly: the pickle wants more than tensors and plain containers.
        UserError: the file is missing, damaged or of another kind.
    """
    check_readable(path, way_out or _FETCH)
    is_archive = False
    try:
        is_archive = zipfile.is_zipfile(path)
        if is_archive:
            with zipfile.ZipFile(path) as archive:
                check_no_script(path, archive)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and is_archive)
    except UserError:
        raise
    except Exception as error:
        # Any bytes may come: whatever they make the pickle machine raise, it is the file that is wrong.
        if not isinstance(error, pickle.UnpicklingError) or not (is_archive or _is_pickle(path)):
            raise damaged(path, path.stat().st_size, error, way_out or _FETCH) from None
        raise NotWeightsOnly(
            f"{path}: its pickle holds objects other than tensors, which are not loaded because unpickling "
            f"them can run code ({first_line(error)}): {way_out or _RESAVE}"
        ) from None


def write_torch(path: Path, content: Any) -> None:
    """``torch.save`` of tensors and plain values: a kill leaves the old file.

    Raises:
        UserError: the disk or the quota is full, or there is no permission to write.
    """
    with atomic_open(path, "wb") as stream:
        try:
            torch.save(content, stream)
        except RuntimeError as error:
            # torch's writer ends its archive whatever happened, and fails at that with an error of its own.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def check_no_script(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse an archive of TorchScript."""
    if any(name.endswith("/constants.pkl") for name in archive.namelist()):
        raise UserError(f"{path} is a TorchScript archive, which holds code: use the model it was made from")


def _is_pickle(path: Path) -> bool:
    """Whether a file begins as pickles of torch's do; a page of a web server does not."""
    with path.open("rb") as file:
        return file.read(1) == b"\x80"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of one file, safetensors or PyTorch by its name."""
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    return tensors_of(read_torch(path), path)


def read_model(path: Path, way_out: str) -> dict[str, Tensor]:
    """The state dict that is a model file, or lies under ``model`` in a trainer's checkpoint."""
    content = read_torch(path, way_out)
    inner = content.get("model") if isinstance(content, Mapping) else None
    return tensors_of(inner if isinstance(inner, Mapping) else content, path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A trainer's checkpoint to go on with: a dict of tensors and plain values."""
    way_out = "delete it to start without it, or restore a copy"
    content = read_torch(path, way_out, mapped=False)
    if not isinstance(content, dict):
        raise UserError(f"{path} is no checkpoint, it holds a {type(content).__name__}: {way_out}")
    return content


def tensors_of(content: Any, path: Path) -> dict[str, Tensor]:
    """``content`` as a flat dict of tensors; `UserError` where it is anything else."""
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{path} holds a {type(content).__name__}, expected a state dict: names with tensors")
    odd = [
        str(name)
        for name, value in content.items()
        if not isinstance(name, str) or not isinstance(value, Tensor)
    ]
    if odd:
        raise UserError(f"{path} is not a state dict: {odd[:5]} are not tensors")
    return dict(content)


def check_finite(tensors: Mapping[str, Tensor], name: str) -> None:
    """Refuse NaN and infinity in floating-point tensors; ``name`` is whose they are."""
    # A sum is finite only if all its terms are, and much cheaper; a finite tensor's may overflow.
    broken = [
        key
        for key, tensor in tensors.items()
        if tensor.is_floating_point()
        and not (torch.isfinite(tensor.sum(dtype=torch.float32)) or torch.isfinite(tensor).all())
    ]
    if broken:
        raise UserError(
            f"{name}: NaN or infinite values in {listed(broken)}: the training has gone wrong or the file is "
            "damaged; take another checkpoint"
        )


def misfits(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """How names and shapes differ, for a message; nothing where they do not."""
    shapes = [
        f"{name} {tuple(tensor.shape)} instead of {tuple(wanted[name].shape)}"
        for name, tensor in found.items()
        if name in wanted and tensor.shape != wanted[name].shape
    ]
    differences = {
        "missing": [name for name in wanted if name not in found],
        "unexpected": [name for name in found if name not in wanted],
        "of another shape": shapes,
    }
    return "; ".join(f"{len(names)} {what}: {listed(names)}" for what, names in differences.items() if names)


def listed(names: list[str]) -> str:
    """The first names and how many more there are."""
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def damaged(name: object, size: int, error: Exception, way_out: str = _FETCH) -> UserError:
    """The error for a file of ``size`` bytes that its reader gave up on with ``error``."""
    return UserError(
        f"{name} ({size} bytes) cannot be read, it is damaged, cut off or of another format: {way_out} "
        f"({first_line(error)})"
    )


def first_line(error: Exception) -> str:
    """What an error says, without PyTorch's advice to let files run code."""
    text = _COLOURS.sub("", str(error)).strip()
    if refused := _REFUSED.search(text):  # PyTorch's advice before it is to switch the check off
        return refused.group(0)
    return text.splitlines()[0][:200] if text else type(error).__name__
