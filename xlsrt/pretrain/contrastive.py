"""wav2vec 2.0's own objective, to go on with a checkpoint that still has its quantiser (arXiv 2006.11477).

At each masked frame the output must tell the quantised features of that frame from those of other masked
frames of the utterance. Names of the parameters are those of Hugging Face's ``Wav2Vec2ForPreTraining``.
Shapes: B utterances, T frames, N masked frames, G groups of V codes, C conv channels, K negatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xlsrt.encoder import XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.pretrain.masked import MaskedPass, feature_spread, perplexity
from xlsrt.settings import Settings


@dataclass(frozen=True)
class ContrastiveConfig(Settings):
    """Weights and schedules; sizes come from the checkpoint.

    Attributes:
        negatives: K, drawn from the masked frames of the same utterance.
        logits_temperature: divides the cosine similarities.
        diversity_weight: of the loss that keeps codes in use.
        feature_dropout: on the features before they are quantised.
        temperature, temperature_min, temperature_decay: of the Gumbel softmax; the factor applies per update.
            The default starts where the pretraining of the XLSR models ended.
    """

    WHERE = "objective_conf"

    negatives: int = 100
    logits_temperature: float = 0.1
    diversity_weight: float = 0.1
    feature_dropout: float = 0.0
    temperature: float = 0.5
    temperature_min: float = 0.1
    temperature_decay: float = 0.999995

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.negatives < 1:
            raise UserError(f"objective_conf.negatives is {self.negatives}; at least 1 is needed")
        for name in ("logits_temperature", "temperature", "temperature_min", "temperature_decay"):
            if getattr(self, name) <= 0:
                raise UserError(f"objective_conf.{name} is {getattr(self, name)}; it must be above 0")
        if self.temperature_min > self.temperature:
            raise UserError(
                f"objective_conf.temperature_min is {self.temperature_min}; it is at most the temperature, "
                f"{self.temperature}, which falls to it"
            )
        if self.temperature_decay > 1:
            raise UserError(
                f"objective_conf.temperature_decay is {self.temperature_decay}; above 1 the temperature "
                "would grow without end"
            )
        if self.diversity_weight < 0 or not 0 <= self.feature_dropout < 1:
            raise UserError(
                "objective_conf: diversity_weight is not negative, feature_dropout lies in [0, 1)"
            )

    def gumbel(self, num_updates: int) -> float:
        """Temperature of the update with this number."""
        return max(self.temperature_min, self.temperature * self.temperature_decay**num_updates)


class GumbelQuantizer(nn.Module):
    """Product quantisation; the choice of codes is sampled in train mode, the best one otherwise."""

    def __init__(self, channels: int, groups: int, codes: int, width: int) -> None:
        super().__init__()
        self.groups, self.codes = groups, codes
        self.codevectors = nn.Parameter(torch.empty(1, groups * codes, width).uniform_())
        self.weight_proj = nn.Linear(channels, groups * codes)
        nn.init.normal_(self.weight_proj.weight)
        nn.init.zeros_(self.weight_proj.bias)

    def forward(self, x: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
        """(N, C) -> quantised (N, G * width), code numbers (N, G), perplexity per group (G,)."""
        logits = self.weight_proj(x).view(x.shape[0] * self.groups, self.codes)
        if self.training:
            chosen = F.gumbel_softmax(logits.float(), tau=temperature, hard=True).to(logits)
            used = logits.view(-1, self.groups, self.codes).float().softmax(-1)
        else:
            chosen = F.one_hot(logits.argmax(-1), self.codes).to(logits)
            used = chosen.view(-1, self.groups, self.codes)
        chosen = chosen.view(-1, self.groups, self.codes)
        vectors = self.codevectors.view(self.groups, self.codes, -1)
        quantised = torch.einsum("ngv,gvd->ngd", chosen, vectors.to(chosen)).flatten(1)
        return quantised, chosen.argmax(-1), perplexity(used.sum(0) / max(1, x.shape[0]))


class Contrastive(nn.Module):
    """Quantiser, projections and loss.

    Args:
        tensors: what `load_heads` found in the checkpoint: it decides the sizes and is copied.
    """

    def __init__(
        self, encoder: XlsrEncoder, tensors: Mapping[str, Tensor], config: ContrastiveConfig, source: str = ""
    ) -> None:
        super().__init__()
        self.config = config
        try:
            rows, width = tensors["quantizer.codevectors"].shape[1:]
            size, joined = tensors["project_q.weight"].shape
            groups = joined // width
            self.quantizer = GumbelQuantizer(encoder.config.conv_dim[-1], groups, rows // groups, width)
            self.project_q = nn.Linear(joined, size)
            self.project_hid = nn.Linear(encoder.config.hidden_size, size)
            self.load_state_dict(dict(tensors), strict=True)
        except (KeyError, ValueError, ZeroDivisionError, RuntimeError) as error:
            raise UserError(
                f"{source}: its quantiser cannot be used ({' '.join(str(error).split())}); continue with "
                "objective: best_rq, which needs none"
            ) from None

    def forward(
        self,
        passed: MaskedPass,
        num_updates: int = 0,
        draw: torch.Generator | None = None,
        negatives: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss per masked frame and figures (see `xlsrt.pretrain.monitor`).

        Args:
            negatives: (N, K) places among the masked frames instead of drawn ones.
        """
        config = self.config
        if negatives is None:
            negatives = draw_negatives(passed.mask, config.negatives, draw)
        features = F.dropout(passed.features[passed.mask], config.feature_dropout, self.training)
        quantised, codes, diversity = self.quantizer(features, config.gumbel(num_updates))
        positive = F.normalize(self.project_q(quantised).float(), dim=-1)
        predicted = F.normalize(self.project_hid(passed.frames[passed.mask]).float(), dim=-1)
        count = positive.shape[0]
        # (N, N) products cost less than gathering (N, K, P) vectors: a row holds few hundred masked frames.
        # Autocast would round the similarities to half precision, ten times coarser after the temperature.
        with torch.autocast(predicted.device.type, enabled=False):
            products = predicted @ positive.T
        same = (codes[negatives] == codes[:, None, :]).all(-1)
        others = products.gather(1, negatives).masked_fill(same, float("-inf"))
        logits = torch.cat((products.diagonal()[:, None], others), dim=1) / config.logits_temperature
        loss = F.cross_entropy(logits, logits.new_zeros(count, dtype=torch.long), reduction="sum")
        loss = loss / max(1, count)
        share = diversity.sum() / (self.quantizer.groups * self.quantizer.codes)
        best = logits.detach().argmax(-1)
        figures = {
            "loss_contrastive": loss.detach(),
            "loss_diversity": (1 - share).detach(),
            "accuracy": (best == 0).float().sum() / max(1, count),
            "baseline": chance(codes, negatives),
            "code_use": share.detach(),
            "feature_std": feature_spread(passed),
        }
        return loss + config.diversity_weight * (1 - share), figures


def chance(codes: Tensor, negatives: Tensor) -> Tensor:
    """Share of the frames that a guess among their candidates would find.

    Candidates of the same codes are one: of few masked frames, or of few codes in use, a guess is easy,
    however many negatives are drawn.

    Args:
        codes: (N, G). negatives: (N, K) places among the N.
    """
    kinds = codes.unique(dim=0, return_inverse=True)[1] if len(codes) else codes[:, 0]
    candidates = torch.cat((kinds[:, None], kinds[negatives]), dim=1).sort(dim=1).values
    different = 1 + (candidates.diff(dim=1) != 0).sum(1)
    return different.float().reciprocal().sum() / max(1, len(codes))


def draw_negatives(mask: Tensor, count: int, draw: torch.Generator | None = None) -> Tensor:
    """(B, T) -> (N, count) places among the N masked frames: others of the same utterance, uniformly.

    An utterance with a single masked frame has no other: that frame stands for itself and is ignored later.
    """
    per_row = mask.sum(1)
    rows = per_row.repeat_interleave(per_row)
    first = (per_row.cumsum(0) - per_row).repeat_interleave(per_row)
    own = torch.arange(rows.shape[0], device=mask.device) - first
    device = mask.device if draw is None else "cpu"
    uniform = torch.rand(rows.shape[0], count, generator=draw, device=device).to(mask.device)
    places = (uniform * (rows - 1)[:, None]).long()
    places = places + (places >= own[:, None]).long() * (rows > 1)[:, None].long()
    return places + first[:, None]
