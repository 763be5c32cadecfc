"""The training side: masking, layer drop, freezing, checkpointing, bf16, gradients that DDP can count on."""

from __future__ import annotations

import copy

import pytest
import torch

from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder
from xlsrt.encoder.masking import draw_spans

SMALL = {"conv_dim": 16, "hidden_size": 32, "num_heads": 2, "ffn_size": 64, "pos_conv_kernel": 16}
PLAIN = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "feat_proj_dropout": 0.0, "layer_drop": 0.0}
CONTEXT = AttentionContext(8, 8, 2)
LENS = torch.tensor([16000, 9000])


def build(**overrides: object) -> XlsrEncoder:
    torch.manual_seed(0)
    return XlsrEncoder(XlsrConfig.preset("tiny", **{**SMALL, **PLAIN, **overrides})).train()


def gradients(encoder: XlsrEncoder, wav: torch.Tensor, seed: int = 0) -> dict[str, torch.Tensor | None]:
    encoder.zero_grad()
    torch.manual_seed(seed)
    y, _ = encoder(wav, LENS, CONTEXT)
    y.square().mean().backward()
    return {name: p.grad for name, p in encoder.named_parameters()}


@pytest.fixture
def wav() -> torch.Tensor:
    return torch.randn(2, 16000, generator=torch.Generator().manual_seed(0)) * 0.1


def test_layer_drop_leaves_zero_gradients_not_none(wav: torch.Tensor) -> None:
    encoder = build(layer_drop=0.6, num_layers=6)
    seen = set()
    for seed in range(4):
        grads = gradients(encoder, wav, seed)
        assert all(grad is not None for grad in grads.values())
        used = [grads[f"encoder.layers.{i}.attention.q_proj.weight"].abs().sum() > 0 for i in range(6)]  # type: ignore
        seen.add(tuple(bool(u) for u in used))
    assert len(seen) > 1 and any(False in pattern for pattern in seen)


def test_layer_drop_is_off_in_eval(wav: torch.Tensor) -> None:
    encoder = build(layer_drop=0.9, mask_time_prob=0.5, hidden_dropout=0.5).eval()
    assert torch.equal(encoder(wav, LENS, CONTEXT)[0], encoder(wav, LENS, CONTEXT)[0])


def test_streams_ignore_train_mode(wav: torch.Tensor) -> None:
    """Dropout and masks of a model left in train mode must not reach a user's words."""
    encoder = build(hidden_dropout=0.5, attention_dropout=0.5, layer_drop=0.9, mask_time_prob=0.5)
    reference = copy.deepcopy(encoder).eval()(wav, None, CONTEXT)[0]
    y, _, state = encoder.step(wav, encoder.init_state(2, CONTEXT))
    got = torch.cat((y, encoder.flush(state)[0]), dim=1)
    assert (got - reference).abs().max() <= 1e-4 and not got.requires_grad


@pytest.mark.parametrize("context", [CONTEXT, AttentionContext.full()], ids=str)
def test_gradient_checkpointing_gives_the_same_gradients(
    wav: torch.Tensor, context: AttentionContext
) -> None:
    random = {"hidden_dropout": 0.1, "attention_dropout": 0.1, "layer_drop": 0.3, "mask_time_prob": 0.2}
    random["num_layers"] = 4
    one = gradients(build(**random), wav, 7)
    two = gradients(build(**random, gradient_checkpointing=True), wav, 7)
    for name, grad in one.items():
        assert grad is not None and torch.allclose(grad, two[name], atol=1e-6), name  # type: ignore[arg-type]


def test_frozen_for_the_first_updates(wav: torch.Tensor) -> None:
    encoder = build(freeze_encoder_updates=10)
    head = torch.nn.Linear(32, 3)
    encoder.set_num_updates(9)
    head(encoder(wav, LENS, CONTEXT)[0]).square().mean().backward()
    assert head.weight.grad is not None and head.weight.grad.abs().sum() > 0
    for parameter in encoder.parameters():
        assert parameter.requires_grad and parameter.grad is not None and (parameter.grad == 0).all()
    encoder.set_num_updates(10)
    assert gradients(encoder, wav)["feature_projection.projection.weight"].abs().sum() > 0  # type: ignore[union-attr]


def test_feature_extractor_is_frozen_iff_its_weights_are_pretrained(wav: torch.Tensor) -> None:
    def is_frozen(encoder: XlsrEncoder) -> bool:
        parameters = list(encoder.feature_extractor.parameters())
        grads = gradients(encoder, wav)
        learns = grads["feature_extractor.conv_layers.0.conv.weight"] is not None
        assert all(p.requires_grad == learns for p in parameters)
        return not learns

    assert not is_frozen(build())
    assert is_frozen(build(freeze_feature_extractor=True))
    for wish, frozen in ((None, True), (False, False), (True, True)):
        encoder = build(freeze_feature_extractor=wish)
        encoder.weights_are_pretrained = True
        assert is_frozen(encoder) is frozen


@pytest.mark.parametrize(
    "masking", [{}, {"mask_time_prob": 0.3}, {"mask_time_prob": 0.3, "mask_channel_prob": 0.3}]
)
def test_every_parameter_has_a_gradient_whatever_the_batch(
    wav: torch.Tensor, masking: dict[str, float]
) -> None:
    encoder = build(**masking, mask_channel_length=4)
    assert all(grad is not None for grad in gradients(encoder, wav).values())
    encoder.zero_grad()
    y, y_lens = encoder(wav[:, :100], None, CONTEXT)  # nothing but utterances too short for a frame
    assert y_lens.tolist() == [0, 0]
    y.sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_time_masks_replace_frames_by_the_embedding(wav: torch.Tensor) -> None:
    encoder = build(mask_time_prob=0.4)
    assert gradients(encoder, wav)["masked_spec_embed"].abs().sum() > 0  # type: ignore[union-attr]
    assert gradients(build(), wav)["masked_spec_embed"].abs().sum() == 0  # type: ignore[union-attr]


def test_spans() -> None:
    torch.manual_seed(0)
    lens = torch.tensor([500, 250, 60, 9, 0])
    shares = torch.zeros(5)
    for _ in range(50):
        mask = draw_spans(lens, 500, 0.3, 10, least=2)
        for row, size in enumerate(lens.tolist()):
            assert not mask[row, size:].any()
            # Runs of True are unions of spans: none may be shorter than one.
            runs = "".join("x" if m else " " for m in mask[row].tolist()).split()
            assert all(len(run) >= 10 for run in runs)
            shares[row] += float(mask[row].sum()) / max(1, size) / 50
    assert 0.2 < shares[0] < 0.3 and 0.2 < shares[1] < 0.3 and 0.2 < shares[2] < 0.35
    assert shares[3] == shares[4] == 0


def test_masks_differ_between_utterances_and_draws() -> None:
    torch.manual_seed(0)
    masks = draw_spans(torch.tensor([300, 300]), 300, 0.2, 10)
    assert not torch.equal(masks[0], masks[1])
    assert not torch.equal(masks, draw_spans(torch.tensor([300, 300]), 300, 0.2, 10))


def test_bf16_autocast_trains_and_streams(wav: torch.Tensor) -> None:
    encoder = build()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, _ = encoder(wav, LENS, CONTEXT)
        y.float().square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())
    encoder.eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        reference = encoder(wav, None, CONTEXT)[0].float()
        state = encoder.init_state(2, CONTEXT)
        assert state.keys.dtype == torch.bfloat16
        parts = []
        for packet in wav.split(3000, dim=1):
            y, _, state = encoder.step(packet, state)
            parts.append(y.float())
        parts.append(encoder.flush(state)[0].float())
    assert (torch.cat(parts, dim=1) - reference).abs().max() < 0.2


def test_bf16_weights_run(wav: torch.Tensor) -> None:
    encoder = build().eval().to(torch.bfloat16)
    y, _ = encoder(wav, LENS, CONTEXT)
    assert y.dtype == torch.bfloat16 and torch.isfinite(y).all()


def test_position_kernel_follows_the_weights(wav: torch.Tensor) -> None:
    """The kernel kept for evaluation must not outlive the weights it was made of."""
    encoder = build().eval()
    with torch.no_grad():
        before = encoder(wav, LENS, CONTEXT)[0]
    other = build()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    encoder.load_state_dict(other.state_dict())
    with torch.no_grad():
        after, expected = encoder(wav, LENS, CONTEXT)[0], other.eval()(wav, LENS, CONTEXT)[0]
    assert torch.equal(after, expected) and not torch.equal(before, after)
    optimiser = torch.optim.SGD(encoder.parameters(), lr=0.1)
    encoder(wav, LENS, CONTEXT)[0].square().mean().backward()
    optimiser.step()
    fresh = copy.deepcopy(encoder)
    with torch.no_grad():
        assert torch.equal(encoder(wav, LENS, CONTEXT)[0], fresh(wav, LENS, CONTEXT)[0])


def test_an_encoder_that_has_run_can_be_copied_and_trained(wav: torch.Tensor) -> None:
    encoder = build().eval()
    with torch.inference_mode():
        y = encoder(wav, LENS, CONTEXT)[0]
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(encoder)(wav, LENS, CONTEXT)[0], y)
    encoder.train()
    assert gradients(encoder, wav)["encoder.pos_conv_embed.conv.bias"] is not None
