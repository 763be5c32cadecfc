"""ESPnet's transducer searches on one of our heads: the same predictor and joint, for comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from espnet2.asr.transducer.beam_search_transducer import BeamSearchTransducer
from torch import Tensor

from xlsrt.transducer import TransducerHead
from xlsrt.transducer.predictor import PredictorState


class EspnetDecoder:
    """Our predictor with what ESPnet's searches call on a decoder; results are cached as theirs are."""

    def __init__(self, head: TransducerHead) -> None:
        self.predictor = head.predictor
        self.blank_id = head.config.blank_id
        self.dunits = head.config.predictor_size
        self.odim = head.config.vocab_size
        self.device = head.joint.output.weight.device

    def set_device(self, device: torch.device) -> None:
        """Where the searches put their tensors."""
        self.device = device

    def init_state(self, batch_size: int) -> PredictorState:
        """The state before the first symbol, the blank."""
        return self.predictor._zero_state(batch_size)

    def score(self, hyp: Any, cache: dict[str, Any]) -> tuple[Tensor, PredictorState, Tensor]:
        """Output (P,), state and last token of one hypothesis."""
        label = torch.tensor([hyp.yseq[-1]], device=self.device)
        name = "_".join(map(str, hyp.yseq))
        if name not in cache:
            cache[name] = self.predictor.step(label, hyp.dec_state)
        output, state = cache[name]
        return output[0], state, label

    def batch_score(
        self, hyps: Sequence[Any], states: Any, cache: dict[str, Any], use_lm: bool
    ) -> tuple[Tensor, PredictorState, None]:
        """Outputs (B, P) and states of several hypotheses; what the cache lacks is computed together."""
        names = ["_".join(map(str, hyp.yseq)) for hyp in hyps]
        new = {name: hyp for name, hyp in zip(names, hyps, strict=True) if name not in cache}
        if new:
            labels = torch.tensor([hyp.yseq[-1] for hyp in new.values()], device=self.device)
            output, after = self.predictor.step(labels, _joined([hyp.dec_state for hyp in new.values()]))
            for row, name in enumerate(new):
                cache[name] = output[row : row + 1], self.select_state(after, row)
        found = [cache[name] for name in names]
        return torch.cat([output for output, _ in found]), _joined([state for _, state in found]), None

    def select_state(self, states: PredictorState, row: int) -> PredictorState:
        """The state of one hypothesis."""
        return tuple(part[row : row + 1] for part in states)

    def create_batch_states(self, states: Any, new: Sequence[PredictorState], *_: Any) -> PredictorState:
        """States of hypotheses as one batch."""
        return _joined(new)


def espnet_search(
    head: TransducerHead, beam_size: int = 1, search_type: str = "default"
) -> Callable[[Tensor], list[int]]:
    """Encoder frames (T, D) of one utterance -> its tokens, found by ESPnet.

    Args:
        head: in eval mode, its blank has id 0. beam_size: 1 is greedy.
        search_type: "default", "alsd", "tsd", "nsc", "maes".
    """
    projection = head.joint

    def joint(frames: Tensor, outputs: Tensor, **_: Any) -> Tensor:
        # ESPnet's joint network projects both sides in each call.
        logits: Tensor = projection(
            projection.encoder_projection(frames), projection.predictor_projection(outputs)
        )
        return logits

    search = BeamSearchTransducer(
        EspnetDecoder(head), joint, beam_size, search_type=search_type, u_max=200, score_norm=False
    )

    @torch.no_grad()
    def run(frames: Tensor) -> list[int]:
        return [int(token) for token in search(frames)[0].yseq[1:]]

    return run


def _joined(states: Sequence[PredictorState]) -> PredictorState:
    return tuple(torch.cat(parts) for parts in zip(*states, strict=True))
