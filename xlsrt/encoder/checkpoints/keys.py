"""Parameter names: every family's names translated into ours, and the names that are skipped by declaration.

Ours are those of Hugging Face's ``Wav2Vec2Model`` with the position convolution's weight norm in its
parametrised form. A translator takes a name of the file and returns our name, or None where `SKIPPED`
declares it as not ours to load; a name it does not know comes back as it stands in the file, for the
comparison with the encoder to report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial

Translator = Callable[[str], "str | None"]

#: Names that belong to pretraining or to a head above the encoder, per family. Everything else must match.
SKIPPED: dict[str, tuple[str, ...]] = {
    "hf": (
        r"quantizer\.",
        r"project_q\.",
        r"project_hid\.",
        r"lm_head\.",
        r"adapter\.",
        r"projector\.",
        r"classifier\.",
        r"layer_weights$",
        r"tdnn\.",
        r"objective\.",
    ),
    "torchaudio": (r"aux\.",),
    "fairseq": (
        r"quantizer\.",
        r"project_q\.",
        r"final_proj\.",
        r"target_glu\.",
        r"proj\.",
        r"label_embs_concat$",
    ),
    "experiment": (r"(?!encoder\.xlsr\.)",),
}

#: Parameters that a checkpoint may lack: they are used by training's masking alone.
OPTIONAL = frozenset({"masked_spec_embed"})

#: Where the encoder sits in the state dict of one of our experiments.
EXPERIMENT_PREFIX = "encoder.xlsr."

_POSITION = "encoder.pos_conv_embed.conv."
_WEIGHT_NORM = {
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}
_HF_PREFIX = "wav2vec2."
_WRAPPERS = re.compile(r"(wav2vec2|model|w2v_encoder|w2v_model)\.")
_TORCHAUDIO_MARK = "encoder.transformer."
_FAIRSEQ_MARK = "encoder.pos_conv.0."


def is_torchaudio(names: Iterable[str]) -> bool:
    """Whether these are the names of torchaudio's ``Wav2Vec2Model``."""
    return any(_TORCHAUDIO_MARK in name for name in names)


def is_experiment(names: Iterable[object]) -> bool:
    """Whether these are the names of a model trained by this recipe."""
    return any(str(name).startswith(EXPERIMENT_PREFIX) for name in names)


def is_fairseq(names: Iterable[object]) -> bool:
    """Whether these are the names of fairseq's ``Wav2Vec2Model``."""
    return any(_FAIRSEQ_MARK in str(name) for name in names)


def translator(family: str, names: Iterable[str]) -> Translator:
    """The translator of ``family`` (a key of `SKIPPED`), fitted to the prefix that ``names`` carry."""
    if family == "hf":
        return partial(_hf, prefixed=any(name.startswith(_HF_PREFIX) for name in names))
    return {"torchaudio": _torchaudio, "fairseq": _fairseq, "experiment": _experiment}[family]


def summarise(names: Iterable[str]) -> str:
    """Skipped names as a short list: ``quantizer.* (3), lm_head.* (2)``."""
    counts: dict[str, int] = {}
    for name in names:
        head, dot, _ = _WRAPPERS.sub("", name).partition(".")
        label = head + (".*" if dot else "")
        counts[label] = counts.get(label, 0) + 1
    return ", ".join(f"{label} ({count})" for label, count in counts.items())


def _skipped(family: str, name: str) -> bool:
    return any(re.match(pattern, name) for pattern in SKIPPED[family])


def _weight_norm(name: str) -> str:
    """``weight_g``/``weight_v`` of the old weight norm under the names of the parametrised one."""
    if name.startswith(_POSITION):
        tail = name.removeprefix(_POSITION)
        return _POSITION + _WEIGHT_NORM.get(tail, tail)
    return name


def _hf(name: str, prefixed: bool) -> str | None:
    inside = name.removeprefix(_HF_PREFIX)
    if prefixed and not name.startswith(_HF_PREFIX):
        # The x-vector head is called "feature_extractor"; beside a prefixed encoder nothing confuses the two.
        is_xvector = re.fullmatch(r"feature_extractor\.(weight|bias)", name)
        return None if is_xvector or _skipped("hf", name) else f"{name} (outside of {_HF_PREFIX}*)"
    return None if _skipped("hf", inside) else _weight_norm(inside)


def _torchaudio(name: str) -> str | None:
    inside = name.removeprefix("model.")
    if _skipped("torchaudio", inside):
        return None
    inside = re.sub(r"^encoder\.feature_projection\.", "feature_projection.", inside)
    inside = re.sub(r"^encoder\.transformer\.", "encoder.", inside)
    return _weight_norm(inside)


#: fairseq's module tree has numbers where others have names: ``conv_layers.3.2.1`` is layer 3's norm. In
#: order, the first that matches is taken (https://github.com/facebookresearch/fairseq,
#: fairseq/models/wav2vec/wav2vec2.py).
_FAIRSEQ: tuple[tuple[str, str], ...] = (
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.(weight|bias)", r"feature_extractor.conv_layers.\1.conv.\2"),
    (
        r"feature_extractor\.conv_layers\.0\.2\.(weight|bias)",
        r"feature_extractor.conv_layers.0.layer_norm.\1",
    ),
    (
        r"feature_extractor\.conv_layers\.(\d+)\.2\.1\.(weight|bias)",
        r"feature_extractor.conv_layers.\1.layer_norm.\2",
    ),
    (r"post_extract_proj\.(weight|bias)", r"feature_projection.projection.\1"),
    (r"layer_norm\.(weight|bias)", r"feature_projection.layer_norm.\1"),
    (r"mask_emb", r"masked_spec_embed"),
    (r"encoder\.pos_conv\.0\.(.+)", _POSITION + r"\1"),
    (
        r"encoder\.layers\.(\d+)\.self_attn\.([kvq]_proj|out_proj)\.(weight|bias)",
        r"encoder.layers.\1.attention.\2.\3",
    ),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.(weight|bias)", r"encoder.layers.\1.layer_norm.\2"),
    (r"encoder\.layers\.(\d+)\.fc1\.(weight|bias)", r"encoder.layers.\1.feed_forward.intermediate_dense.\2"),
    (r"encoder\.layers\.(\d+)\.fc2\.(weight|bias)", r"encoder.layers.\1.feed_forward.output_dense.\2"),
    (r"encoder\.layers\.(\d+)\.final_layer_norm\.(weight|bias)", r"encoder.layers.\1.final_layer_norm.\2"),
    (r"encoder\.layer_norm\.(weight|bias)", r"encoder.layer_norm.\1"),
)


def _fairseq(name: str) -> str | None:
    # Fine-tuned models wrap the pretrained one: w2v_encoder.w2v_model.encoder..., beside w2v_encoder.proj.
    inside = name.removeprefix("w2v_encoder.").removeprefix("w2v_model.")
    if _skipped("fairseq", inside):
        return None
    for pattern, replacement in _FAIRSEQ:
        match = re.fullmatch(pattern, inside)
        if match:
            return _weight_norm(match.expand(replacement))
    return f"{name} (unknown to this reader)"


def _experiment(name: str) -> str | None:
    return None if _skipped("experiment", name) else name.removeprefix(EXPERIMENT_PREFIX)
