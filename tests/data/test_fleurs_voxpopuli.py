"""FLEURS and VoxPopuli as published."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.reading import dropped, prepare, sound, table
from xlsrt.data.format import FormatOptions, format_set
from xlsrt.errors import UserError


def fleurs(root: Path, code: str, inner: str = "audio/") -> Path:
    """Two sentences, the first recorded twice; the table ends with a row whose recording is not there."""
    folder = root / code
    for part in ("train", "dev", "test"):
        rows = [
            ("5", "11.wav", 'Ta ütles: "Tere!', "ta ütles tere", "t a |", "4800", "FEMALE"),
            ("5", "12.wav", 'Ta ütles: "Tere!', "ta ütles tere", "t a |", "4800", "MALE"),
            ("1703", "13.wav", "Aasta 1999.", "aasta 1999", "a a |", "4800", "MALE"),
            ("7", "14.wav", "kadunud", "kadunud", "k |", "4800", "MALE"),
            ("x", "15.wav", "?", "?", "", "4800", "MALE"),
        ]
        (folder).mkdir(exist_ok=True, parents=True)
        (folder / f"{part}.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
        for row in rows[:3]:
            sound(folder / f"{inner}{part}" / row[1])
    return folder


@pytest.mark.parametrize("inner", ["audio/", ""])
def test_fleurs(tmp_path: Path, inner: str) -> None:
    folder = fleurs(tmp_path / "fleurs", "et_ee", inner)
    data = prepare("fleurs", tmp_path / "fleurs", tmp_path / "data")
    assert table(data / "dev" / "text") == {
        "et_ee-00005-11": "ta ütles tere",
        "et_ee-00005-12": "ta ütles tere",
        "et_ee-01703-13": "aasta 1999",
    }
    assert dropped(data / "dev") == {
        "et_ee-00007-14": f"no such audio file: {folder}/{inner}dev/14.wav",
        "et_ee-dev.tsv:5": "no sentence number or no file: x 15.wav",
    }
    assert len(table(data / "test" / "spk2utt")) == 3


def test_fleurs_in_several_languages_and_without_audio(tmp_path: Path) -> None:
    root = tmp_path / "data"
    fleurs(root, "et_ee"), fleurs(root, "ca_es")
    data = prepare("fleurs", tmp_path, tmp_path / "sets", "--text_rules", "full")
    assert len(table(data / "train" / "text")) == 4 and len(table(data / "test_ca_es" / "text")) == 2
    assert dropped(data / "train")["et_ee-01703-13"] == "spoken form unknown: '1'"
    (root / "et_ee" / "audio").rename(root / "et_ee" / "sound")
    with pytest.raises(UserError, match=r"et_ee/audio/test: no such folder: unpack test.tar.gz in"):
        prepare("fleurs", root / "et_ee", tmp_path / "sets")


def test_voxpopuli(tmp_path: Path) -> None:
    folder = tmp_path / "transcribed_data" / "et"
    folder.mkdir(parents=True)
    header = "id\traw_text\tnormalized_text\tspeaker_id\tsplit\tgender\n"
    for part in ("train", "dev", "test"):
        session = "20131007-0900-PLENARY-18-et_20131007-21:07:15_"
        rows = [
            (f"{session}0", 'Aitäh, "härra.', 'aitäh, "härra', "96795", "male"),
            (f"{session}1", "Tänan.", "", "None", "male"),
            (f"{session}2", "Teine.", "teine", "None", "male"),
            (f"{session}3", "", "", "96795", "male"),
            (f"{session}4", "kadunud", "kadunud", "96795", "male"),
        ]
        lines = ["\t".join((*row[:4], part, row[4])) + "\n" for row in rows]
        (folder / f"asr_{part}.tsv").write_text(header + "".join(lines) + "\tx\ty\t1\ttrain\tmale\n")
        for row in rows[:4]:
            sound(folder / "2013" / f"{row[0]}.ogg")
    data = prepare("voxpopuli", tmp_path, tmp_path / "data")
    assert table(data / "train" / "text") == {
        f"et-96795-{session}0": "aitäh härra",
        f"et-unknown_{session}1-{session}1": "tänan",
        f"et-unknown_{session}2-{session}2": "teine",
    }
    assert len(table(data / "train" / "spk2utt")) == 3
    assert dropped(data / "train") == {
        f"et-96795-{session}3": "empty transcript",
        f"et-96795-{session}4": f"no such audio file: {folder}/2013/{session}4.ogg",
        "et-asr_train.tsv:7": "no id",
    }
    assert format_set(data / "dev", tmp_path / "dump", FormatOptions()) == 3  # colons in names, Ogg Vorbis
    # As Hugging Face has it
    sound(folder / "test" / "test_part_0" / f"{session}4.wav")
    prepare("voxpopuli", folder, tmp_path / "data")
    assert table(data / "test" / "wav.scp")[f"et-96795-{session}4"].endswith(
        "test_part_0/" + session + "4.wav"
    )
    with pytest.raises(UserError, match=r"download_audios --root ROOT .*get_asr_data --root ROOT --lang es"):
        prepare("voxpopuli", tmp_path / "nowhere", tmp_path / "data")
    (folder / "asr_dev.tsv").unlink()
    with pytest.raises(UserError, match=r"asr_dev.tsv: no such file"):
        prepare("voxpopuli", folder, tmp_path / "data")
