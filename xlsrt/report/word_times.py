"""Word times of a set, found by forced alignment, and how far they are from true ones."""

from __future__ import annotations

import statistics
from pathlib import Path

from xlsrt.errors import UserError
from xlsrt.files import write_text
from xlsrt.report.latency import read_ctm
from xlsrt.report.patterns import parse_context


def write_alignment(
    model: Path,
    data_dir: Path,
    output: Path,
    context: str | None = None,
    model_file: str | None = None,
    device: str = "cpu",
    word_times: Path | None = None,
) -> str:
    """Align every utterance of a set and write a CTM file; returns what to tell the user.

    Args:
        model, model_file, device: as `Recognizer.from_exp` takes them. context: as on command lines.
        word_times: CTM file with true times to compare with.
    """
    from xlsrt.decoding.forced import Aligner, align_set, ctm_lines, errors_ms
    from xlsrt.recognizer import Recognizer

    chosen = None if context is None else parse_context(context).context
    true = None if word_times is None else read_ctm(word_times)
    recognizer = Recognizer.from_exp(model, chosen, model_file=model_file, device=device)
    found = dict(align_set(Aligner(recognizer, str(model)), data_dir))
    if not found:
        raise UserError(f"{data_dir}: not one utterance could be aligned")
    write_text(output, "".join(ctm_lines(utt, words) for utt, words in found.items()))
    count = sum(map(len, found.values()))
    said = f"{output}: {count} words of {len(found)} utterances"
    if true is None:
        return said
    starts, ends = errors_ms(found, true)
    if not starts:
        raise UserError(f"{word_times} and {data_dir} have no utterance with the same words")
    return f"{said}\n{_errors('starts', starts)}\n{_errors('ends', ends)}"


def _errors(name: str, errors: list[float]) -> str:
    sizes = sorted(map(abs, errors))
    median, signed, most = statistics.median(sizes), statistics.median(errors), sizes[int(0.9 * len(sizes))]
    return (
        f"error of {name}: median {median:.0f} ms, 90 % under {most:.0f} ms, median with sign {signed:+.0f} "
        f"ms ({len(errors)} words)"
    )
