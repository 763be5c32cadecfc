"""Common Voice as published, with the traps that its users report."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.data.reading import dropped, prepare, sound, table
from xlsrt.data.format import FormatOptions, format_set
from xlsrt.data.validate import validate
from xlsrt.errors import UserError

HEADER = ["client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes"]
HEADER += ["age", "gender", "accents", "variant", "locale", "segment"]


def client(letter: str) -> str:
    return letter * 128


def row(speaker: str, clip: str, sentence: str, language: str = "et") -> list[str]:
    return [client(speaker), clip, "0a1b", sentence, "", "2", "0", "twenties", "", "", "", language, ""]


def language(root: Path, code: str, tables: dict[str, list[list[str]]], end: str = "\n") -> Path:
    """``<root>/<code>/*.tsv`` and a clip for each row whose path does not say that it is lost."""
    folder = root / code
    (folder / "clips").mkdir(parents=True)
    first = sound(root / "one.mp3", 0.5, rate=32000) if not (root / "one.mp3").exists() else root / "one.mp3"
    for name, rows in tables.items():
        text = "".join("\t".join(cells) + end for cells in [HEADER, *rows])
        (folder / f"{name}.tsv").write_bytes(text.encode())
        for cells in rows:
            if len(cells) == len(HEADER) and cells[1] and "lost" not in cells[1]:
                shutil.copy(first, folder / "clips" / cells[1])
    return folder


@pytest.fixture
def release(tmp_path: Path) -> Path:
    root = tmp_path / "cv-corpus-17.0-2024-03-15"
    train = [
        row("a", "common_voice_et_1.mp3", '"Tere, ütles ta ja jätkas'),
        row("a", "common_voice_et_2.mp3", 'Kas "jah" või ""ei""?'),
        row("b", "common_voice_et_3.mp3", "O\u0303ige, \u00bbõun\u00ab\u00a0'"),
        row("b", "common_voice_et_3.mp3", "O\u0303ige, \u00bbõun\u00ab\u00a0'"),
        row("b", "common_voice_et_lost.mp3", "kadunud"),
        row("c", "common_voice_et_4.mp3", ""),
        row("c", "common_voice_et_5.mp3", "aastal 1905"),
        [*row("c", "common_voice_et_6.mp3", "rida"), "liiga", "palju"],
        row("e", "common_voice_et_7.mp3", "kõneleja on testis"),
        row("", "common_voice_et_8.mp3", "kõnelejata"),
    ]
    dev = [row("d", "common_voice_et_20.mp3", "Neli"), row("e", "common_voice_et_21.mp3", "kuus")]
    test = [row("e", "common_voice_et_30.mp3", "Viis.")]
    validated = [*train[:3], row("f", "common_voice_et_9.mp3", "viis!"), *dev, *test]
    tables = {"train": train, "dev": dev, "test": test, "validated": validated}
    language(root, "et", tables, end="\r\n")
    (root / "et" / "clips" / "common_voice_et_2.mp3").write_bytes(b"")
    return root


def test_quotes_merge_no_rows_and_every_drop_is_named(release: Path, tmp_path: Path) -> None:
    data = prepare("common_voice", release, tmp_path / "data")
    a, b, c, d, e = (f"et-{letter * 16}-common_voice_et" for letter in "abcde")
    assert table(data / "train" / "text") == {f"{a}_1": "tere ütles ta ja jätkas", f"{b}_3": "õige õun"}
    assert dropped(data / "train") == {
        f"{a}_2": f"the audio file is empty (0 bytes): {release}/et/clips/common_voice_et_2.mp3",
        f"{b}_3": "duplicate: the id has come before",
        f"{b}_lost": f"no such audio file: {release}/et/clips/common_voice_et_lost.mp3",
        f"{c}_4": "empty transcript: nothing but punctuation",
        f"{c}_5": "spoken form unknown: '1'",
        "et-train.tsv:9": "wrong number of cells: 15 instead of 13",
        f"{e}_7": f"speaker is in test too: {'e' * 16}",
        "et-train.tsv:11": "no client_id or no path",
    }
    assert table(data / "dev" / "text") == {f"{d}_20": "neli"}
    assert dropped(data / "dev") == {f"{e}_21": f"speaker is in test too: {'e' * 16}"}
    assert table(data / "test" / "text") == {f"{e}_30": "viis"}
    assert not (data / "test_et").exists()
    assert set(table(data / "train" / "utt2lang").values()) == {"et"}
    validate(data / "train")
    # and the clips are read: MP3 at 32 kHz
    format_set(data / "train", tmp_path / "dump", FormatOptions())
    assert all(
        7900 < int(samples) < 9300 for samples in table(tmp_path / "dump" / "utt2num_samples").values()
    )


def test_validated_clips_without_speakers_and_sentences_of_the_evaluation(
    release: Path, tmp_path: Path
) -> None:
    data = prepare("common_voice", release / "et", tmp_path / "data", "--train_from", "validated")
    assert len(table(data / "train" / "text")) == 2
    reasons = dropped(data / "train")
    assert reasons[f"et-{'f' * 16}-common_voice_et_9"] == "sentence is in dev or test: viis"
    assert sum("speaker is in" in reason for reason in reasons.values()) == 3


def test_languages_together_keep_speakers_apart(release: Path, tmp_path: Path) -> None:
    catalan = {
        "train": [
            row("e", "common_voice_ca_1.mp3", "Bon dia", "ca"),
            row("g", "common_voice_ca_2.mp3", "L’avi", "ca"),
        ],
        "dev": [row("h", "common_voice_ca_3.mp3", "Adéu", "ca")],
        "test": [row("i", "common_voice_ca_4.mp3", "Sí", "ca")],
    }
    language(release, "ca", catalan)
    data = prepare("common_voice", release, tmp_path / "data", "--languages", "et", "ca")
    assert sorted(table(data / "train" / "utt2lang").values()) == ["ca", "et", "et"]
    assert dropped(data / "train")[f"ca-{'e' * 16}-common_voice_ca_1"].startswith("speaker is in test too")
    assert {name.name for name in data.iterdir()} == {"train", "dev", "test", "test_ca", "test_et"}
    whole = table(data / "test" / "text")
    assert whole == table(data / "test_ca" / "text") | table(data / "test_et" / "text") and len(whole) == 2
    speakers = [set(table(data / name / "spk2utt")) for name in ("train", "dev", "test")]
    assert not speakers[0] & speakers[1] and not speakers[1] & speakers[2] and not speakers[0] & speakers[2]


def test_a_language_without_test_clips_does_not_stop_the_others(
    release: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tables = {
        name: [row(letter, f"common_voice_br_{letter}.mp3", "Demat", "br")]
        for name, letter in (("train", "x"), ("dev", "y"))
    }
    language(release, "br", {**tables, "test": []})
    data = prepare("common_voice", release, tmp_path / "data")
    assert {path.name for path in data.iterdir()} == {"train", "dev", "test", "test_et"}
    assert "test_br: no utterance is left (0 utterances): not written" in caplog.text
    assert "br" in table(data / "train" / "utt2lang").values()


def test_early_releases_have_fewer_columns_and_no_suffix(tmp_path: Path) -> None:
    folder = tmp_path / "br"
    sound(folder / "clips" / "common_voice_br_1.mp3")
    for name, letter in (("train", "a"), ("dev", "b"), ("test", "c")):
        line = f"{client(letter)}\tcommon_voice_br_1\tDemat d'an holl"
        (folder / f"{name}.tsv").write_text(f"client_id\tpath\tsentence\n{line}\n")
    data = prepare("common_voice", folder, tmp_path / "data")
    assert list(table(data / "train" / "text").values()) == ["demat d'an holl"]


def estonian(root: Path, name: str, code: str, locale: bool) -> Path:
    """A folder of another name than its language's; without the column ``locale`` as before version 5."""
    tables = {
        part: [row(letter, f"common_voice_et_{letter}.mp3", "Õige sõna", code)]
        for part, letter in (("train", "a"), ("dev", "b"), ("test", "c"))
    }
    folder = language(root, name, tables)
    for path in folder.glob("*.tsv"):
        if not locale:
            rows = [line.split("\t")[:-2] for line in path.read_text().splitlines()]
            path.write_text("".join("\t".join(cells) + "\n" for cells in rows))
    return folder


def test_the_rows_tell_the_language(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = estonian(tmp_path / "release", "estonian", "et", locale=True)
    for source in (folder, folder.parent):
        data = prepare("common_voice", source, tmp_path / "data", "--languages", "et")
        assert set(table(data / "train" / "utt2lang").values()) == {"et"}
        assert list(table(data / "train" / "text").values()) == ["õige sõna"]
    assert "text_rules" not in caplog.text, "the letters of Estonian are known"
    with pytest.raises(UserError, match=r"--languages ca: not in .*estonian, which has et"):
        prepare("common_voice", folder, tmp_path / "data", "--languages", "ca")
    shutil.copytree(folder, folder.parent / "again")
    with pytest.raises(UserError, match=r"again and .*estonian are both et: give one"):
        prepare("common_voice", folder.parent, tmp_path / "data")


def test_a_single_folder_of_no_code_is_named_by_the_option(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = estonian(tmp_path, "cv4 estonian", "et", locale=False)
    data = prepare("common_voice", folder, tmp_path / "data", "--languages", "et")
    assert set(table(data / "train" / "utt2lang").values()) == {"et"} and not caplog.messages
    prepare("common_voice", folder, tmp_path / "data")
    assert "the letters of 'cv4 estonian' are not known" in caplog.text
    with pytest.raises(UserError, match=r"--languages ca: not in .*, which has et"):
        prepare("common_voice", folder.rename(tmp_path / "et"), tmp_path / "data", "--languages", "ca")


def test_wrong_sources_and_languages_are_named(release: Path, tmp_path: Path) -> None:
    sites = r"get a release from commonvoice.mozilla.org.*datacollective.mozillafoundation.org"
    with pytest.raises(UserError, match=f"none: no such folder: {sites}"):
        prepare("common_voice", tmp_path / "none", tmp_path / "data")
    with pytest.raises(UserError, match=r"neither train.tsv nor <language>/train.tsv"):
        prepare("common_voice", release / "et" / "clips", tmp_path / "data")
    with pytest.raises(UserError, match=r"--languages xx: not in .*, which has et"):
        prepare("common_voice", release, tmp_path / "data", "--languages", "xx")
    shutil.rmtree(release / "et" / "clips")
    with pytest.raises(UserError, match=r"no utterance is left .*no such audio file"):
        prepare("common_voice", release, tmp_path / "data")
    assert not (tmp_path / "data" / "train").exists()
    (release / "et" / "dev.tsv").unlink()
    with pytest.raises(UserError, match=r"dev.tsv: no such file, the corpus is incomplete"):
        prepare("common_voice", release, tmp_path / "data")
    (release / "et" / "test.tsv").write_text("client_id,path,sentence\n")
    with pytest.raises(UserError, match="there is no column 'client_id' in its first line"):
        prepare("common_voice", release, tmp_path / "data")
