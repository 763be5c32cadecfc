"""The searches' short cuts past the predictor and the joint give what the long ways give."""

from __future__ import annotations

import pytest
import torch

from tests.search.test_greedy import make_head
from xlsrt.search.beam_parts import contexts
from xlsrt.search.outputs import PredictorOutputs


@torch.no_grad()
@pytest.mark.parametrize(
    "options", [{"context_size": 1}, {"context_size": 3}, {"predictor": "lstm", "lstm_layers": 2}]
)
def test_outputs_are_the_predictors_own(options):
    head = make_head(**options).double()
    outputs = PredictorOutputs(head)
    _, state = head.predictor.start(4)
    exactly = {"rtol": 1e-12, "atol": 1e-12}
    for _ in range(5):
        tokens = torch.randint(9, (4,))
        wanted, after = head.predictor.step(tokens, state)
        found, state = outputs.step(tokens, state)
        torch.testing.assert_close(found, head.joint.predictor_projection(wanted), **exactly)
        torch.testing.assert_close(state, after, **exactly)


@torch.no_grad()
@pytest.mark.parametrize("predictor", ["stateless", "lstm"])
def test_outputs_follow_the_weights(predictor):
    head = make_head(predictor=predictor)
    outputs = PredictorOutputs(head)
    _, state = head.predictor.start(2)
    tokens = torch.tensor([3, 4])
    before, _ = outputs.step(tokens, state)
    head.predictor.embed.weight.mul_(2)
    changed, _ = outputs.step(tokens, state)
    assert not torch.allclose(changed, before)
    head.double()
    _, state = head.predictor.start(2)
    found, _ = outputs.step(tokens, state)
    wanted = head.joint.predictor_projection(head.predictor.step(tokens, state)[0])
    torch.testing.assert_close(found, wanted)


@torch.no_grad()
@pytest.mark.parametrize("name", ["embed.weight", "lstm.weight_ih_l0", "lstm.bias_ih_l0", "lstm.bias_hh_l0"])
def test_the_table_of_an_lstm_follows_each_of_its_weights(name):
    head = make_head(predictor="lstm")
    outputs = PredictorOutputs(head)
    _, state = head.predictor.start(2)
    tokens = torch.tensor([3, 4])
    outputs.step(tokens, state)
    head.predictor.get_parameter(name).add_(0.5)
    found, _ = outputs.step(tokens, state)
    wanted = head.joint.predictor_projection(head.predictor.step(tokens, state)[0])
    torch.testing.assert_close(found, wanted)


def test_equal_contexts_are_asked_once():
    heard = torch.tensor([[[1, 2], [1, 2], [3, 2], [1, 2]], [[5, 5], [5, 5], [5, 5], [7, 7]]])
    memory = torch.tensor([[0, 0, 0, 1], [0, 0, 0, 0]])
    alive = torch.tensor([[True, True, True, True], [True, True, True, False]])
    numbers, (stream, place) = contexts(heard, memory, alive)
    assert numbers.tolist() == [[0, 0, 1, 2], [3, 3, 3, 3]]
    assert (stream.tolist(), place.tolist()) == ([0, 0, 0, 1], [0, 2, 3, 0])


def test_an_empty_place_amid_live_ones_stands_for_none_of_them() -> None:
    """The third was asked as the first is: its twin, given up, had been sent there."""
    heard, memory = torch.tensor([[[5], [7], [7]], [[5], [7], [7]]]), torch.zeros(2, 3, dtype=torch.long)
    alive = torch.tensor([[True, False, True], [False, True, True]])
    numbers, (stream, place) = contexts(heard, memory, alive)
    asked = [heard[stream[n], place[n], 0].item() for n in numbers[alive]]
    assert asked == [5, 7, 7, 7]
