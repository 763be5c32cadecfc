"""The command lines of the data stages, through their parsers, and the shell tools that call them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.conftest import MakeSet, make_set  # noqa: F401 (make_set is a fixture)
from xlsrt.bin import data_dir, format_data, prepare_data, train_tokens, write_shapes
from xlsrt.data.tables import load_table
from xlsrt.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def shell(script: str, *arguments: object, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / script, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "XLSRT_PYTHON_BIN": sys.executable, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_from_a_kaldi_directory_to_shapes(make_set: MakeSet, tmp_path: Path, monkeypatch) -> None:  # noqa: F811
    monkeypatch.chdir(tmp_path)
    source = make_set(rate=8000)
    prepare_data.main(["kaldi", "--source", str(source), "--set_name", "train"])
    format_data.main(
        ["--data_dir", "data/train", "--output_dir", "dump/raw/train", "--speed_perturb", "0.9 1.0"]
    )
    train_tokens.main(
        ["--text", "dump/raw/train/text", "--output_dir", "data/token_list/bpe_unigram16", "--nbpe", "16"]
    )
    base = ["--data_dir", "dump/raw/train", "--output_dir", "exp/stats/train"]
    tokens = "data/token_list/bpe_unigram16"
    write_shapes.main([*base, "--token_list", f"{tokens}/tokens.txt", "--bpemodel", f"{tokens}/bpe.model"])
    assert len(load_table("exp/stats/train/speech_shape")) == 6
    assert {value.split(",")[1] for value in load_table("exp/stats/train/text_shape.bpe").values()} == {"16"}
    # Paths of the dump count from the folder of the recipe, as ESPnet's do.
    assert all((tmp_path / path).is_file() for path in load_table("dump/raw/train/wav.scp").values())


def test_help_of_one_reader_imports_no_other(capsys) -> None:
    with pytest.raises(SystemExit) as left:
        prepare_data.main(["an4", "--help"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert all(
        option in said for option in ("--source", "--output_dir", "--nj", "--seed", "--dev_utterances")
    )
    with pytest.raises(SystemExit):
        prepare_data.main(["manifest", "--help"])
    assert "or offset, duration; all in seconds" in " ".join(capsys.readouterr().out.split())
    probe = "import sys; from xlsrt.bin.prepare_data import get_parser; get_parser(['an4']); "
    probe += "sys.exit(any(name in sys.modules for name in ('torch', 'xlsrt.data.mini', 'xlsrt.data.fsdd')))"
    assert subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=False).returncode == 0


def test_help_lists_every_corpus(capsys) -> None:
    with pytest.raises(SystemExit) as left:
        prepare_data.main(["--help"])
    said = capsys.readouterr().out
    assert left.value.code == 0 and all(kind in said for kind in ("an4", "fsdd", "kaldi", "mini"))


def test_wrong_values_name_their_option(make_set: MakeSet, tmp_path: Path) -> None:  # noqa: F811
    base = ["--data_dir", str(make_set()), "--output_dir", str(tmp_path / "dump")]
    with pytest.raises(UserError, match='--speed_perturb "fast": write factors'):
        format_data.main([*base, "--speed_perturb", "fast"])
    with pytest.raises(UserError, match="--nj 0"):
        format_data.main([*base, "--nj", "0"])
    with pytest.raises(SystemExit):
        format_data.main([*base, "--allow_pipes", "perhaps"])
    with pytest.raises(SystemExit):
        format_data.main([*base, "--no_such_option", "1"])


def test_a_user_error_is_one_line_and_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "xlsrt.bin.format_data",
            "--data_dir",
            tmp_path / "no",
            "--output_dir",
            tmp_path / "o",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ") and "no such data directory" in done.stderr


def test_shell_tools_take_the_environment_they_are_given(make_set: MakeSet, tmp_path: Path) -> None:  # noqa: F811
    clone, stray = tmp_path / "clone", tmp_path / "bin"  # without .venv, where another python3 comes first
    for folder in (clone, stray):
        folder.mkdir()
    for name in ("utils", "path.sh", "xlsrt", "requirements.lock"):
        (clone / name).symlink_to(ROOT / name)
    (stray / "python3").write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
    (stray / "python3").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name != "XLSRT_PYTHON_BIN"}
    env = {**kept, "XLSRT_PYTHON": sys.prefix, "PATH": f"{stray}:{os.environ['PATH']}"}
    for command in (["utils/validate_data_dir.sh", make_set()], ["utils/show_results.sh", tmp_path / "exp"]):
        done = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 2) and "Traceback" not in done.stderr, done
        assert "valid, 3 utterances" in done.stdout or done.stderr.startswith("error: "), done


def test_shell_tools(make_set: MakeSet, tmp_path: Path) -> None:  # noqa: F811
    source = make_set()
    assert "valid, 3 utterances of 2 speakers" in shell("utils/validate_data_dir.sh", source).stdout
    (source / "text").write_text("spk2-c x\nspk1-a y\n")
    broken = shell("utils/validate_data_dir.sh", source)
    assert broken.returncode == 2 and "not sorted" in broken.stderr and "fix_data_dir.sh" in broken.stderr
    fixed = shell("utils/fix_data_dir.sh", source)
    assert fixed.returncode == 0 and "kept 2 utterances, dropped 1" in fixed.stderr
    assert shell("utils/validate_data_dir.sh", source).returncode == 0
    assert shell("utils/subset_data_dir.sh", "--first", source, 1, tmp_path / "a").stdout.endswith(
        "1 utterances\n"
    )
    (tmp_path / "list").write_text("spk2-c\n")
    assert (
        shell("utils/subset_data_dir.sh", "--utt-list", tmp_path / "list", source, tmp_path / "b").returncode
        == 0
    )
    (tmp_path / "list").write_text("spk2\nspk9\n")
    done = shell("utils/subset_data_dir.sh", "--spk-list", tmp_path / "list", source, tmp_path / "d")
    assert done.returncode == 0 and "1 of the speakers are not in it, such as spk9" in done.stderr
    assert (tmp_path / "b" / "text").read_text() == (tmp_path / "d" / "text").read_text() == "spk2-c x\n"
    assert shell("utils/combine_data.sh", tmp_path / "c", tmp_path / "a", tmp_path / "b").returncode == 0
    assert (tmp_path / "c" / "text").read_text() == "spk1-a y\nspk2-c x\n"
    said = shell("utils/utt2spk_to_spk2utt.sh", tmp_path / "c" / "utt2spk").stdout
    assert said == (tmp_path / "c" / "spk2utt").read_text()
    back = shell("utils/spk2utt_to_utt2spk.sh", tmp_path / "c" / "spk2utt").stdout
    assert back == (tmp_path / "c" / "utt2spk").read_text()
    assert shell("utils/perturb_data_dir_speed.sh", "0.9", source, tmp_path / "slow").returncode == 0
    assert (tmp_path / "slow" / "text").read_text() == "sp0.9-spk1-a y\nsp0.9-spk2-c x\n"
    wrong = shell("utils/subset_data_dir.sh", source, "many", tmp_path / "e")
    assert wrong.returncode == 2 and "'many' is no number" in wrong.stderr


def test_local_data_takes_its_source_from_variable_or_option_and_says_what_to_fetch(tmp_path: Path) -> None:
    done = shell("egs/an4/local/data.sh", cwd=tmp_path, AN4="nowhere")
    assert done.returncode == 2 and "nowhere: no such folder: unpack an4_sphere.tar.gz" in done.stderr
    done = shell("egs/fsdd/local/data.sh", "--source", "elsewhere", cwd=tmp_path, FSDD="nowhere")
    assert done.returncode == 2 and "elsewhere: no such folder: clone github.com" in done.stderr


RECIPES = {
    "ami": ("AMI", "no such folder: get ami_public_manual"),
    "common_voice": ("COMMON_VOICE", "no such folder: get a release from commonvoice"),
    "fleurs": ("FLEURS", "no such folder: get data/<language>"),
    "librispeech": ("LIBRISPEECH", "none of train-clean-100"),
    "mls": ("MLS", "no such folder: get mls_<language>"),
    "own": ("OWN", "no such file or folder"),
    "voxpopuli": ("VOXPOPULI", "no such folder: run `python -m voxpopuli"),
}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_says_what_to_fetch_and_documents_itself(name: str, tmp_path: Path) -> None:
    variable, message = RECIPES[name]
    done = shell(f"egs/{name}/local/data.sh", "--output_dir", "data", cwd=tmp_path, **{variable: "nowhere"})
    assert done.returncode == 2 and "nowhere" in done.stderr and message in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "data").exists()
    readme = (ROOT / "egs" / name / "README.md").read_text(encoding="utf-8")
    assert variable in readme and (
        name == "own" or ("Licence" in readme and "Computed, not measured" in readme)
    )


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_starts_with_options_that_run_sh_takes(name: str, tmp_path: Path) -> None:
    """run.sh stops at the first stage's missing source: names and options were right until there."""
    work = tmp_path / "work"
    done = shell(
        f"egs/{name}/run.sh",
        "--workdir",
        work,
        "--stop_stage",
        "1",
        cwd=tmp_path,
        **{RECIPES[name][0]: "nowhere"},
    )
    assert done.returncode != 0 and "nowhere" in done.stdout + done.stderr, done.stderr
    assert RECIPES[name][1] in done.stdout + done.stderr


def test_data_dir_without_counts(make_set: MakeSet, tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(UserError, match="SOURCE COUNT TARGET"):
        data_dir.main(["subset", str(make_set()), str(tmp_path / "out")])
