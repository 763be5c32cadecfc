"""The XLSR encoder as an ESPnet encoder: `encoder: xlsr` in a training configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder
from torch import Tensor, nn

from xlsrt.context import AttentionContext, ContextSampler, training_context_from_dict
from xlsrt.cpu import few_shapes, padded_samples
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.espnet_task.augment import AugmentConfig, WaveAugment


class XlsrEspnetEncoder(AbsEncoder):
    """Waveform in, frames out; samples the training context in train mode, keeps the fixed one in eval mode.

    Args:
        input_size: ESPnet's feature width; the waveform's is 1.
        config: fields of `XlsrConfig`, or ``{"preset": name, ...}``. With ``pretrained`` they replace fields
            of the checkpoint's own configuration.
        pretrained: what `XlsrEncoder.from_pretrained` takes, or None for random weights.
        train_context: keys of `AttentionContext.from_dict` or of `ContextSampler.from_dict`.
        eval_context: keys of `AttentionContext.from_dict`; None means the training context, if that is fixed.
        augment: fields of `AugmentConfig`, applied to the waveform in train mode.
        load_weights: False builds the pretrained architecture but leaves its weights to a checkpoint that is
            loaded over them anyway.
        seed: of the augmentation.
    """

    def __init__(
        self,
        input_size: int = 1,
        config: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        train_context: Mapping[str, Any] | None = None,
        eval_context: Mapping[str, Any] | None = None,
        augment: Mapping[str, Any] | None = None,
        load_weights: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if input_size != 1:
            raise UserError(f"encoder xlsr reads the waveform: set input_size to 1 (it is {input_size})")
        self.train_context, self.eval_context = contexts_of(train_context, eval_context)
        self.pretrained = pretrained
        self.xlsr = _build_xlsr(config, pretrained, load_weights)
        self.augment = WaveAugment(AugmentConfig.from_dict(augment), seed=seed)
        # Training batches seen. A plain number, not a buffer: averaging and init_from must not touch it.
        self.batches_seen = 0
        self.rank = 0

    def output_size(self) -> int:
        """D."""
        return self.xlsr.config.hidden_size

    def conf(self) -> dict[str, Any]:
        """``encoder_conf`` with everything resolved: what config.yaml keeps and `Recognizer.from_exp`
        reads.
        """
        return {
            "config": self.xlsr.config.to_dict(),
            "pretrained": self.pretrained,
            "train_context": self.train_context.to_dict(),
            "eval_context": self.eval_context.to_dict(),
            "augment": self.augment.config.to_dict(),
        }

    def current_context(self) -> AttentionContext:
        """The context that the next batch is computed in."""
        if not self.training:
            return self.eval_context
        if isinstance(self.train_context, ContextSampler):
            return self.train_context.sample(
                self.batches_seen, self.rank if self.train_context.per_rank else 0
            )
        return self.train_context

    def heard(self, wav: Tensor, lens: Tensor) -> tuple[Tensor, Tensor, AttentionContext]:
        """Waveform (B, S), lengths (B,) -> both as the encoder hears them, augmented in train mode, perhaps
        padded further, and the context of this batch.
        """
        context = self.current_context()
        if self.training:
            with torch.no_grad():
                wav, lens = self.augment(wav, lens, step=self.batches_seen, rank=self.rank)
            self.batches_seen += 1
        return _to_few_lengths(wav), lens, context

    def forward(
        self, xs_pad: Tensor, ilens: Tensor, prev_states: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Waveform (B, S) at 16 kHz, lengths (B,) -> frames (B, T, D), (B,), None."""
        frames, lens = self.xlsr(*self.heard(xs_pad, ilens))
        return frames, lens, None


def _to_few_lengths(wav: Tensor) -> Tensor:
    """Waveform (B, S) -> (B, S'), padded to the next multiple of `cpu.FRAMES` where that pays."""
    if not few_shapes(wav):
        return wav
    return nn.functional.pad(wav, (0, padded_samples(wav.size(1)) - wav.size(1)))


def contexts_of(
    train: Mapping[str, Any] | None, evaluation: Mapping[str, Any] | None
) -> tuple[AttentionContext | ContextSampler, AttentionContext]:
    """The contexts of training and of validation that ``encoder_conf`` names.

    Raises:
        UserError: one is none, or training samples its context and validation has none.
    """
    context = training_context_from_dict(train) if train is not None else AttentionContext.full()
    if evaluation is not None:
        return context, AttentionContext.from_dict(evaluation)
    if isinstance(context, ContextSampler):
        raise UserError(
            "encoder_conf.train_context samples its context, so validation needs a fixed one: set "
            "encoder_conf.eval_context, for instance {chunk_ms: 640, left_ms: 640}"
        )
    return context, context


def _build_xlsr(config: Mapping[str, Any] | None, pretrained: str | None, load_weights: bool) -> XlsrEncoder:
    fields = dict(config or {})
    if pretrained is None:
        if not fields:
            raise UserError("encoder_conf.config is empty: give a preset, for instance {preset: tiny}")
        return XlsrEncoder(_with_freezing_resolved(XlsrConfig.from_dict(fields), pretrained=False))
    if "preset" in fields:
        raise UserError(
            f"encoder_conf.config.preset ({fields['preset']}) contradicts encoder_conf.pretrained "
            f"({pretrained}): the sizes come from the checkpoint; leave the preset out"
        )
    from xlsrt.encoder.checkpoints import load_pretrained, read_config

    resolved = _with_freezing_resolved(read_config(pretrained, **fields), pretrained=True)
    if load_weights:
        fields["freeze_feature_extractor"] = resolved.freeze_feature_extractor
        return load_pretrained(pretrained, **fields)
    encoder = XlsrEncoder(resolved)
    encoder.weights_are_pretrained = True
    return encoder


def _with_freezing_resolved(config: XlsrConfig, pretrained: bool) -> XlsrConfig:
    """Write down what None means, so that a later stage, which starts from our checkpoint, does the same."""
    if config.freeze_feature_extractor is not None:
        return config
    return dataclasses.replace(config, freeze_feature_extractor=pretrained)
