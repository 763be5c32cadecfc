"""run.sh from nothing to the table on the smoke corpus, killed on the way, run again, changed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from xlsrt.context import AttentionContext

ROOT = Path(__file__).resolve().parents[2]
TAG = "exp/debug/asr_tiny_bpe40_stage"
DEFAULT = ("1", "2b", "3b", "4", "5b")

pytestmark = pytest.mark.timeout(2400)


def start(workdir: Path, *words: str) -> subprocess.Popen[str]:
    # The environment of the tests is the environment of the recipe: nothing is installed here.
    env = {**os.environ, "XLSRT_PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}
    env.pop("XLSRT_PYTHON_BIN", None)
    command = [
        "bash",
        str(ROOT / "run.sh"),
        "--workdir",
        str(workdir),
        "--debug",
        "true",
        "--ngpu",
        "0",
        *words,
    ]
    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def run(workdir: Path, *words: str, code: int = 0) -> str:
    process = start(workdir, *words)
    output, _ = process.communicate()
    assert process.returncode == code, output
    return output


def worked(output: str) -> list[str]:
    """The steps that did something."""
    return re.findall(r"^\[[\d:]+\] run\.sh (stage .*): finished (?:in|along)", output, flags=re.MULTILINE)


NEW = ("wav.scp", "index.html", "model.json")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A whole run, killed with -9 in the middle of the first training and continued."""
    workdir = tmp_path_factory.mktemp("recipe")
    process = start(workdir)
    assert process.stdout
    for line in process.stdout:
        if "epoch  train:" in line or "1epoch results" in line:
            break
    else:
        pytest.fail("run.sh ended before it trained")
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.read()
    process.wait()
    assert not (workdir / f"{TAG}1/.done").exists()
    return workdir, run(workdir)


def test_a_killed_run_goes_on_to_the_table(finished: tuple[Path, str]) -> None:
    workdir, output = finished
    assert "stage 1: data preparation: done already" in output
    assert "moved to" not in output
    assert [name for name in DEFAULT if not (workdir / f"{TAG}{name}/.done").is_file()] == []
    table = (workdir / "exp/debug/RESULTS.md").read_text(encoding="utf-8")
    for name in DEFAULT:
        assert f"{Path(TAG).name}{name}" in table
        assert f"{Path(TAG).name}{name}" in output
    for title in (
        "stage 6: training stage 2b (chunked masking)",
        "stage 9: training stage 5b (attention sinks)",
    ):
        assert f"run.sh {title}: finished" in output


def test_an_experiment_holds_what_its_reader_needs(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    exp = workdir / f"{TAG}2b"
    for name in ("config.yaml", "train.yaml", "train.log", "record.yaml", "valid.ter.best.pth", "RESULTS.md"):
        assert (exp / name).exists(), name
    assert list(exp.glob("tensorboard/**/events.*"))
    assert list(exp.glob("images/*.png"))
    record = yaml.safe_load((exp / "record.yaml").read_text(encoding="utf-8"))
    assert "xlsrt.bin.asr_train" in record["runs"][0]["command"]
    assert "--debug true" in record["runs"][0]["recipe"]
    assert record["packages"]["torch"]
    # The killed run and the one that went on.
    first = yaml.safe_load((workdir / f"{TAG}1/record.yaml").read_text(encoding="utf-8"))
    assert len(first["runs"]) == 2
    config = yaml.safe_load((exp / "config.yaml").read_text(encoding="utf-8"))
    assert config["init_from"] == f"{TAG}1/valid.ter.best.pth"
    assert AttentionContext.from_dict(config["encoder_conf"]["eval_context"]).chunk_frames == 32


def test_every_model_is_decoded_in_its_own_contexts(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    found = {
        (path.parts[-4].rpartition("stage")[2], path.parts[-3].removesuffix("_valid.ter.ave"), path.parts[-2])
        for path in (workdir / "exp/debug").glob("asr_*/decode_*/*/text")
    }
    pairs = {("1", "offline"), ("2b", "chunk_640ms"), ("3b", "left_1280ms"), ("5b", "streaming_640ms")}
    pairs |= {("1", "offline_beam4"), ("5b", "streaming_640ms_beam4")}
    pairs |= {("1", "offline_ngram"), ("5b", "streaming_640ms_ngram")}
    pairs |= {("4", name) for name in ("left_1280ms", "streaming_320ms", "streaming_1280ms")}
    assert found == {(v, f"decode_{name}", test) for v, name in pairs for test in ("test", "test_long")}
    for path in (workdir / "exp/debug").glob("asr_*/decode_*/*"):
        for metric in ("wer", "cer", "ter"):
            assert (path / f"score_{metric}/result.txt").is_file()


def test_a_second_run_does_nothing_in_seconds(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    started = time.monotonic()
    output = run(workdir)
    assert worked(output) == []
    assert output.count("done already") > 20
    # Seconds on a quiet machine.
    assert time.monotonic() - started < 120


def test_what_was_deleted_is_made_again(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    gone = [workdir / "data/debug/dev", workdir / "exp/debug/report", workdir / f"{TAG}5b/packed"]
    for path in gone:
        shutil.rmtree(path)
    output = run(workdir, "--skip_train", "true")
    assert [re.sub(r":.*| training.*", "", title) for title in worked(output)] == [
        *("stage 1", "stage 12", "stage 13")
    ]
    assert all((path / name).is_file() for path, name in zip(gone, NEW, strict=True))


def test_a_changed_option_redoes_what_depends_on_it(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    words = ["--stop_stage", "11", "--variants", "1", "--inference_asr_model", "best", "--test_sets", "test"]
    assert worked(run(workdir, *words)) == [
        "stage 10: test with decode_offline, training stage 1",
        "stage 10: test with decode_offline_beam4, training stage 1",
        "stage 10: test with decode_offline_ngram, training stage 1",
        "stage 11: test with decode_offline, training stage 1",
        "stage 11: test with decode_offline_beam4, training stage 1",
        "stage 11: test with decode_offline_ngram, training stage 1",
        "stage 11: RESULTS.md",
    ]
    for name, encodes in (("offline", True), ("offline_beam4", False), ("offline_ngram", False)):
        log = workdir / f"{TAG}1/decode_{name}_valid.ter.best/test/logdir/asr_inference.log"
        heard = log.is_file() and "shard " in log.read_text(encoding="utf-8")
        assert heard == encodes, "the others share its encoder"
    packing = ["--stage", "13", "--variants", "1", "--inference_asr_model"]
    for choice in ("best", "ave"):
        assert worked(run(workdir, *packing, choice)) == ["stage 13: packing training stage 1"]
    # Times of words that come later are looked at.
    times = workdir / "dump/debug/raw/test/word_times.ctm"
    times.write_text(times.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert worked(run(workdir, *words)) == [
        f"stage 11: test with decode_offline{search}, training stage 1" for search in ("", "_beam4", "_ngram")
    ]
    more = ["--lm_train_text", "data/debug/dev/text", "--ngram_num", "5", "--decode_configs"]
    assert worked(run(workdir, *words, *more, "conf/decode_offline*.yaml")) == [
        "stage 3: 5-grams of tokens",
        "stage 10: test with decode_offline_ngram, training stage 1",
        "stage 11: test with decode_offline_ngram, training stage 1",
        "stage 11: RESULTS.md",
    ]
    assert worked(run(workdir, *words, "--use_ngram", "false")) == []
    assert worked(run(workdir, "--stop_stage", "4", "--token_type", "char")) == [
        "stage 3: char tokens",
        "stage 3: 8-grams of tokens",
        "stage 4: shapes of train",
        "stage 4: shapes of valid",
    ]


def test_much_text_makes_no_ngram_model_unless_asked(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    text = workdir / "much/debug/raw/train/text"
    text.parent.mkdir(parents=True)
    text.write_text("".join(f"u{number} {'one two ' * 40}\n" for number in range(16000)), encoding="utf-8")
    shutil.copytree(workdir / "dump/debug/raw/dev", workdir / "much/debug/raw/dev")
    words = [
        "--dumpdir",
        "much",
        "--stage",
        "3",
        "--stop_stage",
        "3",
        "--token_type",
        "char",
        "--ngram_num",
        "3",
    ]
    # Another place for the tokens than that of the run, which stays as it is.
    words += ["--train_hours", "9"]
    text.parent.rename(text.parent.with_name("train_9h"))
    output = run(workdir, *words)
    assert "no n-gram model of over 5 MB of text; --use_ngram true makes one" in output
    assert worked(output) == ["stage 3: char tokens"]
    assert worked(run(workdir, *words, "--use_ngram", "true")) == ["stage 3: 3-grams of tokens"]
    # One that is there is of other text, and would be taken for this one's.
    made = list((workdir / "data/debug/token_list/char_9h").glob("*.arpa"))
    assert len(made) == 2 and worked(run(workdir, *words)) == [] and not any(path.exists() for path in made)


def test_stages_out_of_order_say_which_comes_first(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    output = run(workdir, "--stage", "6", "--stop_stage", "6", "--asr_tag", "other", code=2)
    assert (
        "training stage 1 has not been trained: run `./run.sh --stage 5 --stop_stage 5 --variants 1`"
        in output
    )
    output = run(workdir, "--stage", "5", "--stop_stage", "5", "--dumpdir", "nowhere", code=2)
    assert "nowhere/debug/raw/train/wav.scp" in output
    output = run(workdir, "--stage", "10", "--variants", "2a", code=2)
    assert "--variants 2a` first" in output


def test_skips_leave_out_their_stages(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    output = run(workdir, "--skip_data", "true", "--skip_eval", "true")
    assert set(re.findall(r"run\.sh stage (\d+):", output)) == {"5", "6", "7", "8", "9"}
    output = run(workdir, "--skip_train", "true", "--skip_data", "true", "--stop_stage", "11")
    assert set(re.findall(r"run\.sh stage (\d+):", output)) == {"10", "11"}


def test_any_kaldi_directory_will_do(finished: tuple[Path, str]) -> None:
    workdir, _ = finished
    for name in ("train", "dev", "test"):
        shutil.copytree(workdir / f"data/debug/{name}", workdir / f"data/my_{name}")
    words = ["--corpus", "none", "--train_set", "my_train", "--valid_set", "my_dev", "--test_sets", "my_test"]
    words += ["--dumpdir", "my_dump", "--expdir", "my_exp", "--speed_perturb_factors", "0.9 1.0"]
    steps = worked(run(workdir, *words, "--stop_stage", "4"))
    assert "stage 2: audio of my_train" in steps
    shapes = (workdir / "my_exp/debug/asr_stats_bpe40_sp/train/speech_shape").read_text(encoding="utf-8")
    taken = (workdir / "data/debug/my_train/text").read_text(encoding="utf-8").splitlines()
    assert 10 < len(taken) <= 60
    assert len(shapes.splitlines()) == 2 * len(taken)
    assert (workdir / "data/debug/token_list/bpe_unigram40_sp/bpe.model").is_file()
    output = run(workdir, *words, "--test_sets", "my_test gone", "--stop_stage", "1", code=2)
    assert "data/gone/wav.scp is missing" in output
    output = run(workdir, *words, "--test_sets", "my_test my_train", "--stop_stage", "1", code=2)
    assert "--train_set my_train is among --valid_set and --test_sets" in output
    assert "--test_sets is empty" in run(workdir, *words, "--test_sets", "", code=2)
    # Languages that are told later, a folder with a blank in its name.
    utterances = (workdir / "data/debug/my_train/text").read_text(encoding="utf-8").splitlines()
    languages = "".join(f"{line.split()[0]} xx\n" for line in utterances)
    (workdir / "data/debug/my_train/utt2lang").write_text(languages, encoding="utf-8")
    words += ["--dumpdir", "a dump", "--stop_stage"]
    assert "stage 3: bpe tokens" in worked(run(workdir, *words, "3"))
    (workdir / "data/debug/my_train/utt2lang").write_text(languages.replace("xx", "yy"), encoding="utf-8")
    assert worked(run(workdir, *words, "2")) == ["stage 2: audio of my_train"]
    assert " yy\n" in (workdir / "a dump/debug/raw/my_train_sp/utt2lang").read_text(encoding="utf-8")
    # A stage table of one's own in the work folder is laid over the others.
    (workdir / "conf").mkdir()
    (workdir / "conf/stages.yaml").write_text("stages: {1: {nonsense: 1}}\n", encoding="utf-8")
    output = run(workdir, *words, "1", code=2)
    (workdir / "conf/stages.yaml").unlink()
    (workdir / "conf").rmdir()
    assert "nonsense" in output


def test_little_transcribed_much_adapted(finished: tuple[Path, str]) -> None:
    """--train_hours and --adapt redo just what depends on them; training starts from the adapted encoder."""
    workdir, _ = finished
    words = ["--train_hours", "0.03", "--adapt", "true", "--stop_stage", "5"]
    steps = worked(run(workdir, *words))
    assert steps == [
        "stage 2: 0.03 hours of train",
        "stage 3: bpe tokens",
        "stage 3: 8-grams of tokens",
        "stage 4: shapes of train",
        "stage 4: shapes of valid",
        "stage 5: unlabelled audio looked through",
        "stage 5: unlabelled audio formatted",
        "stage 5: adaptation of the encoder on unlabelled audio",
        "stage 5: training stage 1 (full attention)",
    ]
    exp = workdir / "exp/debug/asr_tiny_bpe40_0.03h_adapted_stage1"
    config = yaml.safe_load((exp / "train.yaml").read_text(encoding="utf-8"))
    assert config["encoder_conf"]["pretrained"] == "exp/debug/adapt_tiny/encoder"
    assert "train_0.03h" in config["train_data_path_and_name_and_type"][0][0]
    assert worked(run(workdir, *words)) == []
    # Other hours: the adaptation has heard all of the audio and stays.
    steps = worked(run(workdir, *words, "--train_hours", "0.02"))
    assert "stage 2: 0.02 hours of train" in steps and not [step for step in steps if "adaptation" in step]
