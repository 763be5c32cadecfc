"""When the words of decoded sets were said, by forced alignment, where their corpus does not know it.

The model is that of training stage 1, whose full attention says it best. What it finds lies in its
experiment: a set's own directory is the user's.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xlsrt.ctm import WORD_TIMES
from xlsrt.errors import UserError
from xlsrt.recipe.stages import StageTable
from xlsrt.recipe.step import Step, run_step, say
from xlsrt.recipe.training import MARKER, experiment
from xlsrt.tree import read_tree

FIRST_STAGE = 1
TITLE = "run.sh stage 11: times of words in"


@dataclass(frozen=True)
class Aligning:
    """What aligns sets and where it runs.

    Attributes:
        exp_dir: experiment of training stage 1; None where there is none.
        ngpu: GPUs that may be used; 0: CPU.
        backend: command of the cluster backend.
    """

    exp_dir: Path | None
    ngpu: int
    backend: str

    def why_not(self) -> str:
        """What keeps it from aligning anything; empty where nothing does."""
        if self.exp_dir is None or not (self.exp_dir / MARKER).is_file():
            return "training stage 1, whose model would find them, is not trained"
        try:
            weight = (read_tree(self.exp_dir / "config.yaml").get("model_conf") or {}).get("ctc_weight")
        except UserError as error:
            return str(error)
        # What says nothing has the model's default, which is more.
        return f"{self.exp_dir} has no CTC head (model_conf.ctc_weight is 0)" if weight == 0 else ""


def first_stage(table: StageTable, prefix: str | Path) -> Path | None:
    """The experiment of the first variant of training stage 1 that is trained to its end."""
    exps = (experiment(prefix, v.name) for v in table.variants.values() if v.stage == FIRST_STAGE)
    return next((exp for exp in exps if (exp / MARKER).is_file()), None)


def aligned_times(exp_dir: Path, data_dir: Path) -> Path:
    """``<exp_dir>/word_times/<set>/word_times.ctm``."""
    return exp_dir / "word_times" / data_dir.name / WORD_TIMES


def align_step(aligning: Aligning, exp_dir: Path, data_dir: Path) -> Step:
    """Forced alignment of one set."""
    times = aligned_times(exp_dir, data_dir)
    log = times.parent / "align.log"
    command = [sys.executable, "-m", "xlsrt.bin.align", "--model", str(exp_dir), "--data_dir", str(data_dir)]
    command += ["--output", str(times), "--device", "cuda" if aligning.ngpu else "cpu"]
    gpus = str(min(1, aligning.ngpu))
    return Step(
        title=f"{TITLE} {data_dir.name} by forced alignment",
        kind="score",
        marker=times.parent / ".aligned",
        command=[*shlex.split(aligning.backend), "--gpu", gpus, str(log), *command],
        # Where it ran is no part of what it found.
        identity=["align"],
        inputs=[str(exp_dir / MARKER), str(data_dir / "wav.scp"), str(data_dir / "text")],
        outputs=[str(times)],
        log=times.parent / "launch.log",
        follow=log,
        echo=r"(\d+ words of \d+ utterances.*)",
    )


def find_times(aligning: Aligning, data_dirs: Iterable[Path]) -> tuple[int, dict[Path, Path]]:
    """Align the sets that have no word times of their own. What cannot be is said; scores do without.

    Returns:
        The exit code of a step that was ended from outside, else 0; by set, the file that was found.
    """
    found: dict[Path, Path] = {}
    for data_dir in data_dirs:
        if (data_dir / WORD_TIMES).is_file():
            continue
        reason = aligning.why_not()
        if not reason and aligning.exp_dir is not None:
            try:
                code = run_step(align_step(aligning, aligning.exp_dir, data_dir))
            except UserError as error:
                code, reason = 2, str(error)
            if was_ended(code):
                return code, found
            if not code:
                found[data_dir] = aligned_times(aligning.exp_dir, data_dir)
                continue
        why = reason or "they could not be aligned, see above"
        say(f"{TITLE} {data_dir.name}: none, so no delays of words: {why}")
    return 0, found


def was_ended(code: int) -> bool:
    """Whether an exit code says that a signal ended the command: whoever sent it wants the rest ended too."""
    return code < 0 or code > 128
