"""WER, CER and TER of a set: read, check, align, count, write."""

from __future__ import annotations

import contextlib
import json
import logging
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from xlsrt.ctm import WORD_TIMES
from xlsrt.decoding.outputs import WORD_STABLE
from xlsrt.errors import UserError
from xlsrt.files import read_lines, write_text
from xlsrt.report import trn
from xlsrt.report.edits import Alignment, Counts, align, distance
from xlsrt.report.latency import FILE as LATENCY
from xlsrt.report.latency import write_latency
from xlsrt.report.sclite import difference, sclite_report
from xlsrt.report.significance import bootstrap_interval, compare, few_text, interval_text, p_text

log = logging.getLogger(__name__)

Units = Callable[[str], list[str]]
"""Cuts a transcript into the units that are compared."""

FILES = ("ref.trn", "hyp.trn", "result.txt", "score.json")
"""Of a metric's directory; the last one says that all are there."""
OF_FORM = 0.1
"""Share of the errors that is worth a warning if case, Unicode form and punctuation alone make them."""
SHOWN = 5
"""How many utterance names an error message lists."""


@dataclass(frozen=True)
class SetScore:
    """The alignments of one metric on one set, by utterance in the order of the reference."""

    metric: str
    alignments: Mapping[str, Alignment]

    @property
    def counts(self) -> Counts:
        return sum((a.counts for a in self.alignments.values()), Counts())

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % bootstrap interval of the error rate in percent, where there is one."""
        counts = [a.counts for a in self.alignments.values()]
        return bootstrap_interval([c.errors for c in counts], [c.ref for c in counts])


def words(text: str) -> list[str]:
    return text.split()


def characters(text: str) -> list[str]:
    """Characters; the space between two words is one too and is written ``<space>``, as in ESPnet."""
    return ["<space>" if c == " " else c for c in " ".join(text.split())]


def sentencepiece_units(model: Path) -> Units:
    """The pieces of a SentencePiece model file, applied alike to reference and hypothesis."""
    import sentencepiece

    if not model.is_file():
        raise UserError(f"token model {model} does not exist; train it (run.sh stage 3) or omit --bpemodel")
    try:
        processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"--bpemodel {model} is no SentencePiece model ({error}): name the bpe.model of run.sh stage 3, "
            "or omit --bpemodel"
        ) from None
    return lambda text: processor.encode(text, out_type=str)


def read_text(path: Path) -> dict[str, str]:
    """Read Kaldi's ``<utterance> <transcript>`` lines; a transcript may be empty, a name not repeated."""
    if path.is_dir():
        raise UserError(f"{path} is a folder: name a file in it, such as {path / 'text'}")
    table: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        name, _, text = line.strip().replace("\t", " ").partition(" ")
        if not name:
            continue
        if name in table:
            raise UserError(f"{path}:{number}: utterance {name} appears twice; keep one of the lines")
        table[name] = text.strip()
    if not table:
        raise UserError(f"{path} has no utterances")
    return table


def check_same_utterances(
    ref: Mapping[str, str], hyp: Mapping[str, str], ref_name: str, hyp_name: str
) -> None:
    """Raise `UserError` unless both have the same utterances: a score over a part of a set misleads."""
    missing = [u for u in ref if u not in hyp]
    extra = [u for u in hyp if u not in ref]
    problems = []
    if missing:
        problems.append(f"{len(missing)} of {len(ref)} utterances are missing ({_some(missing)})")
    if extra:
        problems.append(f"{len(extra)} utterances are not in {ref_name} ({_some(extra)})")
    if problems:
        way_out = "decode this set again, or score against the text of the set that was decoded"
        raise UserError(f"{hyp_name}: {'; '.join(problems)}; {way_out}")


def warn_of_other_normalisation(ref: Mapping[str, str], hyp: Mapping[str, str]) -> list[str]:
    """Say what makes words differ though they were heard right: case, Unicode form, punctuation.

    Where none of these differs altogether, it is counted how many errors in words are of such a kind.

    Returns the warnings.
    """
    refs, hyps = " ".join(ref.values()), " ".join(hyp.values())
    warnings = []
    ref_case, hyp_case = _case(refs), _case(hyps)
    if {ref_case, hyp_case} == {"upper", "lower"}:
        warnings.append(f"the reference is {ref_case} case and the hypotheses are {hyp_case} case")
    ref_nfc, hyp_nfc = (unicodedata.is_normalized("NFC", text) for text in (refs, hyps))
    if ref_nfc != hyp_nfc:
        warnings.append("one of reference and hypotheses is in Unicode form NFC and the other is not")
    ref_marks, hyp_marks = (_punctuated(text) for text in (refs, hyps))
    if max(ref_marks, hyp_marks) > 0.02 and min(ref_marks, hyp_marks) == 0:
        side = "the reference has" if ref_marks else "the hypotheses have"
        warnings.append(f"only {side} punctuation at the end of words")
    if not warnings and (said := _errors_of_form(ref, hyp)):
        warnings.append(said)
    for warning in warnings:
        log.warning("%s: the scores compare them as they are; normalise both alike before scoring", warning)
    return warnings


def score_set(metric: str, ref: Mapping[str, str], hyp: Mapping[str, str], units: Units) -> SetScore:
    """Align every utterance of ``ref`` with its hypothesis. Both must have the same utterances."""
    return SetScore(metric, {u: align(units(text), units(hyp[u])) for u, text in ref.items()})


def score_files(
    ref: Path,
    hyp: Path,
    score_dir: Path,
    bpemodel: Path | None = None,
    utt2spk: Path | None = None,
    word_times: Path | None = None,
) -> dict[str, SetScore]:
    """Score ``hyp`` against ``ref`` and write ``score_dir/score_{wer,cer,ter}``.

    Each holds ``ref.trn``, ``hyp.trn``, ``result.txt`` (sclite's or in its form) and ``score.json`` (counts
    and interval). TER needs ``bpemodel``. ``utt2spk`` defaults to the one beside ``ref``, else each utterance
    is a speaker. Where ``word_times`` is given or ``word_times.ctm`` lies beside ``ref``, and ``hyp`` was
    streamed, its delays are measured too. A TER and delays from before that are not made anew are removed.
    """
    if word_times is not None and not word_times.is_file():
        raise UserError(f"--word_times {word_times}: there is no such file; make it with xlsrt.bin.align")
    refs, hyps = read_text(ref), read_text(hyp)
    check_same_utterances(refs, hyps, str(ref), str(hyp))
    if empty := [utt for utt, text in refs.items() if not text]:
        if len(empty) == len(refs):
            log.warning("%s has no words at all: there is no error rate, only insertions are counted", ref)
        log.warning(
            "%s: %d utterances have no words (%s): all that was heard in them counts as insertions",
            ref, len(empty), _some(empty),
        )  # fmt: skip
    warn_of_other_normalisation(refs, hyps)
    beside = ref.parent / "utt2spk"
    speakers = read_text(utt2spk or beside) if utt2spk or beside.is_file() else {u: u for u in refs}
    unknown = [u for u in refs if not speakers.get(u)]
    if unknown:
        way_out = f"run utils/fix_data_dir.sh {ref.parent}"
        raise UserError(f"{utt2spk or beside}: no speaker for {_some(unknown)}; {way_out}")
    metrics: dict[str, Units] = {"wer": words, "cer": characters}
    if bpemodel is not None:
        metrics["ter"] = sentencepiece_units(bpemodel)
    scores = {}
    for metric, units in metrics.items():
        scores[metric] = score_set(metric, refs, hyps, units)
        write_score(scores[metric], speakers, score_dir / f"score_{metric}")
    if "ter" not in metrics:
        _drop_score(score_dir / "score_ter")
    _refresh_latency(hyp.parent, word_times or ref.parent / WORD_TIMES)
    return scores


def _drop_score(directory: Path) -> None:
    """Remove what `write_score` wrote of a metric that is no longer counted: it is of other hypotheses."""
    if not (directory / FILES[-1]).is_file():
        return
    log.info("%s is of an earlier scoring and is removed", directory)
    for name in reversed(FILES):
        (directory / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # a user's own files stay
        directory.rmdir()


def _refresh_latency(decoded: Path, word_times: Path) -> None:
    """Measure the delays of words anew, or remove the old ones if they are of an earlier decoding.

    Those that `xlsrt.bin.latency` has measured with word times from elsewhere are newer than the decoding.
    Scores stand without delays: what keeps these from being measured is said in the log.
    """
    kept, stable = decoded / LATENCY, decoded / WORD_STABLE
    if stable.is_file() and word_times.is_file():
        try:
            write_latency(decoded, word_times)
        except (OSError, ValueError, KeyError) as error:
            log.warning("no delays of words in %s: %s", decoded, error)
            kept.unlink(missing_ok=True)
    elif kept.is_file() and not (stable.is_file() and kept.stat().st_mtime >= stable.stat().st_mtime):
        log.info("%s is of an earlier decoding and is removed", kept)
        kept.unlink()


def comparison_text(ref: Path, hyp: Path, other: Path) -> str:
    """Two systems on one set: difference in WER, its bootstrap interval, the matched pairs test."""
    refs = read_text(ref)
    errors = []
    for path in (hyp, other):
        hyps = read_text(path)
        check_same_utterances(refs, hyps, str(ref), str(path))
        errors.append([a.counts.errors for a in score_set("wer", refs, hyps, words).alignments.values()])
    found = compare(errors[0], errors[1], [len(words(text)) for text in refs.values()])
    return (
        f"WER of {hyp} minus {other}: {found.difference:+.2f} % absolute, 95 % interval "
        f"{interval_text(found.interval, '+.2f')} (paired bootstrap), p {p_text(found.p, '= ')} "
        f"(matched pairs, {len(refs)} utterances)"
    ) + (f"\n{few}" if (few := few_text(len(refs))) else "")


def write_score(score: SetScore, speakers: Mapping[str, str], directory: Path) -> None:
    """Write the four files of one metric; ``score.json`` comes last and marks the directory as complete."""
    directory.mkdir(parents=True, exist_ok=True)
    done = directory / "score.json"
    done.unlink(missing_ok=True)
    (directory / "ref.trn").write_text(trn.trn_lines(score.alignments, speakers, "ref"), encoding="utf-8")
    (directory / "hyp.trn").write_text(trn.trn_lines(score.alignments, speakers, "hyp"), encoding="utf-8")
    report = sclite_report(directory / "ref.trn", directory / "hyp.trn")
    if report is not None and (said := difference(score.counts, report)):
        log.info("%s: %s", directory, said)
    result = trn.result_text(score.alignments, speakers) if report is None else report
    (directory / "result.txt").write_text(result, encoding="utf-8")
    content = {"metric": score.metric, **asdict(score.counts), "interval": score.interval}
    write_text(done, json.dumps(content) + "\n")


def _errors_of_form(ref: Mapping[str, str], hyp: Mapping[str, str]) -> str:
    """What to say if `OF_FORM` of the errors or more go away with case, form and punctuation; else ""."""
    pairs = [(text, hyp[utt]) for utt, text in ref.items() if text != hyp[utt]]
    before = sum(distance(words(said), words(heard)) for said, heard in pairs)
    after = sum(distance(words(_folded(said)), words(_folded(heard))) for said, heard in pairs)
    if before - after < max(1, OF_FORM * before):
        return ""
    return f"{before - after} of {before} errors in words are of case, Unicode form or punctuation alone"


def _folded(text: str) -> str:
    """Without what writers differ in: case, Unicode form, quotes and other punctuation of any script."""
    composed = unicodedata.normalize("NFC", text).casefold()
    return "".join(c for c in composed if not unicodedata.category(c).startswith("P"))


def _case(text: str) -> str:
    letters = [c for c in text if c.isalpha() and c.lower() != c.upper()]
    if not letters:
        return "none"
    upper = sum(c.isupper() for c in letters) / len(letters)
    return "upper" if upper > 0.95 else "lower" if upper < 0.05 else "mixed"


def _punctuated(text: str) -> float:
    """Share of words that end with a mark of punctuation."""
    found = text.split()
    return sum(word[-1] in ".,;:?!" for word in found) / max(1, len(found))


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
