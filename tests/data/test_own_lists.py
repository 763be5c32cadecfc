"""Own lists with gaps and odd values: each row is used or named, and none stands in the way of the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.data.reading import dropped, prepare, sound, table
from xlsrt.errors import UserError

WHOLE = ("--dev_share", 0, "--test_share", 0)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with two recordings."""
    for name in ("a", "b"):
        sound(tmp_path / "own" / f"{name}.wav")
    monkeypatch.chdir(tmp_path / "own")
    return tmp_path / "own"


def test_rows_with_a_problem_in_the_lists_own_folder(own: Path, tmp_path: Path) -> None:
    (own / "list.csv").write_text("path,text\na.wav,one\n,none\nb.wav\n.,the folder\n")
    data = prepare("manifest", Path("list.csv"), tmp_path / "data", *WHOLE)
    assert table(data / "train" / "text") == {"a": "one"}
    reasons = {key: reason.partition(":")[0] for key, reason in dropped(data / "train").items()}
    assert reasons.pop("list.csv:3") == "no path"
    assert reasons.pop("list.csv:4") == "wrong number of cells"
    assert list(reasons.values()) == ["not a file"]


def test_lines_with_a_header_of_two_columns(own: Path, tmp_path: Path) -> None:
    (own / "list.txt").write_text("path|text\na.wav|one\nb.wav|two\n")
    data = prepare("manifest", own / "list.txt", tmp_path / "data", *WHOLE)
    assert table(data / "train" / "text") == {"a": "one", "b": "two"}
    assert dropped(data / "train") == {}


def test_nan_is_no_speaker_and_no_text(own: Path, tmp_path: Path) -> None:
    rows = [
        {"path": "a.wav", "text": "one", "speaker": float("nan"), "start": float("nan")},
        {"path": "b.wav", "text": "two", "speaker": float("nan"), "language": float("nan")},
        {"path": "b.wav", "text": float("nan"), "id": "mute"},
    ]
    (own / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = prepare("manifest", own / "list.jsonl", tmp_path / "data", *WHOLE)
    assert table(data / "train" / "utt2spk") == {"a": "a", "b": "b"}
    assert not (data / "train" / "utt2lang").exists()
    assert dropped(data / "train") == {"mute": "empty transcript"}


def test_cuts_whose_speakers_are_numbers_or_structures(own: Path, tmp_path: Path) -> None:
    recording = {
        "sources": [{"type": "file", "channels": [0], "source": "a.wav"}],
        "sampling_rate": 16000,
        "duration": 0.3,
    }
    cuts = []
    for number, more in enumerate(
        [
            {"speaker": 0, "text": 7},
            {"speaker": 12, "language": None},
            {"speaker": {"name": "ann"}},
            {"text": []},
        ]
    ):
        supervision = {"id": f"u{number}", "start": 0.0, "duration": 0.3, "text": "words", **more}
        cuts.append({"type": "MonoCut", "supervisions": [supervision], "recording": recording})
    (own / "cuts.jsonl").write_text("".join(json.dumps(cut) + "\n" for cut in cuts))
    data = prepare("lhotse", own / "cuts.jsonl", tmp_path / "data", *WHOLE) / "train"
    assert table(data / "utt2spk") == {"u0": "0", "u1": "12"}
    assert table(data / "text") == {"u0": "7", "u1": "words"}
    assert dropped(data) == {
        "u2": "no text but a structure: speaker is {'name': 'ann'}",
        "u3": "no text but a structure: text is []",
    }


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_times_that_are_no_numbers_cost_their_row_alone(kind: str, own: Path, tmp_path: Path) -> None:
    names = ("path", "text", "start", "end")
    rows = [("a.wav", "one", "nan", "0.2"), ("a.wav", "two", "0.1", "inf"), ("a.wav", "three", "1e400", "")]
    rows += [("a.wav", "four", "-inf", "nan"), ("b.wav", "five", "0.1", "0.2")]
    if kind == "jsonl":
        lines = [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
    else:
        lines = [("," if kind == "csv" else "\t").join(row) for row in (names, *rows)]
    (own / f"list.{kind}").write_text("\n".join(lines) + "\n")
    data = prepare("manifest", own / f"list.{kind}", tmp_path / "data", *WHOLE) / "train"
    assert table(data / "text") == {"b-0000010-0000020": "five"}
    reasons = ["start is no number: nan", "end is no number: inf", "start is no number: 1e400"]
    assert list(dropped(data).values()) == [*reasons, "start is no number: -inf"]


def test_structures_in_json_lines_are_no_text_and_no_path(own: Path, tmp_path: Path) -> None:
    rows = [
        {"path": ["a.wav"], "text": "x", "id": "r1"},
        {"path": "a.wav", "text": {"a": 1}},
        {"path": "a.wav", "text": "x", "speaker": ["ann"]},
        {"path": "b.wav", "text": 5},
    ]
    (own / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = prepare("manifest", own / "list.jsonl", tmp_path / "data", *WHOLE) / "train"
    assert table(data / "text") == {"b": "5"}
    assert dropped(data) == {
        "r1": "malformed: path is a structure: ['a.wav']",
        "list.jsonl:2": "malformed: text is a structure: {'a': 1}",
        "list.jsonl:3": "malformed: speaker is a structure: ['ann']",
    }


SUPERVISION = {"id": "u", "start": 0.0, "duration": 0.3, "text": "words", "speaker": "ann"}
SOURCE = {"type": "file", "channels": [0], "source": "a.wav"}
RECORDING = {"id": "r", "sources": [SOURCE], "duration": 0.3}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"supervisions": [{"id": "u", "text": "x"}]}, "malformed: no duration"),
        ({"supervisions": [{**SUPERVISION, "duration": None}]}, "malformed: duration is None, no seconds"),
        ({"supervisions": [{**SUPERVISION, "duration": float("nan")}]}, "malformed: duration is nan"),
        ({"supervisions": [{**SUPERVISION, "start": "0"}]}, "malformed: start is '0', no seconds"),
        ({"supervisions": [{**SUPERVISION, "channel": []}]}, "no source for channel []"),
        ({"supervisions": [None]}, "malformed: a supervision is None"),
        ({"supervisions": {"id": "u"}}, "malformed: no duration"),
        ({"supervisions": 3}, "malformed: a supervision is 3"),
        ({"start": None}, "malformed: start is None, no seconds"),
        ({"recording": {**RECORDING, "duration": None}}, "malformed: duration is None, no seconds"),
        ({"recording": {"id": "r", "duration": 0.3}}, "malformed: no sources"),
        ({"recording": {**RECORDING, "sources": [{}]}}, "malformed: no type"),
        ({"recording": {**RECORDING, "sources": [None]}}, "malformed: a source is None"),
        ({"recording": {**RECORDING, "sources": []}}, "malformed: sources is []"),
        ({"recording": {**RECORDING, "sources": [{**SOURCE, "channels": 0}]}}, "malformed: channels is 0"),
        ({"recording": {**RECORDING, "sources": [{**SOURCE, "source": None}]}}, "malformed: source is None"),
        ({"recording": "a.wav"}, "malformed: recording is 'a.wav'"),
    ],
)
def test_a_malformed_cut_costs_that_cut_alone(
    change: dict[str, object], why: str, own: Path, tmp_path: Path
) -> None:
    good = {"id": "good", "type": "MonoCut", "start": 0.0, "recording": RECORDING}
    good["supervisions"] = [{**SUPERVISION, "id": "good"}]
    bad = {**good, "id": "bad", "supervisions": [{**SUPERVISION, "id": "bad"}], **change}
    (own / "cuts.jsonl").write_text(f"{json.dumps(bad)}\n{json.dumps(good)}\n")
    data = prepare("lhotse", own / "cuts.jsonl", tmp_path / "data", *WHOLE) / "train"
    assert table(data / "text") == {"good": "words"}
    (reason,) = dropped(data).values()
    assert reason.startswith(why)


@pytest.mark.parametrize("what", ["audio", "text", "segment"])
def test_sets_are_drawn_among_what_can_be_used(own: Path, tmp_path: Path, what: str) -> None:
    """Of 24 speakers 18 have nothing usable; whichever the seed takes, dev and test have utterances."""
    lines = ["path,text,speaker,start"]
    for number in range(24):
        good = number % 4 == 0
        path = "a.wav" if good or what != "audio" else f"lost{number}.wav"
        text = "words" if good or what != "text" else "!"
        start = 0.1 if good or what != "segment" else 9.0
        lines.append(f"{path},{text},s{number:02d},{start if what == 'segment' else ''}")
    (own / "list.csv").write_text("\n".join(lines) + "\n")
    for seed in range(4):
        data = prepare("manifest", own / "list.csv", tmp_path / f"data{seed}", "--seed", seed)
        speakers = [set(table(data / name / "spk2utt")) for name in ("train", "dev", "test")]
        assert [len(found) for found in speakers] == [4, 1, 1]
        assert sum(len(dropped(data / name)) for name in ("train", "dev", "test")) == 18
    (own / "list.csv").write_text("path,text\nlost1.wav,x\nlost2.wav,x\nlost3.wav,x\na.wav,x\n")
    with pytest.raises(UserError, match="1 recordings are too few to draw"):
        prepare("manifest", own / "list.csv", tmp_path / "few")
