"""Plain, slow searches, one frame and one hypothesis at a time: what the batched ones must equal."""

from __future__ import annotations

import torch

from xlsrt.search import Hypothesis


@torch.no_grad()
def greedy(head, enc, max_symbols=10):
    """Encoder frames (T, D) of one utterance -> Hypothesis."""
    size, blank = head.config.output_subsampling, head.config.blank_id
    output, state = head.predictor.start(1)
    tokens, frames, probs, score = [], [], [], 0.0
    for start in range(0, len(enc), size):
        group = torch.zeros(size, enc.size(1), dtype=enc.dtype)
        part = enc[start : start + size]
        group[: len(part)] = part
        frame = head.joint.encoder_projection(group.reshape(1, -1))
        for _ in range(max_symbols):
            logits = head.joint(frame, head.joint.predictor_projection(output))[0]
            log_probs = torch.log_softmax(logits.double(), -1)
            token = int(logits.argmax())
            score += float(log_probs[token])
            if token == blank:
                break
            tokens.append(token)
            frames.append(start)
            probs.append(float(log_probs[token].exp()))
            output, state = head.predictor.step(torch.tensor([token]), state)
    return Hypothesis(tokens, frames, probs, score)
