"""The model that ESPnet trains: `model: xlsr_transducer`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.train.abs_espnet_model import AbsESPnetModel
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn

from xlsrt.encoder.layer import keep_in_graph
from xlsrt.errors import UserError
from xlsrt.espnet_task.augment import batch_generator
from xlsrt.espnet_task.encoder import XlsrEspnetEncoder
from xlsrt.espnet_task.join import join_batch
from xlsrt.espnet_task.trained_model import TrainedModel
from xlsrt.search import GreedySearch
from xlsrt.transducer import TransducerHead
from xlsrt.transducer.training_conf import ModelConfig

_JOIN_SEED = 7  # another than the augmentation's, which draws from the same steps
_SPACE = "<space>"  # ESPnet's, in token lists of characters
Padded = tuple[Tensor, Tensor]
"""Rows, and the length of each."""


class XlsrTransducerModel(TrainedModel, ESPnetASRModel):
    """Encoder and transducer head with ESPnet's training interface.

    ESPnet's task wants an `ESPnetASRModel`. That class's constructor builds losses we do not use (one needs
    warprnnt_pytorch), so the common base is initialised instead and every method that is called is our own.

    Args:
        encoder: the adapter. head: built for ``encoder.output_size()`` and the token list.
        token_list: "<blank>" first. config: see `ModelConfig`.
    """

    def __init__(
        self, encoder: XlsrEspnetEncoder, head: TransducerHead, token_list: Sequence[str], config: ModelConfig
    ) -> None:
        AbsESPnetModel.__init__(self)
        self.encoder = encoder
        self.head = head
        self.token_list = list(token_list)
        self.vocab_size = len(self.token_list)
        self.blank_id = head.config.blank_id
        self.config = config
        self.ctc_weight = head.config.ctc_weight
        self.extract_feats_in_collect_stats = False
        config.check_head(head.config)
        self.num_updates = 0

    @property
    def trains_ctc_alone(self) -> bool:
        """Whether the next update is one of the first ``ctc_only_updates``."""
        return self.num_updates < self.config.ctc_only_updates

    def frozen_parameters(self) -> Iterator[nn.Parameter]:
        """What must stay as it is in the next update, although it has a (zero) gradient."""
        yield from super().frozen_parameters()
        if self.trains_ctc_alone:
            yield from (p for name, p in self.head.named_parameters() if not name.startswith("ctc."))

    def encode(self, speech: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform (B, S), lengths (B,) -> frames (B, T, D), (B,)."""
        frames, lens, _ = self.encoder(speech[:, : int(speech_lengths.max())], speech_lengths)
        return frames, lens

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, text: Tensor, text_lengths: Tensor, **kwargs: Any
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss of a batch.

        Args:
            speech: (B, S). speech_lengths: (B,). text: (B, U) ids, -1 where padded. text_lengths: (B,).
            kwargs: ESPnet adds ``utt_id``.

        Returns:
            loss (scalar), stats, weight (B as a scalar tensor). In eval mode the stats hold the counts
            ``ter_errors``/``ter_tokens`` and ``cer_ctc_errors``/``cer_ctc_tokens``, of which the trainer
            makes rates.
        """
        utterances, share = speech.size(0), 1.0
        if self.training and self.config.join.active:
            (speech, speech_lengths), (text, text_lengths) = self._joined(
                (speech, speech_lengths), (text, text_lengths)
            )
            share = speech.size(0) / utterances
        frames, lens = self.encode(speech, speech_lengths)
        if self.training and self.trains_ctc_alone:
            loss = keep_in_graph(self.head.ctc_loss(frames, lens, text, text_lengths), self.head)
            losses = {"loss": loss, "loss_ctc": loss}
        else:
            losses = self.head.losses(frames, lens, text, text_lengths, self.num_updates)
        # Per utterance of the corpus, however many were joined.
        losses = {name: share * value for name, value in losses.items()}
        stats = {name: value.detach() for name, value in losses.items()}
        if not self.training:
            stats.update(self._error_counts(frames, lens, text, text_lengths))
        return losses["loss"], stats, torch.tensor(float(utterances), device=losses["loss"].device)

    def _joined(self, speech: Padded, text: Padded) -> tuple[Padded, Padded]:
        encoder = self.encoder
        seed, step = encoder.augment.seed + _JOIN_SEED, encoder.batches_seen
        number = self.config.join.number(batch_generator(seed, step, rank=0))
        draw = batch_generator(seed, step, encoder.rank)
        space = self.token_list.index(_SPACE) if _SPACE in self.token_list else None
        return join_batch(self.config.join, number, speech, text, space, draw)

    def collect_feats(self, **batch: Tensor) -> dict[str, Tensor]:
        """There are no features: ESPnet's statistics stage is replaced by reading the lengths."""
        raise UserError(
            "xlsr_transducer has no features to collect; write shape files with stage 4 of run.sh"
        )

    @torch.no_grad()
    def _error_counts(
        self, frames: Tensor, lens: Tensor, text: Tensor, text_lengths: Tensor
    ) -> dict[str, Tensor]:
        references = [
            row[:length].tolist() for row, length in zip(text.cpu(), text_lengths.tolist(), strict=True)
        ]
        search = GreedySearch(self.head, max_symbols=self.config.valid_max_symbols)
        state = search.step(frames, lens, search.init_state(frames.size(0)))
        counts = {"ter": _count([hypothesis.tokens for hypothesis in search.finish(state)], references)}
        if self.head.ctc is not None:
            best = self.head.ctc_log_probs(frames).argmax(-1).cpu()
            found = [
                _collapse(row[:n].tolist(), self.blank_id) for row, n in zip(best, lens.tolist(), strict=True)
            ]
            counts["cer_ctc"] = _count(found, references)
        return {
            f"{name}_{part}": torch.tensor(float(value), device=frames.device)
            for name, pair in counts.items()
            for part, value in zip(("errors", "tokens"), pair, strict=True)
        }


def _count(found: list[list[int]], references: list[list[int]]) -> tuple[int, int]:
    errors = sum(Levenshtein.distance(ours, theirs) for ours, theirs in zip(found, references, strict=True))
    return errors, sum(len(reference) for reference in references)


def _collapse(ids: list[int], blank: int) -> list[int]:
    """CTC's best path -> tokens: merge repeats, drop blanks."""
    return [token for at, token in enumerate(ids) if token != blank and (at == 0 or ids[at - 1] != token)]
