from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from xlsrt.errors import UserError
from xlsrt.report.scoring import (
    characters,
    comparison_text,
    read_text,
    score_files,
    warn_of_other_normalisation,
)

REF = "u1 one two three\nu2 four five\nu3 six\n"
HYP = "u3 six seven\nu1 one two tree\nu2 four\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    ref, hyp = tmp_path / "data" / "text", tmp_path / "hyp"
    ref.parent.mkdir()
    ref.write_text(REF)
    (ref.parent / "utt2spk").write_text("u1 ann\nu2 bob\nu3 ann\n")
    hyp.write_text(HYP)
    return ref, hyp


def test_scores_and_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    scores = score_files(*files, tmp_path / "out")
    wer = scores["wer"].counts
    assert (wer.utterances, wer.wrong, wer.corr, wer.sub, wer.dele, wer.ins) == (3, 3, 4, 1, 1, 1)
    assert set(scores) == {"wer", "cer"}
    directory = tmp_path / "out" / "score_wer"
    assert (directory / "ref.trn").read_text().splitlines()[0] == "one two three\t(ann-u1)"
    assert (directory / "hyp.trn").read_text().splitlines() == [
        "one two tree\t(ann-u1)",
        "four\t(bob-u2)",
        "six seven\t(ann-u3)",
    ]
    content = json.loads((directory / "score.json").read_text())
    low, high = content.pop("interval")
    assert 0 <= low <= scores["wer"].counts.error_rate <= high <= 100
    assert content == {
        "metric": "wer", "utterances": 3, "wrong": 3, "corr": 4, "sub": 1, "dele": 1, "ins": 1,
    }  # fmt: skip


def test_result_text_has_sclites_summary_and_alignments(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xlsrt.report.scoring.sclite_report", lambda ref, hyp: None)
    score_files(*files, tmp_path / "out")
    text = (tmp_path / "out" / "score_wer" / "result.txt").read_text()
    summary = next(line for line in text.splitlines() if line.startswith("| Sum/Avg"))
    # The expression with which ESPnet's show_asr_result.sh turns sclite's line into a table row.
    fields = re.sub(r"[|\s]+", " ", summary).split()[1:]
    assert fields == ["3", "6", "66.7", "16.7", "16.7", "16.7", "50.0", "100.0"]
    assert "id: (bob-u2)\nScores: (#C #S #D #I) 1 0 1 0\nREF:  four five\nHYP:  four ****\n" in text
    assert "HYP:  four ****\nEval:      D\n" in text
    borders = {len(line) for line in text.splitlines() if line.startswith(("|", ",", "`"))}
    assert len(borders) == 1, "the table's lines have different widths"


def test_characters_count_the_space_between_words() -> None:
    assert characters("ab  c") == ["a", "b", "<space>", "c"]


@pytest.mark.parametrize(
    ("hyp", "message"),
    [
        ("u1 one\nu2 four\n", "1 of 3 utterances .* missing [(]u3[)]"),
        (HYP + "u4 more\n", "1 utterances are not in .*[(]u4[)]"),
        (HYP + "u1 again\n", "hyp:4: utterance u1 appears twice"),
        ("\n", "no utterances"),
    ],
)
def test_other_utterances_fail(files: tuple[Path, Path], tmp_path: Path, hyp: str, message: str) -> None:
    files[1].write_text(hyp)
    with pytest.raises(UserError, match=message):
        score_files(*files, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere does not exist"):
        read_text(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is a folder: name a file in it"):
        read_text(tmp_path)
    (tmp_path / "latin").write_bytes("u1 caf\xe9".encode("latin-1"))
    with pytest.raises(UserError, match="latin is not UTF-8"):
        read_text(tmp_path / "latin")


def test_delays_of_an_earlier_decoding_are_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    for folder in (data, out):
        folder.mkdir()
        (folder / "text").write_text("u1 a b\n")
        (folder / "words.ctm").write_text("u1 1 0.1 0.2 a\nu1 1 0.4 0.2 b\n")
    times = (data / "words.ctm").rename(data / "word_times.ctm")
    context = {"chunk_ms": 640, "left_ms": 640, "sink_frames": 0}
    (out / "decoding.json").write_text(json.dumps({"context": context, "packet_ms": 80.0}))
    (out / "word_stable").write_text("u1 0.96 0.96\n")

    def scored() -> bool:
        score_files(data / "text", out / "text", out)
        return (out / "latency.json").exists()

    assert scored()
    # Without word times beside the reference: those measured with others stay as long as the decoding does.
    times = times.rename(tmp_path / "elsewhere.ctm")
    assert scored()
    later = (out / "latency.json").stat().st_mtime + 10
    os.utime(out / "word_stable", (later, later))
    assert not scored()
    times.rename(data / "word_times.ctm")
    assert scored()
    # Scores stand without delays.
    (data / "word_times.ctm").write_text("u1 1 0.1\n")
    assert not scored() and "no delays of words in" in caplog.text
    (data / "word_times.ctm").unlink()
    (tmp_path / "other.ctm").write_text("u1 1 0.1 0.2 a\nu1 1 0.4 0.2 b\n")
    score_files(data / "text", out / "text", out, word_times=tmp_path / "other.ctm")
    assert (out / "latency.json").exists()
    with pytest.raises(UserError, match=r"none\.ctm: there is no such file"):
        score_files(data / "text", out / "text", out, word_times=tmp_path / "none.ctm")
    # Decoded again, as whole utterances.
    (out / "word_stable").unlink()
    assert not scored()


def test_two_systems_on_few_utterances_are_compared_with_a_warning(files: tuple[Path, Path]) -> None:
    (files[1].parent / "other").write_text(REF)
    said = comparison_text(*files, files[1].parent / "other")
    assert "p = - (matched pairs, 3 utterances)" in said and "3 utterances are few" in said


def test_empty_hypothesis_and_empty_reference_are_scored(tmp_path: Path) -> None:
    (tmp_path / "ref").write_text("u1 a b\nu2\n")
    (tmp_path / "hyp").write_text("u1\nu2 c\n")
    counts = score_files(tmp_path / "ref", tmp_path / "hyp", tmp_path / "out")["wer"].counts
    assert (counts.dele, counts.ins, counts.wrong) == (2, 1, 2)


def test_one_utterance_has_no_interval(tmp_path: Path) -> None:
    for lines, there in (("u1 a b\n", False), ("u1 a b\nu2 c d\n", True)):
        (tmp_path / "ref").write_text(lines)
        (tmp_path / "hyp").write_text(lines.replace("b", "x"))
        scores = score_files(tmp_path / "ref", tmp_path / "hyp", tmp_path / "out")
        assert (scores["wer"].interval is not None) == there


def test_empty_references_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "ref").write_text("u1 a b\nu2\n")
    (tmp_path / "hyp").write_text("u1 a b\nu2 c\n")
    score_files(tmp_path / "ref", tmp_path / "hyp", tmp_path / "out")
    assert "1 utterances have no words (u2)" in caplog.text
    (tmp_path / "ref").write_text("u1\nu2\n")
    score_files(tmp_path / "ref", tmp_path / "hyp", tmp_path / "out")
    assert "ref has no words at all: there is no error rate" in caplog.text


def test_speaker_missing_in_utt2spk(files: tuple[Path, Path], tmp_path: Path) -> None:
    (files[0].parent / "utt2spk").write_text("u1 ann\nu3 ann\n")
    with pytest.raises(UserError, match="no speaker for u2"):
        score_files(*files, tmp_path / "out")


def test_other_normalisation_is_warned_about() -> None:
    (warning,) = warn_of_other_normalisation({"u": "Well, this is it."}, {"u": "Well this is it"})
    assert warning == "only the reference has punctuation at the end of words"
    (warning,) = warn_of_other_normalisation({"u": "Well, this is it."}, {"u": "Well, this it"})
    assert warning.startswith("1 of 2 errors"), "both have punctuation"
    assert warn_of_other_normalisation({"u": "ABC"}, {"u": "abc"})
    assert warn_of_other_normalisation({"u": "caf\u00e9"}, {"u": "cafe\u0301"})
    assert not warn_of_other_normalisation({"u": "Abc caf\u00e9"}, {"u": "Abc caf\u00e9"})


@pytest.mark.parametrize(
    ("ref", "hyp"),
    [
        ("The cat sat in Rome", "the cat sat in rome"),  # mixed case
        ("it\u2019s a \u201cday\u201d", "it's a day"),  # curly quotes
        ("\u0646\u0639\u0645\u060c \u0644\u0627\u061f", "\u0646\u0639\u0645 \u0644\u0627"),  # Arabic
        ("\u0928\u0964", "\u0928"),  # danda
    ],
)
def test_errors_of_form_alone_are_counted(ref: str, hyp: str) -> None:
    errors = len(set(ref.split()) - set(hyp.split()))
    (warning,) = warn_of_other_normalisation({"u": ref}, {"u": hyp})
    assert warning == f"{errors} of {errors} errors in words are of case, Unicode form or punctuation alone"
    # Nine of other kinds and one of form are worth a line, ten and one are not.
    for others, said in ((9, 1), (10, 0)):
        more = {f"v{n}": "wrong" for n in range(others)}
        refs, hyps = {"u": ref.split()[-1], **more}, {"u": hyp.split()[-1], **dict.fromkeys(more, "right")}
        assert len(warn_of_other_normalisation(refs, hyps)) == said, others
    assert not warn_of_other_normalisation({"u": ref, "v": "a b"}, {"u": ref, "v": "a c"})


def test_ter_uses_the_token_model(files: tuple[Path, Path], tmp_path: Path) -> None:
    import sentencepiece

    corpus = tmp_path / "corpus"
    corpus.write_text("one two three four five six seven tree\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(tmp_path / "bpe"), vocab_size=20, minloglevel=2
    )
    scores = score_files(*files, tmp_path / "out", bpemodel=tmp_path / "bpe.model")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "bpe.model"))
    expected = sum(len(processor.encode(line.split(" ", 1)[1])) for line in REF.splitlines())
    assert scores["ter"].counts.ref == expected
    # Without the model, an earlier TER would be of other hypotheses.
    (tmp_path / "out" / "score_ter" / "mine").touch()
    score_files(*files, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "score_ter").iterdir()] == ["mine"]
    with pytest.raises(UserError, match=r"token model .* does not exist"):
        score_files(*files, tmp_path / "out", bpemodel=tmp_path / "none.model")
    for content in ("", "no model"):
        (tmp_path / "bad.model").write_text(content)
        with pytest.raises(UserError, match=r"bad\.model is no SentencePiece model .*stage 3"):
            score_files(*files, tmp_path / "out", bpemodel=tmp_path / "bad.model")
