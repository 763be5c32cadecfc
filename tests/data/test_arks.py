"""Dumps whose audio lies in archives."""

from __future__ import annotations

import os
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from tests.data.conftest import MakeSet, tone
from xlsrt.data import arks
from xlsrt.data import format as formatting
from xlsrt.data.audio_source import open_audio
from xlsrt.data.format import FormatOptions, format_set
from xlsrt.data.repair import combine, subset
from xlsrt.data.tables import load_table
from xlsrt.errors import UserError


def snapshot(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_archives_hold_what_files_hold_and_training_is_told(make_set: MakeSet, tmp_path: Path) -> None:
    source = make_set(rate=8000)
    format_set(source, tmp_path / "files", FormatOptions())
    dump = tmp_path / "arks"
    packed = FormatOptions(audio_format="flac.ark")
    format_set(source, dump, packed, nj=2)
    places = load_table(dump / "wav.scp")
    assert [path.name for path in (dump / "audio").glob("*.*")] == ["data.0000.ark"]
    assert not list((dump / "audio").rglob("*.flac"))
    for utt, path in load_table(tmp_path / "files" / "wav.scp").items():
        rate, samples = kaldiio.load_mat(places[utt])
        np.testing.assert_array_equal(samples, soundfile.read(path)[0])
        assert rate == 16000
        with open_audio(places[utt]) as audio:
            np.testing.assert_array_equal(audio.read(), samples)
    assert list(kaldiio.load_scp(str(dump / "wav.scp"))) == list(places)
    assert (dump / "audio_format").read_text() == "flac.ark\n"
    assert load_table(dump / "utt2num_samples") == load_table(tmp_path / "files" / "utt2num_samples")
    # So is that of a subset, and of sets put together.
    subset(dump, tmp_path / "some", ["spk1-a"])
    subset(dump, tmp_path / "others", ["spk2-c"])
    combine(tmp_path / "both", [tmp_path / "some", tmp_path / "others"])
    for name in ("some", "both"):
        assert (tmp_path / name / "audio_format").read_text() == "flac.ark\n"
    with pytest.raises(UserError, match="lies in archives and that of others in files"):
        combine(tmp_path / "mixed", [tmp_path / "some", tmp_path / "files"])
    subset(tmp_path / "files", tmp_path / "some", ["spk1-a"])
    assert not (tmp_path / "some" / "audio_format").exists()
    # A second run writes nothing; a lost archive and a torn one are made good beside what is left.
    before = snapshot(dump / "audio")
    format_set(source, dump, packed)
    assert snapshot(dump / "audio") == before
    os.truncate(dump / "audio" / "data.0000.ark", int(places["spk2-c"].rpartition(":")[2]))
    format_set(source, dump, packed)
    assert load_table(dump / "wav.scp")["spk2-c"].startswith(f"{dump}/audio/data.0001.ark:")
    assert load_table(dump / "wav.scp")["spk1-a"] == places["spk1-a"]
    assert kaldiio.load_mat(load_table(dump / "wav.scp")["spk2-c"])[1].shape == (16000,)
    # Archives that nothing refers to go.
    soundfile.write(source / "wavs" / "spk2-c.wav", tone(4000, 8000), 8000)
    format_set(source, dump, packed)
    assert [path.name for path in sorted((dump / "audio").glob("*.ark"))] == [
        "data.0000.ark",
        "data.0002.ark",
    ]
    format_set(source, dump, FormatOptions())
    assert not (dump / "audio_format").exists() and not list((dump / "audio").glob("*.ark"))


def test_archives_are_cut_into_ranges_and_chosen_by_size(
    make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formatting, "ARK_FROM", 3)
    monkeypatch.setattr(arks.ArkWriter.__init__, "__defaults__", (1,))
    source = make_set()
    format_set(source, tmp_path / "dump", FormatOptions(audio_format="auto"))
    names = [
        Path(place).name.partition(":")[0] for place in load_table(tmp_path / "dump" / "wav.scp").values()
    ]
    assert names == ["data.0000.ark", "data.0001.ark", "data.0002.ark"]
    monkeypatch.setattr(formatting, "ARK_FROM", 4)
    format_set(source, tmp_path / "small", FormatOptions(audio_format="auto"))
    assert not (tmp_path / "small" / "audio_format").exists()
