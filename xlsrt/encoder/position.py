"""Convolutional position embedding that respects chunks (DESIGN: leak 2).

Shapes: B utterances, T frames, N chunks of C frames, D hidden size, P = kernel // 2 frames of past.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from xlsrt.encoder.config import XlsrConfig
from xlsrt.encoder.grouped_conv import grouped_conv1d
from xlsrt.encoder.keeper import Keeper

MOST_KERNELS = 4
"""Numbers of taps whose kernels are kept: one for each chunk size in use."""


class PositionConv(Keeper):
    """Grouped weight-normed convolution: frame t sees t - P .. t + kernel - 1 - P, cut at its chunk's end.

    In full attention nothing is cut. In chunked contexts a frame sees P frames before itself, whatever
    the left context is, and nothing beyond its chunk: zeros, in training and streaming alike.
    """

    def __init__(self, config: XlsrConfig) -> None:
        super().__init__()
        size, kernel = config.hidden_size, config.pos_conv_kernel
        self.kernel, self.groups, self.past = kernel, config.pos_conv_groups, kernel // 2
        self.future = kernel - 1 - self.past
        conv = nn.Conv1d(size, size, kernel, padding=self.past, groups=self.groups)
        nn.init.normal_(conv.weight, std=2.0 * (kernel * size) ** -0.5)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        self.conv = weight_norm(conv, dim=2)

    def sources(self) -> tuple[Tensor, ...]:
        """Norms and directions of the kernel."""
        norm = self.conv.parametrizations.weight  # type: ignore[union-attr]
        return norm.original0, norm.original1

    def weight(self, taps: int) -> Tensor:
        """The first taps of the kernel, (D, D / groups, taps).

        In eval mode without gradients, kept until a parameter changes: norm and copy would cost more than the
        convolution.
        """
        if not self.may_keep():
            return self.conv.weight[:, :, :taps]
        kernels: dict[int, Tensor] = self.keep(dict)
        if taps not in kernels:
            if kernels and len(kernels) < MOST_KERNELS:  # one checksum serves all of them
                self.drop_stale()
                kernels = self.keep(dict)
            # A tensor made in inference mode would be of no use to a later forward outside of it.
            with torch.inference_mode(False), torch.no_grad():
                kernel = self.conv.weight[:, :, :taps].clone(memory_format=torch.contiguous_format)
            if len(kernels) >= MOST_KERNELS:  # the ends of streams have many lengths
                return kernel
            kernels[taps] = kernel
        return kernels[taps]

    @property
    def kept(self) -> dict[int, Tensor] | None:
        """The kernels that `weight` keeps, by taps; another object after each change, None for none.

        Whoever records where such a kernel lies must hold this object, and record anew when it is no longer
        the one here.
        """
        return None if self._kept is None else self._kept.value

    def forward(self, x: Tensor, chunk_frames: int | None) -> Tensor:
        """(B, T, D), zeros at padded frames -> embedding (B, T, D)."""
        batch, frames, size = x.shape
        if chunk_frames is None or chunk_frames >= frames:
            return self._convolve(F.pad(x, (0, 0, self.past, min(self.future, frames - 1))), frames)
        chunks = -(-frames // chunk_frames)
        x = F.pad(x, (0, 0, self.past, chunks * chunk_frames - frames))
        windows = x.unfold(1, self.past + chunk_frames, chunk_frames)  # (B, N, D, P + C)
        windows = windows.reshape(batch * chunks, size, self.past + chunk_frames)
        y = self._convolve_last(F.pad(windows, (0, min(self.future, chunk_frames - 1))), chunk_frames)
        return y.transpose(1, 2).reshape(batch, chunks * chunk_frames, size)[:, :frames]

    def step(self, past: Tensor, x: Tensor) -> Tensor:
        """One chunk x (B, C, D) after the P frames ``past`` (B, P, D) -> embedding (B, C, D)."""
        frames = x.shape[1]
        x = torch.cat((past, x), dim=1)
        return self._convolve(F.pad(x, (0, 0, 0, min(self.future, frames - 1))), frames)

    def _convolve(self, x: Tensor, frames: int) -> Tensor:
        return self._convolve_last(x.transpose(1, 2), frames).transpose(1, 2)

    def _convolve_last(self, x: Tensor, frames: int) -> Tensor:
        """(B, D, P + frames + zeros) -> (B, D, frames).

        Taps that could only meet the zeros beyond are left out.
        """
        weight = self.weight(self.past + min(self.future, frames - 1) + 1)
        return F.gelu(grouped_conv1d(x, weight, self.conv.bias, self.groups))
