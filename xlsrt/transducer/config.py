"""The settings of everything that stands on the encoder: predictor, joint, losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xlsrt.errors import UserError
from xlsrt.settings import Settings, as_mapping, check_keys, typed, types_of

PREDICTORS = ("stateless", "lstm")
LOSSES = ("full", "pruned")
SUBSAMPLINGS = (1, 2, 4)

_DECODER_KEYS = {
    "hidden_size": "predictor_size",
    "context_size": "context_size",
    "num_layers": "lstm_layers",
    "dropout": "dropout",
    "token_noise": "token_noise",
}
_JOINT_KEYS = {"joint_size": "joint_size"}
MODEL_KEYS = {
    "ctc_weight": "ctc_weight",
    "output_subsampling": "output_subsampling",
    "loss": "loss",
    "fastemit_lambda": "fastemit_lambda",
    "delay_penalty": "delay_penalty",
    "loss_warmup_updates": "warmup_updates",
    "prune_range": "prune_range",
    "simple_loss_scale": "simple_loss_scale",
}
"""Keys of ESPnet's ``model_conf`` that are the head's, and its own names for them."""


@dataclass(frozen=True)
class HeadConfig(Settings):
    """Sizes and loss settings of `TransducerHead`.

    Attributes:
        encoder_size: D, width of an encoder frame.
        vocab_size: V, tokens with the blank.
        blank_id: index of the blank; it is also the predictor's start symbol.
        predictor: "stateless" (sees the last ``context_size`` tokens) or "lstm".
        predictor_size: P. context_size: tokens, stateless only. lstm_layers: LSTM only.
        joint_size: J, width of the tanh layer.
        output_subsampling: encoder frames per joint frame, 1, 2 or 4 (20, 40, 80 ms).
        dropout: on the predictor's embeddings and in front of the joint's output layer, there
            drawn once for each joint frame.
        token_noise: share of the transcript's tokens that the predictor is told wrong in training: with few
            transcripts it learns them by heart, and then stops the joint from listening to the encoder.
        ctc_weight: weight of the auxiliary CTC loss, which is added; 0 builds no CTC layer.
        loss: "full" or "pruned".
        fastemit_lambda: FastEmit (arXiv 2010.11148), label gradients times 1 + lambda, after the warm-up.
        delay_penalty: per joint frame of delay (arXiv 2211.00490), added to label scores after the warm-up.
        warmup_updates: updates before FastEmit and the delay penalty begin and the pruned loss is itself.
        prune_range: nodes per joint frame that the pruned loss keeps.
        simple_loss_scale: weight of the simple joint's loss after the warm-up (pruned loss only).
    """

    WHERE = "head"

    encoder_size: int
    vocab_size: int
    blank_id: int = 0
    predictor: str = "stateless"
    predictor_size: int = 256
    context_size: int = 2
    lstm_layers: int = 1
    joint_size: int = 256
    output_subsampling: int = 1
    dropout: float = 0.0
    token_noise: float = 0.0
    ctc_weight: float = 0.3
    loss: str = "full"
    fastemit_lambda: float = 0.0
    delay_penalty: float = 0.0
    warmup_updates: int = 0
    prune_range: int = 5
    simple_loss_scale: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, allowed in (
            ("predictor", PREDICTORS),
            ("loss", LOSSES),
            ("output_subsampling", SUBSAMPLINGS),
        ):
            if getattr(self, name) not in allowed:
                value = getattr(self, name)
                raise UserError(f"{name} is {value!r}; choose one of {', '.join(map(str, allowed))}")
        for name in ("encoder_size", "predictor_size", "context_size", "lstm_layers", "joint_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.vocab_size < 2:
            raise UserError(f"vocab_size is {self.vocab_size}; it needs the blank and at least one token")
        if not 0 <= self.blank_id < self.vocab_size:
            raise UserError(f"blank_id is {self.blank_id}; it must be below vocab_size, {self.vocab_size}")
        if self.prune_range < 2:
            raise UserError(f"prune_range is {self.prune_range}; the band needs 2 or more nodes per frame")
        for name in ("dropout", "token_noise"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be in [0, 1)")
        for name in ("ctc_weight", "fastemit_lambda", "delay_penalty", "warmup_updates", "simple_loss_scale"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} is {getattr(self, name)}; it must not be negative")

    @classmethod
    def from_espnet(cls, args: Mapping[str, Any], encoder_size: int, vocab_size: int) -> HeadConfig:
        """Read ESPnet's ``decoder``, ``decoder_conf``, ``joint_net_conf`` and our part of ``model_conf``.

        Keys of ``model_conf`` that are not the head's belong to the model and are left alone.
        """
        kinds = types_of(cls)
        values: dict[str, Any] = {"encoder_size": encoder_size, "vocab_size": vocab_size}
        if args.get("decoder"):
            values["predictor"] = args["decoder"]
        for section, table, strict in (
            ("decoder_conf", _DECODER_KEYS, True),
            ("joint_net_conf", _JOINT_KEYS, True),
            ("model_conf", MODEL_KEYS, False),
        ):
            given = as_mapping(args.get(section), section, optional=True)
            if strict:
                check_keys(given, table, section)
            for key, name in table.items():
                if key in given:
                    values[name] = typed(given[key], kinds[name], f"{section}.{key}")
        return cls(**values)
