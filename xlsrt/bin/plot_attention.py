"""Draw who sees whom in attention contexts, their connection density and what their caches keep."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import run_main
from xlsrt.errors import UserError


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.plot_attention", description=__doc__)
    parser.add_argument(
        "--output_dir", type=Path, required=True, help="receives patterns and density pictures"
    )
    parser.add_argument(
        "--context",
        action="append",
        metavar="CHUNK,LEFT,SINKS",
        help="full, or ms, ms or all, frames, such as 640,1280,16; may be given many times "
        "(default: the training stages' contexts)",
    )
    parser.add_argument("--seconds", type=float, default=3.2, help="length of audio in the patterns")
    parser.add_argument("--format", choices=["png", "svg", "pdf"], default="png", help="of the pictures")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from xlsrt.report import figures, patterns

    frames = round(args.seconds * 50)
    if frames < 1:
        raise UserError(f"--seconds {args.seconds}: a picture needs one frame (0.02 s) at least")
    contexts = [patterns.parse_context(text) for text in args.context or []] or patterns.stage_contexts()
    for name, figure in (
        ("patterns", figures.pattern_figure(contexts, frames)),
        ("density", figures.density_figure(contexts)),
    ):
        path = args.output_dir / f"{name}.{args.format}"
        figures.save(figure, path)
        print(path)


if __name__ == "__main__":
    run_main(main)
