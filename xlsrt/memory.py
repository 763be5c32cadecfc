"""How much memory a training needs on each GPU: computed from its configuration, not measured.

The parts that are alive at the peak of an update are added up. Numbers of parameters come from the model
itself, built without memory. Saved activations are counted for each kind of tensor that the layers keep for
the backward pass; `tests/test_memory.py` holds the count against what autograd keeps (CPU, float32).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from xlsrt.context import AttentionContext, training_context_from_dict
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.encoder.attention import BlockPlan
from xlsrt.errors import UserError
from xlsrt.settings import as_mapping
from xlsrt.transducer import HeadConfig, TransducerHead
from xlsrt.transducer.training_conf import PREFIXES, is_part
from xlsrt.units import FRAME_SECONDS, HOP, SAMPLE_RATE

GB = 1e9
# CUDA's context, cuBLAS and cuDNN work space.
CONTEXT_BYTES = 1.5e9
# Of all else: what the caching allocator cannot use.
FRAGMENTATION = 0.08


@dataclass(frozen=True)
class Estimate:
    """Bytes on one GPU at the peak.

    Attributes:
        parameters: how many the model has. trained: how many of them get gradients.
        weights, gradients, moments: float32 weights with their half-precision copies; gradients with the
            buckets of distributed training; AdamW's two moments.
        activations: what the encoder keeps for the backward pass. joint: logits of the transducer and their
            kin.
    """

    parameters: int
    trained: int
    weights: float
    gradients: float
    moments: float
    activations: float
    joint: float

    @property
    def total(self) -> float:
        """With CUDA's own needs and what fragmentation costs."""
        parts = self.weights + self.gradients + self.moments + self.activations + self.joint
        return parts * (1 + FRAGMENTATION) + CONTEXT_BYTES

    def lines(self) -> list[str]:
        """For people."""
        rows = [
            (f"weights ({self.parameters / 1e6:.0f} M, {self.trained / 1e6:.0f} M trained)", self.weights),
            ("gradients", self.gradients),
            ("moments of AdamW", self.moments),
            ("activations of the encoder", self.activations),
            ("joint and losses", self.joint),
            (f"CUDA, and {FRAGMENTATION:.0%} lost between blocks", self.total - self._parts()),
            ("peak of one GPU (computed, not measured)", self.total),
        ]
        return [f"{name:45s} {value / GB:6.1f} GB" for name, value in rows]

    def _parts(self) -> float:
        return self.weights + self.gradients + self.moments + self.activations + self.joint


def estimate(
    settings: Mapping[str, Any],
    config: XlsrConfig,
    vocab_size: int = 500,
    ranks: int = 1,
    utterance_seconds: float = 20.0,
    tokens_per_second: float = 4.0,
) -> Estimate:
    """The peak of a training with these settings on a GPU that knows bfloat16.

    Args:
        settings: a training configuration (``conf/train_*.yaml``); ``encoder_conf.train_context`` counts, of
            contexts drawn at random the dearest, and what ``freeze_param`` lets rest does not.
        config: of the encoder; ``freeze_feature_extractor`` None counts as frozen, as for a pretrained one.
        vocab_size: V. ranks: GPUs in all.
        utterance_seconds: length of the utterances of the most expensive batch; the joint grows with it.
        tokens_per_second: of speech; about 4 with 500 pieces, 12 with characters.
    """
    if settings.get("batch_type", "numel") != "numel" or "batch_bins" not in settings:
        raise UserError("batches of a known size are needed: batch_type numel (the default), and batch_bins")
    half = bool(settings.get("use_amp"))
    sharded = bool(settings.get("sharded")) and ranks > 1
    with torch.device("meta"):
        encoder = XlsrEncoder(config)
        head = TransducerHead(HeadConfig.from_espnet(settings, config.hidden_size, vocab_size))
    names = list(settings.get("freeze_param") or [])
    if config.freeze_feature_extractor is not False:
        names.append(f"{PREFIXES['encoder']}feature_extractor")
    parameters = [(PREFIXES["encoder"] + name, parameter) for name, parameter in encoder.named_parameters()]
    parameters += [(PREFIXES["head"] + name, parameter) for name, parameter in head.named_parameters()]
    every = sum(parameter.numel() for _, parameter in parameters)
    learning = {name: parameter.numel() for name, parameter in parameters if not is_part(name, names)}
    trained, resting = sum(learning.values()), resting_layers(config, learning)
    parts = ranks if sharded else 1
    layer = sum(parameter.numel() for parameter in encoder.encoder.layers[0].parameters())
    # A gathered layer and the next one, which is on its way; the layers' gradients likewise.
    gathered = 2 * layer + (every - config.num_layers * layer) if sharded else 0
    weights = 4.0 * every / parts + 4.0 * gathered + (2.0 * every if half else 0.0)
    # By ESPnet's default gradients lie in DDP's buckets; else they are there twice.
    apart = ranks > 1 and not sharded and not settings.get("gradient_as_bucket_view", True)
    buckets = 4.0 * trained if apart else 0.0
    frames = _batch_samples(settings, utterance_seconds) / HOP / ranks
    contexts = contexts_of((settings.get("encoder_conf") or {}).get("train_context"))
    length = round(utterance_seconds / FRAME_SECONDS)
    copies = (Copies.of(context, config, length) for context in contexts)
    return Estimate(
        every,
        trained,
        weights,
        4.0 * trained / parts + 4.0 * gathered + buckets,
        8.0 * trained / parts,
        max(activation_bytes(config, frames, half, found, resting) for found in copies),
        joint_bytes(head.config, frames, utterance_seconds, tokens_per_second, half),
    )


def resting_layers(config: XlsrConfig, learning: Collection[str]) -> int:
    """How many of the lowest layers keep nothing, since they and all below them are none of ``learning``."""
    own = PREFIXES["encoder"]
    below = [f"{own}feature_", f"{own}masked_spec_embed", f"{own}encoder.pos_conv_embed."]
    if not config.layer_norm_first:
        below.append(f"{own}encoder.layer_norm.")
    number = 0
    while number < config.num_layers:
        below.append(f"{own}encoder.layers.{number}.")
        if any(name.startswith(tuple(below)) for name in learning):
            break
        number += 1
    return number


def _batch_samples(settings: Mapping[str, Any], utterance_seconds: float) -> float:
    """Samples of the largest batch: ``batch_multiple`` may add so many utterances."""
    samples, utterance = float(settings["batch_bins"]), utterance_seconds * SAMPLE_RATE
    multiple = int(settings.get("batch_multiple", 1))
    return samples + multiple * utterance if 1 < multiple <= samples / utterance else samples


def contexts_of(train_context: Mapping[str, Any] | None) -> list[AttentionContext]:
    """All contexts in which a batch may be computed; ``train_context`` as in ``encoder_conf``."""
    if not train_context:
        return [AttentionContext.full()]
    context = training_context_from_dict(train_context)
    if isinstance(context, AttentionContext):
        return [context]
    drawn = itertools.product(context.chunk_frames, context.left, context.sink_frames)
    return [
        AttentionContext(chunk, int(left[:-1]) * chunk if isinstance(left, str) else left, sinks)
        for chunk, left, sinks in drawn
    ]


@dataclass(frozen=True)
class Copies:
    """How many times chunks, each with what it sees, keep a frame.

    Attributes:
        keys: as a key, and as a value, of a layer. windows: before the position convolution.
    """

    keys: float = 1.0
    windows: float = 1.0

    @classmethod
    def of(cls, context: AttentionContext, config: XlsrConfig, frames: int) -> Copies:
        """In utterances of so many frames."""
        chunk = context.chunk_frames
        if chunk is None or chunk >= frames:
            return cls()
        chunks, past = -(-frames // chunk), config.pos_conv_kernel // 2
        future = min(config.pos_conv_kernel - 1 - past, chunk - 1)
        keys = 1.0
        if BlockPlan.pays(context, frames):
            assert context.left_frames is not None
            keys = chunks * (min(context.sink_frames, frames) + context.left_frames + chunk) / frames
        return cls(keys, chunks * (past + chunk + future) / frames)


SINGLE = Copies()


def kept_bytes(
    config: XlsrConfig,
    frames: float,
    half: bool,
    recomputing: bool = True,
    copies: Copies = SINGLE,
    resting: int = 0,
) -> float:
    """What the encoder keeps for the backward pass.

    Args:
        frames: of all utterances together, padding included. half: matrices are multiplied in half precision.
        recomputing: with gradient checkpointing, count also the layer that the backward pass computes again.
        copies: what chunks keep several times. resting: see `resting_layers`.
    """
    width, ffn, size = config.hidden_size, config.ffn_size, 2.0 if half else 4.0
    # Around the matrices float32 stays: residuals, norms. In front of each matrix (q, k, v, output, the two
    # of the feed-forward part) lies a copy in half precision.
    halves = width * 5 * 2.0 if half else 0.0
    # Inputs and outputs of two norms; q, k, v and the attention's result; before and after GELU.
    layer = width * (4 * 4.0 + (2 + 2 * copies.keys) * size) + ffn * 2 * size + halves
    # CUDA's dropout keeps a byte for each number; the one within the feed-forward part its result too.
    layer += width * 2 * (config.hidden_dropout > 0) + ffn * (1 + size) * (config.activation_dropout > 0)
    # Around the layers: features and their norm, projection, position embedding, last norm.
    ends = config.conv_dim[-1] * 2 * 4.0 + width * (6 * 4.0 + (copies.windows - 1) * size)
    if resting:
        ends = width * 4.0  # the last norm
    layers = config.num_layers - resting
    if config.gradient_checkpointing:
        kept = layers * width * 4.0 + (layer if recomputing and layers else 0.0)
    else:
        kept = layers * layer
    if config.freeze_feature_extractor is False and not resting:
        # The first convolution has 64 positions a frame, the second 32 ...: input, output and norm of each.
        kept += 2 * 64 * config.conv_dim[0] * 3 * 4.0
    return (kept + ends) * frames


def activation_bytes(
    config: XlsrConfig, frames: float, half: bool, copies: Copies = SINGLE, resting: int = 0
) -> float:
    """Of the encoder at the peak: what it keeps, or what frozen convolutions pass on where that is more."""
    passing = 3 * 64 * config.conv_dim[0] * 4.0 * frames
    return max(kept_bytes(config, frames, half, copies=copies, resting=resting), passing)


def joint_bytes(
    head: HeadConfig,
    frames: float,
    utterance_seconds: float,
    tokens_per_second: float,
    half: bool,
    kept_only: bool = False,
) -> float:
    """Of joint and losses, for utterances of one length: what they keep and, at the peak, the logits.

    ``frames`` are the encoder's, of all utterances together.
    """
    width = tokens_per_second * utterance_seconds + 1
    if head.loss == "pruned":
        width = min(width, head.prune_range)
    cells = frames / head.output_subsampling * width
    # tanh, once more where units are dropped; the logits' gradient, which the loss computes at once.
    tanh = head.joint_size * (2.0 if half else 4.0) * (1 + (head.dropout > 0))
    kept = cells * (tanh + head.vocab_size * 4.0)
    if head.ctc_weight:
        kept += frames * head.vocab_size * 12.0
    return kept if kept_only else kept + cells * head.vocab_size * (6.0 if half else 4.0)


def encoder_config(settings: Mapping[str, Any], preset: str | None = None) -> XlsrConfig:
    """The encoder of a training configuration; a pretrained one's sizes are those of ``preset``.

    Raises:
        UserError: the configuration names a pretrained encoder and no preset is given.
    """
    conf = as_mapping(settings.get("encoder_conf"), "encoder_conf", optional=True)
    fields = as_mapping(conf.get("config"), "encoder_conf.config", optional=True)
    if preset:
        fields["preset"] = preset
    if "preset" not in fields:
        raise UserError("the sizes come with the pretrained encoder: give --preset, for instance xls_r_300m")
    return XlsrConfig.from_dict(fields)
