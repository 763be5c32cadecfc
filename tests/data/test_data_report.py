"""The report on data, and the Kaldi tools' further options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.data.conftest import MakeSet, edit, tone
from xlsrt.bin import data_dir
from xlsrt.data.data_report import common, gather
from xlsrt.data.format import FormatOptions, format_set
from xlsrt.data.tables import load_table
from xlsrt.errors import UserError


def even(make_set: MakeSet, name: str = "set", words: int = 6) -> Path:
    """Forty utterances of 0.5 s whose transcripts are about equally long, of five speakers."""
    texts = {
        f"s{i % 5}-{i:02d}": "lorem ipsum " * (words // 2) + "ab"[i % 2] * (i % 3 + 1) for i in range(40)
    }
    return make_set(name, utts=dict(sorted(texts.items())))


def test_figures(make_set: MakeSet) -> None:
    facts = gather(even(make_set))
    assert len(facts.utts) == 40 and facts.hours == pytest.approx(40 * 0.5 / 3600)
    assert dict(facts.speakers) == {f"s{i}": 8 for i in range(5)}
    assert facts.words == 40 * 7 and facts.characters["p"] == 40 * 3
    assert facts.rates() == pytest.approx(np.asarray(facts.letters) / 0.5)
    assert facts.rate_outliers() == [] and facts.pairs == []


def test_what_looks_wrong_is_found(make_set: MakeSet, tmp_path: Path, capsys) -> None:
    source = even(make_set)
    texts, wavs = load_table(source / "text"), load_table(source / "wav.scp")
    edit(source / "text", f"s0-00 {texts['s0-00']}", "s0-00 " + "word " * 60)  # as if the audio had been cut
    soundfile.write(wavs["s1-01"], tone(16000 * 8), 16000)  # eight seconds for the words of half a second
    edit(source / "wav.scp", wavs["s2-02"], wavs["s2-07"])
    edit(source / "text", f"s3-03 {texts['s3-03']}", "s3-03 cafe\u0301 ipsum lorem fuimus \u200b")
    data_dir.main(["report", str(source), "--output_dir", str(tmp_path / "out")])
    page = (tmp_path / "out" / "report.md").read_text()
    assert capsys.readouterr().out == page + "\n"
    facts = gather(source)
    assert [utt for utt, _, _ in facts.rate_outliers()][:2] in (["s0-00", "s1-01"], ["s1-01", "s0-00"])
    assert facts.pairs == [("s2-02", "s2-07", "same audio, another transcript")]
    assert "* s2-02, s2-07: same audio, another transcript" in page
    assert "* Not in Unicode NFC: s3-03" in page
    assert "U+200B 1 (s3-03)" in page and "`f` 2 (s3-03)" in page
    assert "| set | 40 | 0.01 | 5 |" in page
    assert (tmp_path / "out" / "lengths.png").read_bytes().startswith(b"\x89PNG")


def test_lengths_from_tables_segments_and_nowhere(make_set: MakeSet) -> None:
    source = make_set()
    (source / "utt2dur").write_text("spk1-a 1.5\nspk1-b 2.5\n")
    Path(load_table(source / "wav.scp")["spk2-c"]).write_bytes(b"no audio")
    facts = gather(source)
    assert list(facts.seconds) == [1.5, 2.5, 0.0] and facts.unknown_lengths == 1
    (source / "utt2num_samples").write_text("spk1-a 16000\nspk1-b 8000\nspk2-c 4000\n")
    assert list(gather(source).seconds) == [1.0, 0.5, 0.25]
    (source / "utt2num_samples").unlink(), (source / "utt2dur").unlink()
    (source / "segments").write_text("spk1-a spk1-a 0.1 0.4\nspk1-b spk1-a 0.25 -1\nspk2-c spk1-a 0.1 0.4\n")
    facts = gather(source)
    assert list(facts.seconds) == pytest.approx([0.3, 0.25, 0.3])
    assert facts.pairs == [("spk1-a", "spk2-c", "same audio, another transcript")]


def test_what_sets_should_not_share(make_set: MakeSet, tmp_path: Path) -> None:
    train = make_set("train", utts={"a-1": "one", "b-2": "two"})
    test = make_set("test", utts={"b-9": "two", "c-9": "three"})
    other = make_set("other", utts={"d-9": "four"})
    assert common([gather(train), gather(test), gather(other)]) == [
        "train and test share 1 speakers, such as b",
        "train and test share 1 sentences, 50.0% of those of test",
    ]
    data_dir.main(["report", str(train), str(other)])
    assert "* neither speakers nor audio nor sentences" in (train / "report" / "report.md").read_text()


@pytest.mark.parametrize("kind", ["flac", "wav", "flac.ark"])
def test_the_same_audio_is_found_wherever_it_lies(make_set: MakeSet, tmp_path: Path, kind: str) -> None:
    """Each utterance of a formatted set has a file of its own, so places tell nothing there."""
    train = make_set("train", utts={"a-1": "one", "b-2": "two", "c-3": "three"}, rate=8000)
    test = make_set("test", utts={"d-9": "", "e-9": "five"}, samples=9000, rate=8000)
    edit(train / "wav.scp", "b-2.wav", "a-1.wav")
    edit(test / "text", "d-9 ", "d-9 four")
    edit(test / "wav.scp", f"{test}/wavs/d-9.wav", f"{train}/wavs/c-3.wav")
    for source in (train, test):
        format_set(source, tmp_path / "dump" / source.name, FormatOptions(audio_format=kind))
    one, other = (gather(tmp_path / "dump" / name) for name in ("train", "test"))
    assert one.pairs == [("a-1", "b-2", "same audio, another transcript")] and other.pairs == []
    assert common([one, other]) == ["train and test share the audio of 1 utterances, such as c-3"]


def test_relative_places_count_from_their_set(make_set: MakeSet) -> None:
    one, other = make_set("one", utts={"a-1": "one"}), make_set("other", utts={"b-1": "two"})
    for source, name in ((one, "a-1"), (other, "b-1")):
        (source / "wavs" / f"{name}.wav").rename(source / "wavs" / "1.wav")
        (source / "wav.scp").write_text(f"{name} wavs/1.wav\n")
    assert common([gather(one), gather(other)]) == []
    (other / "wav.scp").write_text(f"b-1 {one}/wavs/1.wav\n")
    assert common([gather(one), gather(other)]) == [
        "one and other share the audio of 1 utterances, such as a-1"
    ]


def test_sets_without_text_share_no_sentences(make_set: MakeSet) -> None:
    one, other = make_set("one", utts={"a-1": "", "a-2": ""}), make_set("other", utts={"b-1": ""})
    edit(one / "wav.scp", "a-2.wav", "a-1.wav")
    for source in (one, other):
        (source / "text").unlink()
    facts = gather(one)
    assert common([facts, gather(other)]) == [] and not facts.sentences
    assert facts.pairs == [("a-1", "a-2", "same audio")]


def test_a_set_at_another_speed(make_set: MakeSet, tmp_path: Path) -> None:
    source = make_set(samples=8800)
    (source / "spk2gender").write_text("spk1 f\nspk2 m\nspk9 m\n")
    data_dir.main(["perturb_speed", "--nj", "1", "1.1", str(source), str(tmp_path / "fast")])
    fast = tmp_path / "fast"
    assert load_table(fast / "text") == {
        f"sp1.1-{utt}": text for utt, text in load_table(source / "text").items()
    }
    assert load_table(fast / "utt2uniq")["sp1.1-spk2-c"] == "spk2-c"
    assert load_table(fast / "utt2spk")["sp1.1-spk2-c"] == "sp1.1-spk2"
    assert all(soundfile.info(path).frames == 8000 for path in load_table(fast / "wav.scp").values())
    assert load_table(fast / "spk2gender") == {"sp1.1-spk1": "f", "sp1.1-spk2": "m"}
    # A copy of the copy is still made of the original.
    data_dir.main(["perturb_speed", "0.9", str(fast), str(tmp_path / "again")])
    assert load_table(tmp_path / "again" / "utt2uniq")["sp0.9-sp1.1-spk2-c"] == "spk2-c"
    data_dir.main(["combine", str(tmp_path / "both"), str(source), str(fast)])
    assert load_table(tmp_path / "both" / "utt2uniq")["spk2-c"] == "spk2-c"
    data_dir.main(["validate", "--no-feats", "--no-spk-sort", "--non-print", str(tmp_path / "both")])
    assert len(load_table(tmp_path / "both" / "text")) == 6
    (source / "wav.scp").write_text(
        "".join(f"{u} cat {w} |\n" for u, w in load_table(source / "wav.scp").items())
    )
    with pytest.raises(UserError, match="--allow_pipes"):
        data_dir.main(["perturb_speed", "1.1", str(source), str(tmp_path / "piped")])
    data_dir.main(["perturb_speed", "--allow-pipes", "true", "1.1", str(source), str(tmp_path / "piped")])
    assert load_table(tmp_path / "piped" / "text") == load_table(fast / "text")
    with pytest.raises(UserError, match="a factor of 1 changes nothing"):
        data_dir.main(["perturb_speed", "1.0", str(source), str(tmp_path / "same")])
    with pytest.raises(UserError, match="factors lie between"):
        data_dir.main(["perturb_speed", "9", str(source), str(tmp_path / "same")])


def test_extra_tables_are_cut_and_joined(make_set: MakeSet, tmp_path: Path) -> None:
    source, other = make_set(), make_set("other", utts={"spk3-d": "six"})
    (source / "reco2note").write_text("spk1-a x\nspk1-b y\nspk2-c z\n")
    (other / "reco2note").write_text("spk3-d w\n")
    (source / "spk2gender").write_text("spk1 f\nspk2 m\nspk9 f\n")
    (source / "dropped").write_text("spk0-z empty transcript\nspk1-b was out once\n")
    data_dir.main(
        ["combine", "--extra-files", "reco2note none", str(tmp_path / "all"), str(source), str(other)]
    )
    assert len(load_table(tmp_path / "all" / "reco2note")) == 4
    Path(load_table(source / "wav.scp")["spk2-c"]).unlink()
    options = ["--utt-extra-files", "reco2note", "--spk-extra-files", "spk2gender none"]
    data_dir.main(["fix", *options, str(source)])
    assert load_table(source / "reco2note") == {"spk1-a": "x", "spk1-b": "y"}
    assert load_table(source / "spk2gender") == {"spk1": "f"}
    assert (source / ".backup" / "spk2gender").read_text().endswith("spk9 f\n")
    # What the corpus's reader has left out stays on the list; what is in the set does not.
    reasons = load_table(source / "dropped")
    assert list(reasons) == ["spk0-z", "spk2-c"] and "no such audio file" in reasons["spk2-c"]
