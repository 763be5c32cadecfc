"""Make the sets of a corpus with its own script, unless it has been done; stage 1 of run.sh.

Everything after ``--`` goes to the script.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.processes import die_with_parent
from xlsrt.recipe.corpus import prepare
from xlsrt.recipe.languages import balances, languages_beside
from xlsrt.tree import overlay, read_tree


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="prepare_corpus", description=__doc__)
    parser.add_argument("--script", type=Path, required=True, help="local/data.sh of the corpus")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder of the sets")
    parser.add_argument(
        "--sets", nargs="+", required=True, help="those that the recipe wants, that for training first"
    )
    parser.add_argument("--nj", type=int, default=1, help="parallel jobs")
    parser.add_argument(
        "--written", type=Path, nargs="*", default=[], help="other folders that the recipe writes"
    )
    parser.add_argument("--train_config", nargs="*", default=[], help="of the trainings to come")
    parser.add_argument("options", nargs="*", help="-- options of the script")
    return parser


def main(cmd: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(cmd)
    die_with_parent(signal.SIGTERM)
    code = prepare(args.script, args.output_dir, args.sets, args.options, args.nj, args.written)
    if code == 0 and balances(overlay({}, *map(read_tree, args.train_config))):
        languages_beside(args.output_dir / args.sets[0] / "wav.scp")
    return code


if __name__ == "__main__":
    run_main(main)
