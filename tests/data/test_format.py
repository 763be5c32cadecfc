from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.data.conftest import MakeSet, tone
from xlsrt.data.format import FormatOptions, format_set
from xlsrt.data.kaldi import DataDir
from xlsrt.data.tables import load_table
from xlsrt.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of each file below a folder, the journal left out."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".done")
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_a_dump_has_all_tables(make_set: MakeSet, tmp_path: Path) -> None:
    source, dump = make_set(rate=8000), tmp_path / "dump"
    (source / "utt2lang").write_text("spk1-a en\nspk1-b et\nspk2-c en\n")
    (source / "word_times.ctm").write_text("spk1-a 1 0.1 0.5 hello\n")
    assert format_set(source, dump, FormatOptions()) == 3
    assert (dump / "word_times.ctm").read_bytes() == (source / "word_times.ctm").read_bytes()
    assert (dump / "text").read_bytes() == (source / "text").read_bytes()
    assert (dump / "utt2lang").read_bytes() == (source / "utt2lang").read_bytes()
    assert (dump / "spk2utt").read_text() == "spk1 spk1-a spk1-b\nspk2 spk2-c\n"
    lengths = load_table(dump / "utt2num_samples")
    for utt, path in load_table(dump / "wav.scp").items():
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype, info.format) == (16000, 1, "PCM_16", "FLAC")
        assert info.frames == int(lengths[utt]) == 16000
    assert not list(dump.rglob("*.tmp*"))


def test_tables_of_an_earlier_set_go(make_set: MakeSet, tmp_path: Path) -> None:
    """Decoding would look for the languages of utterances that the dump no longer has."""
    source, dump = make_set(), tmp_path / "dump"
    (source / "utt2lang").write_text("spk1-a en\nspk1-b et\nspk2-c en\n")
    format_set(source, dump, FormatOptions())
    for name in ("segments", "spk2gender", "utt2uniq"):
        (dump / name).write_text("spk9-z 1\n")
    (source / "utt2lang").unlink(), (source / "text").unlink()
    format_set(source, dump, FormatOptions(need_text=False))
    tables = {path.name for path in dump.iterdir() if path.is_file() and not path.name.startswith(".")}
    assert tables == {"wav.scp", "utt2spk", "spk2utt", "utt2num_samples"}
    assert len(list(DataDir(dump).utterances(need_text=False))) == 3


def test_right_audio_is_pointed_to(make_set: MakeSet, tmp_path: Path) -> None:
    source = make_set()
    format_set(source, tmp_path / "dump", FormatOptions())
    assert (tmp_path / "dump" / "wav.scp").read_bytes() == (source / "wav.scp").read_bytes()
    format_set(source, tmp_path / "copy", FormatOptions(pass_through=False, audio_format="wav"))
    paths = load_table(tmp_path / "copy" / "wav.scp").values()
    assert all(path.startswith(str(tmp_path / "copy" / "audio")) and path.endswith(".wav") for path in paths)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 2), (44100, 2)])
def test_resampling_and_mixing_are_said_once(
    make_set: MakeSet, tmp_path: Path, caplog, rate, channels
) -> None:
    with caplog.at_level(logging.WARNING):
        format_set(make_set(rate=rate, channels=channels), tmp_path / "dump", FormatOptions())
    resampled = [r.getMessage() for r in caplog.records if "resampled" in r.getMessage()]
    mixed = [r.getMessage() for r in caplog.records if "mixed" in r.getMessage()]
    assert len(resampled) == (rate != 16000) and len(mixed) == (channels != 1)
    if resampled:
        assert f"resampled 3 utterances from {rate} to 16000 Hz (such as spk1-a)" in resampled[0]
    if mixed:
        assert "mixed 2 channels down to one in 3 utterances (such as spk1-a)" in mixed[0]


def test_a_second_run_writes_no_audio_and_a_changed_source_only_its_own(
    make_set: MakeSet, tmp_path: Path
) -> None:
    source, dump = make_set(rate=8000), tmp_path / "dump"
    format_set(source, dump, FormatOptions())
    before = snapshot(dump / "audio")
    format_set(source, dump, FormatOptions())
    assert snapshot(dump / "audio") == before
    soundfile.write(source / "wavs" / "spk1-b.wav", tone(4000, 8000), 8000)
    format_set(source, dump, FormatOptions())
    changed = {name for name, state in snapshot(dump / "audio").items() if state != before[name]}
    assert {Path(name).stem for name in changed} == {"spk1-b"}
    assert load_table(dump / "utt2num_samples")["spk1-b"] == "8000"


def test_a_lost_file_and_a_torn_journal_are_made_good(make_set: MakeSet, tmp_path: Path) -> None:
    source, dump = make_set(rate=8000), tmp_path / "dump"
    format_set(source, dump, FormatOptions())
    before = snapshot(dump)
    Path(load_table(dump / "wav.scp")["spk1-a"]).unlink()
    journal = (dump / ".done").read_bytes()
    (dump / ".done").write_bytes(journal[:-20])
    format_set(source, dump, FormatOptions())
    assert {k: v[0] for k, v in snapshot(dump).items()} == {k: v[0] for k, v in before.items()}


def test_parallel_equals_serial(make_set: MakeSet, tmp_path: Path) -> None:
    source = make_set(
        utts={f"s{i % 4}-{i:03d}": f"word {i}" for i in sorted(range(12), key=lambda i: (i % 4, i))}
    )
    options = FormatOptions(speeds=(0.9, 1.0, 1.1), pass_through=False)
    format_set(source, tmp_path / "one", options, nj=1)
    format_set(source, tmp_path / "two", options, nj=2)
    one, two = snapshot(tmp_path / "one"), snapshot(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one.keys() - {"wav.scp"}:
        assert one[name][0] == two[name][0], name


def test_speed_perturbation(make_set: MakeSet, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    assert format_set(make_set(samples=9900), dump, FormatOptions(speeds=(0.9, 1.0, 1.1))) == 9
    texts, speakers = load_table(dump / "text"), load_table(dump / "utt2spk")
    assert list(texts) == sorted(texts) and texts["sp0.9-spk1-a"] == texts["sp1.1-spk1-a"] == texts["spk1-a"]
    assert speakers["sp1.1-spk2-c"] == "sp1.1-spk2"
    lengths = load_table(dump / "utt2num_samples")
    assert lengths["spk1-a"] == "9900"
    assert abs(int(lengths["sp0.9-spk1-a"]) - 11000) <= 1 and abs(int(lengths["sp1.1-spk1-a"]) - 9000) <= 1


def test_bad_audio_is_named_before_training_and_can_be_dropped(make_set: MakeSet, tmp_path: Path) -> None:
    source, dump = make_set(), tmp_path / "dump"
    bad = tone(8000)
    bad[10] = np.nan
    soundfile.write(source / "wavs" / "spk1-a.wav", bad, 16000, subtype="FLOAT")
    soundfile.write(source / "wavs" / "spk1-b.wav", tone(399), 16000)
    with pytest.raises(UserError) as caught:
        format_set(source, dump, FormatOptions())
    message = str(caught.value)
    assert "2 problem(s)" in message and "--drop_bad true" in message
    assert f"utterance 'spk1-a': {source}/wavs/spk1-a.wav: holds NaN" in message
    assert f"utterance 'spk1-b': {source}/wavs/spk1-b.wav: shorter than one encoder frame" in message
    assert not (dump / "wav.scp").exists()
    assert format_set(source, dump, FormatOptions(drop_bad=True)) == 1
    assert len((dump / "dropped").read_text().splitlines()) == 2
    assert list(load_table(dump / "text")) == ["spk2-c"]


def test_nothing_left_is_an_error(make_set: MakeSet, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no utterance is left: all 3"):
        format_set(make_set(samples=100), tmp_path / "dump", FormatOptions(drop_bad=True))
    assert not (tmp_path / "dump" / "wav.scp").exists()


def test_segments_and_pipes(make_set: MakeSet, tmp_path: Path) -> None:
    source = make_set(utts={"s-a": "one", "s-b": "two"}, samples=16000)
    (source / "wav.scp").write_text(f"rec cat {source}/wavs/s-a.wav |\n")
    (source / "segments").write_text("s-a rec 0.0 0.25\ns-b rec 0.25 -1\n")
    with pytest.raises(UserError, match="--allow_pipes true"):
        format_set(source, tmp_path / "dump", FormatOptions())
    format_set(source, tmp_path / "dump", FormatOptions(allow_pipes=True))
    assert load_table(tmp_path / "dump" / "utt2num_samples") == {"s-a": "4000", "s-b": "12000"}
    assert not (tmp_path / "dump" / "segments").exists()


def test_ids_that_are_no_file_names(make_set: MakeSet, tmp_path: Path) -> None:
    source = make_set(utts={"s-a": "one"})
    odd = ["../s-a/x", "s-*|a b"[:5], "ŝ-ä", "s" * 300]
    (source / "wav.scp").write_text("".join(f"{utt} {source}/wavs/s-a.wav\n" for utt in sorted(odd)))
    (source / "text").write_text("".join(f"{utt} word\n" for utt in sorted(odd)))
    (source / "utt2spk").write_text("".join(f"{utt} s\n" for utt in sorted(odd)))
    dump = tmp_path / "dump"
    assert format_set(source, dump, FormatOptions(pass_through=False)) == 4
    paths = [Path(path).resolve() for path in load_table(dump / "wav.scp").values()]
    assert len(set(paths)) == 4 and all(dump.resolve() in path.parents for path in paths)


@pytest.mark.parametrize(
    "options",
    [{"audio_format": "mp3"}, {"speeds": (3.0,)}, {"speeds": ()}, {"speeds": (1.0, 1.0)}, {"sample_rate": 1}],
)
def test_wrong_options(options: dict) -> None:
    with pytest.raises(UserError, match="--"):
        FormatOptions(**options)


def test_the_dump_is_not_its_source(make_set: MakeSet) -> None:
    source = make_set()
    with pytest.raises(UserError, match="must not be the data directory"):
        format_set(source, source, FormatOptions())


@pytest.mark.parametrize(("limit", "file"), [(20000, "audio"), (60, "wav.scp")])
def test_a_full_disk_is_one_line(make_set: MakeSet, tmp_path: Path, limit: int, file: str) -> None:
    """A limit on the size of files stands in for a disk without room."""
    source, dump = make_set(samples=8000, rate=44100), tmp_path / "dump"
    lines = [
        "import resource",
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))",
        "from xlsrt.bin import run_main",
        "from xlsrt.bin.format_data import main",
        f"run_main(lambda: main(['--data_dir', {str(source)!r}, '--output_dir', {str(dump)!r}]))",
    ]
    if file == "wav.scp":
        soundfile.write(source / "wavs" / "spk1-a.wav", tone(8000), 16000)
        for name in ("spk1-b", "spk2-c"):
            shutil.copy(source / "wavs" / "spk1-a.wav", source / "wavs" / f"{name}.wav")
    else:
        noise = np.random.RandomState(0).standard_normal(40000) * 0.2
        soundfile.write(source / "wavs" / "spk1-a.wav", noise, 44100)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert f"dump/{file}" in done.stderr and "cannot be written" in done.stderr
    assert not (tmp_path / "dump" / "wav.scp").exists() and not list((tmp_path / "dump").rglob("*.tmp*"))


def test_killed_at_any_moment_it_goes_on_and_ends_the_same(make_set: MakeSet, tmp_path: Path) -> None:
    source = make_set(utts={f"s-{i:03d}": "word" for i in range(30)}, samples=40000, rate=44100)
    format_set(source, tmp_path / "whole", FormatOptions())
    dump = tmp_path / "dump"
    command = [
        sys.executable,
        "-m",
        "xlsrt.bin.format_data",
        "--data_dir",
        str(source),
        "--output_dir",
        str(dump),
    ]
    partial = 0
    for wanted in (1, 15):
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)
        while len(list(dump.glob("audio/*/s-*.flac"))) < wanted and process.poll() is None:
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        partial += not (dump / "wav.scp").exists()
    assert partial, "no kill came in time to prove anything"
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    whole, again = snapshot(tmp_path / "whole"), snapshot(dump)
    again = {name: state for name, state in again.items() if ".tmp" not in name}
    assert whole.keys() == again.keys()
    for name in whole.keys() - {"wav.scp"}:
        assert whole[name][0] == again[name][0], name
