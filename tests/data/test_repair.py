from __future__ import annotations

import pytest

from tests.data.conftest import MakeSet, edit
from xlsrt.data.kaldi import DataDir, write_spk2utt
from xlsrt.data.repair import combine, fix, subset
from xlsrt.data.tables import load_table
from xlsrt.data.validate import validate
from xlsrt.errors import UserError

UTTS = {f"s{i // 5}-{i:02d}": f"word {i}" for i in range(20)}


def test_fix_drops_what_cannot_be_used_and_says_why(make_set: MakeSet) -> None:
    path = make_set(utts=UTTS)
    rows = (path / "text").read_bytes().splitlines(keepends=True)
    rows[1] = b"s0-01 caf\xe9\n"
    rows[2] = b"s0-02\n"
    rows[3:4] = []
    (path / "text").write_bytes(b"".join(reversed(rows)) + rows[0])
    (path / "wavs" / "s0-04.wav").unlink()
    (path / "wavs" / "s1-05.wav").write_bytes(b"")
    edit(path / "wav.scp", f"s1-06 {path}/wavs/s1-06.wav", f"s1-06 cat {path}/wavs/s1-06.wav |")
    (path / "spk2utt").write_text("s0 nonsense\n")
    dropped = fix(path)
    assert dropped.keys() == {"s0-01", "s0-02", "s0-03", "s0-04", "s1-05", "s1-06"}
    assert "not UTF-8" in dropped["s0-01"] and dropped["s0-02"] == "empty in text"
    assert dropped["s0-03"] == "missing in text" and "no such audio" in dropped["s0-04"]
    assert "empty" in dropped["s1-05"] and dropped["s1-06"] == "its audio is a command"
    assert validate(path).num_utterances == 14
    assert load_table(path / "dropped") == dropped
    assert (path / ".backup" / "spk2utt").read_text() == "s0 nonsense\n"
    assert fix(path) == {}


def test_fix_keeps_the_reasons_of_a_list_that_names_one_twice(make_set: MakeSet) -> None:
    path = make_set(utts=UTTS)
    (path / "dropped").write_text("gone missing\nx1 duplicate: line 3\nx1 duplicate: line 4\ns0-01 was bad\n")
    (path / "wavs" / "s0-04.wav").unlink()
    assert fix(path).keys() == {"s0-04"}
    lines = (path / "dropped").read_text().splitlines()
    assert [line for line in lines if not line.startswith("s0-04 ")] == [
        "gone missing",
        "x1 duplicate: line 3",
        "x1 duplicate: line 4",
    ]
    assert len(lines) == 4


def test_fix_changes_nothing_when_nothing_would_be_left(make_set: MakeSet) -> None:
    path = make_set(utts={"s-a": "", "s-b": ""})
    before = {p.name: p.read_bytes() for p in path.iterdir() if p.is_file()}
    with pytest.raises(
        UserError, match=r"no utterance would be left \(s-a: empty in text\): nothing was changed"
    ):
        fix(path)
    assert {p.name: p.read_bytes() for p in path.iterdir() if p.is_file()} == before


def test_fix_with_segments_keeps_needed_recordings(make_set: MakeSet) -> None:
    path = make_set(utts={"s-a": "one", "s-b": "two"})
    (path / "wav.scp").write_text(f"rec2 {path}/wavs/s-b.wav\nrec1 {path}/wavs/s-a.wav\n")
    (path / "segments").write_text("s-b rec2 0 9 9 9\ns-a rec1 0.1 0.2\n")
    assert fix(path) == {"s-b": "malformed segment 'rec2 0 9 9 9'"}
    assert list(load_table(path / "wav.scp")) == ["rec1"]
    assert validate(path).num_utterances == 1


def test_subset_and_combine_are_inverse(make_set: MakeSet, tmp_path, caplog) -> None:
    path = make_set(utts=UTTS, samples=800)
    write_spk2utt(path)
    (path / "utt2lang").write_text("".join(f"{utt} en\n" for utt in UTTS))
    (path / "spk2gender").write_text("s0 f\ns1 m\ns2 f\ns3 m\n")
    some = set(list(UTTS)[::3])
    subset(path, tmp_path / "a", some)
    subset(path, tmp_path / "b", UTTS.keys() - some)
    assert validate(tmp_path / "a").num_utterances == len(some)
    assert combine(tmp_path / "c", [tmp_path / "b", tmp_path / "a"]) == 20
    for name in ("wav.scp", "text", "utt2spk", "spk2utt", "utt2lang", "spk2gender"):
        assert (tmp_path / "c" / name).read_bytes() == (path / name).read_bytes(), name
    subset(path, tmp_path / "e", {"s1-05", "s1-06", "nobody", "no-one"})
    assert load_table(tmp_path / "e" / "spk2gender") == {"s1": "m"}
    assert "2 of the wanted utterances are not in it, such as no-one" in caplog.text
    with pytest.raises(UserError, match="the subset would be empty"):
        subset(path, tmp_path / "d", {"nobody"})
    with pytest.raises(UserError, match="is the source itself"):
        subset(path, path, some)


def test_combine_refuses_contradictions(make_set: MakeSet, tmp_path, caplog) -> None:
    one, two = make_set("one", utts={"s-a": "one"}), make_set("two", utts={"s-a": "two"})
    with pytest.raises(UserError, match="'s-a' is also in another set, with another value"):
        combine(tmp_path / "both", [one, two])
    assert not (tmp_path / "both").exists()
    third = make_set("third", utts={"s-b": "three"})
    (third / "utt2lang").write_text("s-b en\n")
    combine(tmp_path / "both", [one, third])
    assert "--extra-files" not in caplog.text
    combine(tmp_path / "both", [one, third], extra_files=["utt2lang", "utt2foo"])
    assert "both: --extra-files: in none of the sets: utt2foo" in caplog.text
    assert "left out: utt2lang" in caplog.text and DataDir(tmp_path / "both").extra_names() == []
    (third / "segments").write_text("s-b s-b 0 0.1\n")
    with open(one / "wav.scp", "a") as table:
        table.write("s-z loose.wav\n")  # a recording that is nobody's is no utterance
    combine(tmp_path / "both", [one, third])
    assert load_table(tmp_path / "both/segments") == {"s-a": "s-a 0 -1", "s-b": "s-b 0 0.1"}
    rows = {row.utt: (row.start, row.end) for row in DataDir(tmp_path / "both").utterances()}
    assert rows == {"s-a": (0.0, None), "s-b": (0.0, 0.1)}


def test_nothing_of_an_earlier_set_stays(make_set: MakeSet, tmp_path) -> None:
    """Segments would cut up the new recordings, languages would be of utterances that are gone."""
    old = make_set("old", utts={"s-a": "one", "s-b": "two"})
    (old / "wav.scp").write_text(f"rec {old}/wavs/s-a.wav\n")
    (old / "segments").write_text("s-a rec 0 0.1\ns-b rec 0.1 0.2\n")
    (old / "utt2lang").write_text("s-a en\ns-b en\n")
    (old / "spk2gender").write_text("s f\n")
    (old / "reco2dur").write_text("rec 0.5\n")
    new = make_set("new", utts={"t-a": "one", "t-b": "two"})
    for make in (lambda path: subset(new, path, {"t-a"}), lambda path: combine(path, [new])):
        target = tmp_path / "target"
        subset(old, target, {"s-a", "s-b"})
        assert validate(target).num_utterances == 2 and (target / "reco2dur").exists()
        (target / "notes").write_text("mine")
        count = make(target)
        assert validate(target).num_utterances == count
        assert {path.name for path in target.iterdir()} == {
            *("wav.scp", "text", "utt2spk", "spk2utt", "notes"),
        }
    # A folder that is a link stays one.
    (tmp_path / "link").symlink_to(target)
    assert subset(new, tmp_path / "link", {"t-b"}) == 1 and (tmp_path / "link").is_symlink()
    assert list(load_table(target / "text")) == ["t-b"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_tables_by_recording_are_cut(make_set: MakeSet, tmp_path) -> None:
    path = make_set(utts={"s-a": "one", "s-b": "two", "s-c": "three"})
    wavs = load_table(path / "wav.scp")
    (path / "wav.scp").write_text(f"r1 {wavs['s-a']}\nr2 {wavs['s-c']}\n")
    (path / "segments").write_text("s-a r1 0 0.1\ns-b r1 0.1 0.2\ns-c r2 0 0.1\n")
    (path / "reco2dur").write_text("r1 0.5\nr2 0.5\n")
    (path / "reco2file_and_channel").write_text("r1 f1 A\nr2 f2 A\n")
    subset(path, tmp_path / "some", {"s-c"})
    assert load_table(tmp_path / "some" / "reco2dur") == {"r2": "0.5"}
    (path / "text").write_text("s-a one\ns-b two\ns-c\n")
    assert fix(path) == {"s-c": "empty in text"}
    assert load_table(path / "reco2file_and_channel") == {"r1": "f1 A"}
    assert load_table(path / "reco2dur") == {"r1": "0.5"}
    assert (path / ".backup" / "reco2dur").read_text() == "r1 0.5\nr2 0.5\n"


def test_who_has_no_utt2uniq_is_its_own_original(make_set: MakeSet, tmp_path, caplog) -> None:
    one, two = make_set("one", utts={"s-a": "one"}), make_set("two", utts={"sp0.9-s-a": "one"})
    (two / "utt2uniq").write_text("sp0.9-s-a s-a\n")
    combine(tmp_path / "both", [one, two])
    assert load_table(tmp_path / "both" / "utt2uniq") == {"s-a": "s-a", "sp0.9-s-a": "s-a"}
    assert "left out" not in caplog.text
