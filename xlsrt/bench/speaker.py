"""A head that says what its frames tell it, without training: searches are timed on it as on a trained one.

Frame codes are random signs. A frame with a token's code scores that token until the predictor has heard it,
and frames of little but noise are blanks. So tokens come at the frames that they were put into, now and then
with a rival, and everything between is skipped, as in a trained model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xlsrt.transducer import HeadConfig, TransducerHead
from xlsrt.transducer.predictor import StatelessPredictor

CODE, LOUDNESS, BLANK_BIAS, NOISE = 2.0, 50.0, 12.0, 0.6


@dataclass(frozen=True)
class Speech:
    """Encoder frames (B, T, D), lens (B,), and the tokens that are in them."""

    frames: Tensor
    lens: Tensor
    tokens: list[list[int]]


def speaking_head(encoder_size: int, vocab_size: int, joint_size: int, seed: int = 0) -> TransducerHead:
    """A head in eval mode, its predictor hears one token. ``joint_size``: at most ``encoder_size``, and the
    larger beside the vocabulary, the less the tokens are taken for each other.
    """
    assert joint_size <= encoder_size
    config = HeadConfig(
        encoder_size,
        vocab_size,
        predictor_size=2 * joint_size,
        context_size=1,
        joint_size=joint_size,
        ctc_weight=0.0,
    )
    head = TransducerHead(config).eval()
    codes = token_codes(vocab_size, joint_size, seed)
    joint, predictor = head.joint, head.predictor
    assert isinstance(predictor, StatelessPredictor)
    with torch.no_grad():
        joint.encoder_projection.weight.zero_()
        joint.encoder_projection.weight[:, :joint_size] = torch.eye(joint_size)
        joint.encoder_projection.bias.zero_()
        # The predictor's outputs are rectified, so a code takes two halves, and what was said is subtracted.
        predictor.embed.weight.copy_(torch.cat([codes.relu(), (-codes).relu()], dim=1))
        predictor.mix.weight.copy_(torch.eye(2 * joint_size))
        predictor.mix.bias.zero_()
        eye = torch.eye(joint_size)
        joint.predictor_projection.weight.copy_(torch.cat([-eye, eye], dim=1))
        joint.output.weight.copy_(LOUDNESS / joint_size * codes.sign())
        joint.output.weight[0] = 0
        joint.output.bias.zero_()
        joint.output.bias[0] = BLANK_BIAS
    return head


def token_codes(vocab_size: int, joint_size: int, seed: int) -> Tensor:
    """(V, J); the blank's is zero."""
    generator = torch.Generator().manual_seed(seed)
    codes = CODE * (2 * torch.randint(0, 2, (vocab_size, joint_size), generator=generator) - 1).float()
    codes[0] = 0
    return codes


def speech(
    head: TransducerHead, batch: int, frames: int, tokens_per_second: float = 4.0, seed: int = 0
) -> Speech:
    """``batch`` utterances of ``frames`` encoder frames (20 ms) in which a token comes so often."""
    size, vocab = head.config.joint_size, head.config.vocab_size
    codes = token_codes(vocab, size, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    enc = torch.zeros(batch, frames, head.config.encoder_size)
    enc[..., :size] = NOISE * torch.randn(batch, frames, size, generator=generator)
    tokens = []
    for row in range(batch):
        places = (torch.rand(frames, generator=generator) < tokens_per_second / 50).nonzero()[:, 0]
        said: list[int] = []
        for place in places.tolist():
            token = int(torch.randint(1, vocab, (1,), generator=generator))
            if said and said[-1] == token:  # the predictor would take it for the one it has heard
                continue
            enc[row, place, :size] += codes[token]
            said.append(token)
        tokens.append(said)
    return Speech(enc, torch.full((batch,), frames), tokens)
