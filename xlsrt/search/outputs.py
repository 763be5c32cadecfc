"""The predictor's projected outputs, token by token, for searches."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from xlsrt.transducer import TransducerHead
from xlsrt.transducer.predictor import PredictorState, StatelessPredictor


class PredictorOutputs:
    """What `Predictor.step` and the joint's projection give, sooner.

    The first layer of a stateless predictor is linear in its embeddings, so what each token adds to it is
    computed once, in (context, V, P) numbers, instead of with every token found.

    Args:
        head: the transducer's head, in eval mode. Its weights may change or move between two calls.
    """

    def __init__(self, head: TransducerHead) -> None:
        self._head = head
        self._sums: tuple[list[tuple[Any, ...]], Tensor] | None = None

    def heard(self, tokens: Tensor | None, state: PredictorState, keys: Tensor) -> Tensor:
        """All that the outputs depend on, (R, K, C), of hypotheses (R, K) with fingerprints ``keys``.

        ``state``: theirs, or, with ``tokens`` (R, K), that before them.
        """
        predictor = self._head.predictor
        if not isinstance(predictor, StatelessPredictor):
            return keys.unsqueeze(2)
        return state[0] if tokens is None else predictor.heard(tokens, state)

    def step(self, tokens: Tensor, state: PredictorState) -> tuple[Tensor, PredictorState]:
        """One more token each (N,) -> projected outputs (N, J) and the new state."""
        predictor = self._head.predictor
        if isinstance(predictor, StatelessPredictor):
            history = predictor.heard(tokens, state)
            output = predictor.from_sums(history, self._current_sums(predictor))
            after: PredictorState = (history,)
        else:
            output, after = predictor.step(tokens, state)
        projected: Tensor = self._head.joint.predictor_projection(output)
        return projected, after

    def _current_sums(self, predictor: StatelessPredictor) -> Tensor:
        weights = [predictor.embed.weight, predictor.mix.weight, predictor.mix.bias]
        version: list[tuple[Any, ...]] = [
            (w.data_ptr(), w.dtype, 0 if w.is_inference() else w._version) for w in weights
        ]
        known = self._sums
        if known is None or known[0] != version:
            known = self._sums = (version, predictor.sums())
        return known[1]
