from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "run.sh"

# The options that issue and README promise.
PROMISED = """
stage stop_stage skip_data skip_train skip_eval ngpu num_nodes nj inference_nj train_config pretrained
stages_config variants decode_configs inference_asr_model asr_tag asr_exp gpu_inference train_set valid_set
test_sets token_type nbpe expdir dumpdir debug speed_perturb_factors
"""


def shell(script: Path, *words: str, **more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", str(script), *words], capture_output=True, text=True, timeout=60, **more)


def declared() -> dict[str, str]:
    block = RUN.read_text(encoding="utf-8").split("# Options\n")[1].split("# End of options")[0]
    return dict(re.findall(r"^([a-z_]+)=.*?# (.+)$", block, flags=re.MULTILINE))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "tool.sh"
    path.write_text(
        "#!/usr/bin/env bash\n# A tool.\n\nset -euo pipefail\n# Options\n# Section\n"
        'nj=2   # jobs\nquiet=false  # say less\nsome_name="a b"  # words\nempty=  # nothing\n'
        "       # more on it\n# End of options\n"
        f'option_aliases="other:some_name"\n. {ROOT}/utils/parse_options.sh\n'
        'printf "%s|" "$nj" "$quiet" "$some_name" "$empty"\n',
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ([], "2|false|a b||"),
        (["--nj", "4", "--quiet", "true"], "4|true|a b||"),
        (["--nj=4", "--some-name", "c d"], "4|false|c d||"),
        (["--some_name=", "--empty", "--x=$(true) `ls`"], "2|false||--x=$(true) `ls`|"),
        (["--other", "1 2"], "2|false|1 2||"),
    ],
)
def test_values(script: Path, words: list[str], values: str) -> None:
    done = shell(script, *words)
    assert (done.stdout, done.stderr, done.returncode) == (values, "", 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--njobs", "4"], "unknown option --njobs"),
        (["--som_name", "4"], "did you mean --some_name?"),
        (["--quiet", "yes"], "--quiet takes true or false, not 'yes'"),
        (["--nj", "two"], "--nj takes a whole number, not 'two'"),
        (["--nj"], "--nj needs a value"),
        (["4"], "unexpected argument '4'"),
        (["--PATH", "x"], "unknown option --PATH"),
    ],
)
def test_wrong_words_end_the_script(script: Path, words: list[str], message: str) -> None:
    done = shell(script, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert not done.stdout


@pytest.fixture
def kaldi_script(tmp_path: Path) -> Path:
    """As in Kaldi's and ESPnet's recipes: variables, no marker lines."""
    path = tmp_path / "steps.sh"
    path.write_text(
        "#!/usr/bin/env bash\nnj=2\nbeam=10\nacwt=0.1\nwrite_utt2num=false\ncmd=run.pl\n"
        'help_message="Usage: steps.sh <dir>"\n'
        f'. {ROOT}/utils/parse_options.sh || exit 1\nprintf "%s|" "$nj" "$write_utt2num" "$cmd" "$@"\n',
        encoding="utf-8",
    )
    (tmp_path / "set.conf").write_text("nj=7\ncmd=queue.pl\n", encoding="utf-8")
    return path


def test_kaldi_scripts_read_their_options(kaldi_script: Path) -> None:
    for words, printed in (
        ([], "2|false|run.pl|"),
        (["--nj", "4", "data/train", "--exp"], "4|false|run.pl|data/train|--exp|"),
        (["--write-utt2num", "true", "--cmd", "slurm.pl --mem 4G", "a b"], "2|true|slurm.pl --mem 4G|a b|"),
        (["--nj", "3", "--config", str(kaldi_script.parent / "set.conf"), "x"], "3|false|queue.pl|x|"),
        ([f"--config={kaldi_script.parent}/set.conf", "x"], "7|false|queue.pl|x|"),
    ):
        done = shell(kaldi_script, *words)
        assert (done.stdout, done.stderr, done.returncode) == (printed, "", 0)
    # Kaldi's script asks for no more than booleans.
    assert shell(kaldi_script, "--beam", "12.5", "--acwt", "1e-2", "--nj", "-1").stdout.startswith("-1|")
    assert shell(kaldi_script, "--help").stdout == "Usage: steps.sh <dir>\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--njobs", "4"], "unknown option --njobs"),
        (["--write-utt2num", "yes"], "--write-utt2num takes true or false"),
        (["--nj"], "--nj needs a value"),
        (["--config", "nowhere"], "--config nowhere: no such file"),
    ],
)
def test_wrong_words_end_a_kaldi_script(kaldi_script: Path, words: list[str], message: str) -> None:
    done = shell(kaldi_script, *words)
    assert done.returncode and message in done.stderr and not done.stdout


def test_seconds_are_numbers() -> None:
    for value in ("x", "-1", "1.", "1e3"):
        done = shell(RUN, "--max_wav_duration", value, "--help")
        assert done.returncode == 2 and f"--max_wav_duration takes a number, not '{value}'" in done.stderr
    for value in ("20", "24.5", ".5"):
        assert shell(RUN, "--max_wav_duration", value, "--help").returncode == 0


def test_help_is_made_from_the_defaults(script: Path) -> None:
    shown = shell(script, "--help").stdout
    assert shown.startswith("A tool.\n")
    assert "Section\n" in shown
    assert re.search(r"--nj +jobs \[2\]\n", shown)
    assert re.search(r"--some_name +words \[a b\]\n", shown)
    assert re.search(r"--empty +nothing \[\]\n +more on it\n", shown)


def test_run_sh_documents_every_option() -> None:
    shown = shell(RUN, "--help").stdout
    options = declared()
    assert set(PROMISED.split()) <= set(options)
    for name, comment in options.items():
        assert re.search(rf"--{name} +{re.escape(comment)} \[", shown), name
    block = RUN.read_text(encoding="utf-8").split("# Options\n")[1].split("# End of options")[0]
    assert len(re.findall(r"^[a-z_]+=", block, flags=re.MULTILINE)) == len(options), (
        "an option without comment"
    )


def test_run_sh_uses_every_option() -> None:
    body = RUN.read_text(encoding="utf-8").split("# End of options")[1]
    unused = [
        name for name in declared() if not re.search(rf"\$\{{?{name}\b|\b{name} (>=|>|<=)|\(\({name}\b", body)
    ]
    assert not unused


def test_run_sh_is_short() -> None:
    assert len(RUN.read_text(encoding="utf-8").splitlines()) < 250


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stage", "5", "--stop_stage", "4"], "stages are 1 to 13, in this order"),
        (["--stop_stage", "14"], "stages are 1 to 13"),
        (["--token_type", "word"], "write bpe, char or auto"),
        (["--corpus", "nowhere"], "no egs/nowhere"),
        (["--train_config", "nowhere.yaml"], "configuration nowhere.yaml is neither here"),
        (
            ["--train_config", "conf/train_tiny.yaml nowhere.yaml"],
            "configuration nowhere.yaml is neither here",
        ),
        (["--train_config", ""], "--train_config is empty"),
        (["--gpu_inference", "maybe"], "write true, false or auto"),
        (["--ngpu", "many"], "--ngpu many"),
        (["--train_hours", "most"], "--train_hours most: write a number"),
        (["--train_hours", "..."], "--train_hours ...: write a number"),
        (["--audio_format", "mp3"], "--audio_format mp3: write flac"),
        (["--inference_nj", "0"], "--inference_nj 0: write a number from 1 on"),
        (["--num_splits_asr", "0", "--stage", "5"], "--num_splits_asr 0: write a number from 1 on"),
        (
            ["--inference_asr_model", "nope.pth"],
            "--inference_asr_model nope.pth: no exp/asr_small_char_stage*",
        ),
        (
            ["--debug", "true", "--asr_exp", "exp/asr_mine", "--inference_asr_model", "nope.pth"],
            "no exp/debug/asr_mine_stage*",  # what was trained in earnest is left alone
        ),
        (["--expdir", "/proc/x"], "--expdir /proc/x: cannot be written"),
        (["--dumpdir", "/proc/x"], "--dumpdir /proc/x: cannot be written"),
        (["--ngpu", "2", "--num_nodes", "2"], "cmd_backend=local has one node"),
        (
            ["--stage", "3", "--test_sets", "test nope"],
            "raw/test/wav.scp is missing: run stages 1 and 2 first",
        ),
        (["--adapt_config", "nowhere.yaml"], "configuration nowhere.yaml is neither here"),
        (["--pretrained", "/nowhere"], "/nowhere: no such file or directory"),
        (["--corpus", "none", "--stop_stage", "1"], "data/train/wav.scp is missing"),
    ],
)
def test_run_sh_refuses_before_any_work(tmp_path: Path, words: list[str], message: str) -> None:
    done = shell(RUN, "--workdir", str(tmp_path), *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_run_sh_is_found_by_a_relative_path(tmp_path: Path) -> None:
    """Its options are read before it goes to the work folder, from where ./run.sh would be another file."""
    words = ["--workdir", str(tmp_path / "work"), "--stage", "3", "--test_sets", "nope"]
    done = shell(Path("./run.sh"), *words, cwd=ROOT)
    assert done.returncode == 2
    assert "--test_sets nope: dump/raw/nope/wav.scp is missing" in done.stderr


@pytest.mark.parametrize("words", [[], ["--stage", "12"]])
def test_run_sh_does_not_work_elsewhere_than_asked(tmp_path: Path, words: list[str]) -> None:
    """A work folder that cannot be made was once passed over: the run went on where it was started."""
    (tmp_path / "file").touch()
    done = shell(RUN, "--workdir", str(tmp_path / "file/x"), *words, cwd=tmp_path)
    assert done.returncode == 2
    assert f"--workdir {tmp_path}/file/x: cannot be made or entered" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_run_sh_needs_the_schedulers_program(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for folder in reversed(os.environ["PATH"].split(":")):
        for program in Path(folder).glob("*") if folder else ():
            if program.name != "sbatch" and not (programs / program.name).is_symlink():
                (programs / program.name).symlink_to(program)
    work = tmp_path / "work"
    env = {**os.environ, "PATH": str(programs), "cmd_backend": "slurm", "XLSRT_PYTHON": sys.executable}
    done = shell(RUN, "--workdir", str(work), env=env)
    assert done.returncode == 2 and "there is no sbatch on this machine" in done.stderr
    # Where the queue's configuration submits with another program, that one counts.
    (work / "conf").mkdir(parents=True)
    (work / "conf/slurm.conf").write_text("command my_submit --now\n", encoding="utf-8")
    done = shell(RUN, "--workdir", str(work), env=env)
    assert done.returncode == 2 and "there is no my_submit on this machine" in done.stderr


@pytest.mark.parametrize(
    ("words", "gpus"),
    [
        (["--ngpu", "4"], "4"),
        (["--ngpu", "0"], "0"),
        (["--ngpu", "4", "--gpu_inference", "false"], "0"),
        (["--ngpu", "0", "--gpu_inference", "true"], "1"),
    ],
)
def test_decoding_on_this_machine_shares_its_gpus(tmp_path: Path, words: list[str], gpus: str) -> None:
    """Four shards of ``--ngpu 4 --inference_nj 4`` once went to the first GPU."""
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *bin.evaluate*|*bin.check_start*) echo "$@" >>{tmp_path}/calls ;;\n'
        f'*) exec {sys.executable} "$@" ;; esac\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    env = {**os.environ, "XLSRT_PYTHON": str(python), "cmd_backend": "local"}
    env.pop("XLSRT_PYTHON_BIN", None)
    stages = ["--stage", "10", "--stop_stage", "10"]
    done = shell(RUN, "--workdir", str(tmp_path / "work"), *stages, *words, env=env)
    assert done.returncode == 0, done.stderr
    call = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()[-1].split()
    assert call[call.index("--ngpu") + 1] == gpus


def test_run_sh_names_a_wrong_variant_before_any_work(tmp_path: Path) -> None:
    done = shell(RUN, "--workdir", str(tmp_path), "--variants", "9z")
    assert done.returncode != 0
    assert "unknown variant '9z'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_run_sh_works_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link.sh"
    link.symlink_to(RUN)
    done = shell(link, "--workdir", str(tmp_path / "work"), "--stage", "5", "--stop_stage", "4")
    assert "stages are 1 to 13, in this order" in done.stderr


@pytest.mark.parametrize("folder", ["/opt/xlsrt", "/opt/my clone/xlsrt", "/opt/it's/a (new) ünï"])
def test_backends_are_found_in_any_folder(folder: str) -> None:
    script = f'root={shlex.quote(folder)}; . {ROOT}/cmd.sh; printf "%s|" "$train_cmd" "$decode_cmd"'
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    for backend in done.stdout.split("|")[:2]:
        assert shlex.split(f"{backend} --mem 4G") == [f"{folder}/utils/run.pl", "--mem", "4G"]
