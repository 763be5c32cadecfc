"""Error rates by language, length and speaker in a model's RESULTS.md."""

from __future__ import annotations

import json
from pathlib import Path

from xlsrt.report.results import write_all_results
from xlsrt.report.scoring import score_files
from xlsrt.report.significance import bootstrap_interval


def make(tmp_path: Path, speakers: int) -> Path:
    """So many speakers with two utterances of two words; that of number n has min(n, 4) words wrong."""
    data, out = tmp_path / "data", tmp_path / "exp" / "asr_1" / "decode_x" / "test"
    data.mkdir()
    out.mkdir(parents=True)
    names = [(f"s{n:02d}", f"s{n:02d}-{u}") for n in range(speakers) for u in range(2)]
    wrong = [max(0, min(2, n - 2 * u)) for n in range(speakers) for u in range(2)]
    hyps = ["x " * count + "ab " * (2 - count) for count in wrong]
    (data / "text").write_text("".join(f"{utt} ab ab\n" for _, utt in names))
    (data / "utt2spk").write_text("".join(f"{utt} {speaker}\n" for speaker, utt in names))
    (data / "utt2num_samples").write_text("".join(f"{u} {16000 * (1 + 2 * (s > 's00'))}\n" for s, u in names))
    (data / "wav.scp").write_text("".join(f"{utt} {utt}.wav\n" for _, utt in names))
    (out / "text").write_text("".join(f"{u} {hyp}\n" for (_, u), hyp in zip(names, hyps, strict=True)))
    (out / "decoding.json").write_text(json.dumps({"data_dir": str(data)}))
    score_files(data / "text", out / "text", out)
    write_all_results(tmp_path / "exp")
    return tmp_path / "exp"


def test_every_metric_has_its_interval(tmp_path: Path) -> None:
    expdir = make(tmp_path, 4)
    text = (expdir / "asr_1" / "RESULTS.md").read_text()
    length, speaker = text.split("### By ")[1:]
    assert length.startswith("length (error rates in %, 95 % intervals)")
    assert "|dataset|speaker|Snt|Wrd|WER|CER|\n" in speaker
    low, high = bootstrap_interval([2, 1], [2, 2])
    wer = f"75.0 ({low:.1f} to {high:.1f})"
    # "ab ab" are five characters; of "x x" the space is right, of "x ab" all but two.
    low, high = bootstrap_interval([4, 2], [5, 5])
    assert f"|decode_x/test|s03|2|4|{wer}|60.0 ({low:.1f} to {high:.1f})|\n" in speaker
    assert "|decode_x/test|s00|2|4|0.0 (0.0 to 0.0)|0.0 (0.0 to 0.0)|\n" in speaker
    assert "|decode_x/test|under 2 s|2|4|0.0" in length and "|decode_x/test|2 to 5 s|6|12|50.0" in length
    assert "### By" not in (expdir / "RESULTS.md").read_text(), "the corpus's file stays short"


def test_of_many_speakers_the_worst_are_listed(tmp_path: Path) -> None:
    text = (make(tmp_path, 12) / "asr_1" / "RESULTS.md").read_text()
    speaker = text.split("### By speaker")[1]
    assert "of more than 10 the worst 5, all are in the report" in speaker.splitlines()[0]
    rows = [line.split("|")[2] for line in speaker.splitlines() if line.startswith("|decode_x")]
    assert rows == ["s04", "s05", "s06", "s07", "s08"]


def test_a_data_directory_that_is_gone_leaves_the_scores(tmp_path: Path) -> None:
    expdir = make(tmp_path, 3)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    write_all_results(expdir)
    text = (expdir / "asr_1" / "RESULTS.md").read_text()
    assert "### WER" in text and "### By" not in text
