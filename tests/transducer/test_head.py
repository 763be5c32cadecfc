"""Losses of the head against a plain program, and the edges: no tokens, T < U, padding, subsampling."""

from __future__ import annotations

import itertools
import random

import pytest
import torch

from tests.transducer.dp import transducer_nll
from xlsrt.errors import UserError
from xlsrt.transducer import HeadConfig, TransducerHead
from xlsrt.transducer.joint import group_frames


def make_head(**options):
    torch.manual_seed(0)
    defaults = {"encoder_size": 6, "vocab_size": 5, "predictor_size": 7, "joint_size": 8}
    return TransducerHead(HeadConfig(**{**defaults, **options}))


def batch(lens, token_lens, width=6, vocab=5):
    torch.manual_seed(1)
    enc = torch.randn(len(lens), max(lens), width)
    tokens = torch.randint(1, vocab, (len(lens), max(1, *token_lens)))
    return enc, torch.tensor(lens), tokens, torch.tensor(token_lens)


def expected(head, enc, tokens):
    """Loss of one utterance by the float64 program on its own joint lattice."""
    frames = head.joint.encoder_projection(group_frames(enc.unsqueeze(0), head.config.output_subsampling))
    pred = head.joint.predictor_projection(head.predictor(tokens.unsqueeze(0)))
    logits = head.joint(frames.unsqueeze(2), pred.unsqueeze(1))[0]
    return transducer_nll(torch.log_softmax(logits.double(), -1), tokens.tolist(), head.config.blank_id)


@pytest.mark.parametrize("predictor", ["stateless", "lstm"])
@pytest.mark.parametrize("subsampling", [1, 2, 4])
def test_losses_equal_the_plain_program(predictor, subsampling):
    head = make_head(predictor=predictor, output_subsampling=subsampling, ctc_weight=0.0)
    lens, token_lens = [9, 1, 3, 10], [4, 3, 0, 1]  # T < U in the second, no tokens in the third
    enc, enc_lens, tokens, lengths = batch(lens, token_lens)
    losses = head.losses(enc, enc_lens, tokens, lengths)
    sizes = enumerate(zip(lens, token_lens, strict=True))
    wanted = sum(expected(head, enc[i, :t], tokens[i, :u]).item() for i, (t, u) in sizes)
    assert losses["loss_transducer"].item() == pytest.approx(wanted / len(lens), rel=1e-5)
    assert set(losses) == {"loss", "loss_transducer"}


@pytest.mark.parametrize("loss", ["full", "pruned"])
@pytest.mark.parametrize("predictor", ["stateless", "lstm"])
def test_padding_to_few_shapes_changes_no_loss_and_no_gradient(loss, predictor, monkeypatch):
    rng = random.Random(0)
    for subsampling in (1, 2, 4):
        options = {"predictor": predictor, "output_subsampling": subsampling, "ctc_weight": 0.3}
        head = make_head(loss=loss, **options).double().eval()
        lens = [rng.randint(0, 70) for _ in range(4)]
        enc, enc_lens, tokens, token_lens = batch([*lens, 50], [rng.randint(0, 20) for _ in lens] + [9])
        inputs, found = enc.double().requires_grad_(), []
        for few in (False, True):
            monkeypatch.setattr("xlsrt.transducer.head.few_shapes", lambda tensor, few=few: few)
            losses = head.losses(inputs, enc_lens, tokens, token_lens)
            gradients = torch.autograd.grad(losses["loss"], [inputs, *head.parameters()], allow_unused=True)
            found.append([*losses.values(), *(g for g in gradients if g is not None)])
        for plain, padded in zip(*found, strict=True):  # lattices are float32
            torch.testing.assert_close(padded, plain, rtol=1e-5, atol=1e-6)


def test_padding_values_do_not_matter():
    head = make_head()
    enc, enc_lens, tokens, lengths = batch([5, 9], [2, 4])
    before = head.losses(enc, enc_lens, tokens, lengths)
    enc[0, 5:] = 1e4
    tokens[0, 2:] = -1
    after = head.losses(enc, enc_lens, tokens, lengths)
    for name in before:
        torch.testing.assert_close(before[name], after[name])


def test_ctc_sees_every_frame_and_is_added():
    head = make_head(output_subsampling=4, ctc_weight=0.5)
    enc, enc_lens, tokens, lengths = batch([6], [3])
    losses = head.losses(enc, enc_lens, tokens, lengths)
    log_probs = head.ctc_log_probs(enc)[0].double()
    wanted = 0.0  # every frame labelling that collapses to the transcript
    for path in itertools.product(range(5), repeat=6):
        collapsed = [t for t, _ in itertools.groupby(path) if t != 0]
        if collapsed == tokens[0].tolist():
            wanted += float(torch.exp(sum(log_probs[i, t] for i, t in enumerate(path))))
    ctc = -torch.log(torch.tensor(wanted))
    assert losses["loss_ctc"].item() == pytest.approx(float(ctc), rel=1e-4)
    assert losses["loss"].item() == pytest.approx(float(losses["loss_transducer"] + 0.5 * ctc), rel=1e-4)


def test_all_transcripts_empty_and_no_frames():
    head = make_head()
    none = torch.zeros(2, 0, dtype=torch.long)
    losses = head.losses(torch.randn(2, 3, 6), torch.tensor([3, 0]), none, torch.tensor([0, 0]))
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    nothing = head.losses(torch.randn(1, 0, 6), torch.tensor([0]), none[:1], torch.tensor([0]))
    assert float(nothing["loss"]) == 0.0


def test_gradients_reach_every_parameter():
    for predictor in ("stateless", "lstm"):
        head = make_head(predictor=predictor, output_subsampling=2)
        enc, enc_lens, tokens, lengths = batch([9, 6], [4, 2])
        head.losses(enc, enc_lens, tokens, lengths)["loss"].backward()
        for name, parameter in head.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_bf16_frames_give_nearly_the_float32_loss():
    head = make_head()
    inputs = batch([9, 6], [4, 2])
    wanted = head.losses(*inputs)["loss"].item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert head.losses(*inputs)["loss"].item() == pytest.approx(wanted, rel=0.05)


def test_predictor_steps_equal_its_forward():
    for predictor in ("stateless", "lstm"):
        head = make_head(predictor=predictor, lstm_layers=2, context_size=3)
        tokens = torch.randint(1, 5, (3, 6))
        whole = head.predictor(tokens)
        output, state = head.predictor.start(3)
        torch.testing.assert_close(output, whole[:, 0])
        for i in range(6):
            output, state = head.predictor.step(tokens[:, i], state)
            torch.testing.assert_close(output, whole[:, i + 1])


def test_config_reads_espnet_keys_and_refuses_wrong_ones():
    args = {
        "decoder": "lstm",
        "decoder_conf": {"hidden_size": 12, "num_layers": 2},
        "joint_net_conf": {"joint_size": 9},
        "model_conf": {"ctc_weight": 0.1, "output_subsampling": 2, "loss_warmup_updates": 7, "unrelated": 1},
    }
    config = HeadConfig.from_espnet(args, 6, 5)
    assert (config.predictor, config.predictor_size, config.lstm_layers, config.joint_size) == (
        "lstm",
        12,
        2,
        9,
    )
    assert (config.ctc_weight, config.output_subsampling, config.warmup_updates) == (0.1, 2, 7)
    assert HeadConfig.from_dict(config.to_dict()) == config
    assert HeadConfig.from_espnet({"model_conf": {"fastemit_lambda": "5e-3"}}, 6, 5).fastemit_lambda == 0.005
    for wrong in ({"ctc_weight": float("nan")}, {"prune_range": 2.5}, {"delay_penalty": "much"}):
        with pytest.raises(UserError, match=f"{next(iter(wrong))} is .*; it must be a "):
            HeadConfig.from_espnet({"model_conf": wrong}, 6, 5)
    with pytest.raises(UserError, match="hiden"):
        HeadConfig.from_espnet({"decoder_conf": {"hiden": 1}}, 6, 5)
    with pytest.raises(UserError, match="output_subsampling is 3"):
        HeadConfig(6, 5, output_subsampling=3)
    with pytest.raises(UserError, match="blank_id"):
        HeadConfig(6, 5, blank_id=5)
    with pytest.raises(UserError, match="foo"):
        HeadConfig.from_dict({"encoder_size": 6, "vocab_size": 5, "foo": 1})


def test_token_noise_changes_what_the_predictor_hears_in_training_alone():
    torch.manual_seed(0)
    head = make_head(token_noise=0.5, blank_id=2, vocab_size=50)
    tokens = torch.randint(3, 50, (40, 25))
    tokens[:, 20:] = 2
    heard = head._misheard(tokens)
    changed = (heard != tokens)[:, :20].float().mean()
    assert 0.4 < changed < 0.55  # one draw in 49 is the token itself
    assert (heard[:, :20] != 2).all() and (heard[:, 20:] == 2).all()
    assert heard.min() == 0 and heard.max() == 49
    assert head.eval()._misheard(tokens) is tokens


def test_joint_dropout_is_drawn_once_for_each_frame():
    torch.manual_seed(0)
    joint = make_head(dropout=0.5, joint_size=400).joint
    joint.output = torch.nn.Identity()
    enc, pred = torch.ones(2, 3, 1, 400), torch.ones(2, 1, 4, 400)
    hidden = joint(enc, pred)
    kept = hidden != 0
    assert torch.equal(kept, kept[:, :, :1].expand_as(kept))  # the same for every predictor output
    assert not torch.equal(kept[:, 0], kept[:, 1]) and 0.4 < kept.float().mean() < 0.6
    torch.testing.assert_close(hidden[kept], torch.tanh(torch.tensor(2.0)).mul(2).expand(int(kept.sum())))
    assert torch.equal(joint.eval()(enc, pred), torch.tanh(enc + pred))
