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


@torch.no_grad()
def beam(head, enc, beam_size=4, max_symbols=10, margin=5.0, extra=lambda tokens: 0.0, commit=None):
    """Encoder frames (T, D) of one utterance -> {tokens: (score, frames)} of at most ``beam_size``.

    ``extra``: what is added to a transcript's score. ``commit``: its ``horizon`` and ``period``.
    """
    size, blank = head.config.output_subsampling, head.config.blank_id

    def log_probs(frame, tokens):
        output = head.predictor(torch.tensor(tokens, dtype=torch.long).reshape(1, len(tokens)))[:, -1]
        logits = head.joint(frame, head.joint.predictor_projection(output))[0]
        return torch.log_softmax(logits.double(), -1).tolist()

    def best(hypotheses):
        return dict(sorted(hypotheses.items(), key=lambda item: -item[1][0])[:beam_size])

    def merge(into, tokens, score, frames):
        if tokens not in into:
            into[tokens] = (score, frames)
            return
        old, old_frames = into[tokens]
        total = float(torch.logaddexp(torch.tensor(old).double(), torch.tensor(score).double()))
        into[tokens] = (total, frames if score > old else old_frames)

    hypotheses = {(): (0.0, ())}
    for start in range(0, len(enc), size):
        group = torch.zeros(size, enc.size(1), dtype=enc.dtype)
        part = enc[start : start + size]
        group[: len(part)] = part
        frame = head.joint.encoder_projection(group.reshape(1, -1))
        front, ended = hypotheses, {}
        for symbols in range(max_symbols + 1):
            grown = {}
            for tokens, (score, frames) in front.items():
                found = log_probs(frame, list(tokens))
                merge(ended, tokens, score + found[blank], frames)
                for token, log_prob in enumerate(found):
                    if token != blank:
                        more = (*tokens, token)
                        grown[more] = (score + log_prob + extra(more) - extra(tokens), (*frames, start))
            ended = best(ended)
            scores = [score for score, _ in ended.values()]
            cut = max(scores) - margin
            if len(scores) == beam_size:
                cut = max(cut, min(scores))
            front = {tokens: found for tokens, found in best(grown).items() if found[0] > cut}
            if not front or symbols == max_symbols:
                break
        hypotheses = ended
        age = start // size + 1
        if commit and age % commit.period == 0:
            leader, (_, frames) = max(hypotheses.items(), key=lambda item: item[1][0])
            settled = leader[: sum(frame // size < age - commit.horizon for frame in frames)]
            hypotheses = {t: found for t, found in hypotheses.items() if t[: len(settled)] == settled}
    return hypotheses
