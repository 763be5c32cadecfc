"""Prediction networks: what the transducer knows of the tokens it has emitted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xlsrt.transducer.config import HeadConfig

PredictorState = tuple[Tensor, ...]
"""Tensors whose first dimension is the batch, so that states are picked and joined by plain indexing."""


class Predictor(nn.Module):
    """Interface of both predictors: ``forward`` serves training, ``start`` and ``step`` the searches."""

    blank_id: int
    output_size: int

    def forward(self, tokens: Tensor) -> Tensor:
        """Transcripts (B, U) -> outputs (B, U + 1, P); output u has seen the first u tokens."""
        raise NotImplementedError

    def start(self, batch_size: int) -> tuple[Tensor, PredictorState]:
        """Output (B, P) and state before the first token."""
        first = next(self.parameters())
        blank = torch.full((batch_size,), self.blank_id, dtype=torch.long, device=first.device)
        return self.step(blank, self._zero_state(batch_size))

    def step(self, tokens: Tensor, state: PredictorState) -> tuple[Tensor, PredictorState]:
        """One more token each (B,) -> output (B, P) and the new state."""
        raise NotImplementedError

    def _zero_state(self, batch_size: int) -> PredictorState:
        raise NotImplementedError


class StatelessPredictor(Predictor):
    """Sees the last ``context_size`` tokens only (arXiv 2109.07513): their embeddings, mixed by one layer."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.blank_id = config.blank_id
        self.context_size = config.context_size
        self.output_size = config.predictor_size
        self.embed = nn.Embedding(config.vocab_size, config.predictor_size)
        self.mix = nn.Linear(config.context_size * config.predictor_size, config.predictor_size)
        self.dropout = nn.Dropout(config.dropout)

    def _output(self, history: Tensor) -> Tensor:
        embedded: Tensor = self.dropout(self.embed(history)).flatten(-2)
        return torch.relu(self.mix(embedded))

    def forward(self, tokens: Tensor) -> Tensor:
        padded = nn.functional.pad(tokens, (self.context_size, 0), value=self.blank_id)
        return self._output(padded.unfold(1, self.context_size, 1))

    def step(self, tokens: Tensor, state: PredictorState) -> tuple[Tensor, PredictorState]:
        history = self.heard(tokens, state)
        return self._output(history), (history,)

    def heard(self, tokens: Tensor, state: PredictorState) -> Tensor:
        """The last tokens (..., C) after one more each (...)."""
        return torch.cat([state[0][..., 1:], tokens.unsqueeze(-1)], dim=-1)

    def sums(self) -> Tensor:
        """What each token at each place of the history adds to the layer: (C * V, P), oldest place first."""
        weights = self.mix.weight.unflatten(1, (self.context_size, -1)).unbind(1)
        places = [nn.functional.linear(self.embed.weight, weight) for weight in weights]
        places[0] = places[0] + self.mix.bias
        return torch.cat(places)

    def from_sums(self, history: Tensor, sums: Tensor) -> Tensor:
        """Histories (B, C) -> outputs (B, P), in eval mode, from ``sums()``."""
        places = torch.arange(self.context_size, device=history.device) * self.embed.num_embeddings
        return torch.relu(nn.functional.embedding(history + places, sums).sum(1))

    def _zero_state(self, batch_size: int) -> PredictorState:
        shape = (batch_size, self.context_size)
        return (torch.full(shape, self.blank_id, dtype=torch.long, device=self.embed.weight.device),)


class LstmPredictor(Predictor):
    """A unidirectional LSTM over all tokens so far (arXiv 1211.3711)."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.blank_id = config.blank_id
        self.output_size = config.predictor_size
        self.embed = nn.Embedding(config.vocab_size, config.predictor_size)
        between = config.dropout if config.lstm_layers > 1 else 0.0
        self.lstm = nn.LSTM(
            config.predictor_size,
            config.predictor_size,
            config.lstm_layers,
            batch_first=True,
            dropout=between,
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = self.dropout(self.embed(nn.functional.pad(tokens, (1, 0), value=self.blank_id)))
        # In bfloat16 a CPU's kernel takes two to three times as long, most of it in its backward.
        with torch.autocast("cpu", enabled=False):
            output: Tensor = self.lstm(embedded)[0]
        return output

    def step(self, tokens: Tensor, state: PredictorState) -> tuple[Tensor, PredictorState]:
        # Cell by cell: through nn.LSTM a single step lays out the weights anew, 13 times the work on a CPU.
        said, after = self.dropout(self.embed(tokens)), []
        for layer, before in enumerate(zip(*(part.unbind(1) for part in state), strict=True)):
            names = (f"{name}_l{layer}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            said, cell = torch.lstm_cell(said, before, *(getattr(self.lstm, name) for name in names))
            after.append((said, cell))
        hidden, cell = (torch.stack(part, 1) for part in zip(*after, strict=True))
        return said, (hidden, cell)

    def _zero_state(self, batch_size: int) -> PredictorState:
        weight = self.embed.weight
        zeros = weight.new_zeros(batch_size, self.lstm.num_layers, self.lstm.hidden_size)
        return zeros, zeros


def build_predictor(config: HeadConfig) -> Predictor:
    """The predictor that the configuration names."""
    return StatelessPredictor(config) if config.predictor == "stateless" else LstmPredictor(config)
