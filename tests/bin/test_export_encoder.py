"""The export command: an experiment's checkpoint becomes a directory that loads here, and mistakes are one
line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from xlsrt import XlsrConfig, XlsrEncoder
from xlsrt.bin.export_encoder import DTYPES, main, parse_overrides
from xlsrt.encoder.checkpoints import export
from xlsrt.errors import UserError


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    encoder = XlsrEncoder(XlsrConfig.preset("tiny"))
    state = {f"encoder.xlsr.{name}": tensor for name, tensor in encoder.state_dict().items()}
    torch.save({**state, "head.ctc.weight": torch.zeros(5, 96)}, tmp_path / "valid.loss.ave.pth")
    conf = {"encoder_conf": {"config": encoder.config.to_dict(), "pretrained": None}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(conf))
    return tmp_path / "valid.loss.ave.pth"


def test_an_experiment_in_float16(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = ["--dtype", "float16", "--config_override", "layer_drop=0.125"]
    main(["--source", str(experiment), "--output_dir", str(out), *options])
    assert capsys.readouterr().out == f"exported to {out}\n"
    stored = load_file(out / "model.safetensors")
    wanted = torch.load(experiment, weights_only=True)
    assert all(torch.equal(tensor, wanted[f"encoder.xlsr.{name}"].half()) for name, tensor in stored.items())
    assert len(stored) == len(wanted) - 1
    encoder = XlsrEncoder.from_pretrained(str(out))
    assert encoder.config.layer_drop == 0.125
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    metadata = json.loads((out / "config.json").read_text())["xlsrt"]["metadata"]
    assert metadata == {"exported_from": str(experiment)}


def test_mistakes_are_one_line_and_code_2(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "xlsrt.bin.export_encoder",
        "--source",
        "nothing.pt",
        "--output_dir",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: nothing.pt: no such file or directory")
    assert done.stderr.count("\n") == 1


def test_dtypes_are_the_packages() -> None:
    assert list(DTYPES) == list(export.DTYPES)


def test_overrides() -> None:
    found = parse_overrides(
        ["layer_drop=0.1", "input_norm=none", "freeze_feature_extractor=false", "conv_dim=[1, 2]"]
    )
    assert found == {
        "layer_drop": 0.1,
        "input_norm": "none",
        "freeze_feature_extractor": False,
        "conv_dim": [1, 2],
    }
    for pair in ("layer_drop", "=1", "layer_drop=[1"):
        with pytest.raises(UserError, match="--config_override"):
            parse_overrides([pair])
