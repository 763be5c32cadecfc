"""A small experiment directory with random weights that says something, for tests."""

from __future__ import annotations

import pytest
import torch
import yaml

from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.transducer import HeadConfig, TransducerHead

TOKENS = ["<blank>", "<unk>", "▁", "▁the", "▁cat", "s", "▁do", "g", "▁ru", "n", "<0xC3>", "<0xA4>"]
TOKENS.append("<sos/eos>")


def make_exp(directory, seed=0, blank_bias=7.0, config=None, name="latest.pth", **espnet):
    """Write config.yaml and weights; ``espnet`` are more keys of config.yaml."""
    torch.manual_seed(seed)
    encoder = XlsrEncoder(XlsrConfig.preset("tiny", **(config or {})))
    args = {
        "decoder": "stateless",
        "decoder_conf": {"hidden_size": 16},
        "joint_net_conf": {"joint_size": 24},
        "model_conf": {"ctc_weight": 0.3},
        "token_list": TOKENS,
        "token_type": "bpe",
        "bpemodel": None,
        "encoder_conf": {
            "config": encoder.config.to_dict(),
            "eval_context": {"chunk_ms": 320, "left_ms": 320, "sink_frames": 4},
        },
        **espnet,
    }
    head = TransducerHead(HeadConfig.from_espnet(args, encoder.config.hidden_size, len(TOKENS)))
    with torch.no_grad():  # random weights hardly react to the sound: make them
        head.joint.output.weight.mul_(8)
        head.joint.encoder_projection.weight.mul_(3)
        head.joint.output.bias[0] += blank_bias
        head.joint.output.bias[-1] -= 50
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(args, allow_unicode=True), encoding="utf-8")
    weights = {f"encoder.xlsr.{key}": value for key, value in encoder.state_dict().items()}
    weights.update({f"head.{key}": value for key, value in head.state_dict().items()})
    torch.save(weights, directory / name)
    return directory


def noise(seconds, seed=0):
    """Noise whose loudness and colour wander, (S,), so that the encoder has something to tell apart."""
    generator = torch.Generator().manual_seed(seed)
    samples = int(seconds * 16000)
    steps = max(2, samples // 1600)
    white = torch.randn(samples, generator=generator)
    level = torch.nn.functional.interpolate(
        torch.rand(1, 1, steps, generator=generator), size=max(samples, 1), mode="linear", align_corners=True
    )[0, 0, :samples]
    tone = torch.sin(torch.cumsum(0.05 + 0.5 * level, 0))
    return 0.1 * level * (white + 2 * tone)


def same(found, wanted):
    """Two results of one recording, up to rounding."""
    assert found.hypothesis.tokens == wanted.hypothesis.tokens
    assert found.hypothesis.frames == wanted.hypothesis.frames
    assert found.hypothesis.probs == pytest.approx(wanted.hypothesis.probs, abs=1e-4)
    assert found.hypothesis.score == pytest.approx(wanted.hypothesis.score, abs=1e-4, rel=1e-6)
    assert found.text == wanted.text
    assert (found.start, found.end) == (wanted.start, wanted.end)
