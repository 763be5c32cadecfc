"""The encoders of torchaudio and Hugging Face, of the same size as one of ours, with random weights."""

from __future__ import annotations

from typing import Any

from xlsrt.encoder import XlsrConfig
from xlsrt.errors import UserError


def torchaudio_model(config: XlsrConfig) -> Any:
    """torchaudio's wav2vec 2.0 of the same size."""
    from torchaudio.models import wav2vec2_model

    layers = [
        list(layer) for layer in zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True)
    ]
    model = wav2vec2_model(
        extractor_mode="layer_norm" if config.feat_extract_norm == "layer" else "group_norm",
        extractor_conv_layer_config=layers,
        extractor_conv_bias=config.conv_bias,
        encoder_embed_dim=config.hidden_size,
        encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=config.pos_conv_kernel,
        encoder_pos_conv_groups=config.pos_conv_groups,
        encoder_num_layers=config.num_layers,
        encoder_num_heads=config.num_heads,
        encoder_attention_dropout=0.0,
        encoder_ff_interm_features=config.ffn_size,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_norm_first=config.layer_norm_first,
        encoder_layer_drop=0.0,
        aux_num_out=None,
    )
    return model.eval()


def hugging_face_model(config: XlsrConfig) -> Any:
    """Hugging Face's wav2vec 2.0 of the same size."""
    try:
        from transformers import Wav2Vec2Config, Wav2Vec2Model
    except ImportError:
        raise UserError(
            "case windows needs transformers: install it, or leave the case out of --cases"
        ) from None
    names = {
        "num_hidden_layers": "num_layers",
        "num_attention_heads": "num_heads",
        "intermediate_size": "ffn_size",
    }
    same = ("hidden_size", "conv_dim", "conv_kernel", "conv_stride", "conv_bias", "feat_extract_norm")
    fields = {name: getattr(config, name) for name in same} | {
        k: getattr(config, v) for k, v in names.items()
    }
    return Wav2Vec2Model(Wav2Vec2Config(**fields, do_stable_layer_norm=config.layer_norm_first)).eval()
