"""Random weights are not frozen: what the tables freeze in a pretrained encoder would stay noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xlsrt.tree import Tree

_OPTIONS = {"freeze_feature_extractor": False, "freeze_encoder_updates": 0}


def released(settings: Mapping[str, Any]) -> tuple[Tree, str]:
    """Settings of a training from random weights with nothing of the encoder frozen, and what to say of it.

    The second is empty where nothing was frozen; the settings are as they were then.
    """
    found, freed = dict(settings), []
    encoder = dict(settings.get("encoder_conf") or {})
    config = dict(encoder.get("config") or {})
    for key, off in _OPTIONS.items():
        if config.get(key):
            config[key] = off
            freed.append(f"encoder_conf.config.{key}")
    names = list(settings.get("freeze_param") or [])
    if kept := [name for name in names if name.split(".")[0] == "encoder"]:
        found["freeze_param"] = [name for name in names if name not in kept]
        freed.append("freeze_param")
    if not freed:
        return found, ""
    encoder["config"] = config
    found["encoder_conf"] = encoder
    return found, f"the encoder starts from random weights, so nothing of it is frozen: {', '.join(freed)}"
