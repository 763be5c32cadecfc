from __future__ import annotations

import fcntl
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.waiting import wait_for
from xlsrt.recipe import evaluation
from xlsrt.recipe.decoding import Decoding
from xlsrt.recipe.evaluation import PARTLY, Shards, collect_step, decode, decode_step, score, score_step
from xlsrt.recipe.markers import write_marker
from xlsrt.recipe.stages import load_stages
from xlsrt.recipe.training import MARKER

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def plans(tmp_path: Path) -> list[Decoding]:
    """One set with one model: two searches in full attention, one stream."""
    exp, dump = tmp_path / "exp/asr_stage1", tmp_path / "dump/dev"
    for folder, name in ((exp, MARKER), (dump, "wav.scp")):
        folder.mkdir(parents=True)
        (folder / name).write_text("x\n", encoding="utf-8")
    variant = load_stages(str(ROOT / "conf/stages.yaml"))["1"]
    names = ("offline", "offline_beam4", "streaming_320ms")
    configs = [ROOT / f"conf/decode_{name}.yaml" for name in names]
    return [Decoding(variant, exp, "valid.ter.ave.pth", config, dump) for config in configs]


def test_shards_run_here_or_are_submitted_one_by_one(plans: list[Decoding]) -> None:
    out = plans[0].output_dir
    here = decode_step(plans[:1], Shards(4, 1, "utils/run.pl --mem 4G"))
    log = out / "logdir/asr_inference.log"
    assert list(here.command[:6]) == ["utils/run.pl", "--mem", "4G", "--gpu", "1", str(log)]
    assert list(here.command[-4:]) == ["--nj", "4", "--ngpu", "1"]
    assert here.follow == log
    queued = decode_step(plans[:1], Shards(4, 1, "utils/slurm.pl --mem 4G"))
    assert list(queued.command[-6:]) == ["--nj", "4", "--ngpu", "1", "--cmd", "utils/slurm.pl --mem 4G"]
    assert queued.follow is None
    assert here.fingerprint() == queued.fingerprint()


def test_what_shares_an_encoder_is_decoded_with_the_first(plans: list[Decoding], tmp_path: Path) -> None:
    backend = tmp_path / "run.pl"
    backend.write_text(
        f"""#!/usr/bin/env bash
echo "$@" >> {tmp_path}/started
while [ "$1" != --output_dir ]; do shift; done
touch "$2/text"
""",
        encoding="utf-8",
    )
    backend.chmod(0o755)

    def started(plans: list[Decoding]) -> list[str]:
        (tmp_path / "started").write_text("", encoding="utf-8")
        assert decode(plans, Shards(1, 0, str(backend))) == 0
        return (tmp_path / "started").read_text(encoding="utf-8").splitlines()

    first, second, third = started(plans)
    assert first.endswith(f"--also {plans[1].config} {plans[1].output_dir}")
    assert "--also" not in second and "--also" not in third
    assert started(plans) == []
    (plans[0].output_dir / "text").unlink()
    (again,) = started(plans)
    assert "--also" not in again, "the other is done"
    backend.write_text("#!/usr/bin/env bash\nexit 3\n", encoding="utf-8")
    other = [replace(plan, model_file="3epoch.pth") for plan in plans]
    assert decode(other, Shards(1, 0, str(backend))) == 3
    assert not other[2].output_dir.exists(), "the first failure ends it"


def test_the_sets_of_a_configuration_are_decoded_together(plans: list[Decoding], tmp_path, capfd) -> None:
    other = tmp_path / "dump/long"
    other.mkdir()
    (other / "wav.scp").write_text("x\n", encoding="utf-8")
    both = [replace(plan, data_dir=data) for plan in plans for data in (plan.data_dir, other)]
    backend = tmp_path / "run.pl"
    backend.write_text(
        f"""#!/usr/bin/env bash
echo "$@" >> {tmp_path}/started
while [ $# -gt 0 ]; do
  if [[ $1 == {tmp_path}/exp/*/decode_* && $1 != *.log ]]; then mkdir -p "$1"; touch "$1/text"; fi
  shift
done
""",
        encoding="utf-8",
    )
    backend.chmod(0o755)
    assert decode(both, Shards(1, 0, str(backend))) == 0
    first, second = (tmp_path / "started").read_text(encoding="utf-8").splitlines()
    assert (
        f"--data_dir {plans[0].data_dir} {other} --output_dir {both[0].output_dir} {both[1].output_dir}"
        in first
    )
    assert first.endswith(f"--also {plans[1].config} {both[2].output_dir} {both[3].output_dir}")
    assert f"--data_dir {plans[2].data_dir} {other} --output_dir" in second and "--also" not in second
    assert all(decode_step([plan], Shards(1, 0, str(backend))).is_done() for plan in both)
    said = capfd.readouterr().out
    assert said.count("finished in") == 2 and said.count("finished along with it") == 4
    assert "done already" not in said


def test_what_another_run_decodes_meanwhile_leaves_the_rest_to_do(plans: list[Decoding], tmp_path) -> None:
    """A run that waits for another finds its first set decoded, and nothing was decoded along with that."""
    backend = tmp_path / "run.pl"
    backend.write_text(
        '#!/usr/bin/env bash\nwhile [ "$1" != --output_dir ]; do shift; done\ntouch "$2/text"\n',
        encoding="utf-8",
    )
    backend.chmod(0o755)
    shards = Shards(1, 0, str(backend))
    first = decode_step(plans[:1], shards)
    first.marker.parent.mkdir(parents=True)
    with open(f"{first.marker}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def finish() -> None:
            wait_for(lambda: (plans[1].output_dir / ".decoded.lock").exists())
            Path(first.outputs[0]).touch()
            write_marker(first.marker, {"fingerprint": first.fingerprint()})
            fcntl.flock(lock, fcntl.LOCK_UN)

        other = threading.Thread(target=finish)
        other.start()
        assert decode(plans[:2], shards) == 0
        other.join()
    assert all(decode_step([plan], shards).is_done() for plan in plans[:2])


def test_one_bad_set_does_not_keep_the_good_ones_from_being_done(plans: list[Decoding], tmp_path) -> None:
    bad = tmp_path / "dump/bad"
    bad.mkdir()
    (bad / "wav.scp").write_text("x\n", encoding="utf-8")
    backend = tmp_path / "run.pl"
    text = f"""#!/usr/bin/env bash
for w; do
  [ "$w" != {bad} ] || exit 4
  [[ $w != */dev || $w == {tmp_path}/dump/* ]] || touch "$w/text"
done
"""
    backend.write_text(text, encoding="utf-8")
    backend.chmod(0o755)
    both = [replace(plans[2], data_dir=data) for data in (plans[2].data_dir, bad)]
    shards = Shards(1, 0, str(backend))
    assert decode(both, shards) == 4
    assert [decode_step([plan], shards).is_done() for plan in both] == [True, False]


def test_scores_depend_on_words_and_their_times(plans: list[Decoding], tmp_path: Path) -> None:
    plan = plans[0]
    names = [".decoded", "text"]
    wanted = [str(plan.output_dir / name) for name in names] + [str(plan.data_dir / "text")]
    assert score_step(plan).inputs == wanted and "--bpemodel" not in score_step(plan).command
    (plan.data_dir / "word_times.ctm").touch()
    step = score_step(plan, tmp_path / "bpe.model")
    assert step.inputs == [*wanted, str(plan.data_dir / "word_times.ctm")]
    assert list(step.command[-2:]) == ["--bpemodel", str(tmp_path / "bpe.model")]


def test_results_are_collected_where_a_figure_is_new(plans: list[Decoding], tmp_path, monkeypatch) -> None:
    (folder := plans[0].output_dir).mkdir(parents=True)
    (folder / "latency.json").write_text("{}", encoding="utf-8")
    step = collect_step(tmp_path / "exp")
    assert step.inputs == [str(folder / "latency.json")]
    before = step.fingerprint()
    monkeypatch.setenv("XLSRT_COMMAND", "./run.sh --stage 11")
    assert collect_step(tmp_path / "exp").command[-1] == "./run.sh --stage 11"
    assert collect_step(tmp_path / "exp").fingerprint() == before
    (folder / "latency.json").write_text("[]", encoding="utf-8")
    assert collect_step(tmp_path / "exp").fingerprint() != before


def hypotheses(plans: list[Decoding], *texts: str) -> None:
    (plans[0].data_dir / "text").write_text("u1 a b\nu2 c\n", encoding="utf-8")
    for plan, text in zip(plans, texts, strict=True):
        plan.output_dir.mkdir(parents=True, exist_ok=True)
        (plan.output_dir / ".decoded").write_text("{}", encoding="utf-8")
        (plan.output_dir / "text").write_text(text, encoding="utf-8")


def test_a_set_that_cannot_be_scored_leaves_the_rest(plans: list[Decoding], tmp_path, capfd) -> None:
    expdir = tmp_path / "exp"
    hypotheses(plans, "u1 a b\nu2 c\n", "u1 a b\nu2 c\n", "u1 a x\nu2 c\n")
    assert score(plans, expdir) == 0
    capfd.readouterr()
    # One hypothesis is missing, of another decoding nothing is left.
    hypotheses(plans, "u1 a b\n", "u1 a b\nu2 c\n", "u1 x x\nu2 c\n")
    (plans[1].output_dir / "text").unlink()
    assert score(plans, expdir) == PARTLY
    shown, said = capfd.readouterr()
    assert "1 of 2 utterances are missing (u2)" in said
    assert "2 of 3 decoded sets could not be scored" in said.rpartition("error: ")[2]
    for plan in plans[:2]:
        assert str(plan.output_dir / "text") in said.rpartition("error: ")[2]
        assert not list(plan.output_dir.glob("*/score.json")), "figures of earlier hypotheses"
    table = shown.partition("dataset ")[2]
    assert "decode_streaming_320ms" in table and "decode_offline" not in table and " 66.7 " in table
    results = (expdir / "RESULTS.md").read_text(encoding="utf-8")
    assert "|66.7|" in results and "decode_offline" not in results
    # Mended, it is whole again.
    hypotheses(plans, "u1 a b\nu2 c\n", "u1 a b\nu2 c\n", "u1 x x\nu2 c\n")
    assert score(plans, expdir) == 0
    shown, _ = capfd.readouterr()
    assert "decode_offline_beam4" in shown and f"{plans[2].title}: done already" in shown


def test_scoring_that_is_ended_from_outside_ends(plans: list[Decoding], tmp_path, monkeypatch) -> None:
    begun = []
    monkeypatch.setattr(evaluation, "run_step", lambda step: begun.append(step.title) or -15)
    hypotheses(plans, "u1 a\n", "u1 a\n", "u1 a\n")
    assert score(plans, tmp_path / "exp") == -15 and len(begun) == 1


def test_no_scores_at_all_are_said(plans: list[Decoding], tmp_path, capfd) -> None:
    hypotheses(plans, "u1 a\n", "u1 a\n", "u1 a\n")
    assert score(plans[:1], tmp_path / "exp") == PARTLY
    assert "1 of 1 decoded sets could not be scored" in capfd.readouterr().err
