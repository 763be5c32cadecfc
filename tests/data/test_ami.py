"""AMI's NXT annotations and recordings as published, with overlaps and gaps in both."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.reading import dropped, prepare, sound, table
from xlsrt.data.ami import part_of
from xlsrt.data.ami_nxt import Element, Spoken, cut, kaldi_text, overlap, read_segments, read_words
from xlsrt.data.format import FormatOptions, format_set
from xlsrt.data.kaldi import DataDir
from xlsrt.errors import UserError

HEAD = '<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?>\n'
NITE = 'xmlns:nite="http://nite.sourceforge.net/"'


def words_file(root: Path, who: str, items: list[str]) -> None:
    """``items`` are `hello 1.0 1.4`, `, 1.4`, `!laugh 2 3` (a noise) or `word` (without times)."""
    lines = []
    for number, item in enumerate(items):
        text, *times = item.split(" ")
        name = f'nite:id="{who}.words{number}"'
        if times:
            name += f' starttime="{times[0]}" endtime="{times[-1]}"'
        if text.startswith("!"):
            lines.append(f'   <vocalsound {name} type="{text[1:]}"/>')
        elif text in (",", ".", "?"):
            lines.append(f'   <w {name} punc="true">{text}</w>')
        else:
            lines.append(f"   <w {name}>{text}</w>")
    body = "\n".join(lines)
    path = root / "words" / f"{who}.words.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        f'{HEAD}<nite:root nite:id="{who}.words" {NITE}>\n{body}\n</nite:root>\n'.encode("latin-1")
    )


def segments_file(root: Path, who: str, spans: list[tuple[int, int]]) -> None:
    lines = []
    for number, (first, last) in enumerate(spans):
        href = f"{who}.words.xml#id({who}.words{first})"
        href += f"..id({who}.words{last})" if last > first else ""
        lines.append(
            f'   <segment nite:id="{who.split(".")[0]}.sync.{number}" channel="0" transcriber_start="9.0" '
            f'transcriber_end="9.5">\n      <nite:child href="{href}"/>\n   </segment>'
        )
    body = "\n".join(lines)
    path = root / "segments" / f"{who}.segments.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{HEAD}<nite:root nite:id="{who}.segs" {NITE}>\n{body}\n</nite:root>\n')


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "ami"
    notes = root / "ami_public_manual_1.6.2"
    meetings = {
        "ES2002a": ("MEE006", "FEE005"),
        "ES2011a": ("FEE041", "MEE044"),
        "EN2002a": ("MEE073", "FEO072"),
    }
    lines = []
    for number, (meeting, names) in enumerate(meetings.items()):
        speakers = "".join(
            f'<speaker nite:id="s{number}{agent}" nxt_agent="{agent}" channel="{channel}" '
            f'global_name="{name}"/>'
            for channel, (agent, name) in enumerate(zip("AB", names, strict=True))
        )
        lines.append(f'<meeting nite:id="m{number}" observation="{meeting}">{speakers}</meeting>')
    (notes / "corpusResources").mkdir(parents=True)
    (notes / "corpusResources" / "meetings.xml").write_text(
        f"{HEAD}<nite:root {NITE}>{''.join(lines)}</nite:root>"
    )
    for meeting in meetings:
        first = ["Okay 1.0 1.4", ", 1.4", "D_V_D_ 1.5 2.0", ". 2.0", "mm-hmm 2.1 2.5", "!laugh 2.6 3.0"]
        first += ["!cough 4.0 4.5", "I'm 7.5 8.0", "late 8.0 9.9"]
        words_file(notes, f"{meeting}.A", first)
        segments_file(notes, f"{meeting}.A", [(0, 5), (6, 6), (7, 8)])
        # B's second word begins before the first has ended, and B talks into A's sentences.
        words_file(notes, f"{meeting}.B", ["so 1.5 2.5", "caf\xe9 2.2 2.3", "untimed", ". 3.0", "anti-trust"])
        segments_file(notes, f"{meeting}.B", [(0, 3), (4, 4), (0, 3)])
        for channel in (0, 1):
            if (meeting, channel) != ("EN2002a", 1):
                folder = root / "amicorpus" / meeting / "audio"
                sound(folder / f"{meeting}.Headset-{channel}.wav", 9.8 if meeting == "ES2011a" else 10.0)
        sound(root / "amicorpus" / meeting / "audio" / f"{meeting}.Array1-01.wav", 10.0)
    return root


def test_headsets(corpus: Path, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO")
    data = prepare("ami", corpus, tmp_path / "data")
    a, b = "AMI_ES2002a_H00_MEE006", "AMI_ES2002a_H01_FEE005"
    assert table(data / "train" / "text") == {
        f"{a}_0000100_0000200": "OKAY D. V. D.",
        f"{a}_0000200_0000300": "MM-HMM",
        f"{a}_0000750_0000990": "I'M LATE",
        f"{b}_0000150_0000300": "SO CAF\xc9 UNTIMED",
        f"{b}_0000900_0000950": "ANTI TRUST",
    }
    assert table(data / "train" / "segments")[f"{a}_0000100_0000200"] == "AMI_ES2002a_H00 1.000 2.000"
    assert table(data / "train" / "wav.scp")["AMI_ES2002a_H01"].endswith("ES2002a.Headset-1.wav")
    assert table(data / "train" / "utt2spk")[f"{b}_0000900_0000950"] == b
    assert table(data / "train" / "utt2overlap") == {
        f"{a}_0000100_0000200": "0.500",
        f"{a}_0000200_0000300": "1.000",
        f"{a}_0000750_0000990": "0.208",
        f"{b}_0000150_0000300": "1.000",
        f"{b}_0000900_0000950": "1.000",
    }
    assert dropped(data / "train") == {
        "ES2002a.A:ES2002a.sync.1": "no words: laughter, noise or nothing",
        f"{b}_0000150_0000300": "duplicate: the id has come before",
    }
    # The shorter recordings of dev do not reach the end of the last utterance, give or take 0.1 s.
    assert "AMI_ES2011a_H00_FEE041_0000750_0000990" in table(data / "dev" / "text")
    assert dropped(data / "eval")["AMI_EN2002a_H01_FEO072_0000150_0000300"] == (
        "no such audio file: EN2002a.Headset-1.wav"
    )
    assert len(table(data / "eval" / "text")) == 3
    assert "1 of the 137 official meetings" in caplog.text
    # Every segment can be cut out of its recording.
    assert format_set(data / "train", tmp_path / "dump", FormatOptions()) == 5
    assert int(table(tmp_path / "dump" / "utt2num_samples")[f"{b}_0000150_0000300"]) == 24000


def test_distant_microphones_and_overlap(corpus: Path, tmp_path: Path) -> None:
    data = prepare("ami", corpus, tmp_path / "sdm", "--mic", "sdm", "--max_overlap", 0.5, "--case", "lower")
    assert table(data / "dev" / "text") == {
        "AMI_ES2011a_SDM_FEE041_0000100_0000200": "okay d. v. d.",
        "AMI_ES2011a_SDM_FEE041_0000750_0000990": "i'm late",
    }
    assert list(table(data / "dev" / "wav.scp")) == ["AMI_ES2011a_SDM"]
    reasons = list(dropped(data / "dev").values())
    assert reasons.count("others speak in too much of its time: 100 %") == 3
    # Without beamformed recordings the arrays are summed: one has two channels, the others not.
    sound(corpus / "amicorpus" / "ES2002a" / "audio" / "ES2002a.Array1-02.wav", 10.0)
    with pytest.raises(UserError, match=r"no utterance is left .* no such audio file"):
        prepare("ami", corpus, tmp_path / "mdm", "--mic", "mdm")
    assert [path.name for path in (tmp_path / "mdm" / "local" / "ami_mdm").iterdir()] == ["ES2002a_MDM.flac"]
    with pytest.raises(UserError, match=r"--mic mdm: neither"):
        prepare("ami", corpus / "ami_public_manual_1.6.2", tmp_path / "mdm", "--mic", "mdm")
    for meeting in ("ES2002a", "ES2011a", "EN2002a"):
        sound(corpus / "beamformed" / meeting / f"{meeting}_MDM8.wav", 8.0)
    data = prepare("ami", corpus, tmp_path / "mdm", "--mic", "mdm")
    row = next(iter(DataDir(data / "eval").utterances()))
    assert row.utt == "AMI_EN2002a_MDM_FEO072_0000150_0000300" and row.wav.endswith("EN2002a_MDM8.wav")
    assert dropped(data / "eval")["AMI_EN2002a_MDM_MEE073_0000750_0000990"] == (
        "ends after its recording: 9.90 s of 8.00 s"
    )


def test_missing_and_damaged_annotations(corpus: Path, tmp_path: Path) -> None:
    notes = corpus / "ami_public_manual_1.6.2"
    (notes / "words" / "ES2002a.B.words.xml").unlink()
    data = prepare("ami", corpus, tmp_path / "data", "--annotations", notes)
    assert dropped(data / "train")["ES2002a.B"] == "no annotation: ES2002a.B.words.xml"
    (notes / "words" / "ES2002a.A.words.xml").write_text("<cut")
    with pytest.raises(UserError, match=r"ES2002a.A.words.xml: damaged XML"):
        prepare("ami", corpus, tmp_path / "data")
    with pytest.raises(UserError, match=r"--source .*amicorpus: no annotations \(words/, segments/"):
        prepare("ami", corpus / "amicorpus", tmp_path / "data")
    with pytest.raises(UserError, match=r"--max_overlap 2"):
        prepare("ami", corpus, tmp_path / "data", "--max_overlap", 2)
    path = notes / "corpusResources" / "meetings.xml"
    path.write_text(path.read_text().replace('channel="1"', 'channel="x"', 1))
    with pytest.raises(
        UserError, match=r"meetings.xml: ES2002a: the channel of participant B is no number: 'x'"
    ):
        prepare("ami", corpus, tmp_path / "data")


def test_official_partition() -> None:
    names = {"dev": "ES2011d IB4001 IB4011 TS3004b IS1008c", "eval": "ES2004a EN2002d TS3003c IS1009b"}
    names["train"] = "ES2012a IB4005 EN2001e ES2003a ES2014d TS3007a TS3006b IN1016 IS1000a"
    for part, meetings in names.items():
        assert {part_of(meeting) for meeting in meetings.split()} == {part}


def test_long_sentences_are_cut_at_the_comma_nearest_to_their_middle() -> None:
    elements = []
    for i in range(40):
        elements.append(Element(f"w{i}", float(i), i + 0.9))
        if i in (9, 21, 22, 35):
            elements.append(Element(",", i + 0.9, i + 0.9, True))
    parts = cut(0.0, 40.0, elements, 30)
    assert [(p.start, p.end, len(p.words)) for p in parts] == [(0.0, 21.9, 22), (21.9, 40.0, 18)]
    assert sum((p.words for p in parts), ()) == tuple(f"w{i}" for i in range(40))
    assert len(cut(0.0, 40.0, [e for e in elements if not e.punctuation], 30)) == 1


def test_cuts_are_kaldis() -> None:
    """Commas count among 30 words; a mark that is no comma, nearest to the middle, keeps a sentence whole."""
    words = [Element(f"w{i}", float(i), i + 0.9) for i in range(29)]
    marks = [Element(",", float(i), float(i), True) for i in (10, 20)]
    elements = sorted([*words, *marks], key=lambda e: e.start)
    assert [len(part.words) for part in cut(0.0, 29.0, elements, 31)] == [29]
    assert [len(part.words) for part in cut(0.0, 29.0, elements, 30)] == [11, 18]
    elements.insert(15, Element("!", 14.5, 14.5, True))
    assert [len(part.words) for part in cut(0.0, 29.0, elements, 30)] == [29]


def test_times_in_ids_are_cut_off_not_rounded(corpus: Path, tmp_path: Path) -> None:
    notes = corpus / "ami_public_manual_1.6.2"
    words_file(notes, "ES2002a.A", ["one 0.29 1.0", ". 1.298", "two 1.3 2.999"])
    segments_file(notes, "ES2002a.A", [(0, 2)])
    data = prepare("ami", corpus, tmp_path / "data") / "train"
    times = {
        utt.partition("MEE006_")[2]: row for utt, row in table(data / "segments").items() if "MEE" in utt
    }
    # As perl's sprintf("%07d", 0.29 * 100) does.
    assert times == {
        "0000028_0000129": "AMI_ES2002a_H00 0.280 1.290",
        "0000129_0000299": "AMI_ES2002a_H00 1.290 2.990",
    }


def test_kaldi_text() -> None:
    assert (
        kaldi_text(("Uh-huh", "um,I", "wanna", "X_M_L_", "'kay", "-", "3.5"))
        == "UH-HUH UM I WANNA X. M. L. 'KAY 3 5"
    )


def test_overlap_counts_time_once() -> None:
    one = Spoken(1.0, 3.0, ("a",))
    assert overlap(one, [Spoken(0, 1.5, ()), Spoken(1.2, 2.0, ()), Spoken(2.9, 9, ()), Spoken(5, 6, ())]) == (
        pytest.approx(0.55)
    )
    assert overlap(one, []) == 0.0


def test_a_reference_to_nothing_gives_no_words(tmp_path: Path) -> None:
    words_file(tmp_path, "ES2002a.A", ["hello 1 2"])
    segments_file(tmp_path, "ES2002a.A", [(0, 5)])
    words = read_words(tmp_path / "words" / "ES2002a.A.words.xml")
    [(_, start, end, elements)] = read_segments(tmp_path / "segments" / "ES2002a.A.segments.xml", words)
    assert (start, end, elements) == (9.0, 9.5, [])
