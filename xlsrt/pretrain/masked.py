"""A pass of any encoder, in any context, over audio of which spans of frames are masked.

The encoder's own code computes it, chunk masks and chunk-limited position embedding included: what is learnt
here is what streams later.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xlsrt.context import AttentionContext
from xlsrt.encoder import XlsrEncoder
from xlsrt.encoder.checks import check_wav
from xlsrt.encoder.layer import keep_in_graph
from xlsrt.encoder.masking import draw_spans
from xlsrt.errors import UserError
from xlsrt.settings import Settings

FILLS = ("embedding", "noise")


@dataclass(frozen=True)
class MaskConfig(Settings):
    """Which frames are hidden, and behind what.

    Attributes:
        prob: share of the frames that disjoint spans would cover; overlapping, they cover less (0.5: 40 %).
        length: of a span, in frames of 20 ms.
        fill: "embedding" (the encoder's mask embedding, as in wav2vec 2.0) or "noise" (as in BEST-RQ).
        noise_std: of that noise.
    """

    WHERE = "mask_conf"

    prob: float = 0.5
    length: int = 10
    fill: str = "embedding"
    noise_std: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.prob <= 1:
            raise UserError(f"mask_conf.prob is {self.prob}; it must lie above 0 and at most at 1")
        if self.length < 2:
            raise UserError(f"mask_conf.length is {self.length}; a span has at least 2 frames")
        if self.fill not in FILLS:
            raise UserError(f"mask_conf.fill is {self.fill!r}; it must be one of {', '.join(FILLS)}")
        if self.noise_std <= 0:
            raise UserError(f"mask_conf.noise_std is {self.noise_std}; it must be above 0")


@dataclass(frozen=True)
class MaskedPass:
    """What an objective works on.

    Attributes:
        frames: (B, T, D), the encoder's output. lens: (B,) frames.
        mask: (B, T) boolean, True at masked frames; never beyond the lengths.
        features: (B, T, C), layer-normed output of the convolutions, not masked.
        wav: (B, S), what was encoded, zeros at padding.
    """

    frames: Tensor
    lens: Tensor
    mask: Tensor
    features: Tensor
    wav: Tensor


def masked_pass(
    encoder: XlsrEncoder,
    wav: Tensor,
    wav_lens: Tensor | None,
    context: AttentionContext,
    config: MaskConfig,
    draw: torch.Generator | None = None,
    mask: Tensor | None = None,
) -> MaskedPass:
    """Encode wav (B, S), wav_lens (B,) with spans of frames hidden.

    Args:
        draw: generator of the CPU that decides what is masked (None: torch's own).
        mask: (B, T) boolean instead of drawn spans; what lies beyond an utterance's end is ignored.

    Raises:
        UserError: a bad waveform, or no audio as long as one frame.
    """
    wav, lens, padded = check_wav(wav, wav_lens, encoder.masked_spec_embed.device)
    frames = encoder.config.num_frames(wav.shape[1])
    if frames == 0:
        raise UserError(f"audio of {wav.shape[1]} samples holds no frame; leave such utterances out")
    y_lens = encoder.config.num_frames(lens)
    if mask is None:
        mask = draw_spans(y_lens, frames, config.prob, config.length, least=1, draw=draw)
    mask = mask.to(wav.device) & (torch.arange(frames, device=wav.device)[None, :] < y_lens[:, None])
    convolved = encoder.convolve(encoder.normalize(wav, lens), lens if padded else None)
    x = encoder.feature_projection(convolved)
    fill: Tensor = encoder.masked_spec_embed
    if config.fill == "noise":
        # Too much of it to be drawn on the CPU: there, only its seed.
        seed = int(torch.randint(2**62, (1,), generator=draw))
        noise = torch.Generator(x.device).manual_seed(seed)
        fill = config.noise_std * torch.randn(x.shape, generator=noise, device=x.device).to(x)
        x = keep_in_graph(x, encoder.masked_spec_embed)
    y = encoder.contextualize(x, y_lens, padded, context, encoder.training, (mask, fill))
    return MaskedPass(y, y_lens, mask, encoder.feature_projection.layer_norm(convolved), wav)


def feature_spread(passed: MaskedPass) -> Tensor:
    """Standard deviation of the output over the batch's frames, mean over dimensions: 0 when collapsed."""
    valid = torch.arange(passed.frames.shape[1], device=passed.lens.device)[None, :] < passed.lens[:, None]
    return passed.frames.detach()[valid].float().std(dim=0, correction=0).mean()


def perplexity(counts: Tensor) -> Tensor:
    """Counts or probabilities (..., V) -> how many of V equally frequent codes would be as diverse (...)."""
    share = counts.float() / counts.sum(-1, keepdim=True).clamp(min=1e-12)
    return torch.exp(-torch.xlogy(share, share).sum(-1))
