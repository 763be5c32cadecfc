"""One transformer layer, pre-norm or post-norm, and layer drop that keeps every parameter in the graph.

Shapes: B utterances, T frames, D hidden size.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xlsrt.encoder.attention import Plan, SelfAttention
from xlsrt.encoder.config import XlsrConfig
from xlsrt.encoder.linear import Linear


class FeedForward(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, config: XlsrConfig) -> None:
        super().__init__()
        self.activation_dropout = config.activation_dropout
        self.intermediate_dense = Linear(config.hidden_size, config.ffn_size)
        self.output_dense = Linear(config.ffn_size, config.hidden_size)

    def forward(self, x: Tensor, train: bool) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = F.gelu(self.intermediate_dense(x))
        return self.output_dense(F.dropout(x, self.activation_dropout, train))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward with residuals.

    ``layer_norm_first`` says on which side the norms are.
    """

    def __init__(self, config: XlsrConfig) -> None:
        super().__init__()
        self.pre_norm, self.dropout = config.layer_norm_first, config.hidden_dropout
        self.attention = SelfAttention(config)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor, plan: Plan, train: bool) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        if self.pre_norm:
            x = x + F.dropout(self.attention(self.layer_norm(x), plan, train), self.dropout, train)
            return x + F.dropout(self.feed_forward(self.final_layer_norm(x), train), self.dropout, train)
        x = self.layer_norm(x + F.dropout(self.attention(x, plan, train), self.dropout, train))
        return self.final_layer_norm(x + F.dropout(self.feed_forward(x, train), self.dropout, train))


class _KeepInGraph(torch.autograd.Function):
    """Identity on ``x`` with zero gradients for each parameter: DDP waits for the gradient of every one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.save_for_backward(*parameters)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (grads[0], *(torch.zeros_like(parameter) for parameter in ctx.saved_tensors))


def keep_in_graph(x: Tensor, *modules: nn.Module | nn.Parameter) -> Tensor:
    """``x`` unchanged; trainable parameters that took no part in it get zero gradients instead of none."""
    parameters: list[Tensor] = []
    for module in modules:
        parameters.extend(module.parameters() if isinstance(module, nn.Module) else [module])
    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    if not wanted or not torch.is_grad_enabled():
        return x
    return _KeepInGraph.apply(x, *wanted)
