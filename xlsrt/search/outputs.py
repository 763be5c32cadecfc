"""The predictor's projected outputs, token by token, for searches."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from xlsrt.transducer import TransducerHead
from xlsrt.transducer.predictor import Predictor, PredictorState, StatelessPredictor


class PredictorOutputs:
    """What `Predictor.step` and the joint's projection give, sooner.

    The first layer of a predictor is linear in its embeddings, so what each token adds to it is computed
    once, `Predictor.table`, instead of with every token found. For an LSTM that is half of a step.

    Args:
        head: the transducer's head, in eval mode. Its weights may change or move between two calls.
    """

    def __init__(self, head: TransducerHead) -> None:
        self._head = head
        self._table: tuple[list[tuple[Any, ...]], Tensor] | None = None

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
        output, after = predictor.step_from(self._current_table(predictor), tokens, state)
        projected: Tensor = self._head.joint.predictor_projection(output)
        return projected, after

    def _current_table(self, predictor: Predictor) -> Tensor:
        version: list[tuple[Any, ...]] = [
            (w.data_ptr(), w.dtype, 0 if w.is_inference() else w._version) for w in predictor.tabled()
        ]
        known = self._table
        if known is None or known[0] != version:
            known = self._table = (version, predictor.table())
        return known[1]
