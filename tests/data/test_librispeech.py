"""LibriSpeech and Multilingual LibriSpeech as published."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.reading import dropped, prepare, sound, table
from xlsrt.data.validate import validate
from xlsrt.errors import UserError


def chapter(root: Path, part: str, speaker: int, number: int, lines: dict[str, str]) -> None:
    """A chapter with a recording for each transcript."""
    folder = root / part / str(speaker) / str(number)
    folder.mkdir(parents=True)
    names = {f"{speaker}-{number}-{key}": text for key, text in lines.items()}
    for name in names:
        sound(folder / f"{name}.flac")
    text = "".join(f"{name} {text}\r\n" for name, text in names.items())
    (folder / f"{speaker}-{number}.trans.txt").write_bytes(text.encode())


@pytest.fixture
def libri(tmp_path: Path) -> Path:
    root = tmp_path / "LibriSpeech"
    chapter(root, "train-clean-100", 103, 1240, {"0000": "CHAPTER ONE", "0001": "DON'T", "0002": ""})
    chapter(root, "train-clean-100", 1034, 121, {"0000": "ANOTHER SPEAKER"})
    chapter(root, "train-other-500", 20, 205, {"0000": "OTHER"})
    for number, part in enumerate(("dev-clean", "dev-other", "test-clean")):
        chapter(root, part, 84 + number, 1, {"0000": part.upper().replace("-", " ")})
    sound(root / "dev-clean" / "84" / "1" / "84-1-0009.flac")
    (root / "train-clean-100" / "103" / "1240" / "103-1240-0001.flac").unlink()
    (root / "train-clean-100" / "7" / "8").mkdir(parents=True)
    (root / "SPEAKERS.TXT").write_text("; ID | SEX | SUBSET\n")
    return root


def test_librispeech(libri: Path, tmp_path: Path) -> None:
    data = prepare("librispeech", libri.parent, tmp_path / "data")
    assert {path.name for path in data.iterdir()} == {"train", "dev", "dev_clean", "dev_other", "test_clean"}
    assert table(data / "train" / "text") == {
        "103-1240-0000": "CHAPTER ONE",
        "1034-121-0000": "ANOTHER SPEAKER",
        "20-205-0000": "OTHER",
    }
    missing = libri / "train-clean-100" / "103" / "1240" / "103-1240-0001.flac"
    assert dropped(data / "train") == {
        "103-1240-0001": f"no such audio file: {missing}",
        "103-1240-0002": "empty transcript",
        "7-8.trans.txt": f"no such file: {libri}/train-clean-100/7/8/7-8.trans.txt",
    }
    assert dropped(data / "dev_clean") == {"84-1-0009": "no transcript: it is in no .trans.txt"}
    assert set(table(data / "dev" / "text").values()) == {"DEV CLEAN", "DEV OTHER"}
    assert table(data / "train" / "utt2spk")["103-1240-0000"] == "103"
    assert validate(data / "train").num_speakers == 3


def test_a_line_that_is_not_utf8_is_left_out(libri: Path, tmp_path: Path) -> None:
    path = libri / "train-other-500" / "20" / "205" / "20-205.trans.txt"
    sound(path.with_name("20-205-0001.flac"))
    path.write_bytes(path.read_bytes() + b"20-205-0001 CAF\xc9\n")
    data = prepare("librispeech", libri, tmp_path / "data")
    assert table(data / "train" / "text")["20-205-0000"] == "OTHER"
    left_out = dropped(data / "train")
    assert left_out["20-205.trans.txt:2"] == "not UTF-8"
    assert left_out["20-205-0001"] == "no transcript: it is in no .trans.txt"


def test_librispeech_parts_and_case(libri: Path, tmp_path: Path) -> None:
    data = prepare(
        "librispeech", libri, tmp_path / "data", "--train_parts", "train-clean-100", "--case", "lower"
    )
    assert set(table(data / "train" / "text").values()) == {"chapter one", "another speaker"}
    with pytest.raises(UserError, match=r"--train_parts train-clean-360: .* is not there: get the parts"):
        prepare("librispeech", libri, tmp_path / "data", "--train_parts", "train-clean-360")
    with pytest.raises(UserError, match="none of train-clean-100"):
        prepare("librispeech", libri / "dev-clean", tmp_path / "data")


def mls(root: Path, name: str, suffix: str) -> Path:
    folder = root / name
    for part, speaker in (("train", 100), ("dev", 200), ("test", 300)):
        rows = {f"{speaker}_7_00000{i}": f"palabra número {i}" for i in range(3)}
        for utt in rows:
            sound(folder / part / "audio" / str(speaker) / "7" / (utt + suffix))
        (folder / part / "transcripts.txt").write_text("".join(f"{k}\t{v}\n" for k, v in rows.items()))
    small = folder / "train" / "limited_supervision"
    for place in ("9hr", "1hr/0", "1hr/1"):
        (small / place).mkdir(parents=True)
    (small / "9hr" / "handles.txt").write_text("100_7_000000\n100_7_000001\n100_7_000009\n")
    (small / "1hr" / "0" / "handles.txt").write_text("100_7_000000\n")
    (small / "1hr" / "1" / "handles.txt").write_text("100_7_000002\n")
    return folder


def test_mls(tmp_path: Path) -> None:
    spanish, italian = mls(tmp_path, "mls_spanish", ".flac"), mls(tmp_path, "mls_italian_opus", ".opus")
    with open(spanish / "train" / "transcripts.txt", "a") as stream:
        stream.write("100_7_000003\tsin audio\n100_7\tx\n100_7_000000\trepetida\nsolo\n")
    data = prepare("mls", [spanish, italian], tmp_path / "data")
    assert len(table(data / "train" / "text")) == 6 and len(table(data / "test" / "text")) == 6
    assert table(data / "test_it" / "text")["it-300_7_000002"] == "palabra número 2"
    assert table(data / "train" / "wav.scp")["it-100_7_000000"].endswith("audio/100/7/100_7_000000.opus")
    assert table(data / "train" / "utt2spk")["es-100_7_000000"] == "es-100"
    wav = spanish / "train" / "audio" / "100" / "7" / "100_7_000003.flac"
    assert dropped(data / "train") == {
        "es-100_7_000003": f"no such audio file: {wav}",
        "es-transcripts.txt:5": "name is not speaker_book_number: 100_7",
        "es-100_7_000000": "duplicate: the id has come before",
        "es-transcripts.txt:7": "wrong number of cells: 1 instead of 2",
    }


def test_mls_is_not_searched_for_its_kind_of_audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """English has ten million files."""
    opus = mls(tmp_path, "mls_italian_opus", ".opus")
    glob = Path.glob
    searched: list[str] = []
    monkeypatch.setattr(Path, "glob", lambda self, pattern: searched.append(pattern) or glob(self, pattern))
    data = prepare("mls", opus, tmp_path / "data")
    assert all(place.endswith(".opus") for place in table(data / "train/wav.scp").values())
    assert not [pattern for pattern in searched if "opus" in pattern]


def test_mls_transcripts_stay_as_published(tmp_path: Path) -> None:
    polish = mls(tmp_path, "mls_polish", ".flac")
    (polish / "test" / "transcripts.txt").write_text("300_7_000000\tnie-wiem  l'âme\n")
    data = prepare("mls", polish, tmp_path / "data")
    assert table(data / "test" / "text") == {"pl-300_7_000000": "nie-wiem l'âme"}
    data = prepare("mls", polish, tmp_path / "data", "--text_rules", "light")
    assert table(data / "test" / "text") == {"pl-300_7_000000": "nie wiem l'âme"}


def test_mls_languages_of_one_folder(tmp_path: Path) -> None:
    for name in ("mls_spanish", "mls_italian", "mls_polish"):
        mls(tmp_path / "downloads", name, ".flac")
    data = prepare("mls", tmp_path / "downloads", tmp_path / "data", "--languages", "it", "es")
    assert {path.name for path in data.iterdir()} == {"train", "dev", "test", "test_it", "test_es"}
    assert set(table(data / "train" / "utt2lang").values()) == {"it", "es"}
    with pytest.raises(UserError, match=r"--languages fr: not in .*downloads, which has it, pl, es"):
        prepare("mls", tmp_path / "downloads", tmp_path / "data", "--languages", "fr")
    opus = mls(tmp_path / "other", "mls_italian_opus", ".opus")
    with pytest.raises(UserError, match=r"mls_italian and .*mls_italian_opus are both it: give one"):
        prepare("mls", [tmp_path / "downloads", opus], tmp_path / "data", "--languages", "it")


def test_mls_handles_that_are_not_utf8(tmp_path: Path) -> None:
    spanish = mls(tmp_path, "mls_spanish", ".flac")
    handles = spanish / "train" / "limited_supervision" / "9hr" / "handles.txt"
    handles.write_bytes(b"100_7_000000\n100_7_\xff\n")
    with pytest.raises(UserError, match=r"9hr/handles.txt:2: .* is not UTF-8"):
        prepare("mls", spanish, tmp_path / "data", "--limited", "9hr")


def test_mls_small_sets(tmp_path: Path) -> None:
    spanish = mls(tmp_path, "mls_spanish", ".flac")
    data = prepare("mls", spanish, tmp_path / "data", "--limited", "9hr")
    assert set(table(data / "train" / "text")) == {"es-100_7_000000", "es-100_7_000001"}
    assert dropped(data / "train") == {"es-100_7_000009": "in handles.txt, not in transcripts.txt"}
    data = prepare("mls", spanish, tmp_path / "data", "--limited", "1hr")
    assert set(table(data / "train" / "text")) == {"es-100_7_000000", "es-100_7_000002"}
    assert not dropped(data / "train") and len(table(data / "dev" / "text")) == 3
    with pytest.raises(UserError, match="its name is not mls_<language>"):
        prepare("mls", spanish / "train", tmp_path / "data")
