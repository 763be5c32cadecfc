"""`XlsrEncoder`: wav2vec 2.0 whose streaming result is its training result.

Shapes: B utterances or streams, S samples at 16 kHz, T frames of 20 ms, C conv channels, D hidden size.
Parameter names are those of Hugging Face's Wav2Vec2Model, so that its checkpoints load by identity.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from xlsrt.context import AttentionContext
from xlsrt.encoder import streaming
from xlsrt.encoder.attention import Plan, make_plan
from xlsrt.encoder.checks import check_wav
from xlsrt.encoder.config import XlsrConfig
from xlsrt.encoder.features import FeatureExtractor, FeatureProjection
from xlsrt.encoder.keeper import drop_stale
from xlsrt.encoder.layer import EncoderLayer, keep_in_graph
from xlsrt.encoder.linear import set_packing
from xlsrt.encoder.masking import mask_features
from xlsrt.encoder.normalize import normalize_causal, normalize_utterance, valid_mask
from xlsrt.encoder.position import PositionConv
from xlsrt.encoder.state import EncoderState
from xlsrt.errors import UserError


class Transformer(nn.Module):
    """Position embedding, layers and the norm before (post-norm models) or after them (pre-norm models)."""

    def __init__(self, config: XlsrConfig) -> None:
        super().__init__()
        self.config = config
        self.pos_conv_embed = PositionConv(config)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_layers))

    def enter(self, x: Tensor, position: Tensor, train: bool) -> Tensor:
        """Frames (B, T, D) and their position embedding -> input of the first layer."""
        x = x + position
        if not self.config.layer_norm_first:
            x = self.layer_norm(x)
        return F.dropout(x, self.config.hidden_dropout, train)

    def leave(self, x: Tensor) -> Tensor:
        """Output of the last layer -> the encoder's output."""
        return self.layer_norm(x) if self.config.layer_norm_first else x

    def forward(self, x: Tensor, plan: Plan, chunk_frames: int | None, train: bool) -> Tensor:
        """(B, T, D), zeros at padded frames -> (B, T, D)."""
        x = self.enter(x, self.pos_conv_embed(x, chunk_frames), train)
        drop = self.config.layer_drop if train else 0.0
        save = train and self.config.gradient_checkpointing and torch.is_grad_enabled()
        for layer in self.layers:
            # Drawn outside of the checkpoint: the second forward must take the same way as the first.
            if drop and float(torch.rand(())) < drop:
                x = keep_in_graph(x, layer)
            elif save and (x.requires_grad or any(weight.requires_grad for weight in layer.parameters())):
                # Below the first layer that learns it would keep inputs for nobody.
                x = checkpoint(layer, x, plan, train, use_reentrant=False)
            else:
                x = layer(x, plan, train)
        return self.leave(x)


class XlsrEncoder(nn.Module):
    """Waveform to frames, offline and as a stream, under an `AttentionContext`.

    ``encoder(wav, wav_lens, context)`` encodes padded batches of whole utterances; `init_state`, `step` and
    `flush` encode the same utterances as they arrive, number for number.
    """

    def __init__(self, config: XlsrConfig) -> None:
        if not isinstance(config, XlsrConfig):
            raise UserError(
                f"config must be an XlsrConfig, not {config!r}: XlsrConfig.preset(name) makes one, "
                "XlsrEncoder.from_pretrained(source) loads config and weights"
            )
        super().__init__()
        self.config = config
        self.feature_extractor = FeatureExtractor(config)
        self.feature_projection = FeatureProjection(config)
        self.masked_spec_embed = nn.Parameter(torch.empty(config.hidden_size).uniform_())
        self.encoder = Transformer(config)
        for layer in self.encoder.layers.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self._updates = 0
        self._digest: tuple[list[Any], Any, str] | None = None
        self._pretrained = False
        self.weights_are_pretrained = False

    @classmethod
    def from_pretrained(cls, source: str, **overrides: Any) -> XlsrEncoder:
        """Load a checkpoint: a bundle name, a hub id or directory, a fairseq file, an own export.

        See `checkpoints`.
        """
        from xlsrt.encoder.checkpoints import load_pretrained

        return load_pretrained(source, **overrides)

    def save_pretrained(
        self, directory: str | Path, dtype: torch.dtype | str | None = None, **metadata: Any
    ) -> Path:
        """Write a directory that `from_pretrained` and Hugging Face's `Wav2Vec2Model` load.

        Args:
            dtype: float32, float16 or bfloat16 (or its name) to store; None: the encoder's own.
            metadata: anything JSON can hold, kept in config.json.

        Returns the directory. `UserError` where it cannot be written, or a value does not fit the dtype.
        """
        from xlsrt.encoder.checkpoints import save_pretrained

        return save_pretrained(self, directory, dtype, metadata)

    @property
    def weights_are_pretrained(self) -> bool:
        """Set by whoever loads a checkpoint; decides ``freeze_feature_extractor=None``."""
        return self._pretrained

    @weights_are_pretrained.setter
    def weights_are_pretrained(self, value: bool) -> None:
        self._pretrained = value
        self.feature_extractor.requires_grad_(not self.feature_extractor_is_frozen)

    @property
    def feature_extractor_is_frozen(self) -> bool:
        """Whether the convolutions stay as they are for the whole training."""
        wish = self.config.freeze_feature_extractor
        return self._pretrained if wish is None else wish

    def set_num_updates(self, updates: int) -> None:
        """Tell how many updates the optimiser has made: the first ``freeze_encoder_updates`` teach nothing.

        Frozen parameters keep requiring gradients and get zeros, which DDP needs; give them no weight decay
        meanwhile.
        """
        self._updates = updates

    def set_packing(self, on: bool) -> None:
        """Whether, on a CPU and without gradients, the layers' weights are kept a second time in the order
        in which they are multiplied (as they are from the start): faster, at the price of that memory.
        """
        set_packing(self, on)

    @property
    def output_size(self) -> int:
        """D."""
        return self.config.hidden_size

    def forward(
        self, wav: Tensor, wav_lens: Tensor | None = None, context: AttentionContext | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode whole utterances: wav (B, S), wav_lens (B,) -> y (B, T, D), zeros at padding, and lens (B,).

        T = max(0, (S - 400) // 320 + 1). ``context`` None: full attention. No gradient goes to ``wav`` where
        ``input_norm`` normalises. Raises `UserError` on a bad waveform.
        """
        context = AttentionContext.full() if context is None else context
        if not isinstance(context, AttentionContext):
            raise UserError(f"context must be an AttentionContext, not {type(context).__name__}")
        wav, lens, padded = check_wav(wav, wav_lens, self.masked_spec_embed.device)
        drop_stale(self)
        frozen = self.training and self._updates < self.config.freeze_encoder_updates
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            y, y_lens = self.encode(
                self.normalize(wav, lens), lens if padded else None, context, self.training
            )
        return (keep_in_graph(y, self) if frozen else y), y_lens

    def fingerprint(self) -> str:
        """Short digest of the config and of samples of all weights: tells the states of two models apart."""
        # Walking 24 layers takes a millisecond: what they hold is looked up once for each `init_state`.
        held = self._digest[0] if self._digest else [m._parameters for m in self.modules() if m._parameters]
        weights = [p for part in held for p in part.values() if p is not None]
        stamp = tuple((p.data_ptr(), p.dtype, 0 if p.is_inference() else p._version) for p in weights)
        if self._digest is None or self._digest[1] != stamp:
            samples = [p.detach().flatten()[:: max(1, p.numel() // 16)][:16].double() for p in weights]
            digest = hashlib.sha256(repr((self.config, self.masked_spec_embed.dtype)).encode())
            digest.update(torch.cat(samples).cpu().numpy().tobytes())
            self._digest = (held, stamp, digest.hexdigest()[:16])
        return self._digest[2]

    def normalize(self, wav: Tensor, lens: Tensor) -> Tensor:
        """Checked waveform (B, S), zeros at padding -> normalised by ``input_norm``, in the weights' type."""
        config = self.config
        with torch.no_grad(), torch.autocast(wav.device.type, enabled=False):
            if config.input_norm == "utterance":
                wav = normalize_utterance(wav, lens, config.input_norm_eps)
            elif config.input_norm == "causal":
                sums = wav.new_zeros(wav.shape[0], 2, dtype=torch.float64)
                wav, _ = normalize_causal(wav, sums, torch.zeros_like(lens), config)
                wav = wav.masked_fill(~valid_mask(lens, wav.shape[1]), 0.0)
            return wav.to(self.masked_spec_embed.dtype)

    def encode(
        self, wav: Tensor, lens: Tensor | None, context: AttentionContext, train: bool = False
    ) -> tuple[Tensor, Tensor]:
        """`forward` after normalisation: wav (B, S), lens (B,), None if nothing is padded -> y, lens."""
        config, batch = self.config, wav.shape[0]
        frames = config.num_frames(wav.shape[1])
        y_lens = torch.full((batch,), frames, device=wav.device) if lens is None else config.num_frames(lens)
        if frames == 0:
            y = wav.new_zeros(batch, 0, config.hidden_size)
            return (keep_in_graph(y, self) if train else y), y_lens
        padded = lens is not None
        return self.contextualize(self.features(wav, lens), y_lens, padded, context, train), y_lens

    def contextualize(
        self,
        x: Tensor,
        y_lens: Tensor,
        padded: bool,
        context: AttentionContext,
        train: bool = False,
        mask: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """What follows the projection: frames (B, T, D), T > 0, lens (B,) -> y (B, T, D), 0 at padding.

        ``mask``: boolean (B, T) and what stands at masked frames, (D,) or (B, T, D), in train mode or not;
        None draws the config's masks in train mode. ``padded``: whether any frame lies beyond its length.
        """
        config, frames = self.config, x.shape[1]
        if train:
            x = F.dropout(x, config.feat_proj_dropout, True)
        if mask is not None:
            x = torch.where(mask[0][:, :, None], mask[1].to(x.dtype), x)
        elif train:
            x = mask_features(x, y_lens, self.masked_spec_embed, config)
            if config.mask_time_prob == 0:
                x = keep_in_graph(x, self.masked_spec_embed)
        invalid = None if not padded else ~valid_mask(y_lens, frames)[:, :, None]
        if invalid is not None:
            x = x.masked_fill(invalid, 0.0)
        dropout = config.attention_dropout if train else 0.0
        plan = make_plan(context, y_lens, frames, padded, dropout)
        y = self.encoder(x, plan, context.chunk_frames, train)
        return y if invalid is None else y.masked_fill(invalid, 0.0)

    def features(self, wav: Tensor, lens: Tensor | None) -> Tensor:
        """Normalised waveform (B, S), S >= 400 -> projected frames (B, T, D)."""
        return self.feature_projection(self.convolve(wav, lens))

    def convolve(self, wav: Tensor, lens: Tensor | None) -> Tensor:
        """Normalised waveform (B, S), S >= 400 -> output of the convolutions (B, T, C)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.feature_extractor_is_frozen):
            return self.feature_extractor(wav, lens)

    @torch.no_grad()
    def init_state(self, batch_size: int, context: AttentionContext) -> EncoderState:
        """The state of ``batch_size`` streams that have heard nothing yet.

        Weights are read through here, to drop what was kept of others (`Keeper`), and not by `step`: it would
        cost as much as the products of its few frames, and weights do not change in the middle of a stream.

        Raises `UserError` where nothing can stream.
        """
        drop_stale(self)
        self._digest = None
        return streaming.init_state(self, batch_size, context)

    @torch.no_grad()
    def step(
        self, packet: Tensor, state: EncoderState, lens: Tensor | None = None
    ) -> tuple[Tensor, Tensor, EncoderState]:
        """Hear a packet (B, any S >= 0) of which lens (B,) samples count; encode every chunk now complete.

        Returns y (B, T, D), left-aligned with zeros behind, its lens (B,) in frames, T possibly 0, and the
        state after it; the state given stays valid. A chunk of C frames is complete 80 samples
        (5 ms) after C x 320 samples.
        """
        return streaming.step(self, packet, state, lens)

    @torch.no_grad()
    def flush(self, state: EncoderState) -> tuple[Tensor, Tensor]:
        """End the streams: y (B, T, D) and lens (B,) of their last, shorter chunks; no padding is added."""
        return streaming.flush(self, state)

    def why_offline(self) -> str | None:
        """Why the config cannot stream exactly; None where it can."""
        if self.config.input_norm == "utterance":
            return (
                "input_norm: utterance needs the end of the audio before its first sample: to stream, use "
                "input_norm: causal (or none)"
            )
        if self.config.feat_extract_norm == "group":
            return (
                "this encoder's feature extractor normalises over time (group norm, as in wav2vec2-base): it "
                "can only run offline; stream an XLSR model, whose extractor uses layer norm"
            )
        return None

    def check_streams(self) -> None:
        """Raise `UserError` where the config cannot stream exactly."""
        if reason := self.why_offline():
            raise UserError(reason)
