"""wav2vec 2.0's objective: the same loss as Hugging Face's, from the same file, masks and negatives."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from tests.encoder.checkpoints.test_fairseq import OPTIONS, fairseq_names, write
from xlsrt.context import AttentionContext
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.encoder.checkpoints import save_pretrained
from xlsrt.encoder.checkpoints.pretraining import NAMES, load_heads
from xlsrt.errors import UserError
from xlsrt.pretrain.contrastive import Contrastive, ContrastiveConfig, draw_negatives
from xlsrt.pretrain.masked import MaskConfig, MaskedPass, masked_pass

FULL = AttentionContext.full()
SIZES: dict[str, Any] = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "conv_dim": [24] * 7,
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_codevectors_per_group": 12,
    "num_codevector_groups": 2,
    "codevector_dim": 16,
    "proj_codevector_dim": 20,
    "diversity_loss_weight": 0.1,
    "num_negatives": 10,
    "layerdrop": 0.0,
} | dict.fromkeys(
    ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_quantizer_dropout"), 0.0
)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A random `Wav2Vec2ForPreTraining` and the directory that it was saved to."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(3)
    model = transformers.Wav2Vec2ForPreTraining(transformers.Wav2Vec2Config(**SIZES, feat_proj_dropout=0.0))
    torch.nn.init.normal_(model.quantizer.codevectors)
    directory = tmp_path_factory.mktemp("hf") / "pretraining"
    model.save_pretrained(directory)
    return model, directory


def load(directory: Path) -> tuple[XlsrEncoder, Contrastive]:
    encoder = XlsrEncoder.from_pretrained(str(directory), input_norm="none")
    heads = load_heads(directory)
    return encoder, Contrastive(encoder, heads, ContrastiveConfig(negatives=10))


def test_the_heads_are_those_of_the_file(theirs: tuple[Any, Path]) -> None:
    model, directory = theirs
    _, objective = load(directory)
    state = model.state_dict()
    ours = objective.state_dict()
    assert sorted(ours) == sorted(NAMES)
    assert all(torch.equal(ours[name], state[name]) for name in NAMES)


@pytest.mark.parametrize("train", [False, True])
def test_the_loss_is_hugging_faces(
    theirs: tuple[Any, Path], train: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.wav2vec2.modeling_wav2vec2 import _sample_negative_indices

    model, directory = theirs
    encoder, objective = load(directory)
    torch.manual_seed(0)
    np.random.seed(0)
    wav = torch.randn(2, 16000)
    mask = torch.rand(2, 49) < 0.5
    indices = torch.from_numpy(_sample_negative_indices((2, 49), 10, mask.numpy())).long()
    # Sampling is replaced by something that both can do on their own rows.
    monkeypatch.setattr(
        F, "gumbel_softmax", lambda x, tau, hard: F.one_hot((x / tau).argmax(-1), x.shape[-1]).to(x) + 0 * x
    )
    for module in (model, encoder, objective):
        module.train(train)
    expected = model(wav, mask_time_indices=mask, sampled_negative_indices=indices)
    passed = masked_pass(encoder, wav, None, FULL, MaskConfig(), mask=mask)
    # Their indices count all frames, ours the masked ones.
    place = mask.flatten().cumsum(0) - 1
    loss, figures = objective(passed, negatives=place[indices[mask]])
    count = int(mask.sum())
    assert count > 30
    assert loss.item() == pytest.approx(expected.loss.item() / count, rel=1e-5)
    assert figures["loss_contrastive"].item() == pytest.approx(
        expected.contrastive_loss.item() / count, rel=1e-5
    )
    assert figures["loss_diversity"].item() == pytest.approx(expected.diversity_loss.item() / count, rel=1e-5)
    if train:
        loss.backward()
        (expected.loss / count).backward()
        for name in ("quantizer.weight_proj.weight", "project_q.weight", "project_hid.weight"):
            ours, other = objective.get_parameter(name).grad, model.get_parameter(name).grad
            assert torch.allclose(ours, other, atol=1e-6), name
        other = model.get_parameter("wav2vec2.encoder.layers.0.attention.q_proj.weight").grad
        assert torch.allclose(encoder.encoder.layers[0].attention.q_proj.weight.grad, other, atol=1e-6)


def test_similarities_are_of_full_precision_under_autocast(theirs: tuple[Any, Path]) -> None:
    """Autocast may round what the projections give, but not what the temperature then multiplies by ten."""
    encoder, objective = load(theirs[1])
    encoder.eval(), objective.eval()
    torch.manual_seed(0)
    seen: dict[str, Any] = {}
    for name in ("quantizer", "project_q", "project_hid"):
        objective.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: output})
        )
    negatives = None
    with torch.autocast("cpu", torch.bfloat16):
        passed = masked_pass(encoder, torch.randn(2, 16000), None, FULL, MaskConfig())
        negatives = draw_negatives(passed.mask, 10)
        _, figures = objective(passed, negatives=negatives)
    positive, predicted = (F.normalize(seen[name].float(), dim=-1) for name in ("project_q", "project_hid"))
    products, codes = predicted @ positive.T, seen["quantizer"][1]
    same = (codes[negatives] == codes[:, None, :]).all(-1)
    others = products.gather(1, negatives).masked_fill(same, float("-inf"))
    logits = torch.cat((products.diagonal()[:, None], others), dim=1) / objective.config.logits_temperature
    wanted = F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
    assert figures["loss_contrastive"].item() == pytest.approx(wanted.item(), rel=1e-6)


def test_it_trains_in_chunks_with_sinks(theirs: tuple[Any, Path]) -> None:
    encoder, objective = load(theirs[1])
    encoder.train(), objective.train()
    torch.manual_seed(1)
    wav, lens = torch.randn(3, 16000), torch.tensor([16000, 12000, 8000])
    optimizer = torch.optim.Adam([*encoder.parameters(), *objective.parameters()], lr=2e-3)
    losses = []
    for step in range(25):
        draw = torch.Generator().manual_seed(step % 5)
        passed = masked_pass(encoder, wav, lens, AttentionContext(8, 8, 2), MaskConfig(), draw)
        loss, figures = objective(passed, num_updates=step, draw=draw)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(figures["loss_contrastive"].item())
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_negatives_are_other_masked_frames_of_the_same_utterance() -> None:
    mask = torch.zeros(3, 20, dtype=torch.bool)
    mask[0, 3:9], mask[1, 5], mask[2, ::2] = True, True, True
    places = draw_negatives(mask, 200, torch.Generator().manual_seed(0))
    rows = mask.nonzero()[:, 0]
    assert places.shape == (17, 200)
    assert (rows[places] == rows[:, None]).all()
    own = torch.arange(17)[:, None]
    assert not (places[rows != 1] == own[rows != 1]).any()
    assert (places[rows == 1] == own[rows == 1]).all(), "alone: itself, which is then ignored"
    assert places[0].unique().numel() == 5


@pytest.mark.parametrize("masked", [1, 2, 6, 40])
def test_the_baseline_is_what_noise_finds(theirs: tuple[Any, Path], masked: int) -> None:
    """Of few masked frames a hundred negatives are the same few: a guess finds more than one in 101."""
    _, objective = load(theirs[1])
    objective.eval()
    rows, draw = 4000 // masked, torch.Generator().manual_seed(0)
    mask = torch.ones(rows, masked, dtype=torch.bool)
    noise = [torch.randn(rows, masked, width, generator=draw) for width in (48, 24)]
    passed = MaskedPass(noise[0], torch.full((rows,), masked), mask, noise[1], torch.zeros(rows, 400))
    figures = objective(passed, negatives=draw_negatives(mask, 100, draw))[1]
    assert figures["baseline"] > 0.999 / masked
    assert figures["accuracy"].item() == pytest.approx(figures["baseline"].item(), rel=0.15)


def test_a_batch_without_masked_frames_has_figures(theirs: tuple[Any, Path]) -> None:
    encoder, objective = load(theirs[1])
    passed = masked_pass(encoder, torch.randn(2, 3000), None, FULL, MaskConfig())
    loss, figures = objective(passed)
    assert not passed.mask.any() and torch.isfinite(loss)
    assert all(torch.isfinite(figure) for figure in figures.values())
    loss.backward()
    gradients = [p.grad for p in [*encoder.parameters(), *objective.parameters()] if p.grad is not None]
    assert gradients and not any(gradient.any() for gradient in gradients)


def test_fairseq_names_are_understood(theirs: tuple[Any, Path], tmp_path: Path) -> None:
    names = {"quantizer.codevectors": "quantizer.vars", "project_hid.weight": "final_proj.weight"}
    names["project_hid.bias"] = "final_proj.bias"
    heads = load_heads(theirs[1])
    tensors = fairseq_names(XlsrEncoder(XlsrConfig.preset("tiny")))
    tensors |= {names.get(name, name): tensor for name, tensor in heads.items()}
    again = load_heads(write(tmp_path / "xlsr.pt", tensors, args=argparse.Namespace(**OPTIONS)))
    assert sorted(again) == sorted(heads)
    assert all(torch.equal(again[name], tensor) for name, tensor in heads.items())


def test_a_checkpoint_without_quantiser_says_so(theirs: tuple[Any, Path], tmp_path: Path) -> None:
    encoder, _ = load(theirs[1])
    bare = save_pretrained(encoder, tmp_path / "bare")
    with pytest.raises(UserError, match=r"bare: .*has no part of it.*objective: best_rq"):
        load_heads(bare)
    tensors = load_file(theirs[1] / "model.safetensors")
    tensors.pop("project_q.bias")
    save_file(tensors, bare / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"it lacks project_q\.bias"):
        load_heads(bare)


def test_the_temperature_falls_to_its_floor() -> None:
    config = ContrastiveConfig(temperature=1.0, temperature_min=0.5, temperature_decay=0.9)
    assert [config.gumbel(step) for step in (0, 1, 100)] == [1.0, 0.9, 0.5]
    with pytest.raises(UserError, match=r"temperature_decay is 1\.1; above 1"):
        ContrastiveConfig(temperature_decay=1.1)
    with pytest.raises(UserError, match=r"temperature_min is 0\.6; it is at most the temperature, 0\.5"):
        ContrastiveConfig(temperature_min=0.6)
