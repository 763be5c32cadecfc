"""Decoding and scoring as steps of the recipe: stages 10 and 11 of run.sh, a step for each set."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xlsrt.ctm import WORD_TIMES
from xlsrt.recipe.decoding import Decoding, config_files, give_ngrams, share_encoder
from xlsrt.recipe.launch import is_queue
from xlsrt.recipe.step import Step, run_step
from xlsrt.recipe.training import MARKER
from xlsrt.report.results import find_results, model_dirs, summary_text


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
    for at, plan in enumerate(plans):
        step = decode_step(plan, shards, ngram_dir)
        if not step.is_done():
            beside = [other for other in plans[at + 1 :] if share_encoder(plan, other)]
            beside = [other for other in beside if not decode_step(other, shards, ngram_dir).is_done()]
            step = decode_step(plan, shards, ngram_dir, beside)
        if code := run_step(step):
            return code
    return 0


def decode_step(
    plan: Decoding, shards: Shards, ngram_dir: Path | None = None, beside: Sequence[Decoding] = ()
) -> Step:
    """Decoding of one set. beside: what shares the encoder's work; their own steps then find it done."""
    out = plan.output_dir
    log = out / "logdir" / "asr_inference.log"
    command = [sys.executable, "-m", "xlsrt.bin.asr_decode", "--exp_dir", str(plan.exp_dir)]
    command += ["--model_file", plan.model_file, "--decode_config", str(plan.config)]
    command += ["--data_dir", str(plan.data_dir), "--output_dir", str(out)]
    command += ["--nj", str(shards.number), "--ngpu", str(shards.ngpu)]
    for other in beside:
        command += ["--also", str(other.config), str(other.output_dir)]
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


def score(plans: Sequence[Decoding], expdir: Path, bpemodel: Path | None = None) -> int:
    """Score what is decoded and print the table of all experiments in ``expdir``; returns as `decode` does.

    bpemodel: SentencePiece model, to score tokens.
    """
    for plan in plans:
        if code := run_step(score_step(plan, bpemodel)):
            return code
    if code := run_step(collect_step(expdir)):
        return code
    print("\n" + summary_text(result for model in model_dirs(expdir) for result in find_results(model)))
    return 0


def score_step(plan: Decoding, bpemodel: Path | None = None) -> Step:
    """Scoring of one set."""
    out = plan.output_dir
    command = [sys.executable, "-m", "xlsrt.bin.score", "--ref", str(plan.data_dir / "text")]
    command += ["--hyp", str(out / "text"), "--score_dir", str(out)]
    command += ["--bpemodel", str(bpemodel)] if bpemodel else []
    times = [str(path) for path in [plan.data_dir / WORD_TIMES] if path.is_file()]
    return Step(
        title=f"run.sh stage 11: {plan.title}",
        kind="score",
        marker=out / ".scored",
        command=command,
        inputs=[str(out / ".decoded"), str(out / "text"), str(plan.data_dir / "text"), *times],
        outputs=[str(out / "score_wer" / "score.json")],
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
        identity=["results"],
        inputs=sorted(map(str, figures)),
        outputs=[str(expdir / "RESULTS.md")],
    )
