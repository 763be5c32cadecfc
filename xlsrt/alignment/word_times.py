"""Word times of a set, found by forced alignment, and how far they are from true ones."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from xlsrt.alignment.aligner import Aligner, SaidWord
from xlsrt.context import AttentionContext
from xlsrt.ctm import Timed, alignment_head, ctm_lines, read_ctm
from xlsrt.data.kaldi import DataDir
from xlsrt.data.waveforms import load_samples, read_set
from xlsrt.errors import UserError
from xlsrt.files import write_text
from xlsrt.recognizer import Recognizer

log = logging.getLogger(__name__)


def write_word_times(
    model: Path,
    data_dir: Path,
    output: Path,
    context: AttentionContext | None = None,
    model_file: str | None = None,
    device: str = "cpu",
    word_times: Path | None = None,
) -> str:
    """Align every utterance of a set and write a CTM file that says so; returns what to tell the user.

    Args:
        model, context, model_file, device: as `Recognizer.from_exp` takes them.
        word_times: CTM file with true times to compare with.
    """
    true = None if word_times is None else read_ctm(word_times)
    recognizer = Recognizer.from_exp(model, context, model_file=model_file, device=device)
    left_out: list[str] = []
    found = dict(align_set(Aligner(recognizer, str(model)), data_dir, left_out))
    if not found:
        raise UserError(f"{data_dir}: not one utterance could be aligned (the log above says why)")
    timed = {utt: [(w.word, w.start, w.end, w.prob) for w in words] for utt, words in found.items()}
    lines = [ctm_lines(utt, words) for utt, words in timed.items()]
    write_text(output, "".join([alignment_head(str(model)), *lines]))
    count = sum(map(len, found.values()))
    said = f"{output}: {count} words of {len(found)} utterances"
    if left_out:
        said += f", {len(left_out)} utterances are left out ({left_out[0]}{', ...' if left_out[1:] else ''})"
    if true is None:
        return said
    starts, ends = errors_ms(found, true)
    if not starts:
        raise UserError(f"{word_times} and {data_dir} have no utterance with the same words")
    return f"{said}\n{_errors('starts', starts)}\n{_errors('ends', ends)}"


def align_set(
    aligner: Aligner, data_dir: Path, left_out: list[str] | None = None
) -> Iterator[tuple[str, list[SaidWord]]]:
    """Every utterance of a data directory with its words; what cannot be aligned is named in the log and, if
    it is given, in ``left_out``.

    Raises:
        UserError: the set has no transcripts.
    """
    data = DataDir(data_dir)
    entries = read_set(data_dir)
    if all(entry.utterance.text is None for entry in entries):
        raise UserError(f"{data_dir} has no text: there is nothing to align")
    for number, entry in enumerate(entries, 1):
        text = entry.utterance.text or ""
        try:
            if not text.split():
                raise UserError("it has no text")
            yield entry.name, aligner(load_samples(data, entry), text)
        except UserError as error:
            log.warning("%s is left out: %s", entry.name, error)
            if left_out is not None:
                left_out.append(entry.name)
        if number % 100 == 0 or number == len(entries):
            log.info("%d of %d utterances", number, len(entries))


def errors_ms(
    found: Mapping[str, Sequence[SaidWord]], true: Mapping[str, Timed]
) -> tuple[list[float], list[float]]:
    """Differences (ms, signed) of starts and of ends to ``true``: utterance to (word, start, end).

    Utterances whose words differ are left out.
    """
    starts, ends = [], []
    for utt, words in found.items():
        known = true.get(utt, [])
        if [w.word for w in words] == [word for word, _, _ in known]:
            starts += [1000 * (w.start - start) for w, (_, start, _) in zip(words, known, strict=True)]
            ends += [1000 * (w.end - end) for w, (_, _, end) in zip(words, known, strict=True)]
    return starts, ends


def _errors(name: str, errors: list[float]) -> str:
    sizes = sorted(map(abs, errors))
    median, signed, most = statistics.median(sizes), statistics.median(errors), sizes[int(0.9 * len(sizes))]
    return (
        f"error of {name}: median {median:.0f} ms, 90 % under {most:.0f} ms, median with sign {signed:+.0f} "
        f"ms ({len(errors)} words)"
    )
