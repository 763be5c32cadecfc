from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from xlsrt.data.kaldi import DataDir, Utterance
from xlsrt.data.waveforms import Entry, load_samples, make_batches, read_set
from xlsrt.errors import UserError


def entries(*lengths: int) -> list[Entry]:
    return [Entry(Utterance(f"u{i}", "s", None, "x.wav"), length) for i, length in enumerate(lengths)]


def test_batches_hold_everything_once_within_both_limits() -> None:
    rng = np.random.default_rng(0)
    everything = entries(*rng.integers(400, 160000, size=57).tolist())
    batches = make_batches(everything, batch_size=8, batch_seconds=30.0)
    assert sorted(e.name for batch in batches for e in batch) == sorted(e.name for e in everything)
    assert all(len(batch) <= 8 for batch in batches)
    assert all(len(batch) * batch[0].num_samples <= 30 * 16000 for batch in batches)
    lengths = [e.num_samples for batch in batches for e in batch]
    assert lengths == sorted(lengths, reverse=True)


def test_a_long_utterance_is_a_batch_of_its_own() -> None:
    batches = make_batches(entries(16000 * 100, 16000 * 9, 16000 * 8), batch_size=8, batch_seconds=20.0)
    assert [len(batch) for batch in batches] == [1, 2]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    samples = (np.arange(32000) % 100 / 200).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    (tmp_path / "wav.scp").write_text(f"u1 {tmp_path / 'a.wav'}\n")
    (tmp_path / "utt2spk").write_text("u1 s\n")
    return tmp_path


def test_lengths_come_from_the_header_where_the_set_lists_none(data_dir: Path) -> None:
    assert [e.num_samples for e in read_set(data_dir)] == [32000]
    (data_dir / "utt2num_samples").write_text("u1 31999\n")
    assert [e.num_samples for e in read_set(data_dir)] == [31999]
    (data_dir / "utt2num_samples").write_text("u1 many\n")
    with pytest.raises(UserError, match="'many' of u1"):
        read_set(data_dir)


def test_segments_are_cut(data_dir: Path) -> None:
    (data_dir / "wav.scp").write_text(f"r {data_dir / 'a.wav'}\n")
    (data_dir / "segments").write_text("u1 r 0.5 1.25\n")
    (entry,) = read_set(data_dir)
    samples = load_samples(DataDir(data_dir), entry)
    assert entry.num_samples == len(samples) == 12000
    assert np.array_equal(samples, soundfile.read(data_dir / "a.wav", dtype="float32")[0][8000:20000])


def test_a_bad_file_is_named(data_dir: Path) -> None:
    (entry,) = read_set(data_dir)
    (data_dir / "a.wav").unlink()
    with pytest.raises(UserError, match=r"utterance u1 .*a\.wav.*no such audio file"):
        load_samples(DataDir(data_dir), entry)
    with pytest.raises(UserError, match=r"utterance u1 .*a\.wav"):
        read_set(data_dir)
