"""Train one variant of the stage table, unless it is done; used by stages 5 to 9 of run.sh."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.files import copy_file
from xlsrt.recipe.adapt import Adaptation
from xlsrt.recipe.launch import first_log, launch_command, remove_meeting_points
from xlsrt.recipe.record import add_record
from xlsrt.recipe.stages import load_stages
from xlsrt.recipe.step import Step, die_with_parent, run_step, say
from xlsrt.recipe.training import IDENTITY, MARKER, Corpus, Plan, identity, make_plan
from xlsrt.tree import write_tree

# Of ESPnet's log: where the training is, the figures of an epoch, and what went wrong.
ECHO = (
    r"(\d+(?:/\d+)?epoch):(train:\d+/\d+batch|train:\d+-\d+batch).*?(\bloss=[\d.e+]+).*?(remaining: .*)?$"
    r"|(\d+epoch results:) \[train\].*?(\bloss=[\d.e+]+).*?(\[valid\]).*?(\bloss=[\d.e+]+)"
    r"(?:.*?(\bter=[\d.]+))?(?:.*?(\bcer_ctc=[\d.]+))?"
    r"|The training was finished.*|WARNING.*|ERROR.*|error: .*|all \d+ tensors initialised.*"
)


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train_stage", description=__doc__)
    parser.add_argument("--variant", required=True, help="row of the stage table, such as 2b")
    parser.add_argument(
        "--stages_config", nargs="+", required=True, help="stage table; later files over earlier ones"
    )
    parser.add_argument(
        "--train_config", nargs="+", required=True, help="training configuration, the same way"
    )
    parser.add_argument("--last_config", nargs="*", default=[], help="laid over everything else")
    parser.add_argument("--asr_exp", required=True, help="experiment without its suffix _stage<variant>")
    parser.add_argument(
        "--pretrained", help="encoder of the first stage; empty: as --train_config says; none: random"
    )
    parser.add_argument("--train_dump", type=Path, required=True, help="formatted training set")
    parser.add_argument("--valid_dump", type=Path, required=True, help="formatted validation set")
    parser.add_argument("--stats_dir", type=Path, required=True, help="shapes of both")
    parser.add_argument("--token_type", choices=["bpe", "char"], required=True, help="kind of token")
    parser.add_argument("--token_list", type=Path, required=True, help="file with a token a line")
    parser.add_argument("--bpemodel", type=Path, help="SentencePiece model")
    parser.add_argument("--num_splits", type=int, default=1, help="parts of the training set, see stage 4")
    parser.add_argument("--ngpu", type=int, default=0, help="GPUs of a node; 0: CPU")
    parser.add_argument(
        "--num_nodes",
        type=int,
        default=1,
        help="nodes; without GPU: CPU ranks, on one machine except with slurm and ssh",
    )
    parser.add_argument("--cmd", default="utils/run.pl", help="cluster backend")
    parser.add_argument("--seed", type=int, help="seed of training")
    return parser


def main(cmd: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(cmd)
    die_with_parent(signal.SIGTERM)
    corpus = Corpus(
        args.train_dump,
        args.valid_dump,
        args.stats_dir,
        args.token_type,
        args.token_list,
        args.bpemodel,
        args.num_splits,
    )
    plan = make_plan(
        load_stages(*args.stages_config),
        args.variant,
        args.asr_exp,
        args.train_config,
        corpus,
        args.pretrained,
        args.last_config,
        args.seed,
    )
    data = corpus.inputs()
    if float(plan.settings.get("language_balance", 1)) < 1:
        data.append(corpus.train_dump / "utt2lang")
    return train(plan, data, args.cmd, args.ngpu, args.num_nodes)


def train(plan: Plan | Adaptation, data: Sequence[Path], backend: str, ngpu: int, num_nodes: int) -> int:
    """Run a training as a step of the recipe; ``data`` are the files that it reads."""
    exp_dir = plan.exp_dir
    python = sys.executable
    training = [python, "-m", *plan.program, "--config", str(plan.config_file)]
    training += ["--output_dir", str(exp_dir), "--resume", "true"]
    log = exp_dir / "train.log"
    step = Step(
        title=plan.title,
        kind="train",
        marker=exp_dir / MARKER,
        command=launch_command(training, backend, log, ngpu, num_nodes, python, exp_dir),
        inputs=[
            *map(str, data),
            *plan.pretrained_files,
            *([str(plan.start / MARKER)] if plan.start else []),
        ],
        outputs=plan.outputs,
        log=exp_dir / "launch.log",
        follow=first_log(log, backend, num_nodes),
        echo=ECHO,
        identity=[identity(plan.settings)],
        lock=exp_dir.with_name(f".{exp_dir.name}.lock"),
    )

    def prepare() -> None:
        wanted = step.fingerprint()
        known = exp_dir / IDENTITY
        if exp_dir.exists() and not (known.is_file() and known.read_text(encoding="utf-8") == wanted):
            _move_aside(exp_dir)
        exp_dir.mkdir(parents=True, exist_ok=True)
        remove_meeting_points(exp_dir)
        known.write_text(wanted, encoding="utf-8")
        write_tree(
            plan.config_file,
            plan.settings,
            f"{plan.title}; made by run.sh. config.yaml has the defaults too",
        )
        if model := plan.settings.get("bpemodel"):
            # Stage 3 may train another in its place; what was trained with this one needs it.
            copy_file(Path(model), exp_dir / Path(model).name)
        add_record(exp_dir, plan.title, training)

    step.before = prepare
    return run_step(step)


def _move_aside(exp_dir: Path) -> None:
    """Checkpoints of other settings must not be continued, and may have cost a week: keep them elsewhere."""
    old = exp_dir.parent / "replaced" / f"{exp_dir.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    old.parent.mkdir(exist_ok=True)
    exp_dir.rename(old)
    say(f"{exp_dir} was trained with other settings or data: moved to {old}, delete it when you like")


if __name__ == "__main__":
    run_main(main)
