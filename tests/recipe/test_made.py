"""Sets that stage 1 did not make, or that were changed since, are not replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from xlsrt.errors import UserError
from xlsrt.recipe.markers import read_marker, write_marker
from xlsrt.recipe.step import Step, run_step

Stage = Callable[..., int]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Stage 1 by a script in bash, for some sets."""

    def run(script: str, *sets: str, program: str = "bash") -> int:
        step = Step(
            title="stage 1",
            kind="data",
            marker=tmp_path / "data/.prepared",
            command=[program, "-c", f"cd {tmp_path}/data; {script}"],
            outputs=[str(tmp_path / "data" / name / "wav.scp") for name in sets],
            makes=str(tmp_path / "data/*/wav.scp"),
        )
        return run_step(step)

    (tmp_path / "data").mkdir()
    return run


def make(name: str, content: str = "ours") -> str:
    return f"mkdir -p {name}; echo {content} > {name}/wav.scp; "


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """A table of the user's own."""
    (tmp_path / "data/test").mkdir(parents=True)
    (tmp_path / "data/test/wav.scp").write_text("mine\n", encoding="utf-8")
    return tmp_path / "data/test/wav.scp"


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def killed(stage: Stage, script: str, *sets: str) -> None:
    """Stage 1, which does not come to its end, although the script does."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt  # stands for the end of our own process

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("xlsrt.recipe.made.end", end)
        stage(script, *sets)


def test_a_set_that_came_after_a_failure_stays(tmp_path: Path, stage: Stage) -> None:
    """The corpus was not there at first: stage 1 has started, and made one set of two."""
    assert stage(make("train") + "exit 4", "train", "test") == 4
    own = tmp_path / "data/test/wav.scp"
    own.parent.mkdir()
    own.write_text("mine\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"data/test is there, and stage 1 did not make it: .*--corpus none"):
        stage(make("train", "new") + make("test"), "train", "test")
    assert own.read_text(encoding="utf-8") == "mine\n"
    own.unlink()
    assert stage(make("train", "new") + make("test"), "train", "test") == 0, "it made this itself"
    assert stage(make("train", "newer") + make("test"), "train", "test") == 0


def test_a_set_that_was_changed_stays(tmp_path: Path, stage: Stage) -> None:
    both = make("train") + make("test")
    assert stage(both, "train", "test") == 0
    changed = tmp_path / "data/train/wav.scp"
    changed.write_text("mended\n", encoding="utf-8")
    assert stage(both, "train", "test") == 0, "it is done, and nothing is replaced"
    for sets in (("train", "test"), ("test",)):
        with pytest.raises(UserError, match="data/train is there, and it has been changed since stage 1"):
            stage(both + "true", *sets)
        assert changed.read_text(encoding="utf-8") == "mended\n"
    changed.rename(tmp_path / "kept")
    assert stage(both + "true", "train", "test") == 0


def test_a_set_beside_those_of_the_corpus_is_no_obstacle(stage: Stage, wav: Path) -> None:
    """It was left alone the last time; another corpus may make it."""
    assert stage(make("train"), "train") == 0
    assert stage(make("train", "new"), "train", "test") == 0
    wav.write_text("mine too\n", encoding="utf-8")
    assert stage(make("train", "newer"), "train", "test") == 0
    with pytest.raises(UserError, match="data/test is there, and stage 1 did not make it"):
        stage(make("test"), "train", "test", program="/bin/bash")
    assert wav.read_text(encoding="utf-8") == "mine too\n"


def test_what_a_killed_run_has_made_is_its_own(tmp_path: Path, stage: Stage) -> None:
    killed(stage, make("train", "half"), "train")
    assert read_marker(tmp_path / "data/.prepared")["began"] == {}
    assert stage(make("train"), "train") == 0


def test_what_an_earlier_version_has_made_is_its_own(tmp_path: Path, stage: Stage, wav: Path) -> None:
    """Its marker names the tables without digests, or does not name them, or there is none but a lock."""
    marker = tmp_path / "data/.prepared"
    for known in ({"fingerprint": "x", "made": [str(wav)]}, {"fingerprint": "x"}, None):
        marker.unlink(missing_ok=True)
        marker.with_name(".prepared.lock").touch()
        if known:
            write_marker(marker, known)
        wav.write_text("made\n", encoding="utf-8")
        assert stage(make("test"), "test") == 0 and wav.read_text(encoding="utf-8") == "ours\n"


def test_what_an_earlier_version_may_have_made_is_kept(
    tmp_path: Path, stage: Stage, wav: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where it has changed: it may have been edited since. Further runs, also after a kill, keep it too."""
    write_marker(tmp_path / "data/.prepared", {"fingerprint": "x"})
    assert stage(make("test", "mine"), "test") == 0
    assert "warning" not in capfd.readouterr().err and not list(tmp_path.glob("data/.*earlier*"))
    write_marker(tmp_path / "data/.prepared", {"fingerprint": "x"})
    (tmp_path / "data/test/text").write_text("mended\n", encoding="utf-8")
    killed(stage, make("test") + "rm test/text; ", "test")
    assert stage(make("test"), "test") == 0
    (copy,) = tmp_path.glob("data/.earlier_*/test")
    assert f"tables have changed; what they were is in {copy}\n" in capfd.readouterr().err
    assert stage(make("test", "new"), "test") == 0
    assert "warning" not in capfd.readouterr().err
    assert read(copy / "wav.scp") == "mine\n" and read(copy / "text") == "mended\n"


def test_a_set_that_was_replaced_unasked_is_kept_and_named(tmp_path: Path, stage: Stage, wav: Path) -> None:
    """It is written into where it stands, and its audio beside it is not copied."""
    copy = tmp_path / "data/.kept/test"
    (wav.parent / "a.wav").touch()
    for code, end in ((0, "true"), (4, "exit 4")):
        with pytest.raises(
            UserError, match=rf"data/test has changed .* is in .*{copy}: move .*--corpus none"
        ):
            stage(make("train") + make("test") + end, "train")
        assert read(copy / "wav.scp") == "mine\n" and not (copy / "a.wav").exists(), code
        with pytest.raises(UserError, match="data/test has changed"):  # not before it is mended
            stage(make("train") + make("test") + end, "train")
        assert read(copy / "wav.scp") == "mine\n"
        if code == 0:
            (copy / "wav.scp").rename(wav)
            with pytest.raises(UserError, match="data/test is there, and it has been changed since stage 1"):
                stage(make("train") + make("test") + end, "train")
            (tmp_path / "data/.prepared").unlink()
    copy.rename(tmp_path / "data/mine")
    assert stage(make("train") + make("test", "new"), "train") == 0, "this is the corpus's own now"
    assert read(tmp_path / "data/mine/wav.scp") == "mine\n" and not copy.parent.exists()


def test_a_set_that_was_left_out_the_last_time_is_kept(tmp_path: Path, stage: Stage, wav: Path) -> None:
    """The program makes it after all, of another language."""
    assert stage(make("train"), "train") == 0
    with pytest.raises(UserError, match="data/test has changed"):
        stage(make("train") + make("test"), "train", "test")
    assert read(tmp_path / "data/.kept/test/wav.scp") == "mine\n"


def test_a_kill_does_not_lose_what_was_kept(tmp_path: Path, stage: Stage, wav: Path) -> None:
    killed(stage, make("train"), "train")
    killed(stage, make("train") + make("test"), "train")
    with pytest.raises(UserError, match="data/test has changed"):
        stage(make("train") + make("test"), "train")
    assert read(tmp_path / "data/.kept/test/wav.scp") == "mine\n"


def test_a_first_start_does_not_replace_a_set(stage: Stage, wav: Path) -> None:
    """Nor does the second: there is a lock then."""
    for _ in range(2):
        with pytest.raises(UserError, match="data/test is there, and stage 1 did not make it"):
            stage(make("test"), "test")
    assert read(wav) == "mine\n"


def test_a_script_that_makes_nothing_is_not_done(tmp_path: Path, stage: Stage, capfd) -> None:
    for _ in range(2):
        assert stage("true", "train") == 1
        assert f"ended well but left no {tmp_path}/data/*/wav.scp" in capfd.readouterr().err
