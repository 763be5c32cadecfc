"""Whether the GPUs that are asked for are there."""

from __future__ import annotations

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
