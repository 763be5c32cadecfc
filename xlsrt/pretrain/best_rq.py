"""BEST-RQ: predict at masked frames what a random projection makes of their spectrum (arXiv 2202.01855).

Nothing of the quantiser is learnt, so nothing of it can collapse; the encoder and a linear head are trained.
Shapes: B utterances, S samples, T frames, N masked frames, K codebooks, V codes of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xlsrt.encoder import XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.pretrain.masked import MaskedPass, feature_spread, perplexity
from xlsrt.settings import Settings
from xlsrt.units import SAMPLE_RATE

_WINDOW, _STEP, _FFT = 400, 160, 512
# Two spectra of 25 ms lie symmetrically around the centre of each frame's 25 ms window.
_EARLY = 80
_MOST_MELS, _MOST_CODES = 126, 1_000_000


@dataclass(frozen=True)
class BestRqConfig(Settings):
    """The quantiser.

    Attributes:
        codebooks: K; more than one spreads the risk of an unlucky projection.
        codebook_size: V.
        codebook_dim: width of the codes.
        num_mels: of the log-mel spectrum; two spectra, 10 ms apart, make a target.
        num_cepstra: so many cepstral coefficients of each spectrum are projected. Bands of a spectrum rise
            and fall together, so that loudness alone decides most codes; coefficients do not. 0: the
            spectrum itself, as in the paper.
        seed: of projections and codes, which stay in the checkpoints too.
    """

    WHERE = "objective_conf"

    codebooks: int = 2
    codebook_size: int = 1024
    codebook_dim: int = 16
    num_mels: int = 80
    num_cepstra: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("codebooks", 1), ("codebook_size", 2), ("codebook_dim", 2), ("num_mels", 8)):
            if getattr(self, name) < least:
                raise UserError(f"objective_conf.{name} is {getattr(self, name)}; it is at least {least}")
        if self.num_mels > _MOST_MELS:
            raise UserError(
                f"objective_conf.num_mels is {self.num_mels}; with more than {_MOST_MELS} some bands hold no "
                f"bin of a spectrum of {_FFT} points, and say nothing"
            )
        if self.codebooks * self.codebook_size > _MOST_CODES:
            raise UserError(
                f"objective_conf: {self.codebooks} codebooks of {self.codebook_size} codes; the head has an "
                f"output for each code, at most {_MOST_CODES}"
            )
        if not 0 <= self.seed < 2**63:
            raise UserError(f"objective_conf.seed is {self.seed}; it lies between 0 and 2^63")
        if not 0 <= self.num_cepstra <= self.num_mels:
            raise UserError(
                f"objective_conf.num_cepstra is {self.num_cepstra}; it lies between 0 and num_mels"
            )

    @property
    def size_in(self) -> int:
        """Width of what is projected."""
        return 2 * (self.num_cepstra or self.num_mels)


class Spectrum(nn.Module):
    """Normalised log-mel spectra or their cepstra, aligned with the encoder's frames."""

    filters: Tensor
    cosines: Tensor
    window: Tensor

    def __init__(self, num_mels: int, num_cepstra: int = 0) -> None:
        super().__init__()
        from torchaudio.functional import create_dct, melscale_fbanks

        filters = melscale_fbanks(_FFT // 2 + 1, 20.0, SAMPLE_RATE / 2, num_mels, SAMPLE_RATE)
        cosines = create_dct(num_cepstra, num_mels, norm="ortho") if num_cepstra else torch.eye(num_mels)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("window", torch.hann_window(_WINDOW), persistent=False)

    @torch.no_grad()
    def forward(self, wav: Tensor, frame_lens: Tensor, frames: int) -> Tensor:
        """Waveform (B, S), frame_lens (B,), T -> (B, T, size_in), each value with mean 0 and variance 1 over
        its utterance.
        """
        with torch.autocast(wav.device.type, enabled=False):
            wav = wav.float()
            missing = max(0, (2 * frames - 1) * _STEP + _WINDOW - _EARLY - wav.shape[1])
            windows = F.pad(wav, (_EARLY, missing)).unfold(1, _WINDOW, _STEP)[:, : 2 * frames]
            power = torch.fft.rfft(windows * self.window, n=_FFT).abs().square()
            mel = (power @ self.filters).clamp(min=1e-8).log()
            x = (mel @ self.cosines).reshape(wav.shape[0], frames, -1)
            valid = (torch.arange(frames, device=x.device)[None, :] < frame_lens[:, None])[:, :, None]
            count = frame_lens.clamp(min=1)[:, None, None]
            x = torch.where(valid, x, 0.0)
            mean = x.sum(1, keepdim=True) / count
            x = torch.where(valid, x - mean, 0.0)
            # A floor, so that hiss of one level is not blown up into a signal.
            return x / (x.square().sum(1, keepdim=True) / count).sqrt().clamp(min=0.1)


class RandomProjectionQuantizer(nn.Module):
    """Random projection, then the nearest of random codes on the sphere; never trained."""

    projection: Tensor
    codes: Tensor

    def __init__(self, size_in: int, config: BestRqConfig) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(config.seed)
        bound = (6.0 / (size_in + config.codebook_dim)) ** 0.5
        shape = (config.codebooks, size_in, config.codebook_dim)
        projection = (torch.rand(shape, generator=draw) * 2 - 1) * bound
        codes = torch.randn(config.codebooks, config.codebook_size, config.codebook_dim, generator=draw)
        self.register_buffer("projection", projection)
        self.register_buffer("codes", F.normalize(codes, dim=-1))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """(N, size_in) -> (N, K) code numbers."""
        with torch.autocast(x.device.type, enabled=False):
            # The nearest on the unit sphere is the one with the largest product; lengths do not matter.
            chosen = [
                (x.float() @ projection @ codes.T).argmax(-1)
                for projection, codes in zip(self.projection, self.codes, strict=True)
            ]
        return torch.stack(chosen, dim=-1)


class BestRq(nn.Module):
    """Targets, head and loss."""

    def __init__(self, encoder: XlsrEncoder, config: BestRqConfig) -> None:
        super().__init__()
        self.config = config
        self.spectrum = Spectrum(config.num_mels, config.num_cepstra)
        self.quantizer = RandomProjectionQuantizer(config.size_in, config)
        self.head = nn.Linear(encoder.config.hidden_size, config.codebooks * config.codebook_size)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def targets(self, passed: MaskedPass) -> Tensor:
        """Codes (N, K) of the masked frames."""
        spectra = self.spectrum(passed.wav, passed.lens, passed.frames.shape[1])
        return self.quantizer(spectra[passed.mask])

    def forward(
        self, passed: MaskedPass, num_updates: int = 0, draw: torch.Generator | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss per masked frame and figures (see `xlsrt.pretrain.monitor`)."""
        config = self.config
        targets = self.targets(passed)
        logits = self.head(passed.frames[passed.mask]).view(-1, config.codebooks, config.codebook_size)
        loss = F.cross_entropy(logits.float().transpose(1, 2), targets, reduction="sum")
        loss = loss / max(1, targets.numel())
        counts = torch.stack([one.bincount(minlength=config.codebook_size) for one in targets.T])
        guessed = logits.detach().argmax(-1)
        possible = max(1, min(config.codebook_size, targets.shape[0]))
        figures = {
            "accuracy": (guessed == targets).float().sum() / max(1, targets.numel()),
            "baseline": (counts.amax(-1) / max(1, targets.shape[0])).mean(),
            "code_use": perplexity(counts).mean() / possible,
            "feature_std": feature_spread(passed),
        }
        return loss, figures
