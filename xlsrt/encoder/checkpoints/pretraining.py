"""The parts of a checkpoint that pretraining alone needs: quantiser and projections of wav2vec 2.0.

`fill` skips them. Their names here are those of Hugging Face's ``Wav2Vec2ForPreTraining``.
"""

from __future__ import annotations

import os
import re

from torch import Tensor

from xlsrt.encoder.checkpoints.source import open_source
from xlsrt.errors import UserError

NAMES = (
    "quantizer.codevectors",
    "quantizer.weight_proj.weight",
    "quantizer.weight_proj.bias",
    "project_q.weight",
    "project_q.bias",
    "project_hid.weight",
    "project_hid.bias",
)
_FAIRSEQ = {"quantizer.vars": "quantizer.codevectors", "final_proj.weight": "project_hid.weight"}
_FAIRSEQ["final_proj.bias"] = "project_hid.bias"
_WRAPPERS = re.compile(r"^(w2v_encoder\.|w2v_model\.)+")


def load_heads(source: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Quantiser and projections of ``source`` (Hugging Face or fairseq), in float32, by `NAMES`.

    Raises:
        UserError: the source cannot be read, or it holds the encoder without them.
    """
    checkpoint = open_source(source, {})
    found: dict[str, Tensor] = {}
    for name, tensor in checkpoint.read().items():
        inside = _WRAPPERS.sub("", name)
        inside = _FAIRSEQ.get(inside, inside) if checkpoint.family == "fairseq" else inside
        if inside in NAMES:
            found[inside] = tensor.float().clone()
    if missing := [name for name in NAMES if name not in found]:
        have = "it has no part of it" if not found else f"it lacks {', '.join(missing)}"
        raise UserError(
            f"{source}: the contrastive objective goes on with a checkpoint's quantiser, and {have}. "
            "Take a checkpoint that still has its quantiser (Hugging Face's Wav2Vec2ForPreTraining, "
            "or fairseq's pretraining file; torchaudio's bundles and fine-tuned models have lost it), or "
            "train with objective: best_rq"
        )
    return found
