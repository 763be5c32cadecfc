"""Export an encoder to a Hugging Face directory, from any checkpoint that can be loaded, an experiment's
included.

python -m xlsrt.bin.export_encoder --source exp/x/valid.loss.ave.pth --output_dir exported --dtype float16
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from typing import Any

import yaml

from xlsrt.bin import run_main
from xlsrt.errors import UserError

#: Those of `xlsrt.encoder.checkpoints.export`, repeated so that --help need not load torch.
DTYPES = ("float32", "float16", "bfloat16")


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = argparse.ArgumentParser(
        description="Export an encoder to a Hugging Face directory (config.json, model.safetensors)."
    )
    parser.add_argument(
        "--source",
        required=True,
        help="torchaudio bundle, Hugging Face directory or hub id, fairseq, torchaudio or experiment file",
    )
    parser.add_argument("--output_dir", required=True, help="directory to write; made if it is not there")
    parser.add_argument("--dtype", choices=DTYPES, help="type to store (default: as loaded, float32)")
    parser.add_argument(
        "--config_override",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="replace a field of the encoder's config, e.g. input_norm=utterance; may be repeated",
    )
    return parser


def parse_overrides(pairs: Sequence[str]) -> dict[str, Any]:
    """``["layer_drop=0.1"]`` -> ``{"layer_drop": 0.1}``, values as in YAML; `UserError` for anything else."""
    overrides = {}
    for pair in pairs:
        field, sign, value = pair.partition("=")
        if not (field and sign):
            raise UserError(f"--config_override {pair}: expected FIELD=VALUE, such as input_norm=utterance")
        try:
            overrides[field] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"--config_override {pair}: the value is not valid YAML: {error}") from None
    return overrides


def main(cmd: Sequence[str] | None = None) -> None:
    """Parse, load, save, say where."""
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    from xlsrt.encoder.checkpoints import load_pretrained, save_pretrained

    encoder = load_pretrained(args.source, **parse_overrides(args.config_override))
    directory = save_pretrained(encoder, args.output_dir, args.dtype, {"exported_from": args.source})
    print(f"exported to {directory}")


if __name__ == "__main__":
    run_main(main)
