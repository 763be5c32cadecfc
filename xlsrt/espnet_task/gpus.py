"""The GPUs of a training: whether those asked for are there, and which is a rank's."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from xlsrt.errors import UserError


def check_gpus(wanted: int) -> None:
    """Refuse more GPUs than torch sees on this machine.

    Raises:
        UserError: there are fewer.
    """
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if seen < wanted:
        raise UserError(
            f"{wanted} GPUs are wanted (--ngpu, --gpu_inference) and torch sees {seen} on this machine: use "
            "--ngpu 0 and --gpu_inference auto, or mend the driver (nvidia-smi)"
        )


def local_rank(given: int | None, launcher: str | None, ngpu: int, environ: Mapping[str, str]) -> int | None:
    """``--local_rank``, the number of this rank's GPU, or 0 where ESPnet would fail to find it.

    Of a rank started by hand ESPnet reads it from CUDA_VISIBLE_DEVICES, as a number. That is none where it is
    empty (no GPU, as CPU ranks may be told) or holds an identifier (``GPU-...``, ``MIG-...``).

    Args:
        given: as set. launcher: ``--dist_launcher``. ngpu: GPUs of this process. environ: its variables.
    """
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    told = given is not None or launcher is not None or "LOCAL_RANK" in environ
    if told or visible is None or "," in visible or (ngpu > 0 and visible.isdigit()):
        return given
    return 0
