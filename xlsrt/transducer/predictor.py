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

    def tabled(self) -> list[Tensor]:
        """The weights that ``table`` is made of."""
        raise NotImplementedError

    def table(self) -> Tensor:
        """What each token adds to the first layer, whatever came before it: rows for ``step_from``."""
        raise NotImplementedError

    def step_from(
        self, table: Tensor, tokens: Tensor, state: PredictorState
    ) -> tuple[Tensor, PredictorState]:
        """What ``step`` gives in eval mode, to rounding, with look-ups in ``table()`` for products."""
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

    def tabled(self) -> list[Tensor]:
        return [self.embed.weight, self.mix.weight, self.mix.bias]

    def table(self) -> Tensor:
        """(C * V, P): the tokens at each place of the history, the oldest place first."""
        weights = self.mix.weight.unflatten(1, (self.context_size, -1)).unbind(1)
        places = [nn.functional.linear(self.embed.weight, weight) for weight in weights]
        places[0] = places[0] + self.mix.bias
        return torch.cat(places)

    def step_from(
        self, table: Tensor, tokens: Tensor, state: PredictorState
    ) -> tuple[Tensor, PredictorState]:
        history = self.heard(tokens, state)
        places = torch.arange(self.context_size, device=history.device) * self.embed.num_embeddings
        return torch.relu(nn.functional.embedding(history + places, table).sum(1)), (history,)

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
        said = self.dropout(self.embed(tokens))
        return self._cells(said, [], list(zip(*(part.unbind(1) for part in state), strict=True)))

    def tabled(self) -> list[Tensor]:
        embed, (into, _, *biases) = self.embed.weight, self._weights(0)
        return [embed, into, *biases]

    def table(self) -> Tensor:
        """(V, 4 H): the gates' sums, biases and all, before the hidden state adds its own."""
        embed, into, bias, other = self.tabled()
        return nn.functional.linear(embed, into, bias + other)

    def step_from(
        self, table: Tensor, tokens: Tensor, state: PredictorState
    ) -> tuple[Tensor, PredictorState]:
        if table.device.type != "cpu":  # a GPU's kernel does all of a cell's sums at once
            return self.step(tokens, state)
        (hidden, cell), *others = zip(*(part.unbind(1) for part in state), strict=True)
        sums = torch.addmm(nn.functional.embedding(tokens, table), hidden, self._weights(0)[1].t())
        enter, forget, new, leave = sums.chunk(4, 1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        said = leave.sigmoid() * cell.tanh()
        return self._cells(said, [(said, cell)], others)

    def _weights(self, layer: int) -> list[Tensor]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self.lstm, f"{name}_l{layer}") for name in names]

    def _cells(
        self, said: Tensor, after: list[tuple[Tensor, ...]], states: list[tuple[Tensor, ...]]
    ) -> tuple[Tensor, PredictorState]:
        """The last layers, with ``states`` before the token; ``after``: those of the layers below, after it.

        Cell by cell: through nn.LSTM a single step lays out the weights anew, 13 times the work on a CPU.
        """
        for layer, before in enumerate(states, len(after)):
            said, cell = torch.lstm_cell(said, before, *self._weights(layer))
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
