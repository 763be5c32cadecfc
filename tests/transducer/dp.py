"""The transducer's forward recursion, node by node, as the paper writes it (arXiv 1211.3711, section 2.4)."""

from __future__ import annotations

import torch


def transducer_nll(log_probs, tokens, blank):
    """Log-probabilities (N, U + 1, V), transcript -> negative log-likelihood, differentiable."""
    frames = log_probs.size(0)
    alpha = {}
    for t in range(frames):
        for u in range(len(tokens) + 1):
            ways = []
            if t > 0:
                ways.append(alpha[t - 1, u] + log_probs[t - 1, u, blank])
            if u > 0:
                ways.append(alpha[t, u - 1] + log_probs[t, u - 1, tokens[u - 1]])
            alpha[t, u] = torch.logsumexp(torch.stack(ways), 0) if ways else log_probs.new_zeros(())
    return -(alpha[frames - 1, len(tokens)] + log_probs[frames - 1, len(tokens), blank])
