"""Sections of a training configuration of which recognition needs a part, and judges the rest: what is
mistyped there would be left at its default without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from xlsrt.errors import UserError
from xlsrt.settings import Settings, as_mapping, check_keys, typed, types_of
from xlsrt.transducer.config import HeadConfig

ENCODER_CONF = ("config", "pretrained", "train_context", "eval_context", "augment")
"""Keys of ``encoder_conf``."""
PREFIXES = {"encoder": "encoder.xlsr.", "head": "head."}
"""Of the names of a trained model's parameters."""


def read_encoder_conf(conf: Any) -> dict[str, Any]:
    """``encoder_conf`` as a dict; unknown keys are refused by name, what is no section or path too."""
    given = as_mapping(conf, "encoder_conf", optional=True)
    check_keys(given, ENCODER_CONF, "encoder_conf")
    typed(given.get("pretrained"), str | None, "encoder_conf.pretrained")
    as_mapping(given.get("config"), "encoder_conf.config", "{preset: tiny}", optional=True)
    return given


def is_part(name: str, parts: Sequence[str]) -> bool:
    """Whether a parameter is, or lies in, one of these parts of a model: as ESPnet reads ``freeze_param``."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


@dataclass(frozen=True)
class JoinConfig(Settings):
    """How utterances are joined; the default does nothing.

    Attributes:
        utterances: most that become one; how many is drawn for each batch, from 1 to this.
        seconds: no longer than this unless a single utterance is; the lead comes on top.
        pause: [low, high] seconds between two, filled with noise as quiet as the first one's quietest 20 ms.
        pause_skew: 1 draws pauses evenly between low and high; at s, half of them are below
            ``low + (high - low) / 2 ** s``, so that long ones are heard now and then.
        lead: [low, high] seconds of such noise before the first one, evenly drawn. Corpora are cut a little
            before the first word, so that chunks meet it at about one place; in a stream they meet it at any.
        zeros: share of pauses and leads that are digital silence instead, as muted microphones and telephone
            lines send it. A model that has never heard it makes more errors after it.
    """

    WHERE = "model_conf.join"

    utterances: int = 1
    seconds: float = 20.0
    pause: tuple[float, float] = (0.0, 1.0)
    pause_skew: float = 1.0
    lead: tuple[float, float] = (0.0, 0.0)
    zeros: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.utterances < 1:
            raise UserError(f"model_conf.join.utterances is {self.utterances}; it must be 1 (off) or more")
        if self.seconds <= 0:
            raise UserError(f"model_conf.join.seconds is {self.seconds}; it must be above 0")
        for name in ("pause", "lead"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise UserError(f"model_conf.join.{name} is {[low, high]}; it must be [low, high] in seconds")
        if not 0 <= self.zeros <= 1:
            raise UserError(f"model_conf.join.zeros is {self.zeros}; it must be from 0 to 1")
        if self.pause_skew < 1:
            raise UserError(f"model_conf.join.pause_skew is {self.pause_skew}; it must be 1 or more")

    @property
    def active(self) -> bool:
        """Whether it does anything."""
        return self.utterances > 1 or self.lead[1] > 0

    def number(self, draw: torch.Generator) -> int:
        """How many utterances become one in a batch; ranks that draw alike do not wait for each other."""
        return int(torch.randint(1, self.utterances + 1, (1,), generator=draw))


@dataclass(frozen=True)
class ModelConfig(Settings):
    """The part of ``model_conf`` that only a training reads; the head's keys are `HeadConfig`'s.

    Attributes:
        ctc_only_updates: updates at the start that train the CTC branch alone. From random weights CTC finds
            the alignment first, and the predictor does not learn the transcripts by heart before the encoder
            hears.
        join: how training utterances are joined to longer ones, see `JoinConfig`; off by default.
        valid_max_symbols: tokens per joint frame at most in validation's greedy search.
        extract_feats_in_collect_stats: ESPnet's key; there are no features, so it must stay False.
    """

    WHERE = "model_conf"

    ctc_only_updates: int = 0
    join: JoinConfig = field(default_factory=JoinConfig)
    valid_max_symbols: int = 10
    extract_feats_in_collect_stats: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("ctc_only_updates", "valid_max_symbols"):
            if getattr(self, name) < 0:
                raise UserError(f"model_conf.{name} is {getattr(self, name)}; it must not be negative")

    def check_head(self, head: HeadConfig) -> None:
        """Whether the head has what these settings train.

        Raises:
            UserError: updates of CTC alone, and no CTC branch.
        """
        if self.ctc_only_updates and not head.ctc_weight:
            raise UserError(
                "model_conf.ctc_only_updates needs a CTC branch: set model_conf.ctc_weight above 0"
            )

    @classmethod
    def from_model_conf(cls, model_conf: Mapping[str, Any] | None, head_keys: Sequence[str]) -> ModelConfig:
        """Pick our keys out of ``model_conf``; what is neither ours nor the head's is refused by name."""
        ours = list(types_of(cls))
        given = as_mapping(model_conf, cls.WHERE, optional=True)
        check_keys(given, [*ours, *head_keys], cls.WHERE)
        values = {key: value for key, value in given.items() if key in ours}
        values["join"] = JoinConfig.from_dict(values.get("join"))
        return cls(**values)
