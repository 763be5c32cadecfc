"""Print the variants that ``--variants`` means, a name a line; with --run_stage those of one stage."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from xlsrt.bin import run_main
from xlsrt.recipe.stages import load_stages


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="list_variants", description=__doc__)
    parser.add_argument(
        "--stages_config", nargs="+", required=True, help="stage table; later files over earlier ones"
    )
    parser.add_argument("--variants", default="default", help="default, all or names")
    parser.add_argument("--run_stage", type=int, help="stage of run.sh, 5 to 9")
    parser.add_argument(
        "--to_pack", action="store_true", help="only the one that run.sh packs: the last, default rows first"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(cmd)
    table = load_stages(*args.stages_config)
    variants = table.select(args.variants, args.run_stage)
    if args.to_pack:
        # The last row of all may be a control of a comparison.
        variants = ([variant for variant in variants if variant.default] or variants)[-1:]
    for variant in variants:
        print(variant.name)
    return 0


if __name__ == "__main__":
    run_main(main)
