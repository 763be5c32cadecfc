"""What a checkpoint holds beside tensors, as plain values: reading them runs no code."""

from __future__ import annotations

import datetime
import logging
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def plain_stats(stats: Mapping[int, Any]) -> dict[int, Any]:
    """ESPnet's reporter stats (numpy numbers, timedeltas) as values that `read_checkpoint` reads."""
    return {
        int(epoch): {
            phase: {
                key: {"seconds": value.total_seconds()}
                if isinstance(value, datetime.timedelta)
                else (int(value) if key == "total_count" else float(value))
                for key, value in values.items()
            }
            for phase, values in phases.items()
        }
        for epoch, phases in stats.items()
    }


def reporter_stats(plain: Mapping[int, Any]) -> dict[int, Any]:
    """Undo `plain_stats`."""
    return {
        epoch: {
            phase: {
                key: datetime.timedelta(seconds=value["seconds"]) if isinstance(value, dict) else value
                for key, value in values.items()
            }
            for phase, values in phases.items()
        }
        for epoch, phases in plain.items()
    }


def random_state() -> dict[str, Any]:
    """Where the process's random generators stand."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    assert kind == "MT19937"
    version, numbers, pending = random.getstate()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": {
            "keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "gauss": float(gauss),
        },
        "python": {
            "version": version,
            "numbers": torch.tensor(numbers, dtype=torch.int64),
            "pending": pending,
        },
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Undo `random_state`."""
    torch.set_rng_state(state["torch"].cpu())
    numpy_state = state["numpy"]
    keys = numpy_state["keys"].cpu().numpy().astype(np.uint32)
    np.random.set_state(
        ("MT19937", keys, numpy_state["position"], numpy_state["has_gauss"], numpy_state["gauss"])
    )
    python = state["python"]
    random.setstate((python["version"], tuple(python["numbers"].tolist()), python["pending"]))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
    logging.debug("random generators restored")
