"""Pack a trained model into a folder (or zip) that loads without ESPnet and runs no code of its own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from xlsrt.bin import make_room, run_main


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlsrt.bin.pack", description=__doc__)
    parser.add_argument(
        "--exp_dir", "--model", type=Path, required=True, help="experiment with config.yaml and checkpoints"
    )
    parser.add_argument(
        "--output_dir", type=Path, required=True, help="folder to write; replaced if it is a pack"
    )
    parser.add_argument("--model_file", help="checkpoint in --exp_dir, best or ave (default: ave)")
    parser.add_argument("--zip", action="store_true", help="also write OUTPUT_DIR.zip")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="of the weights")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    make_room(args.output_dir / "model.json")
    from xlsrt.recipe.decoding import model_file
    from xlsrt.recognizer.pack import write_pack

    name = args.model_file
    if name in ("best", "ave"):
        name = model_file(args.exp_dir, name)
    print(write_pack(args.exp_dir, args.output_dir, name, args.zip, args.dtype))


if __name__ == "__main__":
    run_main(main)
