"""Room on disks: what trainings leave at least, what stage 2 writes about, and what is said before a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.data.reading import sound
from xlsrt.bin import check_start
from xlsrt.data import forecast
from xlsrt.data.forecast import audio_bytes
from xlsrt.data.format import FormatOptions, format_set
from xlsrt.errors import UserError
from xlsrt.recipe import room

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"keep_nbest_models": [5], "max_epoch": 30, "patience": None, "optim": "adamw", "freeze_param": []}


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch):
    """``free(bytes)`` is what all disks have from then on."""

    def have(size: float) -> None:
        monkeypatch.setattr(room.shutil, "disk_usage", lambda _: SimpleNamespace(free=int(size)))

    return have


@pytest.mark.parametrize(
    ("changes", "copies"),
    [
        ({}, 5 + 1 + 3),
        ({"keep_nbest_models": 1}, 1 + 1 + 3),
        ({"keep_nbest_models": [0]}, 1 + 1 + 3),
        ({"max_epoch": 2}, 2 + 1 + 3),
        ({"patience": 1}, 2 + 1 + 3),
        ({"optim": "sgd"}, 5 + 1 + 1),
        ({"freeze_param": ["encoder"]}, 5 + 1 + 1),
    ],
)
def test_what_a_training_leaves_at_least(changes: dict[str, object], copies: int) -> None:
    assert room.model_bytes({**SETTINGS, **changes}, 1000) == 4 * 1000 * copies


def test_what_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    assert room.still_to_write(900, tmp_path / "exp") == 900
    for name in ("1epoch.pth", "checkpoint.pth"):
        (tmp_path / name).write_bytes(b"x" * 300)
    (tmp_path / "latest.pth").symlink_to("1epoch.pth")
    assert room.still_to_write(900, tmp_path) == 300 and room.still_to_write(500, tmp_path) == 0


def test_models_that_do_not_fit_are_refused(tmp_path: Path, free) -> None:
    free(20.1e9)
    room.check_models_fit(tmp_path / "not" / "there", 20_000_000_000)
    with pytest.raises(UserError) as error:
        room.check_models_fit(tmp_path / "exp", 57_300_000_000)
    told = str(error.value)
    assert told.startswith(
        f"--expdir {tmp_path}/exp: the models of these trainings take at least 57.3 GB, and "
    )
    assert "20.1 GB are free there" in told and "keep_nbest_models" in told and "\n" not in told


def make(folder: Path, seconds: float, rate: int = 8000, count: int = 4) -> Path:
    """A set of recordings."""
    folder.mkdir(parents=True)
    rows = {f"u{number}": sound(folder / f"{number}.wav", seconds, rate) for number in range(count)}
    (folder / "wav.scp").write_text("".join(f"{utt} {path}\n" for utt, path in rows.items()))
    (folder / "utt2spk").write_text("".join(f"{utt} {utt}\n" for utt in rows))
    return folder


def test_the_size_of_formatted_audio_is_forecast(tmp_path: Path) -> None:
    data = make(tmp_path / "train", 2.0)
    assert audio_bytes(data, "wav", [1.0]) == pytest.approx(4 * 2 * 32000, rel=0.01)
    assert audio_bytes(data, "auto", [1.0]) == pytest.approx(4 * 2 * 16000, rel=0.01)
    assert audio_bytes(data, "wav", [0.5, 1.0]) == pytest.approx(4 * 6 * 32000, rel=0.01)
    format_set(data, tmp_path / "dump", FormatOptions(audio_format="wav", need_text=False))
    written = sum(path.stat().st_size for path in (tmp_path / "dump").rglob("*.wav"))
    assert audio_bytes(data, "wav", [1.0]) == pytest.approx(written, rel=0.02)
    (data / "segments").write_text("a u0 0 0.5\nb u1 0.5 -1\nc u2 nothing\n")
    assert audio_bytes(data, "wav", [1.0]) == pytest.approx(0.5 * 32000, rel=0.01)


def test_of_a_large_set_some_rows_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make(tmp_path / "train", 2.0)
    rows = (data / "wav.scp").read_text().splitlines()
    (data / "wav.scp").write_text("".join(f"{n:05d}-{row}\n" for n in range(1000) for row in rows))
    asked = []
    info = forecast.soundfile.info
    monkeypatch.setattr(forecast.soundfile, "info", lambda path: asked.append(path) or info(path))
    assert audio_bytes(data, "wav", [1.0]) == pytest.approx(4000 * 2 * 32000, rel=0.01) and len(asked) == 50
    assert audio_bytes(data, "auto", [0.5] * 25) == pytest.approx(4000 * 25 * 4 * 16000, rel=0.01)


def test_audio_that_stays_where_it_is_needs_no_room(tmp_path: Path) -> None:
    data = make(tmp_path / "train", 2.0, rate=16000)
    assert audio_bytes(data, "flac", [1.0]) == 0
    assert audio_bytes(data, "flac", [1.0, 2.0]) == pytest.approx(4 * 16000, rel=0.01)
    assert audio_bytes(data, "flac.ark", [1.0]) == pytest.approx(4 * 2 * 16000, rel=0.01)
    (data / "wav.scp").write_text("u1 cat a.wav |\nu2 lost.wav\nu3 a.ark:7\n")
    assert audio_bytes(data, "flac", [1.0]) == audio_bytes(tmp_path / "none", "flac", [1.0]) == 0
    (data / "wav.scp").write_text("")
    assert audio_bytes(data, "flac", [1.0]) == 0


def test_audio_that_will_hardly_fit_is_a_warning(tmp_path: Path, free, capsys) -> None:
    for name in ("train", "dev"):
        make(tmp_path / "data" / name, 2.0)
    options = {"train_set": "train", "valid_set": "dev", "test_sets": "dev", "audio_format": "wav"}
    dump, exp = tmp_path / "dump", tmp_path / "exp"

    def warned(models: int = 0, **more: str) -> str:
        room.warn_of_audio(dump, tmp_path / "data", options | more, exp, models)
        return capsys.readouterr().err

    free(600_000)
    assert warned() == ""
    assert warned(speed_perturb_factors="0.5 1.0").startswith(
        f"warning: --dumpdir {dump}: stage 2 will write"
    )
    assert "beside" in warned(models=200_000)
    free(300_000)
    assert "\n" not in warned().rstrip("\n") != ""
    (dump / "raw/train").mkdir(parents=True)
    (dump / "raw/train/wav.scp").touch()
    assert warned() == "" and warned(speed_perturb_factors="1.0") != ""


def test_run_sh_asks_before_any_work(tmp_path: Path, free, capsys) -> None:
    large = tmp_path / "large.yaml"
    large.write_text("encoder_conf: {config: {preset: xls_r_1b}}\n")
    make(tmp_path / "data/train", 2.0)
    words = ["--stages_config", str(ROOT / "conf/stages.yaml"), "--asr_exp", str(tmp_path / "exp/asr")]
    words += ["--pretrained", "none", "--dumpdir", str(tmp_path / "dump")]
    words += ["--data_dirs", str(tmp_path / "data")]
    words += ["--train_set=train", "--train_config", str(ROOT / "conf/train_small.yaml"), str(large)]
    free(100e9)
    with pytest.raises(
        UserError, match=r"--expdir .*: the models of these trainings take at least 134\.\d GB"
    ):
        check_start.main(words)
    free(1000)
    assert check_start.main([*words, "--stop_stage", "4"]) == 0
    assert "warning: --dumpdir" in capsys.readouterr().err
    assert check_start.main([*words, "--stage", "10"]) == 0 and not capsys.readouterr().err
