"""A user's own recordings: lists of every kind, directories, lhotse's cuts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.data.reading import dropped, prepare, sound, table
from xlsrt.data.format import FormatOptions, format_set
from xlsrt.data.kaldi import DataDir
from xlsrt.data.own_data import Entry, draw_sets
from xlsrt.data.recording_names import RecordingNames
from xlsrt.errors import UserError

WHOLE = ("--dev_share", 0, "--test_share", 0)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """``own/`` with three recordings; lists are put there too."""
    root = tmp_path / "own"
    sound(root / "a.wav", 2.0)
    sound(root / "deep" / "b.flac", 0.5)
    sound(root / "deep" / "with blank.mp3", 0.5)
    return root


def test_csv_as_spreadsheets_write_it(audio: Path, tmp_path: Path) -> None:
    (audio / "list.csv").write_bytes(
        "\ufeffPath,Text,Speaker,Start,End,Language\r\n"
        'a.wav,"Yes, he said ""no"".",ann,0.25,1.0,en\r\n'
        "a.wav,Second; part,ann,1.0,,en\r\n"
        'deep/b.flac,"Ülle, öö",,,,et\r\n'
        "deep/with blank.mp3,third,bob c,,,\r\n"
        "a.wav,late,ann,1.5,2.75,en\r\n"
        "a.wav,later,ann,2.1,2.25,en\r\n"
        "a.wav,little late,ann,1.5,2.4,en\r\n"
        "a.wav,odd,ann,one,2,en\r\n"
        "a.wav,minus,ann,-1,2,en\r\n"
        "none.wav,lost,ann,,,en\r\n"
        "a.wav,,ann,0.1,0.2,en\r\n"
        ",no path,ann,,,en\r\n"
        "a.wav,short\r\n".encode()
    )
    data = prepare("manifest", audio / "list.csv", tmp_path / "data", *WHOLE) / "train"
    rows = {row.utt: (row.text, row.speaker, row.start, row.end) for row in DataDir(data).utterances()}
    assert rows == {
        "ann-a-0000025-0000100": ("yes he said no", "ann", 0.25, 1.0),
        "ann-a-0000100-end": ("second part", "ann", 1.0, None),
        "ann-a-0000150-0000240": ("little late", "ann", 1.5, 2.4),  # cut when it is formatted
        "deep-b": ("ülle öö", "deep-b", 0.0, None),
        "bob_c-deep-with_blank": ("third", "bob_c", 0.0, None),
    }
    assert table(data / "utt2lang") == {
        "ann-a-0000025-0000100": "en",
        "ann-a-0000100-end": "en",
        "ann-a-0000150-0000240": "en",
        "deep-b": "et",
    }
    assert dropped(data) == {
        "ann-a-0000150-0000275": "ends after its recording: 2.75 s of 2.00 s",
        "ann-a-0000210-0000225": "begins after its recording: 2.10 s of 2.00 s",
        "list.csv:9": "start is no number: one",
        "list.csv:10": "starts before its recording: -1 s",
        "ann-none": f"no such audio file: {audio}/none.wav",
        "ann-a-0000010-0000020": "empty transcript",
        "list.csv:13": "no path",
        "list.csv:14": "wrong number of cells: 2 instead of 6",
    }
    assert format_set(data, tmp_path / "dump", FormatOptions()) == 5


def test_a_quote_that_is_never_closed_is_found(audio: Path, tmp_path: Path) -> None:
    (audio / "list.csv").write_text('path,text\na.wav,"never closed\ndeep/b.flac,other\n')
    with pytest.raises(UserError, match=r"list.csv: line 3: unexpected end of data: mend its quotes"):
        prepare("manifest", audio / "list.csv", tmp_path / "data", *WHOLE)
    (audio / "list.csv").write_text(
        'path,text\na.wav,"opened\ndeep/b.flac,and closed" x\n'.replace('" x', '"')
    )
    with pytest.raises(UserError, match=r"a quote that ends in line 3 was opened lines before"):
        prepare("manifest", audio / "list.csv", tmp_path / "data", *WHOLE)
    (audio / "list.tsv").write_text('path\ttext\na.wav\t"never closed\ndeep/b.flac\t other \n')
    data = prepare("manifest", audio / "list.tsv", tmp_path / "data", *WHOLE)
    assert table(data / "train" / "text") == {"a": "never closed", "deep-b": "other"}


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_bytes_that_are_not_utf8_spoil_their_row_alone(kind: str, audio: Path, tmp_path: Path) -> None:
    rows = ["path,text,speaker", "a.wav,caf\xe9,ann", "deep/b.flac,tea,bob"]
    text = "\n".join(rows).replace(",", "\t" if kind == "tsv" else ",")
    path = audio / f"list.{kind}"
    path.write_bytes(text.encode("latin-1"))
    data = prepare("manifest", path, tmp_path / "data", *WHOLE) / "train"
    assert table(data / "text") == {"bob-deep-b": "tea"}
    assert dropped(data) == {f"list.{kind}:2": "not UTF-8"}
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(UserError, match=r"is UTF-16, .*iconv -f utf-16 -t utf-8"):
        prepare("manifest", path, tmp_path / "data", *WHOLE)


def test_semicolons_json_lines_and_older_lines(audio: Path, tmp_path: Path) -> None:
    (audio / "list.csv").write_text("path;text\na.wav;one, two\n")
    (audio / "old.txt").write_text(
        "deep/b.flac|the 'old' way|carl\ndeep/with blank.mp3|no speaker\nx|y|z|w\n"
    )
    nemo = {
        "audio_filepath": str(audio / "a.wav"),
        "text": "NeMo's",
        "offset": 0.5,
        "duration": 1.0,
        "id": "n1",
    }
    with gzip.open(audio / "list.jsonl.gz", "wt") as stream:
        stream.write(json.dumps(nemo) + "\n[1]\n{broken\n")
        stream.write(json.dumps({"audio_filepath": str(audio / "a.wav"), "id": "n2"}) + "\n{}\n")
    sources = [audio / name for name in ("list.csv", "old.txt", "list.jsonl.gz")]
    data = prepare("manifest", sources, tmp_path / "data", *WHOLE, "--text_rules", "none", "--language", "en")
    rows = {row.utt: (row.text, row.start, row.end) for row in DataDir(data / "train").utterances()}
    assert rows == {
        "a": ("one, two", 0.0, None),
        "carl-deep-b": ("the 'old' way", 0.0, None),
        "deep-with_blank": ("no speaker", 0.0, None),
        "n1": ("NeMo's", 0.5, 1.5),
    }
    assert set(table(data / "train" / "utt2lang").values()) == {"en"}
    assert set(dropped(data / "train")) == {"old.txt:3", "n2", *(f"list.jsonl.gz:{n}" for n in (2, 3, 5))}


def test_sets_from_lists_columns_or_drawn(audio: Path, tmp_path: Path) -> None:
    for name in ("train", "dev"):
        (audio / f"{name}.tsv").write_text(f"path\ttext\na.wav\t{name}\n")
    data = prepare(
        "manifest", audio / "train.tsv", tmp_path / "1", "--dev", audio / "dev.tsv", "--test_share", 0
    )
    assert [table(data / name / "text") for name in ("train", "dev")] == [{"a": "train"}, {"a": "dev"}]
    (audio / "all.tsv").write_text("path\ttext\tset\na.wav\tx\ttrain\ndeep/b.flac\ty\ttest clean\n")
    data = prepare("manifest", audio / "all.tsv", tmp_path / "2")
    assert table(data / "test_clean" / "text") == {"deep-b": "y"} and not (data / "dev").exists()
    (audio / "other.tsv").write_text("path\ttext\tset\na.wav\tx\tTraining\ndeep/b.flac\ty\tvalid\n")
    data = prepare("manifest", audio / "other.tsv", tmp_path / "5")
    assert [table(data / name / "text") for name in ("train", "dev")] == [{"a": "x"}, {"deep-b": "y"}]
    (audio / "many.jsonl").write_text(
        "".join(
            json.dumps({"path": "a.wav", "text": f"n {n}", "speaker": f"s{n % 10}", "id": f"s{n % 10}-{n}"})
            + "\n"
            for n in range(200)
        )
    )
    data = prepare("manifest", audio / "many.jsonl", tmp_path / "3", "--dev_share", 0.1, "--test_share", 0.2)
    speakers = {name: set(table(data / name / "spk2utt")) for name in ("train", "dev", "test")}
    assert {name: len(found) for name, found in speakers.items()} == {"train": 7, "dev": 1, "test": 2}
    assert len(set.union(*speakers.values())) == 10
    again = prepare("manifest", audio / "many.jsonl", tmp_path / "4", "--dev_share", 0.1, "--test_share", 0.2)
    assert (again / "dev" / "text").read_bytes() == (data / "dev" / "text").read_bytes()


def test_lists_in_several_folders_may_share_names(tmp_path: Path) -> None:
    for folder in ("m1", "m2"):
        (tmp_path / folder).mkdir()
        sound(tmp_path / folder / "0.wav")
        (tmp_path / folder / "l.csv").write_text(f"path,text,start,end\n0.wav,{folder},0.1,0.2\n")
    lists = [tmp_path / "m1/l.csv", tmp_path / "m2/l.csv"]
    data = prepare("manifest", lists, tmp_path / "out", "--dev_share", 0, "--test_share", 0)
    assert sorted(table(data / "train/text").values()) == ["m1", "m2"]
    assert set(table(data / "train/wav.scp")) == {"m1-0", "m2-0"}


def test_drawing_with_few_or_uneven_speakers() -> None:
    def entries(*counts: int) -> list[Entry]:
        return [
            Entry("w", Path(f"/x/{s}-{i}.wav"), "t", f"s{s}")
            for s, count in enumerate(counts)
            for i in range(count)
        ]

    shares = {"dev": 0.1, "test": 0.1}
    drawn = draw_sets(entries(100, 3, 4, 5), RecordingNames(Path("/x")), shares, 0)
    assert drawn.by_speaker and "s0" not in drawn.parts and set(drawn.parts.values()) == {"dev", "test"}
    # A narrator and some guests, who would all fit into dev: then test took the narrator.
    for seed in range(5):
        drawn = draw_sets(entries(90, 2, 1), RecordingNames(Path("/x")), shares, seed)
        assert set(drawn.parts.values()) == set(shares) and len(drawn.parts) == 2
    drawn = draw_sets(entries(50), RecordingNames(Path("/x")), shares, 0)
    assert not drawn.by_speaker and sorted(drawn.parts.values()).count("dev") == 5 and len(drawn.parts) == 10
    with pytest.raises(UserError, match="2 recordings are too few"):
        draw_sets(entries(2), RecordingNames(Path("/x")), shares, 0)


def test_a_directory_with_transcripts_beside(tmp_path: Path) -> None:
    root = tmp_path / "talks"
    for name, text in {
        "ann/1.wav": "One!\n",
        "ann/day 2/2.flac": "two\r\nlines",
        "bob/3.opus": "three",
    }.items():
        sound(root / name).with_suffix(".txt").write_bytes(text.encode())
    sound(root / "bob" / "4.wav")
    sound(root / "5.wav").with_suffix(".txt").write_bytes(b"caf\xe9")
    (root / "notes.txt").write_text("no audio")
    with pytest.raises(UserError, match=r"--transcript_suffix txt: it begins with a dot"):
        prepare("folder", root, tmp_path / "data", *WHOLE, "--transcript_suffix", "txt")
    data = prepare("folder", root, tmp_path / "data", *WHOLE)
    assert table(data / "train" / "text") == {"ann-1": "one", "ann-day_2-2": "two lines", "bob-3": "three"}
    assert table(data / "train" / "utt2spk") == {"ann-1": "ann", "ann-day_2-2": "ann", "bob-3": "bob"}
    assert dropped(data / "train") == {
        "bob/4.wav": "no transcript: 4.txt",
        "notes.txt": "a transcript without a recording",
        "5.wav": f"not UTF-8: {root}/5.txt",
    }
    for part in ("train", "valid", "test"):
        sound(root / "split" / part / "eve" / f"{part}.wav").with_suffix(".lab").write_text(part)
    data = prepare("folder", root / "split", tmp_path / "sets", "--transcript_suffix", ".lab")
    assert {path.name for path in data.iterdir()} == {"train", "dev", "test"}
    assert table(data / "dev" / "utt2spk") == {"eve-valid-eve-valid": "eve"}
    with pytest.raises(UserError, match=r"no audio files in it"):
        prepare("folder", tmp_path / "sets", tmp_path / "data")
    with pytest.raises(UserError, match=r"is no directory: for a list use `prepare_data manifest`"):
        prepare("folder", root / "notes.txt", tmp_path / "data")
    with pytest.raises(UserError, match=r"is a folder: give a list, or use `prepare_data folder`"):
        prepare("manifest", root, tmp_path / "data")


def cut(
    name: str, wav: str, spans: list[tuple[float, float, str]], start: float = 0.0, **more: object
) -> dict:
    source = {"type": "file", "channels": [0], "source": wav}
    recording = {
        "id": name,
        "sources": [source],
        "sampling_rate": 16000,
        "num_samples": 32000,
        "duration": 2.0,
    }
    supervisions = [
        {
            "id": f"{name}-{i}",
            "recording_id": name,
            "start": begin,
            "duration": length,
            "channel": 0,
            "text": text,
            "speaker": "ann",
            "language": "English",
        }
        for i, (begin, length, text) in enumerate(spans)
    ]
    base = {"id": name, "start": start, "duration": 2.0, "channel": 0, "type": "MonoCut"}
    return {**base, "supervisions": supervisions, "recording": recording, **more}


def test_lhotse_cuts(audio: Path, tmp_path: Path) -> None:
    whole = cut("c1", "a.wav", [(0.0, 2.0, "Whole")])
    parts = cut("c2", str(audio / "a.wav"), [(-0.25, 0.5, "first"), (0.75, 0.5, "second")], start=0.5)
    stereo = cut("c3", "a.wav", [(0.0, 1.0, "x")])
    stereo["recording"]["sources"][0]["channels"] = [0, 1]
    command = cut("c4", "a.wav", [(0.0, 1.0, "x")])
    command["recording"]["sources"][0]["type"] = "command"
    mixed = {"id": "c5", "type": "MixedCut", "tracks": []}
    features = {**cut("c6", "a.wav", [(0.0, 1.0, "x")]), "recording": None}
    cuts = [whole, parts, stereo, command, mixed, features, cut("c7", "a.wav", [])]
    with gzip.open(audio / "cuts.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps(one) + "\n" for one in cuts)
    data = prepare("lhotse", audio / "cuts.jsonl.gz", tmp_path / "data", *WHOLE) / "train"
    rows = {row.utt: (row.text, row.speaker, row.start, row.end) for row in DataDir(data).utterances()}
    assert rows == {
        "c1-0": ("whole", "ann", 0.0, None),
        "c2-0": ("first", "ann", 0.25, 0.75),
        "c2-1": ("second", "ann", 1.25, 1.75),
    }
    assert {key: reason.partition(":")[0] for key, reason in dropped(data).items()} == {
        "c3-0": "one channel of several",
        "c4-0": "its audio is no file",
        "c5": "is mixed or padding",
        "c6-0": "no recording",
        "c7": "no supervision",
    }
    (audio / "recordings.jsonl").write_text(json.dumps(whole["recording"]) + "\n")
    with pytest.raises(UserError, match=r"recordings.jsonl:1: is no cut"):
        prepare("lhotse", audio / "recordings.jsonl", tmp_path / "data")


def test_relative_sources_of_cuts_count_from_the_audio_root(audio: Path, tmp_path: Path) -> None:
    """run.sh has gone to its work folder meanwhile: the current folder says nothing there."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "cuts.jsonl").write_text(json.dumps(cut("c1", "own/a.wav", [(0.0, 2.0, "Whole")])) + "\n")
    with pytest.raises(UserError, match=r"own/a.wav, looked for in .*lists and .*; see --audio_root"):
        prepare("lhotse", lists / "cuts.jsonl", tmp_path / "data", *WHOLE)
    data = prepare("lhotse", lists / "cuts.jsonl", tmp_path / "data", *WHOLE, "--audio_root", tmp_path)
    assert table(data / "train/wav.scp") == {"c1-0": str(audio / "a.wav")}


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    root = tmp_path / "own"
    for name in ("a/b-c.wav", "a-b/c.wav", "d.wav", "d.flac"):
        sound(root / name)
    (root / "list.tsv").write_text("path\ttext\na/b-c.wav\tone\na-b/c.wav\ttwo\nd.wav\tthree\nd.flac\tfour\n")
    for shares in (WHOLE, ("--dev_share", 0.3, "--test_share", 0)):  # read once, or to draw sets before
        data = prepare("manifest", root / "list.tsv", tmp_path / "data", *shares)
        found = [(utt, text) for text_file in data.glob("*/text") for utt, text in table(text_file).items()]
        names = {text: utt for utt, text in found}
        assert len(found) == 4 and (names["one"], names["three"]) == ("a-b-c", "d")
        assert names["two"].startswith("a-b-c-") and names["four"].startswith("d-")
    # In segments, which name the recording.
    (root / "list.tsv").write_text(
        "path\ttext\tstart\tend\na/b-c.wav\tone\t0.1\t0.2\na-b/c.wav\ttwo\t0.1\t0.2\n"
    )
    data = prepare("manifest", root / "list.tsv", tmp_path / "data", *WHOLE)
    assert sorted(table(data / "train/wav.scp").values()) == [
        str(root / "a-b/c.wav"),
        str(root / "a/b-c.wav"),
    ]
    # Beside one transcript they are one recording twice.
    (root / "d.txt").write_text("three")
    data = prepare("folder", root, tmp_path / "folder", *WHOLE)
    assert dropped(data / "train")["d.wav"] == "its transcript is another file's: d.flac"


def test_wrong_options_are_named_before_any_work(audio: Path, tmp_path: Path) -> None:
    (audio / "list.csv").write_text("file_name,words\na.wav,x\n")
    with pytest.raises(UserError, match=r"there is no column 'path', only file_name, words: name one"):
        prepare("manifest", audio / "list.csv", tmp_path / "data", *WHOLE)
    with pytest.raises(UserError, match=r"--source .*none.csv: no such file or folder"):
        prepare("manifest", audio / "none.csv", tmp_path / "data")
    with pytest.raises(UserError, match=r"between 0 and 0.5"):
        prepare("manifest", audio / "list.csv", tmp_path / "data", "--dev_share", 0.9)
    (audio / "list.txt").write_text("just words\n")
    with pytest.raises(UserError, match=r"is no line path\|text\|speaker"):
        prepare("manifest", audio / "list.txt", tmp_path / "data", *WHOLE)
    (audio / "empty.jsonl").write_text("")
    with pytest.raises(UserError, match=r"there are no utterances in it"):
        prepare("manifest", audio / "empty.jsonl", tmp_path / "data", *WHOLE)
    (audio / "list.jsonl").write_text('{"path": "a.wav", "text": "x", "set": "../up"}\n')
    with pytest.raises(UserError, match=r"'../up' is no name of a set"):
        prepare("manifest", audio / "list.jsonl", tmp_path / "data", *WHOLE)
