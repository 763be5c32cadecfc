"""Decode or score every model with every configuration meant for it; used by stages 10 and 11 of run.sh."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.data.arguments import yes_or_no
from xlsrt.recipe.decoding import (
    Decoding,
    config_files,
    find_configs,
    give_ngrams,
    plan_decoding,
    share_encoder,
)
from xlsrt.recipe.launch import is_queue
from xlsrt.recipe.stages import load_stages
from xlsrt.recipe.step import Step, die_with_parent, run_step
from xlsrt.recipe.training import MARKER
from xlsrt.report.results import find_results, model_dirs, summary_text
from xlsrt.report.scoring import WORD_TIMES


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="evaluate", description=__doc__)
    parser.add_argument("task", choices=["decode", "score"], help="what to do")
    parser.add_argument(
        "--stages_config", nargs="+", required=True, help="stage table; later files over earlier ones"
    )
    parser.add_argument("--variants", default="default", help="rows of the table")
    parser.add_argument("--expdir", type=Path, required=True, help="folder of all experiments")
    parser.add_argument("--asr_exp", required=True, help="experiments without their suffix _stage<variant>")
    parser.add_argument("--model_file", default="ave", help="best, ave or a file name")
    parser.add_argument("--decode_configs", required=True, help="files or patterns")
    parser.add_argument(
        "--config_folders", nargs="+", type=Path, default=[Path()], help="where they are looked up"
    )
    parser.add_argument(
        "--all_contexts", type=yes_or_no, default=False, help="also contexts that a model never saw"
    )
    parser.add_argument("--dumpdir", type=Path, required=True, help="formatted sets, such as dump/raw")
    parser.add_argument("--test_sets", required=True, help="names in it")
    parser.add_argument("--bpemodel", type=Path, help="SentencePiece model, to score tokens")
    parser.add_argument(
        "--ngram_dir", type=Path, help="n-gram models of tokens, for configurations with lm: ngram"
    )
    parser.add_argument("--nj", type=int, default=1, help="parallel shards of a set")
    parser.add_argument("--ngpu", type=int, default=0, help="GPUs that they share; 0: CPU")
    parser.add_argument("--cmd", default="utils/run.pl", help="cluster backend")
    return parser


def main(cmd: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(cmd)
    die_with_parent(signal.SIGTERM)
    plans = plan_decoding(
        load_stages(*args.stages_config),
        args.variants,
        args.asr_exp,
        find_configs(args.decode_configs, args.config_folders),
        [args.dumpdir / name for name in args.test_sets.replace(",", " ").split()],
        args.model_file,
        args.all_contexts,
        args.ngram_dir is not None,
    )
    if args.task == "decode" and args.ngram_dir is not None:
        give_ngrams(args.ngram_dir, plans)
    for at, plan in enumerate(plans):
        step = decode_step(plan, args) if args.task == "decode" else score_step(plan, args)
        if args.task == "decode" and not step.is_done():
            beside = [other for other in plans[at + 1 :] if share_encoder(plan, other)]
            step = decode_step(plan, args, [one for one in beside if not decode_step(one, args).is_done()])
        if code := run_step(step):
            return code
    return 0 if args.task == "decode" else collect(args.expdir)


def decode_step(plan: Decoding, args: argparse.Namespace, beside: Sequence[Decoding] = ()) -> Step:
    """Decoding of one set. beside: what shares the encoder's work; their own steps then find it done."""
    out = plan.output_dir
    log = out / "logdir" / "asr_inference.log"
    job = [sys.executable, "-m", "xlsrt.bin.asr_decode", "--exp_dir", str(plan.exp_dir)]
    job += ["--model_file", plan.model_file, "--decode_config", str(plan.config)]
    job += ["--data_dir", str(plan.data_dir), "--output_dir", str(out)]
    job += ["--nj", str(args.nj), "--ngpu", str(args.ngpu)]
    for other in beside:
        job += ["--also", str(other.config), str(other.output_dir)]
    if is_queue(args.cmd):
        # Each shard is a job of its own.
        command, follow = [*job, "--cmd", args.cmd], None
    else:
        command, follow = [*shlex.split(args.cmd), "--gpu", str(args.ngpu), str(log), *job], log
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
            *config_files(plan.config, args.ngram_dir),
        ],
        outputs=[str(out / "text")],
        log=out / "logdir" / "launch.log",
        follow=follow,
        echo="WARNING|ERROR|error:",
    )


def score_step(plan: Decoding, args: argparse.Namespace) -> Step:
    """Scoring of one set."""
    out = plan.output_dir
    job = [sys.executable, "-m", "xlsrt.bin.score", "--ref", str(plan.data_dir / "text")]
    job += ["--hyp", str(out / "text"), "--score_dir", str(out)]
    times = [str(path) for path in [plan.data_dir / WORD_TIMES] if path.is_file()]
    job += ["--bpemodel", str(args.bpemodel)] if args.bpemodel else []
    return Step(
        title=f"run.sh stage 11: {plan.title}",
        kind="score",
        marker=out / ".scored",
        command=job,
        inputs=[str(out / ".decoded"), str(out / "text"), str(plan.data_dir / "text"), *times],
        outputs=[str(out / "score_wer" / "score.json")],
    )


def collect(expdir: Path) -> int:
    """Write RESULTS.md of every experiment where a score is new, and print the table of them all."""
    figures = [*expdir.glob("*/*/*/score_*/score.json"), *expdir.glob("*/*/*/latency.json")]
    job = [sys.executable, "-m", "xlsrt.bin.score", "--expdir", str(expdir), "--quiet"]
    step = Step(
        title="run.sh stage 11: RESULTS.md",
        kind="score",
        marker=expdir / ".collected",
        command=[*job, "--command", os.environ.get("XLSRT_COMMAND", "")],
        # The command that is noted in the file is none of its figures.
        identity=["results"],
        inputs=sorted(map(str, figures)),
        outputs=[str(expdir / "RESULTS.md")],
    )
    if code := run_step(step):
        return code
    print("\n" + summary_text(result for model in model_dirs(expdir) for result in find_results(model)))
    return 0


if __name__ == "__main__":
    run_main(main)
