"""`XlsrConfig`: every choice that makes an encoder, frozen, with the presets of the XLSR family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xlsrt.errors import UserError
from xlsrt.settings import Settings, as_mapping, typed, types_of
from xlsrt.units import HOP, WINDOW

INPUT_NORMS = ("utterance", "causal", "none")


@dataclass(frozen=True)
class XlsrConfig(Settings):
    """Shape, regularisation and training policy of one wav2vec 2.0 encoder (arXiv 2006.11477, 2111.09296).

    conv_dim, conv_kernel, conv_stride: one entry per layer of the feature extractor (a single ``conv_dim``
        serves all)
    feat_extract_norm: "layer" (XLSR: per frame, streams) or "group" (base models: over time, offline only)
    hidden_size, num_layers, num_heads, ffn_size: the transformer
    pos_conv_kernel, pos_conv_groups: convolutional position embedding
    layer_norm_first: True = pre-norm, HF's "stable layer norm" (XLSR); False = post-norm (base models)
    input_norm: "utterance" (needs the end of the audio), "causal" (statistics so far) or "none"
    input_norm_eps: added to the variance of "utterance" (HF 1e-7, torchaudio 1e-5) and "causal"
    causal_prior_samples, causal_prior_variance: "causal" starts as if it had heard so many samples of zero
        mean and this variance
    hidden_dropout ... layer_drop: probabilities in training
    mask_time_prob, mask_time_length: share of frames replaced by the mask embedding in training, span length
        in frames
    mask_channel_prob, mask_channel_length: the same over channels, which are zeroed
    freeze_feature_extractor: None = frozen iff the weights are pretrained
    freeze_encoder_updates: the encoder learns nothing in the first so many updates
    gradient_checkpointing: trade a second forward of each layer for its memory
    max_stream_seconds: end of streams whose context keeps all the past
    """

    WHERE = "encoder"
    ENDLESS = ("max_stream_seconds",)

    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = True
    feat_extract_norm: str = "layer"
    hidden_size: int = 1024
    num_layers: int = 24
    num_heads: int = 16
    ffn_size: int = 4096
    pos_conv_kernel: int = 128
    pos_conv_groups: int = 16
    layer_norm_first: bool = True
    layer_norm_eps: float = 1e-5
    input_norm: str = "causal"
    input_norm_eps: float = 1e-7
    causal_prior_samples: int = 16000
    causal_prior_variance: float = 0.0025
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    feat_proj_dropout: float = 0.1
    layer_drop: float = 0.1
    mask_time_prob: float = 0.05
    mask_time_length: int = 10
    mask_channel_prob: float = 0.0
    mask_channel_length: int = 64
    freeze_feature_extractor: bool | None = None
    freeze_encoder_updates: int = 0
    gradient_checkpointing: bool = False
    max_stream_seconds: float = 600.0

    def __post_init__(self) -> None:
        if type(self.conv_dim) is int and isinstance(self.conv_kernel, (list, tuple)):
            object.__setattr__(self, "conv_dim", (self.conv_dim,) * len(self.conv_kernel))
        super().__post_init__()
        self._check_extractor()
        for name, kind in types_of(XlsrConfig).items():
            least = 0 if name in _MAY_BE_ZERO else 1
            if kind is int and getattr(self, name) < least:
                raise UserError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.feat_extract_norm not in ("layer", "group"):
            raise UserError(f'feat_extract_norm must be "layer" or "group", not {self.feat_extract_norm!r}')
        if self.input_norm not in INPUT_NORMS:
            raise UserError(f"input_norm must be one of {', '.join(INPUT_NORMS)}, not {self.input_norm!r}")
        for size, parts in (("num_heads", self.num_heads), ("pos_conv_groups", self.pos_conv_groups)):
            if self.hidden_size % parts:
                raise UserError(f"hidden_size ({self.hidden_size}) must be a multiple of {size} ({parts})")
        for name in (
            "hidden_dropout",
            "attention_dropout",
            "activation_dropout",
            "feat_proj_dropout",
            "layer_drop",
        ):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise UserError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        for name in ("mask_time_prob", "mask_channel_prob"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UserError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        if self.causal_prior_variance < 0 or self.input_norm_eps < 0 or self.layer_norm_eps < 0:
            raise UserError("causal_prior_variance, input_norm_eps and layer_norm_eps must not be negative")
        prior = self.causal_prior_variance * self.causal_prior_samples
        if self.input_norm == "causal" and prior + self.input_norm_eps == 0:
            raise UserError("causal normalisation of silence needs a prior or an input_norm_eps above 0")
        if self.max_stream_seconds <= 0:
            raise UserError(f"max_stream_seconds must be above 0, not {self.max_stream_seconds}")

    def _check_extractor(self) -> None:
        lengths = {len(self.conv_dim), len(self.conv_kernel), len(self.conv_stride)}
        if len(lengths) != 1 or 0 in lengths:
            raise UserError(
                "conv_dim, conv_kernel and conv_stride need one entry per layer each, not "
                f"{len(self.conv_dim)}, {len(self.conv_kernel)} and {len(self.conv_stride)}"
            )
        if min(*self.conv_dim, *self.conv_kernel, *self.conv_stride) < 1:
            raise UserError("conv_dim, conv_kernel and conv_stride must be at least 1")
        if (self.hop, self.window) != (HOP, WINDOW):
            raise UserError(
                f"conv_kernel and conv_stride make a hop of {self.hop} and a window of {self.window} "
                "samples; contexts, token times and chunk sizes count on 320 and 400 (20 ms and 25 ms)"
            )

    @property
    def hop(self) -> int:
        """Samples from one encoder frame to the next."""
        total = 1
        for stride in self.conv_stride:
            total *= stride
        return total

    @property
    def window(self) -> int:
        """Samples that one frame of the feature extractor sees."""
        span, step = 1, 1
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            span += (kernel - 1) * step
            step *= stride
        return span

    @property
    def least_parameters(self) -> int:
        """Weights of the transformer's matrices and its position embedding: nearly all that it has."""
        layer = 4 * self.hidden_size**2 + 2 * self.hidden_size * self.ffn_size
        position = self.hidden_size**2 // self.pos_conv_groups * self.pos_conv_kernel
        return self.num_layers * layer + position

    def num_frames(self, samples: Any) -> Any:
        """Frames of so many samples (int or integer tensor): max(0, (S - 400) // 320 + 1)."""
        frames = (samples - self.window) // self.hop + 1
        return max(0, frames) if isinstance(frames, int) else frames.clamp(min=0)

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> XlsrConfig:
        """A member of the family by name, single fields replaced by ``overrides``."""
        if not isinstance(name, str) or name not in PRESETS:
            raise UserError(f"encoder: unknown preset {name!r}; known: {', '.join(PRESETS)}")
        return cls.from_dict({**PRESETS[name], **overrides})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> XlsrConfig:
        """From YAML; key ``preset`` names the base that the other keys override. Unknown keys are refused."""
        given = as_mapping(values, cls.WHERE, "{preset: tiny}")
        base = typed(given.pop("preset", None), str | None, "encoder.preset")
        return super().from_dict(given) if base is None else cls.preset(base, **given)

    def replace(self, **overrides: Any) -> XlsrConfig:
        """A copy with single fields replaced; unknown names are refused."""
        return XlsrConfig.from_dict({**self.to_dict(), **overrides})


_MAY_BE_ZERO = ("causal_prior_samples", "freeze_encoder_updates")

_MODEST: dict[str, Any] = {
    "hidden_dropout": 0.1,
    "attention_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "layer_drop": 0.0,
    "mask_time_prob": 0.0,
}

PRESETS: dict[str, dict[str, Any]] = {
    "xlsr_53": {},
    "xls_r_300m": {},
    "xls_r_1b": {"hidden_size": 1280, "num_layers": 48, "ffn_size": 5120},
    "xls_r_2b": {"hidden_size": 1920, "num_layers": 48, "ffn_size": 7680},
    "mms_300m": {},
    "mms_1b": {"hidden_size": 1280, "num_layers": 48, "ffn_size": 5120},
    "tiny": {"conv_dim": 32, "hidden_size": 96, "num_layers": 2, "num_heads": 4, "ffn_size": 384, **_MODEST},
    "small": {
        "conv_dim": (32, 32, 64, 64, 128, 128, 192),
        "hidden_size": 256,
        "num_layers": 4,
        "num_heads": 4,
        "ffn_size": 1024,
        **_MODEST,
    },
}
"""Differences from the defaults, which are XLS-R 300M."""
