"""Audio without transcripts: what is used, cut and left out, and that each is named."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from xlsrt.bin.prepare_data import main
from xlsrt.data.format import FormatOptions, format_set
from xlsrt.data.sound import cut, gaps, measure, reason_to_skip
from xlsrt.data.tables import load_table
from xlsrt.data.unlabelled import read
from xlsrt.errors import UserError

RATE = 16000
SPEECH = Path(__file__).resolve().parents[2].parent / "shared/speech"


def speech(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Voiced sounds, hisses and pauses in turn, a second of quiet after every eight."""
    rng = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * rate:
        time = np.arange(int(rng.uniform(0.12, 0.2) * rate)) / rate
        f0 = rng.uniform(100, 200)
        parts.append(0.2 * sum(np.sin(2 * np.pi * f0 * k * time) / k for k in range(1, 6)))
        parts.append(0.05 * rng.standard_normal(int(0.07 * rate)))
        pause = 1.0 if len(parts) % 60 == 2 else 0.1
        parts.append(0.001 * rng.standard_normal(int(pause * rate)))
    return np.concatenate(parts)[: int(seconds * rate)].astype(np.float32)


def music(seconds: float) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    notes = [sum(np.sin(2 * np.pi * f * time + k) for k, f in enumerate((220, 277, 330))) for _ in range(1)]
    return (0.1 * notes[0] * (1 + 0.2 * np.sin(2 * np.pi * 2 * time))).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "recordings"
    (source / "anna").mkdir(parents=True)
    soundfile.write(source / "anna" / "good one.flac", speech(4), RATE)
    soundfile.write(source / "long.flac", speech(65), RATE)
    loud = speech(4, 48000)
    soundfile.write(source / "anna" / "stereo48.wav", np.stack([loud, 0 * loud], axis=1), 48000)
    soundfile.write(source / "clipped.wav", np.clip(20 * speech(4), -1, 1), RATE)
    soundfile.write(source / "music.wav", music(10), RATE)
    soundfile.write(source / "silent.wav", 1e-4 * speech(4), RATE)
    soundfile.write(source / "short.wav", speech(0.3), RATE)
    whole = (source / "anna" / "good one.flac").read_bytes()
    (source / "broken.flac").write_bytes(whole[: len(whole) // 2])
    (source / "empty.mp3").write_bytes(b"")
    (source / "phone.m4a").write_bytes(b"no audio at all")
    (source / "notes.txt").write_text("not audio")
    return source


def prepare(tmp_path: Path, *words: str) -> Path:
    main(["unlabelled", "--output_dir", str(tmp_path / "data"), *words])
    return tmp_path / "data" / "unlabelled"


def load_dropped(made: Path) -> dict[str, str]:
    lines = (made / "dropped").read_text().splitlines()
    return {line.split()[0]: line.split(": ", 1)[1] for line in lines}


def test_everything_is_used_cut_or_named(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = prepare(tmp_path, "--source", str(folder))
    segments = load_table(made / "segments")
    pieces = [name for name in segments if name.startswith("long-")]
    assert set(segments) - set(pieces) == {"anna-good_one", "anna-stereo48"}
    assert segments["anna-good_one"] == "anna-good_one 0.000 -1"
    bounds = [tuple(map(float, segments[name].split()[1:])) for name in pieces]
    assert bounds[0][0] == 0 and bounds[-1][1] == 65
    assert [end for _, end in bounds[:-1]] == [start for start, _ in bounds[1:]], "nothing is lost"
    assert all(end - start <= 20 for start, end in bounds)
    assert load_table(made / "utt2spk")["anna-stereo48"] == "anna"
    assert {name: told.split(":")[0] for name, told in load_dropped(made).items()} == {
        "broken": "unreadable",
        "clipped": "clipped",
        "empty": "unreadable",
        "music": "music or steady sound",
        "phone": "unreadable",
        "short": "too short",
        "silent": "silent",
    }
    assert "of 10 recordings (1 were cut, 1 are resampled, 1 mixed down)" in caplog.text
    assert "left out 1 too short (such as short), 1 silent" in caplog.text
    # The dump that training reads: 16 kHz, mono, whole files are not copied.
    options = FormatOptions(need_text=False)
    assert format_set(made, tmp_path / "dump", options) == len(segments)
    wavs = load_table(tmp_path / "dump" / "wav.scp")
    assert wavs["anna-good_one"] == str(folder / "anna" / "good one.flac")
    assert soundfile.info(wavs["anna-stereo48"]).samplerate == 16000
    assert abs(soundfile.info(wavs[pieces[1]]).duration - (bounds[1][1] - bounds[1][0])) < 0.01


def test_long_recordings_are_cut_where_it_is_quiet(tmp_path: Path) -> None:
    levels = measure(iter([speech(65)]), RATE)
    for _, end in cut(levels, 20.0)[:-1]:
        around = levels.part(end - 0.04, end + 0.04)
        assert around.rms.max() < 0.01
    # As blocks of any size.
    wav = speech(65)
    again = measure(iter(np.array_split(wav, 37)), RATE)
    assert np.allclose(again.rms, levels.rms) and again.seconds == levels.seconds


def test_kaldi_directories_with_relative_paths_and_segments(folder: Path, tmp_path: Path) -> None:
    kaldi = tmp_path / "kaldi"
    kaldi.mkdir()
    (kaldi / "audio").symlink_to(folder)
    # Not sorted, without speakers, paths from the directory: as it comes.
    (kaldi / "wav.scp").write_text("r2 audio/long.flac\nr1 audio/anna/stereo48.wav\n")
    (kaldi / "segments").write_text("u9 r2 1.0 5.5\nu1 r2 30 60\nu5 r1 0 -1\nu2 r2 2.5 3\n")
    made = prepare(tmp_path, "--source", str(kaldi))
    segments = load_table(made / "segments")
    assert segments["u9"] == "u9 1.000 5.500"
    inner = [
        tuple(map(float, value.split()[1:])) for name, value in segments.items() if name.startswith("u1-")
    ]
    assert inner[0][0] == 30 and inner[-1][1] == 60 and len(inner) >= 2
    assert load_dropped(made) == {"u2": "too short: 2.50 to 3.00 s"}
    assert format_set(made, tmp_path / "dump", FormatOptions(need_text=False)) == len(segments)


def test_several_sources_keep_their_names_apart(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    soundfile.write(other / "long.wav", speech(3, seed=1), RATE)
    made = prepare(tmp_path, "--source", str(folder), str(other))
    names = load_table(made / "segments")
    assert "other-long" in names and any(name.startswith("recordings-long-") for name in names)
    with pytest.raises(UserError, match="of one name"):
        prepare(tmp_path, "--source", str(other), str(other))


def test_nothing_left_is_an_error_and_keep_overrules(folder: Path, tmp_path: Path) -> None:
    only = tmp_path / "only"
    only.mkdir()
    for name in ("music.wav", "silent.wav"):
        (only / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(UserError, match=r"nothing of 2 recordings.*1 silent \(such as silent\), 1 music"):
        prepare(tmp_path, "--source", str(only))
    made = prepare(tmp_path, "--source", str(only), "--keep", "music")
    assert list(load_table(made / "segments")) == ["music"]
    empty = tmp_path / "nothing"
    empty.mkdir()
    with pytest.raises(UserError, match=r"neither wav\.scp nor audio files"):
        prepare(tmp_path, "--source", str(empty))
    with pytest.raises(UserError, match="no such folder"):
        prepare(tmp_path, "--source", str(tmp_path / "gone"))


def test_names_in_one_folder_stay_different(tmp_path: Path) -> None:
    for name in ("a.wav", "a.flac", "b c.wav"):
        soundfile.write(tmp_path / name, speech(1), RATE)
    assert [one.name for one in read(tmp_path)] == ["a", "a-wav", "b_c"]
    for name in ("b  c.wav", "b_c.wav", "b!c.wav"):
        (tmp_path / name).touch()
    names = [one.name for one in read(tmp_path)]
    assert names == ["a", "a-wav", "b_c", "b_c-wav", "b_c-wav-2", "b_c-wav-3"]


def test_names_in_different_folders_stay_different(tmp_path: Path) -> None:
    for name in ("my radio/a.wav", "my_radio/a.wav", "one/two-x.wav", "one-two/x.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, speech(2), RATE)
    folders = sorted(str(path) for path in tmp_path.iterdir())
    made = prepare(tmp_path, "--source", *folders)
    names = ["my_radio-a", "my_radio-a-wav", "one-two-x", "one-two-x-wav"]
    assert list(load_table(made / "wav.scp")) == names
    assert list(load_table(made / "utt2spk")) == names


def test_frames_do_not_run_ahead_of_the_audio() -> None:
    """At 11025 Hz 20 ms are 220.5 samples: of two hours the last pieces would lie beyond the end."""
    rate, seconds = 11025, 7200
    wav = np.full(rate * seconds, 0.1, np.float32)
    quiet = np.arange(15, seconds, 15)
    for second in quiet:
        wav[second * rate : second * rate + rate // 2] = 0.001
    levels = measure(iter(np.array_split(wav, 300)), rate)
    assert len(levels.rms) == 50 * seconds
    bounds = cut(levels, 20.0)
    assert all(start < end for start, end in bounds) and bounds[-1][1] == seconds
    assert all((end % 15) < 0.5 for _, end in bounds[:-1]), "each cut lies in a pause"
    # Where 20 ms are a whole number of samples, frames are these samples.
    wav = speech(3, 44100)
    levels = measure(iter(np.array_split(wav, 11)), 44100)
    rms = np.sqrt(np.square(wav.reshape(-1, 882)).mean(axis=1))
    assert np.array_equal(levels.rms, rms)


def test_real_speech_is_not_taken_for_something_else() -> None:
    files = sorted(SPEECH.glob("*_*/audio/*.flac"))[::25]
    if not files:
        pytest.skip("no recorded speech beside the repository")
    seen = 0
    for path in files:
        wav, rate = soundfile.read(path, dtype="float32", frames=20 * 48000)
        levels = measure(iter([wav if wav.ndim == 1 else wav.mean(1)]), rate)
        if levels.seconds >= 1:
            seen += 1
            assert reason_to_skip(levels, 1.0) is None, (path.name, gaps(levels))
    assert seen > 10


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="min_seconds 30"):
        prepare(tmp_path, "--source", str(tmp_path), "--min_seconds", "30")


def test_nothing_is_cut_where_no_length_is_too_much(tmp_path: Path) -> None:
    (tmp_path / "talks").mkdir()
    soundfile.write(tmp_path / "talks/long.flac", speech(65), RATE)
    made = prepare(tmp_path, "--source", str(tmp_path / "talks"), "--max_seconds", "inf")
    assert load_table(made / "segments") == {"long": "long 0.000 -1"}
