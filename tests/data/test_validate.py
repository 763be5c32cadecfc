"""The bad sets of a user: each ends with a message that names the file, the utterance and the way out."""

from __future__ import annotations

import pytest

from tests.data.conftest import MakeSet, edit
from xlsrt.bin import data_dir
from xlsrt.data.kaldi import DataDir, Utterance
from xlsrt.data.repair import fix
from xlsrt.data.set_tables import write_data_dir
from xlsrt.data.tables import write_table
from xlsrt.data.validate import validate
from xlsrt.errors import UserError


def test_a_valid_set(make_set: MakeSet) -> None:
    summary = validate(make_set())
    assert (summary.num_utterances, summary.num_speakers) == (3, 2)


@pytest.mark.parametrize("table", ["text", "utt2spk", "wav.scp"])
def test_missing_utterance(make_set: MakeSet, table: str) -> None:
    path = make_set()
    lines = (path / table).read_text().splitlines(keepends=True)
    (path / table).write_text("".join(line for line in lines if not line.startswith("spk1-b")))
    with pytest.raises(UserError, match=f"utterance 'spk1-b' is in .* but missing in {table}.*fix_data_dir"):
        validate(path)


@pytest.mark.parametrize("table", ["text", "utt2spk", "wav.scp"])
def test_duplicate_utterance(make_set: MakeSet, table: str) -> None:
    path = make_set()
    lines = (path / table).read_text().splitlines(keepends=True)
    (path / table).write_text("".join([lines[0], *lines]))
    with pytest.raises(UserError, match=f"{table}: duplicate utterance 'spk1-a'"):
        validate(path)


def test_every_empty_transcript_is_named(make_set: MakeSet) -> None:
    path = make_set(utts={"s-a": "", "s-b": "word", "s-c": "  "})
    with pytest.raises(
        UserError, match=r"(?s)2 problem.*text: utterance 's-a' has an empty.*'s-c' has an empty"
    ):
        validate(path)
    assert validate(path, need_text=False).num_utterances == 3


def test_blanks_of_any_script_and_control_characters_are_no_transcript(make_set: MakeSet) -> None:
    path = make_set(utts={"s-a": "\u3000 \u00a0", "s-b": "word", "s-c": "wo\x00rd", "s-d": "日本\u3000語"})
    with pytest.raises(UserError) as caught:
        validate(path)
    assert "2 problem" in str(caught.value)
    assert "utterance 's-a' has an empty transcript" in str(caught.value)
    assert "utterance 's-c' has a control character (U+0000)" in str(caught.value)
    assert set(fix(path)) == {"s-a", "s-c"}
    assert validate(path).num_utterances == 2


def test_transcript_that_is_not_utf8(make_set: MakeSet) -> None:
    path = make_set()
    (path / "text").write_bytes(b"spk1-a one\nspk1-b caf\xe9\nspk2-c x\n")
    with pytest.raises(UserError, match=r"text:2: utterance 'spk1-b'.*not UTF-8"):
        validate(path)


def test_missing_and_empty_audio_are_named_together(make_set: MakeSet) -> None:
    path = make_set()
    (path / "wavs" / "spk1-a.wav").unlink()
    (path / "wavs" / "spk2-c.wav").write_bytes(b"")
    with pytest.raises(UserError) as caught:
        validate(path)
    assert "utterance 'spk1-a'" in str(caught.value) and "no such audio file" in str(caught.value)
    assert "utterance 'spk2-c'" in str(caught.value) and "is empty (0 bytes)" in str(caught.value)
    assert "2 problem(s)" in str(caught.value) and "fix_data_dir" in str(caught.value)
    assert validate(path, need_audio=False).num_utterances == 3


def test_long_lists_are_cut(make_set: MakeSet) -> None:
    path = make_set(utts={f"s-{i:02d}": "" for i in range(14)})
    with pytest.raises(UserError, match=r"14 problem(?s:.*)\.\.\. and 4 more"):
        validate(path)


def test_pipes_only_when_allowed(make_set: MakeSet) -> None:
    path = make_set(utts={"s-a": "word"})
    (path / "wav.scp").write_text(f"s-a cat {path}/wavs/s-a.wav |\n")
    with pytest.raises(UserError, match=r"utterance 's-a' is a command.*--allow_pipes true"):
        validate(path)
    assert validate(path, allow_pipes=True).num_utterances == 1


def test_spk2utt_that_disagrees(make_set: MakeSet) -> None:
    path = make_set()
    (path / "spk2utt").write_text("spk1 spk1-a\nspk2 spk2-c\n")
    with pytest.raises(UserError, match="spk2utt: speaker 'spk1' does not agree"):
        validate(path)


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ("s-a rec 0.0 0.2\ns-b rec 0.2\n", "utterance 's-b': 'rec 0.2' is no segment"),
        (
            "s-a rec 0.0 0.2\ns-b rec 0.2 0.4 1\n",
            "'rec 0.2 0.4 1' names a channel, and channels are averaged",
        ),
        ("s-a rec 0.0 0.2\ns-b rec 0.4 0.3\n", "'rec 0.4 0.3' is no segment"),
        ("s-a rec 0.0 0.2\ns-b other 0 1\n", "utterance 's-b': recording 'other' is not in wav.scp; add it"),
        ("s-a rec 0.0 0.2\n", "'s-b' is in .* but missing in segments"),
    ],
)
def test_bad_segments(make_set: MakeSet, segments: str, message: str) -> None:
    path = make_set(utts={"s-a": "one", "s-b": "two"})
    (path / "wav.scp").write_text(f"rec {path}/wavs/s-a.wav\n")
    (path / "segments").write_text(segments)
    with pytest.raises(UserError, match=message):
        validate(path)


def test_set_without_utterances_or_directory(make_set: MakeSet) -> None:
    path = make_set(utts={})
    with pytest.raises(UserError, match="a set without utterances"):
        validate(path)
    with pytest.raises(UserError, match="no such data directory"):
        validate(path / "nowhere")
    (path / "utt2spk").unlink()
    with pytest.raises(UserError, match="there is no 'utt2spk' in it"):
        validate(path)


def test_a_row_without_speaker_or_file(make_set: MakeSet) -> None:
    path = make_set(utts={"s-a": "one"})
    edit(path / "utt2spk", "s-a s", "s-a")
    with pytest.raises(UserError, match="utt2spk: 's-a' has no speaker"):
        validate(path)
    path = make_set("other", utts={"s-a": "one"})
    (path / "wav.scp").write_text("s-a\n")
    with pytest.raises(UserError, match=r"wav.scp: 's-a' has no audio file"):
        validate(path)


def test_relative_paths_count_from_here_then_from_the_set(make_set: MakeSet, tmp_path, monkeypatch) -> None:
    path = make_set(utts={"s-a": "one"})
    (path / "wav.scp").write_text("s-a wavs/s-a.wav\n")
    assert validate(path).num_utterances == 1
    assert DataDir(path).resolve("wavs/s-a.wav") == str(path / "wavs" / "s-a.wav")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wavs").mkdir()
    (tmp_path / "wavs" / "s-a.wav").write_bytes(b"x")
    assert DataDir(path).resolve("wavs/s-a.wav") == str(tmp_path / "wavs" / "s-a.wav")


def test_written_sets_are_sorted_and_checked(tmp_path) -> None:
    rows = [Utterance("b-2", "b", "two", "/x"), Utterance("a-1", "a", "one", "/y", extras={"utt2lang": "en"})]
    for stale in ("segments", "utt2dur", "word_times.ctm"):
        write_table(tmp_path / "set" / stale, [("z-9", "of an earlier set")])
    assert write_data_dir(tmp_path / "set", rows) == 2
    names = sorted(path.name for path in (tmp_path / "set").iterdir())
    assert names == ["spk2utt", "text", "utt2lang", "utt2spk", "wav.scp"]
    assert (tmp_path / "set" / "text").read_text() == "a-1 one\nb-2 two\n"
    assert (tmp_path / "set" / "spk2utt").read_text() == "a a-1\nb b-2\n"
    assert [u.extras for u in DataDir(tmp_path / "set").utterances()] == [{"utt2lang": "en"}, {}]
    with pytest.raises(UserError, match="duplicate utterance 'b-2'"):
        write_data_dir(tmp_path / "set", [rows[0], rows[0]])
    with pytest.raises(UserError, match="'c' has an empty transcript"):
        write_data_dir(tmp_path / "set", [Utterance("c", "c", " ", "/x")])
    with pytest.raises(UserError, match="no utterances to write"):
        write_data_dir(tmp_path / "set", [])


def test_a_set_of_features_needs_no_audio(make_set: MakeSet) -> None:
    path = make_set(utts={"s-a": "one", "s-b": "two"})
    (path / "wav.scp").unlink()
    with pytest.raises(UserError, match=r"there is no 'wav\.scp' in it"):
        validate(path)
    data_dir.main(["validate", "--no-wav", str(path)])
    (path / "segments").write_text("s-a rec 0.0 0.2\ns-b rec 0.2 0.1\n")
    with pytest.raises(UserError, match=r"'rec 0\.2 0\.1' is no segment"):
        validate(path, need_audio=False)
    (path / "segments").write_text("s-a rec 0.0 0.2\ns-b rec 0.2 0.3\n")
    assert validate(path, need_audio=False).num_utterances == 2
