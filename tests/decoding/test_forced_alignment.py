"""Forced alignment against all paths, and of a set with a model."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.recognizer.make import make_exp, noise
from xlsrt import Recognizer
from xlsrt.bin.align import main
from xlsrt.decoding import forced
from xlsrt.decoding.forced import Aligner
from xlsrt.errors import UserError
from xlsrt.transducer.forced import TokenSpan, align_tokens

LETTERS = ["<blank>", "<unk>", "<space>", *"abcdefghi", "<sos/eos>"]


def collapse(path: tuple[int, ...]) -> list[int]:
    return [t for at, t in enumerate(path) if t != 0 and (at == 0 or path[at - 1] != t)]


@pytest.mark.parametrize("tokens", [[1, 2], [1, 1], [2], [1, 2, 1]])
def test_the_best_of_all_paths_is_found(tokens: list[int]) -> None:
    log_probs = torch.randn(6, 3, generator=torch.Generator().manual_seed(len(tokens))).log_softmax(-1)
    paths = [path for path in itertools.product(range(3), repeat=6) if collapse(path) == tokens]
    best = max(paths, key=lambda path: float(sum(log_probs[t, v] for t, v in enumerate(path))))
    spans = align_tokens(log_probs, tokens)
    framed = [0] * 6
    for token, span in zip(tokens, spans, strict=True):
        framed[span.start : span.end] = [token] * (span.end - span.start)
        wanted = log_probs[span.start : span.end, token].exp().mean()
        assert span.prob == pytest.approx(float(wanted), rel=1e-4)
    assert tuple(framed) == best


def test_what_does_not_fit() -> None:
    log_probs = torch.zeros(3, 4).log_softmax(-1)
    assert align_tokens(log_probs, []) == []
    assert [type(span) for span in align_tokens(log_probs, [1, 2, 3])] == [TokenSpan] * 3
    for tokens in ([1, 2, 3, 1], [1, 1, 2]):
        with pytest.raises(UserError, match=f"{len(tokens)} tokens do not fit into 3 frames"):
            align_tokens(log_probs, tokens)
    with pytest.raises(UserError, match="too many to align at once"):
        align_tokens(torch.zeros(1, 4).expand(180_000, 4), [1, 2] * 3000)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_exp(tmp_path / "exp", token_list=LETTERS, token_type="char")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    for utt, seconds in (("u1", 2.0), ("u2", 1.0), ("u3", 0.1)):
        soundfile.write(directory / f"{utt}.wav", noise(seconds, seed=int(utt[1])).numpy(), 16000)
    names = ("u1", "u2", "u3")
    (directory / "wav.scp").write_text("".join(f"{utt} {directory / utt}.wav\n" for utt in names))
    (directory / "utt2spk").write_text("".join(f"{utt} {utt}\n" for utt in names))
    (directory / "text").write_text("u1 bad cab\nu2 a\nu3 aabbccdd\n")
    return directory


def test_a_set_with_a_model(
    model: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    output = tmp_path / "times.ctm"
    command = ["--model", str(model), "--data_dir", str(data), "--output"]
    main([*command, str(output)])
    assert "3 words of 2 utterances" in capsys.readouterr().out
    assert "u3 is left out: 8 tokens do not fit into 4 frames" in caplog.text
    rows = [line.split() for line in output.read_text().splitlines()]
    assert [(row[0], row[4]) for row in rows] == [("u1", "bad"), ("u1", "cab"), ("u2", "a")]
    first, second = ((float(row[2]), float(row[3])) for row in rows[:2])
    assert 0 <= first[0] < first[0] + first[1] <= second[0] < 2.0 and 0 < float(rows[0][5]) <= 1
    # The times against themselves, and against the same 50 ms later.
    main([*command, str(tmp_path / "again.ctm"), "--word_times", str(output)])
    assert "error of starts: median 0 ms" in capsys.readouterr().out
    late = tmp_path / "late.ctm"
    late.write_text("".join(f"{r[0]} 1 {float(r[2]) + 0.05:.3f} {r[3]} {r[4]}\n" for r in rows))
    main([*command, str(tmp_path / "again.ctm"), "--word_times", str(late), "--context", "full"])
    said = capsys.readouterr().out
    assert "(3 words)" in said and "with sign" in said
    main([*command, str(tmp_path / "again.ctm"), "--word_times", str(late), "--quiet"])
    assert capsys.readouterr().out == ""
    with pytest.raises(UserError, match="would overwrite the true times"):
        main([*command, str(late), "--word_times", str(late)])


def test_long_recordings_are_encoded_as_streams(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aligner = Aligner(Recognizer.from_exp(model))
    samples = noise(3.0).numpy()
    whole = aligner(samples, "bad cab dad")
    monkeypatch.setattr(forced, "WHOLE_SECONDS", 0.7)
    assert [(w.word, w.start, w.end) for w in aligner(samples, "bad cab dad")] == [
        (w.word, w.start, w.end) for w in whole
    ]


def test_an_hour_is_refused_where_attention_has_no_bounds(
    model: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_exp(model, config={"max_stream_seconds": 1.5}, token_list=LETTERS, token_type="char")
    output = tmp_path / "times.ctm"
    command = ["--model", str(model), "--data_dir", str(data), "--output", str(output), "--context"]
    main([*command, "full"])
    assert "u1 is left out: 2 s are too long for a context without bounds (full attention)" in caplog.text
    assert [line.split()[0] for line in output.read_text().splitlines()] == ["u2"]
    main([*command, "640,640,16"])
    assert {line.split()[0] for line in output.read_text().splitlines()} == {"u1", "u2"}


def test_no_words_and_no_sound(model: Path) -> None:
    aligner = Aligner(Recognizer.from_exp(model))
    assert aligner(np.zeros(16000, dtype=np.float32), "") == []
    with pytest.raises(UserError, match="do not fit into 0 frames"):
        aligner(np.zeros(100, dtype=np.float32), "a")
    with pytest.raises(UserError, match="the vocabulary lacks Z Ž of 'aŽ Z'"):
        aligner(np.zeros(16000, dtype=np.float32), "aŽ Z")


def test_a_model_without_ctc_head_is_named(tmp_path: Path, data: Path) -> None:
    make_exp(tmp_path / "exp", model_conf={"ctc_weight": 0.0}, token_list=LETTERS, token_type="char")
    with pytest.raises(UserError, match=r"exp has no CTC head.*model_conf.ctc_weight above 0"):
        main(["--model", str(tmp_path / "exp"), "--data_dir", str(data), "--output", str(tmp_path / "x.ctm")])
    assert not (tmp_path / "x.ctm").exists()


def test_a_set_without_text(model: Path, data: Path, tmp_path: Path) -> None:
    (data / "text").unlink()
    with pytest.raises(UserError, match="has no text"):
        main(["--model", str(model), "--data_dir", str(data), "--output", str(tmp_path / "x.ctm")])
