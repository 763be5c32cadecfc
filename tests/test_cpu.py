"""On a CPU a training meets few shapes and few page faults, and learns the same."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
import torch

from xlsrt.cpu import FRAMES
from xlsrt.espnet_task.encoder import XlsrEspnetEncoder
from xlsrt.units import HOP, WINDOW

CONF = {"preset": "tiny", "hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0}
CONF |= {"feat_proj_dropout": 0.0, "mask_time_prob": 0.0, "mask_channel_prob": 0.0, "layer_drop": 0.0}


@pytest.mark.parametrize("samples", [50, 400, 401, 10_320, 10_321, 25_000])
@pytest.mark.parametrize("context", [None, {"chunk_frames": 8, "left_frames": 8, "sink_frames": 2}])
def test_padding_to_few_lengths_changes_no_frame(samples: int, context: dict | None) -> None:
    torch.manual_seed(0)
    encoder = XlsrEspnetEncoder(config=CONF, train_context=context).double()
    wav, lens = torch.randn(2, samples, dtype=torch.float64), torch.tensor([samples, max(1, samples - 700)])
    assert encoder.heard(wav, lens)[0].shape == wav.shape, "without bfloat16 there is no need"
    with torch.autocast("cpu", torch.bfloat16):
        heard, _, used = encoder.heard(wav, lens)
    frames = max(0, (heard.size(1) - WINDOW) // HOP + 1)
    assert frames % FRAMES == 0 and heard.size(1) >= samples and (heard[:, samples:] == 0).all()
    assert heard.size(1) < samples + (FRAMES + 1) * HOP
    padded, padded_lens = encoder.xlsr(heard, lens, used)
    plain, plain_lens = encoder.xlsr(wav, lens, used)
    assert torch.equal(padded_lens, plain_lens)
    for row, length in enumerate(plain_lens.tolist()):
        torch.testing.assert_close(padded[row, :length], plain[row, :length], rtol=0, atol=1e-9)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_kept() -> None:
    """Blocks of 40 MB (9,766 pages) one after the other: once they have their places, no more."""
    code = (
        "import resource, torch\n"
        "from xlsrt.cpu import prepare_training\n"
        "prepare_training()\n"
        "for number in range(30):\n"
        "    if number == 20:\n"
        "        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    torch.ones(10_000_000)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=plain)
    assert int(done.stdout) < 9766


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available(),
    reason="convolutions of this CPU are not oneDNN's",
)
def test_kernels_are_kept() -> None:
    """1,100 lengths one after the other, twice: nothing is compiled in the second round."""
    code = (
        "import torch\n"
        "from xlsrt.cpu import prepare_training\n"
        "prepare_training()\n"
        "layer = torch.nn.Conv1d(8, 8, 5)\n"
        "for round in range(2):\n"
        "    print('round', round, flush=True)\n"
        "    with torch.no_grad():\n"
        "        for length in range(100, 1200):\n"
        "            layer(torch.zeros(2, 8, length))\n"
    )
    env = {**os.environ, "ONEDNN_VERBOSE": "profile_create", "OMP_NUM_THREADS": "1"}
    env.pop("ONEDNN_PRIMITIVE_CACHE_CAPACITY", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    first, second = done.stdout.split("round 1")
    assert first.count("cache_miss,cpu,convolution") >= 1100
    assert "cache_miss" not in second
