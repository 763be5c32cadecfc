"""What a ``conf/decode_*.yaml`` may say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from xlsrt.context import AttentionContext
from xlsrt.errors import UserError
from xlsrt.numbers import as_number
from xlsrt.recognizer.endpoint import OF_NO_USE, EndpointRules
from xlsrt.search.options import BEAM_SIZE, check_search
from xlsrt.settings import check_keys
from xlsrt.tree import read_tree
from xlsrt.units import SAMPLE_RATE

MODES = ("masked", "streaming")


@dataclass(frozen=True)
class DecodeConfig:
    """One way of decoding.

    Attributes:
        context: attention context of the encoder; full attention where none is named.
        search: options of the search, as `xlsrt.search.search_from_dict` takes them.
        mode: ``masked`` (whole utterances under the context's mask) or ``streaming`` (packets through the
            caches). Both give the same words.
        packet_ms: length of the packets of ``streaming``, in milliseconds.
        nbest: hypotheses of an utterance to hand out, best first; more than one needs a beam as wide.
        endpoint: rules that close segments, after each of which the search begins anew; an utterance's words
            are those of its segments. None: it is one segment.
        stages: training stages whose models this is meant for; None: all. Only the recipe reads it.
        named: the keys that were written out.
    """

    context: AttentionContext
    search: Mapping[str, Any]
    mode: str = "masked"
    packet_ms: float = 320.0
    nbest: int = 1
    endpoint: EndpointRules | None = None
    stages: tuple[str, ...] | None = None
    named: frozenset[str] = field(default=frozenset(), compare=False)

    def __post_init__(self) -> None:
        width = self.search.get("beam_size", BEAM_SIZE) if self.search.get("type") == "beam" else 1
        if isinstance(self.nbest, bool) or not isinstance(self.nbest, int) or self.nbest < 1:
            raise UserError(f"nbest {self.nbest!r} is not a whole number from 1 on")
        if self.nbest > width:
            raise UserError(
                f"nbest {self.nbest} needs search: {{type: beam, beam_size: {self.nbest}}} or more; "
                f"this search keeps {width}"
            )
        if self.endpoint is None:
            return
        if self.nbest > 1:
            raise UserError("nbest is for whole utterances; with an endpoint it must be 1")
        if self.mode == "streaming" and self.context.is_full:
            raise UserError(f"{OF_NO_USE} mode: masked, or a context with chunks")

    def hears_as(self, other: DecodeConfig) -> bool:
        """Whether both ask the same of the encoder, whatever their searches. Rules that close segments make
        that depend on the search.
        """
        mine, its = (
            (one.context, one.mode, one.packet_ms if one.mode == "streaming" else None)
            for one in (self, other)
        )
        return mine == its and self.endpoint is None and other.endpoint is None

    @property
    def packet_samples(self) -> int:
        return round(self.packet_ms * SAMPLE_RATE / 1000)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], where: str = "decode configuration") -> DecodeConfig:
        """Build from a mapping; ``where`` names its source in errors.

        Raises:
            UserError: a key or value is unknown.
        """
        known = [one.name for one in fields(cls) if one.name != "named"]
        check_keys(content, known, where)
        mode = content.get("mode", "masked")
        if mode not in MODES:
            raise UserError(f"{where}: mode {mode!r} is not one of {', '.join(MODES)}")
        said = content.get("packet_ms", cls.packet_ms)
        packet_ms = as_number(said, float)
        if (
            not isinstance(packet_ms, float)
            or not math.isfinite(packet_ms)
            or round(packet_ms * SAMPLE_RATE / 1000) < 1
        ):
            raise UserError(f"{where}: packet_ms {said!r} is not a positive number of milliseconds")
        stages = content.get("stages")
        if stages is not None and not isinstance(stages, (list, tuple)):
            raise UserError(f"{where}: stages must be a list such as [5b, 5c], not {stages!r}")
        context, endpoint = _context(content.get("context"), where), _endpoint(content.get("endpoint"), where)
        try:
            return cls(
                context=context,
                search=check_search(content.get("search", "greedy")),
                mode=mode,
                packet_ms=packet_ms,
                nbest=content.get("nbest", cls.nbest),
                endpoint=endpoint,
                stages=None if stages is None else tuple(str(stage) for stage in stages),
                named=frozenset(content),
            )
        except UserError as error:
            raise UserError(f"{where}: {error}") from None

    @classmethod
    def from_file(cls, path: Path) -> DecodeConfig:
        """Read a YAML file."""
        if not path.is_file():
            raise UserError(f"decode configuration {path} does not exist; see conf/decode_*.yaml")
        return cls.from_dict(read_tree(path), str(path))


def _context(content: Any, where: str) -> AttentionContext:
    if content is None or content == "full":
        return AttentionContext.full()
    if not isinstance(content, Mapping):
        raise UserError(
            f"{where}: context must be `full` or chunk_ms, left_ms and sink_frames, not {content!r}"
        )
    try:
        return AttentionContext.from_dict(dict(content))
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _endpoint(content: Any, where: str) -> EndpointRules | None:
    if content is None:
        return None
    if not isinstance(content, Mapping):
        raise UserError(f"{where}: endpoint must be rules such as {{trailing_silence: 0.5}}, not {content!r}")
    try:
        rules = EndpointRules.from_dict(content)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return rules
