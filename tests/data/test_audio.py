from __future__ import annotations

import struct
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from tests.data.conftest import tone
from xlsrt.data.audio import AudioFacts, AudioProblem, convert


def write(path: Path, samples: np.ndarray, rate: int = 16000, **options) -> str:
    soundfile.write(path, samples, rate, **options)
    return str(path)


def check(source: str, tmp_path: Path, **options) -> tuple[AudioFacts, np.ndarray]:
    facts = convert(source, tmp_path / "out" / "a.flac", pass_through=False, **options)
    samples, rate = soundfile.read(tmp_path / "out" / "a.flac", dtype="int16")
    assert rate == 16000 and samples.ndim == 1 and len(samples) == facts.num_samples
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.flac"]
    return facts, samples


def problem(source: str, tmp_path: Path, **options) -> str:
    """The message; nothing may be written, not even a temporary file."""
    with pytest.raises(AudioProblem) as caught:
        convert(source, tmp_path / "bad" / "a.flac", **options)
    assert not list((tmp_path / "bad").glob("*"))
    return str(caught.value)


def test_sixteen_bit_samples_stay_bit_for_bit(tmp_path: Path) -> None:
    samples = np.random.RandomState(0).randint(-32768, 32768, 5000).astype(np.int16)
    facts, got = check(write(tmp_path / "a.wav", samples), tmp_path)
    np.testing.assert_array_equal(got, samples)
    assert facts == AudioFacts(16000, 1, 5000)
    _, got = check(str(tmp_path / "a.wav"), tmp_path, start=0.1, end=0.2)
    np.testing.assert_array_equal(got, samples[1600:3200])


def test_right_files_are_passed_through_but_checked(tmp_path: Path) -> None:
    for name in ("a.wav", "a.flac"):
        facts = convert(write(tmp_path / name, tone(5000)), tmp_path / "out" / "a.flac")
        assert facts == AudioFacts(16000, 1, 5000, 0, True)
    assert not (tmp_path / "out").exists()
    for options in ({"speed": 1.1}, {"start": 0.0, "end": 0.2}):
        assert not convert(str(tmp_path / "a.wav"), tmp_path / "out" / "a.flac", **options).passed_through


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_pitch_level_and_length(tmp_path: Path, rate: int) -> None:
    facts, got = check(write(tmp_path / "a.wav", tone(rate, rate, 1000.0, 0.5), rate), tmp_path)
    assert facts.rate == rate and abs(len(got) - 16000) <= 2
    spectrum = np.abs(np.fft.rfft(got[:16000] * np.hanning(len(got[:16000]))))
    assert np.argmax(spectrum) == 1000
    assert np.abs(got[2000:14000]).max() == pytest.approx(0.5 * 32768, rel=0.01)


def test_blocks_do_not_show(tmp_path: Path, monkeypatch) -> None:
    """Any size of block gives the same samples, resampled or not."""
    noise = (0.1 * np.random.RandomState(1).standard_normal(30000)).astype(np.float32)
    source = write(tmp_path / "a.wav", noise, 22050, subtype="FLOAT")
    _, whole = check(source, tmp_path)
    monkeypatch.setattr("xlsrt.data.audio._BLOCK", 777)
    _, cut = check(source, tmp_path)
    np.testing.assert_array_equal(whole, cut)


def test_speed_changes_length_and_pitch(tmp_path: Path) -> None:
    source = write(tmp_path / "a.wav", tone(16000, hertz=1000.0))
    _, got = check(source, tmp_path, speed=0.9)
    assert abs(len(got) - 16000 / 0.9) <= 2
    spectrum = np.abs(np.fft.rfft(got[:16000] * np.hanning(16000)))
    assert np.argmax(spectrum) == 900


def test_stereo_is_averaged(tmp_path: Path) -> None:
    left, right = tone(4000, hertz=300), tone(4000, hertz=700)
    facts, got = check(write(tmp_path / "a.wav", np.stack([left, right], 1), subtype="FLOAT"), tmp_path)
    assert facts.channels == 2
    np.testing.assert_allclose(got / 32768, (left + right) / 2, atol=1 / 32768)


def test_a_truncated_mp3_by_its_own_header(tmp_path: Path) -> None:
    samples = np.random.RandomState(0).randn(32000) * 0.1
    source = write(tmp_path / "a.mp3", samples)
    assert abs(check(source, tmp_path)[0].num_samples - 32000) < 3000
    content = Path(source).read_bytes()
    tagged = b"ID3\x04\x00\x00\x00\x00\x01\x10" + bytes(144) + content
    for whole in (content, tagged):
        Path(source).write_bytes(whole)
        check(source, tmp_path)
        Path(source).write_bytes(whole[: len(whole) // 2])
        assert "truncated: its header announces" in problem(source, tmp_path)


def test_a_sphere_file_that_begins_well(tmp_path: Path) -> None:
    (tmp_path / "a.sph").write_bytes(b"NIST_1A\n   abcd\n" + bytes(100))
    assert "SPHERE header is damaged" in problem(str(tmp_path / "a.sph"), tmp_path)


def test_truncated_wav_flac_and_sphere(tmp_path: Path) -> None:
    noise = (0.1 * np.random.RandomState(1).standard_normal(300000)).astype(np.float32)
    for name, options in (("a.wav", {}), ("a.flac", {}), ("a.sph", {"format": "NIST"})):
        source = write(tmp_path / name, noise, **options)
        size = (tmp_path / name).stat().st_size
        convert(source, tmp_path / "ok.flac")
        with open(source, "r+b") as stream:
            stream.truncate(size // 2)
        assert "truncated" in problem(source, tmp_path), name
    with open(tmp_path / "a.wav", "r+b") as stream:
        stream.truncate(30)
    assert "truncated" in problem(str(tmp_path / "a.wav"), tmp_path)


def test_a_wav_from_a_pipe_without_a_length_is_fine(tmp_path: Path) -> None:
    source = write(tmp_path / "a.wav", tone(5000))
    raw = bytearray((tmp_path / "a.wav").read_bytes())
    at = raw.index(b"data") + 4
    raw[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    (tmp_path / "a.wav").write_bytes(raw)
    facts, _ = check(source, tmp_path)
    assert facts.num_samples == 5000


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    assert problem(str(tmp_path / "none.wav"), tmp_path) == "no such audio file"
    (tmp_path / "empty.wav").write_bytes(b"")
    assert "is empty (0 bytes)" in problem(str(tmp_path / "empty.wav"), tmp_path)
    (tmp_path / "text.wav").write_text("I am no audio, whatever my name says")
    assert "not readable as audio" in problem(str(tmp_path / "text.wav"), tmp_path)
    assert problem(write(tmp_path / "zero.wav", tone(0)), tmp_path) == "holds no samples"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_found_with_their_time(tmp_path: Path, bad: float) -> None:
    samples = tone(16000)
    samples[8000] = bad
    source = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    assert "holds NaN or infinite samples, the first at 0.500 s" in problem(source, tmp_path)


def test_one_encoder_frame_is_the_least(tmp_path: Path) -> None:
    assert "shorter than one encoder frame: 399 samples" in problem(
        write(tmp_path / "a.wav", tone(399)), tmp_path
    )
    assert check(write(tmp_path / "a.wav", tone(400)), tmp_path)[0].num_samples == 400


def test_beyond_full_scale_is_clipped_and_counted(tmp_path: Path) -> None:
    facts, got = check(write(tmp_path / "a.wav", 4 * tone(4000), subtype="FLOAT"), tmp_path)
    assert facts.clipped > 100 and got.max() == 32767 and got.min() == -32768


def test_segments_outside_the_recording(tmp_path: Path) -> None:
    source = write(tmp_path / "a.wav", tone(16000))
    assert "outside the recording of 1.000 s" in problem(source, tmp_path, start=0.5, end=1.51)
    assert "outside the recording" in problem(source, tmp_path, start=1.0, end=1.05)
    facts, _ = check(source, tmp_path, start=0.5, end=1.45)  # cut at the end, as Kaldi does
    assert facts.num_samples == 8000 and facts.cut
    assert not check(source, tmp_path, start=0.5, end=1.0)[0].cut


def test_pipes(tmp_path: Path) -> None:
    source = write(tmp_path / "a.wav", tone(5000))
    assert "--allow_pipes true" in problem(f"cat {source} |", tmp_path)
    facts, _ = check(f"cat {source} |", tmp_path, allow_pipes=True)
    assert facts.num_samples == 5000
    failing = problem(f"echo oh no >&2; exit 3; cat {source} |", tmp_path, allow_pipes=True)
    assert "failed with code 3: oh no" in failing
    assert "wrote no audio" in problem("true |", tmp_path, allow_pipes=True)


def test_kaldi_archives(tmp_path: Path) -> None:
    samples = np.random.RandomState(0).randint(-9999, 9999, 3000).astype(np.int16)
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/a.ark,{tmp_path}/a.scp") as writer:
        writer("first", (16000, samples[:1000]))
        writer("second", (16000, samples))
    source = (tmp_path / "a.scp").read_text().splitlines()[1].split()[1]
    _, got = check(source, tmp_path)
    np.testing.assert_array_equal(got, samples)


def test_what_libsndfile_cannot_read_goes_through_ffmpeg_or_says_so(tmp_path: Path, monkeypatch) -> None:
    """A stand-in ffmpeg answers with a WAV file, as the real one does for -f wav."""
    talk = tmp_path / "talk: 1.m4a"
    talk.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(64))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert "install ffmpeg, which reads M4A" in problem(str(talk), tmp_path)
    answer = write(tmp_path / "answer.wav", tone(8000), subtype="PCM_16")
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/words\nexec /bin/cat {answer}\n')
    program.chmod(0o755)
    # Right as the answer is, the source is not: a copy is made.
    facts = convert(str(talk), tmp_path / "out" / "a.flac")
    assert (facts.num_samples, facts.passed_through) == (8000, False)
    assert f"file:{talk}" in (tmp_path / "words").read_text().splitlines()
    program.write_text("#!/bin/sh\necho 'moov atom not found' >&2\nexit 1\n")
    assert "not by ffmpeg either (moov atom not found)" in problem(str(talk), tmp_path)


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "opus", "sph", "flac", "aiff"])
def test_formats_are_read_segments_included(tmp_path: Path, suffix: str) -> None:
    from tests.data.reading import sound

    rate = 48000 if suffix == "opus" else 44100
    source = str(sound(tmp_path / f"a.{suffix}", 1.0, rate))
    assert abs(convert(source, tmp_path / "a.flac").num_samples - 16000) <= 16000 * 0.06
    assert convert(source, tmp_path / "b.flac", start=0.25, end=0.75).num_samples in range(7999, 8002)


def test_flac_that_does_not_tell_its_length_is_refused_with_the_way_out(tmp_path: Path) -> None:
    content = bytearray(Path(write(tmp_path / "a.flac", np.zeros(40000))).read_bytes())
    content[21] &= 0xF0  # of STREAMINFO: 36 bits that count the samples
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    assert "does not tell its length" in problem(str(tmp_path / "a.flac"), tmp_path)
