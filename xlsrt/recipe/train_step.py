"""A training as a step of the recipe: stages 5 to 9 of run.sh, the adaptation before them included."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from xlsrt.files import copy_file, write_text
from xlsrt.recipe.adapt import Adaptation
from xlsrt.recipe.launch import first_log, launch_command, remove_meeting_points
from xlsrt.recipe.record import add_record
from xlsrt.recipe.step import Step, run_step, say
from xlsrt.recipe.training import IDENTITY, MARKER, Plan, identity
from xlsrt.tree import write_tree

# Of ESPnet's log: where the training is, the figures of an epoch, and what went wrong.
ECHO = (
    r"(\d+(?:/\d+)?epoch):(train:\d+/\d+batch|train:\d+-\d+batch).*?(\bloss=[\d.e+]+).*?(remaining: .*)?$"
    r"|(\d+epoch results:) \[train\].*?(\bloss=[\d.e+]+).*?(\[valid\]).*?(\bloss=[\d.e+]+)"
    r"(?:.*?(\bter=[\d.]+))?(?:.*?(\bcer_ctc=[\d.]+))?"
    r"|The training was finished.*|WARNING.*|ERROR.*|error: .*|all \d+ tensors initialised.*"
)


def train(plan: Plan | Adaptation, data: Sequence[Path], backend: str, ngpu: int, num_nodes: int) -> int:
    """Train, unless it is done; ``data`` are the files that it reads. Returns the training's exit code.

    What is in its directory and was trained with other settings or data is moved aside.
    """
    exp_dir = plan.exp_dir
    training = [sys.executable, "-m", *plan.program, "--config", str(plan.config_file)]
    training += ["--output_dir", str(exp_dir), "--resume", "true"]
    log = exp_dir / "train.log"
    workers = int(plan.settings.get("num_workers", 1))  # of each rank; ESPnet's default
    step = Step(
        title=plan.title,
        kind="train",
        marker=exp_dir / MARKER,
        command=launch_command(training, backend, log, ngpu, num_nodes, sys.executable, exp_dir, workers),
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
    step.before = lambda: _prepare(plan, step.fingerprint(), training)
    return run_step(step)


def _prepare(plan: Plan | Adaptation, wanted: str, training: Sequence[str]) -> None:
    """Lay out the experiment's directory; ``wanted``: fingerprint of what its checkpoints are made from."""
    exp_dir = plan.exp_dir
    if plan.note:
        say(f"{plan.title}: {plan.note}")
    known = exp_dir / IDENTITY
    if exp_dir.exists() and not (known.is_file() and known.read_text(encoding="utf-8") == wanted):
        _move_aside(exp_dir)
    exp_dir.mkdir(parents=True, exist_ok=True)
    remove_meeting_points(exp_dir)
    write_text(known, wanted)  # half of it would move the experiment aside at the next start
    write_tree(
        plan.config_file, plan.settings, f"{plan.title}; made by run.sh. config.yaml has the defaults too"
    )
    if model := plan.settings.get("bpemodel"):
        # Stage 3 may train another in its place; what was trained with this one needs it.
        copy_file(Path(model), exp_dir / Path(model).name)
    add_record(exp_dir, plan.title, training)


def _move_aside(exp_dir: Path) -> None:
    """Checkpoints of other settings must not be continued, and may have cost a week: keep them elsewhere."""
    old = exp_dir.parent / "replaced" / f"{exp_dir.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    old.parent.mkdir(exist_ok=True)
    exp_dir.rename(old)
    say(f"{exp_dir} was trained with other settings or data: moved to {old}, delete it when you like")
