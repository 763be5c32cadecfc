"""One full-size model: XLSR-53 with random weights, streamed against the masked forward."""

from __future__ import annotations

import torch

from xlsrt import AttentionContext, XlsrConfig, XlsrEncoder


def test_a_full_size_stream_equals_the_masked_forward() -> None:
    with torch.device("meta"):
        encoder = XlsrEncoder(XlsrConfig.preset("xlsr_53"))
    encoder.to_empty(device="cpu").eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if parameter.dim() == 1 and "norm" in name and name.endswith("weight"):
                parameter.uniform_(0.8, 1.2)
            elif parameter.dim() == 1:
                parameter.uniform_(-0.1, 0.1)
            else:
                bound = (3.0 / parameter[0].numel()) ** 0.5
                parameter.uniform_(-bound, bound)
    context = AttentionContext(16, 20, 4)
    wav = torch.randn(1, 25000, generator=torch.Generator().manual_seed(1)) * 0.1
    with torch.no_grad():
        reference, lens = encoder(wav, None, context)
    state = encoder.init_state(1, context)
    parts = []
    for packet in wav.split(7001, dim=1):
        y, _, state = encoder.step(packet, state)
        parts.append(y)
    parts.append(encoder.flush(state)[0])
    got = torch.cat(parts, dim=1)
    assert got.shape == reference.shape == (1, int(lens), 1024)
    assert reference.std() > 0.1
    assert (got - reference).abs().max() <= 1e-4
