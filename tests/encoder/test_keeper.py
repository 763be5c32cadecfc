"""What is kept of weights follows them, also where PyTorch counts no change: edits through ``.data``."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder
from xlsrt.encoder import keeper
from xlsrt.encoder.keeper import Keeper, checksum
from xlsrt.encoder.linear import can_pack
from xlsrt.encoder.weights import attention_weights
from xlsrt.errors import UserError

CONTEXT = AttentionContext(4, 4, 1)
DTYPES = [torch.float32, torch.float64, torch.bfloat16]


def one_entry(weight: Tensor) -> None:
    weight[(0,) * (weight.dim() - 1) + (weight.shape[-1] // 2,)] += 0.5  # of a kernel the frame's own tap


EDITS: dict[str, Callable[[Tensor], object]] = {
    "scaled in part": lambda weight: weight[::2].mul_(1.5),  # of all of it, the weight norm would take away
    "negated": lambda weight: weight.neg_(),
    "moved": lambda weight: weight.add_(0.05),
    "copied over": lambda weight: weight.copy_(weight * 0.9 + 0.01 * torch.randn(weight.shape)),
    "set": lambda weight: weight.fill_(0.01),
    "one entry": one_entry,
    "rows exchanged": lambda weight: weight.copy_(weight.clone().flip(0)),
    "columns exchanged": lambda weight: weight.copy_(weight.roll(8, dims=weight.dim() - 1)),
}


def made(dtype: torch.dtype = torch.float32) -> XlsrEncoder:
    torch.manual_seed(0)
    return XlsrEncoder(XlsrConfig.preset("tiny", hidden_size=192)).to(dtype).eval()


def keepers(encoder: XlsrEncoder) -> dict[str, Keeper]:
    return {name: layer for name, layer in encoder.named_modules() if isinstance(layer, Keeper)}


@torch.no_grad()
def whole(encoder: XlsrEncoder) -> Tensor:
    wav = torch.randn(1, 4000, generator=torch.Generator().manual_seed(1))
    return encoder(wav, None, CONTEXT)[0]


def streamed(encoder: XlsrEncoder) -> Tensor:
    wav = torch.randn(1, 4000, generator=torch.Generator().manual_seed(1))
    y, _, state = encoder.step(wav, encoder.init_state(1, CONTEXT))
    return torch.cat((y, encoder.flush(state)[0]), dim=1)


def shown(encoder: XlsrEncoder) -> Tensor:
    wav = torch.randn(4000, generator=torch.Generator().manual_seed(1))
    return attention_weights(encoder, wav, CONTEXT, lambda layer: None)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("edit", EDITS)
def test_edits_through_data_count_from_the_next_utterance_or_stream(edit: str, dtype: torch.dtype) -> None:
    for use in (whole, streamed, shown):
        encoder = made(dtype)
        before = use(encoder)
        kept = [layer for layer in keepers(encoder).values() if layer._kept is not None]
        assert len(kept) == (1 + 12 * can_pack(dtype))
        for layer in kept:
            EDITS[edit](layer.sources()[-1].data)
        fresh = XlsrEncoder(encoder.config).to(dtype).eval()
        fresh.load_state_dict(encoder.state_dict())
        found = use(encoder)
        assert torch.equal(found, use(fresh))
        assert (found - before).abs().max() > 1e-3


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_one_entry_of_one_layer_counts(dtype: torch.dtype) -> None:
    encoder = made(dtype)
    for name, layer in keepers(encoder).items():
        whole(encoder)
        if layer._kept is None:
            continue
        one_entry(layer.sources()[-1].data)
        assert torch.equal(whole(encoder), whole(copy.deepcopy(encoder))), name


def test_what_is_kept_of_unchanged_weights_stays_and_steps_do_not_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder, asked = made(), []
    whole(encoder)
    kept = {name: layer._kept for name, layer in keepers(encoder).items()}
    monkeypatch.setattr(keeper, "checksum", lambda *weights: asked.append(1) or checksum(*weights))
    whole(encoder)
    state = encoder.init_state(1, CONTEXT)
    many = 2 * sum(value is not None for value in kept.values())
    assert len(asked) == many > 0
    _, _, state = encoder.step(torch.randn(1, 9000), state)
    encoder.step(torch.randn(1, 9000), state)
    encoder(torch.randn(1, 4000), None, CONTEXT)  # with gradients nothing kept is used
    assert len(asked) == many
    assert all(layer._kept is kept[name] for name, layer in keepers(encoder).items())


def test_a_kernel_made_later_is_not_kept_beside_older_ones() -> None:
    encoder = made()
    position = encoder.encoder.pos_conv_embed
    with torch.no_grad():
        first = position.weight(70).clone()
        position.conv.parametrizations.weight.original1.data.neg_()  # type: ignore[union-attr]
        position.weight(71)
        position.conv.parametrizations.weight.original1.data.neg_()  # type: ignore[union-attr]
        keeper.drop_stale(encoder)
        assert torch.equal(position.weight(70), first)
        assert torch.equal(position.weight(71)[:, :, :70], first)


def test_a_stream_of_older_weights_ends_where_new_ones_begin() -> None:
    encoder = made()
    state = encoder.init_state(1, CONTEXT)
    encoder.masked_spec_embed.data.add_(1.0)
    encoder.init_state(1, CONTEXT)
    with pytest.raises(UserError, match="weights have changed since"):
        encoder.step(torch.zeros(1, 100), state)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16], ids=str)
@pytest.mark.parametrize("size", [64, 34, 33])
def test_a_checksum_follows_each_entry_of_any_layout(size: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    flat = torch.randn(3 + 6 * size).to(dtype)
    layouts = [flat[: 6 * size].view(6, size), flat[3:].view(6, size), flat[3:].view(size, 6).t()]
    for weight in layouts:
        before = checksum(weight)
        assert before.shape == (6,) and torch.equal(checksum(weight), before)
        for entry in range(size):
            row, old = entry % 6, weight[entry % 6, entry].clone()
            weight[row, entry] = torch.nextafter(old * 2, old)
            assert (checksum(weight) != before).nonzero().flatten().tolist() == [row]
            weight[row, entry] = old
        assert torch.equal(checksum(weight), before)


def test_checksums_take_weights_of_any_number_of_dimensions_and_autocast_leaves_them_alone() -> None:
    weights = torch.randn(1, 1, 128), torch.randn(8, 4, 128), torch.randn(16)[:, None]
    before = checksum(*weights)
    assert before.shape == (1 + 8 + 16,)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        assert torch.equal(checksum(*weights), before)


def test_compilers_meet_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = made()
    wanted = whole(encoder)
    kept = {name: layer._kept for name, layer in keepers(encoder).items()}
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr(keeper, "checksum", lambda *weights: pytest.fail("read while compiling"))
    assert (whole(encoder) - wanted).abs().max() <= 1e-4
    assert whole(made()).shape == wanted.shape
    assert all(layer._kept is kept[name] for name, layer in keepers(encoder).items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_edits_through_data_count_on_cuda(dtype: torch.dtype) -> None:
    encoder = made(dtype).cuda()
    before = whole(encoder)
    one_entry(encoder.encoder.pos_conv_embed.sources()[1].data)
    found = whole(encoder)
    assert torch.equal(found, whole(copy.deepcopy(encoder))) and not torch.equal(found, before)
