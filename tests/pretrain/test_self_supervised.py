"""Masked prediction: what is hidden, what the targets are, that it learns, in any context."""

from __future__ import annotations

import pytest
import torch

from xlsrt.context import AttentionContext, ContextSampler
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.pretrain.best_rq import BestRq, BestRqConfig, RandomProjectionQuantizer, Spectrum
from xlsrt.pretrain.masked import MaskConfig, masked_pass, perplexity

PLAIN = dict.fromkeys(("hidden_dropout", "attention_dropout", "feat_proj_dropout", "layer_drop"), 0.0)
CONTEXTS = [AttentionContext.full(), AttentionContext(8, 8, 0), AttentionContext(8, 8, 4)]


@pytest.fixture
def encoder() -> XlsrEncoder:
    torch.manual_seed(0)
    return XlsrEncoder(XlsrConfig.preset("tiny", **PLAIN))


def speechlike(rows: int, samples: int = 16000) -> torch.Tensor:
    """Harmonics whose pitch and loudness wander: neighbouring frames tell of a hidden one."""
    draw = torch.Generator().manual_seed(1)
    time = torch.arange(samples) / 16000
    wavs = []
    for _ in range(rows):
        f0, rate, phase = (torch.rand(3, generator=draw) * torch.tensor([150.0, 2.0, 6.0])).tolist()
        pitch = (120 + f0 * (1 + torch.sin(2 * torch.pi * rate * time + phase))).cumsum(0) / 16000
        wavs.append(sum(torch.sin(2 * torch.pi * k * pitch) / k for k in range(1, 6)))
    wav = 0.1 * torch.stack(wavs)  # type: ignore[arg-type]
    return wav + 0.001 * torch.randn(wav.shape, generator=draw)


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_without_a_mask_it_is_the_encoder(encoder: XlsrEncoder, context: AttentionContext) -> None:
    wav, lens = speechlike(2), torch.tensor([16000, 9000])
    encoder.eval()
    nothing = torch.zeros(2, 49, dtype=torch.bool)
    passed = masked_pass(encoder, wav, lens, context, MaskConfig(), mask=nothing)
    y, y_lens = encoder(wav, lens, context)
    assert torch.equal(passed.lens, y_lens)
    assert torch.equal(passed.frames, y)


@pytest.mark.parametrize("fill", ["embedding", "noise"])
@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_what_is_masked_is_not_heard(fill: str, context: AttentionContext) -> None:
    # Normalisation would carry the level of hidden samples on.
    encoder = XlsrEncoder(XlsrConfig.preset("tiny", **PLAIN, input_norm="none")).eval()
    mask = torch.zeros(1, 49, dtype=torch.bool)
    mask[0, 20:30] = True
    wav = speechlike(1)
    other = wav.clone()
    # Frame 19 ends at its 400th sample, frame 30 has not begun: these belong to masked frames alone.
    hidden = slice(19 * 320 + 400, 30 * 320)
    other[0, hidden] = torch.randn(other[0, hidden].shape)

    def frames(samples: torch.Tensor, hide: torch.Tensor) -> torch.Tensor:
        draw = torch.Generator().manual_seed(0)
        return masked_pass(encoder, samples, None, context, MaskConfig(fill=fill), draw, hide).frames

    assert torch.equal(frames(wav, mask), frames(other, mask))
    assert not torch.equal(frames(wav, ~mask), frames(other, ~mask))


def test_masks_follow_the_generator_and_stay_inside() -> None:
    encoder = XlsrEncoder(XlsrConfig.preset("tiny", **PLAIN))
    wav, lens = speechlike(3), torch.tensor([16000, 12000, 3000])
    masks = [
        masked_pass(
            encoder, wav, lens, CONTEXTS[0], MaskConfig(prob=0.6), torch.Generator().manual_seed(seed)
        ).mask
        for seed in (3, 3, 4)
    ]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    frames = encoder.config.num_frames(lens)
    assert not masks[0][torch.arange(49)[None, :] >= frames[:, None]].any()
    share = masks[0][0].float().mean()
    assert 0.3 < share < 0.75
    assert not masks[0][2].any(), "8 frames are shorter than a span"


def test_spectra_lie_at_the_frames() -> None:
    spectrum = Spectrum(40)
    wav = torch.zeros(1, 16000)
    centre = 30 * 320 + 200
    wav[0, centre - 8 : centre + 8] = 0.5
    lens = torch.tensor([49])
    energy = spectrum(wav, lens, 49)[0].sum(-1)
    assert int(energy.argmax()) == 30
    alone = spectrum(speechlike(1)[:, :9000], torch.tensor([27]), 27)
    padded = torch.nn.functional.pad(speechlike(1)[:, :9000], (0, 7000))
    assert torch.allclose(spectrum(padded, torch.tensor([27]), 49)[:, :27], alone, atol=1e-5)
    assert torch.isfinite(spectrum(torch.zeros(1, 800), torch.tensor([2]), 2)).all()


def test_cepstra_spread_the_codes() -> None:
    # Hiss whose loudness wanders: the bands say one thing over and over.
    draw = torch.Generator().manual_seed(0)
    level = (2 * torch.randn(6, 50, 1, generator=draw)).exp().expand(-1, -1, 320).reshape(6, 16000)
    wav = 0.001 * level * torch.randn(6, 16000, generator=draw)
    lens, used = torch.full((6,), 49), {}
    for cepstra in (0, 16):
        config = BestRqConfig(codebooks=4, codebook_size=64, num_cepstra=cepstra)
        x = Spectrum(config.num_mels, cepstra)(wav, lens, 49)
        assert x.shape == (6, 49, config.size_in)
        assert x.mean(1).abs().max() < 1e-4 and x.std(1, correction=0).max() < 1.001
        codes = RandomProjectionQuantizer(config.size_in, config)(x.flatten(0, 1))
        used[cepstra] = perplexity(torch.stack([one.bincount(minlength=64) for one in codes.T])).mean()
    assert used[16] > 1.5 * used[0]
    with pytest.raises(UserError, match="num_cepstra is 99"):
        BestRqConfig(num_cepstra=99)


def test_codes_keep_their_seed() -> None:
    x = torch.randn(200, 32)
    same = [RandomProjectionQuantizer(32, BestRqConfig(seed=seed))(x) for seed in (5, 5, 6)]
    assert torch.equal(same[0], same[1]) and not torch.equal(same[0], same[2])
    assert same[0].shape == (200, 2)
    # The nearest code by distance, which is how the paper puts it.
    quantizer = RandomProjectionQuantizer(32, BestRqConfig())
    projected = torch.nn.functional.normalize(x @ quantizer.projection[0], dim=-1)
    assert torch.equal(torch.cdist(projected, quantizer.codes[0]).argmin(-1), quantizer(x)[:, 0])
    assert {name for name, _ in quantizer.named_buffers()} == {"projection", "codes"}
    assert not list(quantizer.parameters())


def test_perplexity_counts_codes() -> None:
    assert perplexity(torch.tensor([5, 5, 5, 5, 0])).item() == pytest.approx(4)
    assert perplexity(torch.tensor([9.0, 0, 0])).item() == pytest.approx(1)


def test_it_learns_in_sampled_contexts(encoder: XlsrEncoder) -> None:
    sampler = ContextSampler((8, 16), ("1x", None), (0, 4), full_prob=0.3)
    objective = BestRq(encoder, BestRqConfig(codebooks=1, codebook_size=32, num_mels=20))
    wav, lens = speechlike(4), torch.full((4,), 16000)
    optimizer = torch.optim.Adam([*encoder.parameters(), *objective.parameters()], lr=2e-3)
    losses, before = [], [p.clone() for p in encoder.parameters()]
    for step in range(40):
        passed = masked_pass(
            encoder, wav, lens, sampler.sample(step), MaskConfig(), torch.Generator().manual_seed(step)
        )
        loss, figures = objective(passed)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert figures["accuracy"] > 1.3 * figures["baseline"]
    assert all(not torch.equal(p, q) for p, q in zip(encoder.parameters(), before, strict=True)), (
        "every parameter takes part, the mask embedding included"
    )


def test_settings_are_checked() -> None:
    assert MaskConfig.from_dict({"prob": 1, "length": 4}).prob == 1.0
    with pytest.raises(UserError, match=r"mask_conf: unknown key lenght .*mean length\?\); known: prob"):
        MaskConfig.from_dict({"lenght": 4})
    with pytest.raises(UserError, match=r"mask_conf\.length is '4'"):
        MaskConfig.from_dict({"length": "4"})
    with pytest.raises(UserError, match="embedding, noise"):
        MaskConfig(fill="zeros")


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"num_mels": 127}, "num_mels is 127; with more than 126 some bands hold no bin"),
        ({"codebook_size": 10**12}, "2 codebooks of 1000000000000 codes; the head has"),
        ({"seed": -1}, "seed is -1; it lies between"),
        ({"seed": 2**63}, "seed is 9223372036854775808; it lies between"),
    ],
)
def test_quantisers_that_cannot_be_are_refused(conf: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        BestRqConfig.from_dict(conf)


def test_the_most_bands_all_hear_something() -> None:
    assert (Spectrum(126).filters.sum(0) > 0).all()
    with pytest.warns(UserWarning, match="has all zero values"):
        Spectrum(127)


def test_a_batch_without_masked_frames_has_figures(encoder: XlsrEncoder) -> None:
    objective = BestRq(encoder, BestRqConfig(codebook_size=16))
    passed = masked_pass(encoder, speechlike(2, 3000), None, CONTEXTS[0], MaskConfig())
    loss, figures = objective(passed)
    assert not passed.mask.any() and loss.item() == 0
    assert all(torch.isfinite(figure) for figure in figures.values())


def test_targets_do_not_depend_on_the_batch(encoder: XlsrEncoder) -> None:
    draw = torch.Generator().manual_seed(0)
    lens = torch.tensor([16000, 9001, 4399, 400])
    wav = torch.randn(4, 17234, generator=draw) * (torch.arange(17234) < lens[:, None])
    frames = encoder.config.num_frames(lens)
    for cepstra in (0, 16):
        objective = BestRq(encoder, BestRqConfig(codebook_size=64, num_cepstra=cepstra))
        together = objective.spectrum(wav, frames, 53)
        for row, (samples, count) in enumerate(zip(lens.tolist(), frames.tolist(), strict=True)):
            alone = objective.spectrum(wav[row : row + 1, :samples], frames[row : row + 1], count)[0]
            assert torch.equal(objective.quantizer(alone), objective.quantizer(together[row, :count]))
