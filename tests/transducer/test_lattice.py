"""Forward-backward, band and options of the loss, against the plain program and finite differences."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transducer.dp import transducer_nll
from tests.transducer.test_head import batch, make_head
from xlsrt.transducer import loss as loss_module
from xlsrt.transducer.lattice import NOTHING, arc_scores, delay_bonus, lattice_loss
from xlsrt.transducer.loss import (
    band_loss,
    band_size,
    band_starts,
    full_loss,
    simple_loss,
    torchaudio_loss,
    torchaudio_serves,
)

LENS, TOKEN_LENS = torch.tensor([6, 1, 3, 5]), torch.tensor([2, 3, 0, 4])


def lattice(vocab=5, seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    logits = 2 * torch.randn(4, 6, 5, vocab, dtype=dtype)
    tokens = torch.randint(1, vocab, (4, 4))
    return logits.requires_grad_(), tokens


def plain(logits, tokens, row):
    t, u = int(LENS[row]), int(TOKEN_LENS[row])
    scores = torch.log_softmax(logits[row, :t, : u + 1].double(), -1)
    return transducer_nll(scores, tokens[row, :u].tolist(), 0)


def near(found, wanted, tolerance=1e-5):
    """Equal to a part of the largest value."""
    assert (found - wanted).abs().max() <= tolerance * wanted.abs().max()


def test_values_and_gradients_equal_the_plain_program():
    logits, tokens = lattice()
    targets = torch.nn.functional.pad(tokens, (0, 1)).unsqueeze(1).expand(4, 6, 5)
    blank = torch.log_softmax(logits, -1)[..., 0]
    label = torch.log_softmax(logits, -1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)[:, :, :-1]
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
    losses = lattice_loss(blank, label, LENS, TOKEN_LENS)[0]
    wanted = torch.stack([plain(logits, tokens, row) for row in range(4)])
    near(losses, wanted, 1e-12)
    near(
        torch.autograd.grad(losses @ weights, logits, retain_graph=True)[0],
        torch.autograd.grad(wanted @ weights, logits)[0],
        1e-12,
    )


@pytest.mark.parametrize("loss", [full_loss, torchaudio_loss])
def test_full_loss_equals_the_plain_program(loss):
    """In float32."""
    logits, tokens = lattice(dtype=torch.float32)
    losses = loss(logits, tokens, LENS, TOKEN_LENS, 0)
    wanted = torch.stack([plain(logits, tokens, row) for row in range(4)])
    near(losses.double(), wanted)
    found = torch.autograd.grad(losses.sum(), logits)[0]
    near(found, torch.autograd.grad(wanted.sum(), logits)[0])


def test_torchaudio_serves_where_its_cuda_kernel_is_right():
    """It writes no loss for one frame or no tokens, and counts logits in 32 bits."""
    logits, many = torch.empty(2, 6, 5, 9), torch.empty(2, 2**16, 2**7, 2**7, device="meta")
    for lens, token_lens, serves in (
        ((6, 2), (4, 1), True),
        ((6, 1), (4, 1), False),
        ((6, 2), (4, 0), False),
    ):
        assert torchaudio_serves(logits, torch.tensor(lens), torch.tensor(token_lens)) is serves
    lens, token_lens = torch.tensor([6, 2]), torch.tensor([4, 1])
    assert not torchaudio_serves(many, lens, token_lens)
    assert torchaudio_serves(many[:, :-1], lens, token_lens)
    assert not torchaudio_serves(logits[:, :1], lens, token_lens)
    assert not torchaudio_serves(logits[:, :, :1], lens, token_lens)


def test_full_loss_asks_whether_torchaudio_serves(monkeypatch):
    logits, tokens = lattice(dtype=torch.float32)

    class OnCuda(torch.Tensor):
        is_cuda = True

    taken = []
    monkeypatch.setattr(loss_module, "torchaudio_loss", lambda *given: taken.append(given))
    losses = full_loss(logits.detach().as_subclass(OnCuda), tokens, LENS, TOKEN_LENS, 0)
    assert not taken
    near(losses, full_loss(logits.detach(), tokens, LENS, TOKEN_LENS, 0))
    full_loss(logits.detach().as_subclass(OnCuda), tokens, LENS.clamp(min=2), TOKEN_LENS.clamp(min=1), 0)
    assert len(taken) == 1


def test_finite_differences():
    torch.manual_seed(1)
    blank = -torch.rand(4, 6, 5, dtype=torch.float64)
    label = -torch.rand(4, 6, 4, dtype=torch.float64)
    inputs = (blank.requires_grad_(), label.requires_grad_())
    assert torch.autograd.gradcheck(lambda b, n: lattice_loss(b, n, LENS, TOKEN_LENS)[0], inputs)


def test_arc_scores_are_log_probabilities():
    """They work in float32, so their gradients are compared with autograd's, not with differences."""
    logits, tokens = lattice()
    targets = torch.nn.functional.pad(tokens, (0, 1)).unsqueeze(1).expand(4, 6, 5)
    total = arc_scores(logits, targets, 0)
    weights = [torch.randn_like(part) for part in total]
    value = sum((part * weight).sum() for part, weight in zip(total, weights, strict=True))
    grad = torch.autograd.grad(value, logits)[0]
    exact = torch.log_softmax(logits, -1)
    wanted = (exact[..., 0] * weights[0]).sum()
    wanted = wanted + (exact.gather(-1, targets.unsqueeze(-1)).squeeze(-1) * weights[1]).sum()
    near(grad, torch.autograd.grad(wanted, logits)[0])


def test_occupations_are_probabilities():
    logits, _ = lattice()
    blank = torch.log_softmax(logits, -1)[..., 0]
    label = torch.log_softmax(logits, -1)[:, :, :-1, 1]
    _, blank_share, label_share = lattice_loss(blank, label, LENS, TOKEN_LENS)
    for row, (t, u) in enumerate(zip(LENS.tolist(), TOKEN_LENS.tolist(), strict=True)):
        torch.testing.assert_close(blank_share[row].sum(1)[:t], torch.ones(t, dtype=torch.float64))
        torch.testing.assert_close(label_share[row].sum(0)[:u], torch.ones(u, dtype=torch.float64))
        assert blank_share[row, t:].abs().sum() == 0 and label_share[row, :, u:].abs().sum() == 0


def test_fastemit_scales_label_gradients_only():
    logits, _ = lattice()
    blank = torch.log_softmax(logits, -1)[..., 0].detach().requires_grad_()
    label = torch.log_softmax(logits, -1)[:, :, :-1, 1].detach().requires_grad_()
    plain_losses, eager_losses = (lattice_loss(blank, label, LENS, TOKEN_LENS, f)[0] for f in (0.0, 0.5))
    torch.testing.assert_close(plain_losses, eager_losses)
    before = torch.autograd.grad(plain_losses.sum(), (blank, label))
    after = torch.autograd.grad(eager_losses.sum(), (blank, label))
    torch.testing.assert_close(after[0], before[0])
    torch.testing.assert_close(after[1], 1.5 * before[1])


def test_delay_penalty_is_a_bonus_for_early_tokens():
    logits, tokens = lattice(dtype=torch.float32)
    losses = full_loss(logits, tokens, LENS, TOKEN_LENS, 0, delay_penalty=0.3)
    for row, (t, u) in enumerate(zip(LENS.tolist(), TOKEN_LENS.tolist(), strict=True)):
        scores = torch.log_softmax(logits[row, :t, : u + 1].double(), -1).clone()
        scores[:, :, 1:] += 0.3 * ((t - 1) / 2 - torch.arange(t)).view(-1, 1, 1)
        assert losses[row].item() == pytest.approx(
            transducer_nll(scores, tokens[row, :u].tolist(), 0).item(), rel=1e-5
        )
    assert delay_bonus(torch.tensor([4]), 4, 1.0).flatten().tolist() == [1.5, 0.5, -0.5, -1.5]


def test_simple_loss_is_the_loss_of_added_logits():
    torch.manual_seed(2)
    enc, pred = torch.randn(4, 6, 5, requires_grad=True), torch.randn(4, 5, 5, requires_grad=True)
    tokens = torch.randint(1, 5, (4, 4))
    losses = simple_loss(enc, pred, tokens, LENS, TOKEN_LENS, 0)[0]
    added = enc.unsqueeze(2) + pred.unsqueeze(1)
    wanted = torch.stack([plain(added, tokens, row) for row in range(4)])
    near(losses.double(), wanted)
    for found, exact in zip(
        torch.autograd.grad(losses.sum(), (enc, pred)),
        torch.autograd.grad(wanted.sum(), (enc, pred)),
        strict=True,
    ):
        near(found, exact)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_simple_loss_is_of_full_precision_under_autocast(dtype):
    torch.manual_seed(2)
    enc, pred = torch.randn(4, 6, 5), torch.randn(4, 5, 5)
    tokens = torch.randint(1, 5, (4, 4))
    wanted = simple_loss(enc, pred, tokens, LENS, TOKEN_LENS, 0)[0]
    with torch.autocast("cpu", dtype):
        near(simple_loss(enc, pred, tokens, LENS, TOKEN_LENS, 0)[0], wanted)


def test_simple_loss_survives_contradictions():
    enc, pred = torch.full((1, 3, 4), -200.0), torch.full((1, 3, 4), -200.0)
    enc[..., 1] = pred[..., 2] = 200.0
    enc.requires_grad_()
    losses = simple_loss(enc, pred, torch.tensor([[3, 3]]), torch.tensor([3]), torch.tensor([2]), 0)[0]
    losses.sum().backward()
    assert torch.isfinite(losses).all() and torch.isfinite(enc.grad).all()


@settings(max_examples=60)
@given(st.data())
def test_bands_always_hold_a_path(data):
    rows = data.draw(st.integers(1, 3))
    lens = torch.tensor(data.draw(st.lists(st.integers(1, 12), min_size=rows, max_size=rows)))
    tokens = torch.tensor(data.draw(st.lists(st.integers(0, 15), min_size=rows, max_size=rows)))
    size = band_size(data.draw(st.integers(2, 6)), lens, tokens)
    torch.manual_seed(data.draw(st.integers(0, 99)))
    shape = (rows, int(lens.max()), int(tokens.max()) + 1)
    starts = band_starts(torch.rand(shape) ** 8, torch.rand(shape)[:, :, :-1] ** 8, (lens, tokens), size)
    for row, (t, u) in enumerate(zip(lens.tolist(), tokens.tolist(), strict=True)):
        first = starts[row, :t]
        assert first[0] == 0 and first[-1] <= u <= first[-1] + size - 1
        steps = first.diff()
        assert (steps >= 0).all() and (steps <= size - 1).all()
        assert int(starts[row].max()) + size <= int(tokens.max()) + 1


def banded(head, inputs, size, starts=None):
    enc, enc_lens, tokens, token_lens = inputs
    frames = head.joint.encoder_projection(enc)
    pred = head.joint.predictor_projection(head.predictor(tokens))
    if starts is None:
        starts = torch.zeros(enc.shape[:2], dtype=torch.long)
    logits = head.joint(frames.unsqueeze(2), pred.unsqueeze(1))
    losses = band_loss(head.joint, frames, pred, tokens, (enc_lens, token_lens), starts, size, 0)
    return losses, logits


def test_an_unlimited_band_is_the_full_loss():
    head = make_head()
    inputs = batch([9, 1, 3, 10], [4, 3, 0, 1])
    parameters = [head.joint.output.weight, head.joint.encoder_projection.weight, head.predictor.mix.weight]
    losses, logits = banded(head, inputs, size=5)
    wanted = full_loss(logits, inputs[2], inputs[1], inputs[3], 0)
    near(losses, wanted)
    for found, exact in zip(
        torch.autograd.grad(losses.sum(), parameters, retain_graph=True),
        torch.autograd.grad(wanted.sum(), parameters),
        strict=True,
    ):
        near(found, exact)


def test_a_band_leaves_out_what_is_outside():
    head = make_head()
    inputs = batch([6], [5])
    starts = torch.tensor([[0, 0, 1, 2, 3, 4]])
    losses, logits = banded(head, inputs, size=2, starts=starts)
    scores = torch.log_softmax(logits[0].double(), -1)
    allowed = torch.zeros(6, 6, dtype=torch.bool)
    for t, first in enumerate(starts[0].tolist()):
        allowed[t, first : first + 2] = True
    blocked = scores.masked_fill(~allowed.unsqueeze(-1), NOTHING)
    # An arc into a forbidden node is forbidden by that node's own arcs, but for the path's very end.
    assert losses.item() == pytest.approx(transducer_nll(blocked, inputs[2][0].tolist(), 0).item(), rel=1e-5)


def test_pruned_head_trains_and_warms_up():
    head = make_head(
        loss="pruned", prune_range=2, warmup_updates=10, simple_loss_scale=0.5, output_subsampling=2
    )
    inputs = batch([9, 1, 3, 10], [4, 3, 0, 1])
    for updates, simple, pruned in ((0, 1.0, 0.1), (5, 0.75, 0.55), (10, 0.5, 1.0), (99, 0.5, 1.0)):
        losses = head.losses(*inputs, num_updates=updates)
        wanted = (
            simple * losses["loss_simple"] + pruned * losses["loss_transducer"] + 0.3 * losses["loss_ctc"]
        )
        torch.testing.assert_close(losses["loss"], wanted)
    losses["loss"].backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
    full = make_head(loss="full", output_subsampling=2)
    full.load_state_dict({k: v for k, v in head.state_dict().items() if not k.startswith("simple_")})
    # A band holds fewer paths than the lattice: its likelihood is lower.
    assert losses["loss_transducer"] >= full.losses(*inputs)["loss_transducer"] - 1e-5


def test_emission_options_wait_for_the_warmup_and_for_training():
    inputs = batch([9, 7], [4, 3])
    for options in ({"delay_penalty": 0.5}, {"fastemit_lambda": 0.5}):
        head, base = make_head(warmup_updates=10, **options), make_head()

        def grads(head, updates, train=True):
            head.train(train).zero_grad()
            head.losses(*inputs, num_updates=updates)["loss"].backward()
            return head.joint.output.weight.grad.clone()

        wanted = grads(base, 0)
        torch.testing.assert_close(grads(head, 9), wanted)
        torch.testing.assert_close(grads(head, 10, train=False), wanted)
        assert (grads(head, 10) - wanted).abs().max() > 1e-3
