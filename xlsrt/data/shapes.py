"""Shape files for ESPnet's batch sampler, straight from a dump and a token model: no audio is read.

``speech_shape`` holds ``utt samples``, ``text_shape.<type>`` holds ``utt tokens,vocabulary``. ESPnet trains
on the utterances that these files name, so this is also where too short and too long ones leave the set.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from xlsrt.data.audio import MIN_SAMPLES
from xlsrt.data.kaldi import DataDir
from xlsrt.data.tables import outer_join, sorted_table
from xlsrt.data.tokens import BpeTokenizer, Tokenizer, check_token_model, make_tokenizer, read_token_list
from xlsrt.errors import UserError
from xlsrt.files import atomic_open
from xlsrt.units import HOP, SAMPLE_RATE

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LengthFilter:
    """Bounds of an utterance: seconds of audio, and whether its tokens must fit into its 20 ms frames."""

    min_seconds: float = 0.1
    max_seconds: float = 30.0
    tokens_fit: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.min_seconds < self.max_seconds:
            raise UserError(
                f"--min_seconds {self.min_seconds:g} --max_seconds {self.max_seconds:g}: the first is less"
            )

    def reason_to_drop(self, samples: int, tokens: int) -> str | None:
        """Why an utterance leaves the set, or None. CTC needs a frame per token."""
        seconds = samples / SAMPLE_RATE
        frames = max(0, (samples - MIN_SAMPLES) // HOP + 1)
        if seconds < self.min_seconds:
            return f"shorter than {self.min_seconds:g} s"
        if seconds > self.max_seconds:
            return f"longer than {self.max_seconds:g} s"
        if self.tokens_fit and tokens > frames:
            return "more tokens than frames"
        return None


def write_shapes(
    data_dir: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    token_type: str,
    token_list: str | os.PathLike[str],
    bpemodel: str | os.PathLike[str] | None = None,
    bounds: LengthFilter | None = None,
) -> int:
    """Write the shape files of a dump, and ``dropped`` with a reason for each utterance left out.

    Returns the number of utterances kept.

    Raises:
        UserError: the dump is incomplete, the token model and list disagree, or no utterance is left.
    """
    bounds = bounds or LengthFilter()
    tokens = read_token_list(token_list)
    check_token_model(tokens, token_type, bpemodel)
    tokenizer = make_tokenizer(token_type, bpemodel)
    data, out = DataDir(data_dir), Path(output)
    data.require("text", "utt2num_samples")
    reasons: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    kept = 0
    known = set(tokens)
    with ExitStack() as stack:
        speech = stack.enter_context(atomic_open(out / "speech_shape"))
        text = stack.enter_context(atomic_open(out / f"text_shape.{token_type}"))
        dropped = stack.enter_context(atomic_open(out / "dropped"))
        tables = {name: sorted_table(data.path / name) for name in ("text", "utt2num_samples")}
        for utt, row in outer_join(tables):
            samples = _samples(data, utt, row)
            pieces = tokenizer.tokens(row["text"])
            if not pieces:
                raise UserError(
                    f"{data.path}/text: utterance '{utt}' has an empty transcript: transcribe or remove it"
                )
            reason = bounds.reason_to_drop(samples, len(pieces))
            if reason:
                reasons[reason] += 1
                dropped.write(f"{utt} {reason}: {samples / SAMPLE_RATE:.3f} s, {len(pieces)} tokens\n")
                continue
            kept += 1
            unknown.update(_unknown(pieces, tokenizer, known))
            speech.write(f"{utt} {samples}\n")
            text.write(f"{utt} {len(pieces)},{len(tokens)}\n")
        _report(data.path, out, kept, reasons, unknown)
    return kept


def _samples(data: DataDir, utt: str, row: dict[str, str]) -> int:
    for name in ("text", "utt2num_samples"):
        if name not in row:
            raise UserError(f"{data.path}: utterance '{utt}' is missing in {name}: format the set again")
    try:
        return int(row["utt2num_samples"])
    except ValueError:
        raise UserError(
            f"{data.path}/utt2num_samples: utterance '{utt}': '{row['utt2num_samples']}' is no number"
        ) from None


def _unknown(pieces: list[str], tokenizer: Tokenizer, known: set[str]) -> list[str]:
    """Tokens outside the list. SentencePiece returns an unknown stretch as it is written."""
    strangers = [piece for piece in pieces if piece not in known]
    return [c for piece in strangers for c in piece] if isinstance(tokenizer, BpeTokenizer) else strangers


def _report(data: Path, out: Path, kept: int, reasons: Counter[str], unknown: Counter[str]) -> None:
    told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    if not kept:
        raise UserError(
            f"{data}: a set without utterances after filtering ({told or 'it was empty'}): look at the data, "
            "or change --min_seconds and --max_seconds (of run.sh: --min_wav_duration, --max_wav_duration)"
        )
    if unknown:
        seen = ", ".join(f"'{token}' {count} times" for token, count in unknown.most_common(5))
        log.warning(
            "%s: characters that the token model does not know are trained as %s: %s", data, "<unk>", seen
        )
    if reasons:
        log.warning(
            "%s: dropped %d of %d utterances: %s; listed in %s/dropped",
            data,
            reasons.total(),
            kept + reasons.total(),
            told,
            out,
        )
    log.info("%s: %d utterances", out, kept)
