"""Decoding and scoring as steps of the recipe: stages 10 and 11 of run.sh, a step for each set."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xlsrt.ctm import WORD_TIMES
from xlsrt.errors import UserError
from xlsrt.recipe.decoding import Decoding, config_files, give_ngrams, share_encoder
from xlsrt.recipe.launch import is_queue
from xlsrt.recipe.step import Step, run_step, say
from xlsrt.recipe.training import MARKER
from xlsrt.recipe.word_times import Aligning, find_times, was_ended
from xlsrt.report.latency import was_streamed
from xlsrt.report.results import summary_text
from xlsrt.report.score_json import find_results, forget_scores, model_dirs

PARTLY = 3
"""Exit code of scoring that left sets out: run.sh goes on to the report and ends with it."""


@dataclass(frozen=True)
class Shards:
    """Into what a set is cut to be decoded, and where that runs.

    Attributes:
        number: shards of a set, side by side.
        ngpu: GPUs that they share; 0: CPU.
        backend: command of the cluster backend.
    """

    number: int
    ngpu: int
    backend: str


def decode(plans: Sequence[Decoding], shards: Shards, ngram_dir: Path | None = None) -> int:
    """Decode what is not decoded yet; returns the exit code of the first step that fails, or 0.

    ngram_dir: n-gram models of tokens, for configurations with ``lm: ngram``.
    """
    if ngram_dir is not None:
        give_ngrams(ngram_dir, plans)
    done_along: list[Decoding] = []
    failed_together: list[Decoding] = []
    for at, plan in enumerate(plans):
        alone = decode_step([plan], shards, ngram_dir)
        # Where another run has decoded the first meanwhile, nothing was decoded along with it.
        if plan in done_along and alone.is_done():
            continue
        along: list[Decoding] = []
        if not alone.is_done() and plan not in failed_together:
            later = [other for other in plans[at + 1 :] if other.exp_dir == plan.exp_dir]
            later = [other for other in later if not decode_step([other], shards, ngram_dir).is_done()]
            step, along = _together(plan, later, shards, ngram_dir)
        code = run_step(step if along else alone)
        if along and not code:
            done_along += along
        elif along and not was_ended(code):
            # Another set or search may be what is wrong.
            say(f"{alone.title}: once more, alone")
            failed_together += along
            code = run_step(alone)
        if code:
            return code
    return 0


def _together(
    plan: Decoding, later: Sequence[Decoding], shards: Shards, ngram_dir: Path | None
) -> tuple[Step, list[Decoding]]:
    """The step that decodes what it can of ``later`` along with a plan, and what that is: the plan's other
    sets, and the searches that share the encoder's work, on all these sets.
    """
    sets = [plan, *(other for other in later if plan.same_but_set(other))]
    beside = [other for other in later if share_encoder(plan, other)]
    wanted = [replace(way, data_dir=one.data_dir) for way in (plan, *beside) for one in sets]
    along = [other for other in later if other in wanted]
    step = decode_step(sets, shards, ngram_dir, beside)
    step.covers = [decode_step([other], shards, ngram_dir) for other in along]
    return step, along


def decode_step(
    plans: Sequence[Decoding], shards: Shards, ngram_dir: Path | None = None, beside: Sequence[Decoding] = ()
) -> Step:
    """Decoding of a set, the first plan's.

    The others are further sets of its model and configuration, decoded in the same processes; ``beside`` is
    what shares the encoder's work on the first set, and then on all.
    """
    plan, out = plans[0], plans[0].output_dir
    log = out / "logdir" / "asr_inference.log"
    command = [sys.executable, "-m", "xlsrt.bin.asr_decode", "--exp_dir", str(plan.exp_dir)]
    command += ["--model_file", plan.model_file, "--decode_config", str(plan.config)]
    command += ["--data_dir", *(str(one.data_dir) for one in plans)]
    command += ["--output_dir", *(str(one.output_dir) for one in plans)]
    command += ["--nj", str(shards.number), "--ngpu", str(shards.ngpu)]
    for other in beside:
        folders = (replace(other, data_dir=one.data_dir).output_dir for one in plans)
        command += ["--also", str(other.config), *map(str, folders)]
    follow = None
    if is_queue(shards.backend):
        # The command submits each shard by itself.
        command += ["--cmd", shards.backend]
    else:
        command = [*shlex.split(shards.backend), "--gpu", str(shards.ngpu), str(log), *command]
        follow = log
    return Step(
        title=f"run.sh stage 10: {plan.title}",
        kind="decode",
        marker=out / ".decoded",
        command=command,
        # The decoding configuration's place in the file system does not matter, its content does.
        identity=[plan.model_file],
        inputs=[
            str(plan.exp_dir / MARKER),
            str(plan.config),
            str(plan.data_dir / "wav.scp"),
            *config_files(plan.config, ngram_dir),
        ],
        outputs=[str(out / "text")],
        log=out / "logdir" / "launch.log",
        follow=follow,
        echo="WARNING|ERROR|error:",
    )


def score(
    plans: Sequence[Decoding], expdir: Path, bpemodel: Path | None = None, aligning: Aligning | None = None
) -> int:
    """Score what is decoded and print the table of all experiments in ``expdir``.

    A set that cannot be scored is named and left out, and the rest is made. Returns `PARTLY` then, the exit
    code of a step that was ended from outside at once, and else 0.

    bpemodel: SentencePiece model, to score tokens. aligning: finds the word times of streamed sets that have
        none, for their delays.
    """
    times: dict[Path, Path] = {}
    if aligning is not None:
        streamed = [plan.data_dir for plan in plans if was_streamed(plan.output_dir)]
        code, times = find_times(aligning, dict.fromkeys(streamed))
        if code:
            return code
    failed = []
    for plan in plans:
        try:
            code = run_step(score_step(plan, bpemodel, times.get(plan.data_dir)))
        except UserError as error:
            print(f"error: run.sh stage 11: {plan.title}: {error}", file=sys.stderr)
            forget_scores(plan.output_dir)
            code = PARTLY
        if was_ended(code):
            return code
        if code:
            failed.append(plan)
    collect = collect_step(expdir)
    code = run_step(collect) if collect.inputs else 0
    if collect.inputs and not code:
        print("\n" + summary_text(result for model in model_dirs(expdir) for result in find_results(model)))
    if was_ended(code) or not failed:
        return code
    sets = "".join(f"\n  {plan.title}: {plan.output_dir / 'text'}" for plan in failed)
    sys.stdout.flush()  # what went wrong comes last, wherever the two go
    print(
        f"error: {len(failed)} of {len(plans)} decoded sets could not be scored and are left out of tables "
        f"and report; mend what is said of each above and run stage 11 again:{sets}",
        file=sys.stderr,
    )
    return PARTLY


def score_step(plan: Decoding, bpemodel: Path | None = None, aligned: Path | None = None) -> Step:
    """Scoring of one set. aligned: when its words were said, where it does not know that itself."""
    out, data = plan.output_dir, plan.data_dir
    command = [sys.executable, "-m", "xlsrt.bin.score", "--ref", str(data / "text")]
    command += ["--hyp", str(out / "text"), "--score_dir", str(out)]
    command += ["--bpemodel", str(bpemodel)] if bpemodel else []
    command += ["--word_times", str(aligned)] if aligned else []
    beside = [path for path in (data / "utt2spk", aligned or data / WORD_TIMES) if path.is_file()]
    metrics = ["wer", "cer", "ter"] if bpemodel else ["wer", "cer"]
    return Step(
        title=f"run.sh stage 11: {plan.title}",
        kind="score",
        marker=out / ".scored",
        command=command,
        inputs=[str(out / ".decoded"), str(out / "text"), str(data / "text"), *map(str, beside)],
        outputs=[str(out / f"score_{metric}" / "score.json") for metric in metrics],
        # Where scoring fails, figures of earlier hypotheses must not stand in the tables.
        before=lambda: forget_scores(out),
    )


def collect_step(expdir: Path) -> Step:
    """RESULTS.md of every experiment where a score is new."""
    figures = [*expdir.glob("*/*/*/score_*/score.json"), *expdir.glob("*/*/*/latency.json")]
    command = [sys.executable, "-m", "xlsrt.bin.score", "--expdir", str(expdir), "--quiet"]
    return Step(
        title="run.sh stage 11: RESULTS.md",
        kind="score",
        marker=expdir / ".collected",
        command=[*command, "--command", os.environ.get("XLSRT_COMMAND", "")],
        # The command that is noted in the file is none of its figures.
        identity=["results", "parts"],
        inputs=sorted(map(str, figures)),
        outputs=[str(expdir / "RESULTS.md")],
    )
