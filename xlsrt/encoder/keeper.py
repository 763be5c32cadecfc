"""What layers keep that was made of their weights, and whether it is still of the weights that are there.

PyTorch counts changes of a tensor, but neither those of fused optimisers nor edits through ``.data``, by
which averages of weights are swapped in. So what is kept goes with each call of train() or eval(), and beside
it lies a checksum of the weights it was made of. Shapes: R rows, K entries of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from typing_extensions import Self

WORDS = (torch.int64, torch.int32, torch.int16, torch.int8)
"""Whole numbers as which the bytes of weights are read, the fastest first."""

DIRECTIONS = 64
"""Directions remembered: one for each length of a row, type and device in use."""


class Kept(NamedTuple):
    """Something made of weights: what PyTorch tells of them and their checksum when it was made."""

    stamp: tuple[Any, ...]
    sums: Tensor
    value: Any


class Keeper(nn.Module):
    """A layer that keeps something made of its weights: in eval mode, without gradients.

    It does not outlive a call of train() or eval(): torch's fused optimisers change weights without counting
    a version, so what is kept from one validation to the next would be of weights long gone.
    """

    _kept: Kept | None = None

    def sources(self) -> tuple[Tensor, ...]:
        """The weights that it is made of."""
        raise NotImplementedError

    def may_keep(self) -> bool:
        """Whether anything kept could be used now, and PyTorch would count changes of its weights."""
        return not (
            self.training
            or torch.is_grad_enabled()
            or torch.compiler.is_compiling()
            or any(weight.is_inference() for weight in self.sources())
        )

    def keep(self, make: Callable[[], Any]) -> Any:
        """What ``make`` gave for these weights, asked again only when PyTorch knows of a change."""
        stamp = tuple((w._version, w.data_ptr(), w.dtype, w.device) for w in self.sources())
        kept = self._kept
        if kept is None or kept.stamp != stamp:
            # A tensor made in inference mode would be of no use to a later forward outside of it.
            with torch.inference_mode(False), torch.no_grad():
                kept = self._kept = Kept(stamp, checksum(*self.sources()), make())
        return kept.value

    def drop_stale(self) -> None:
        """Drop what is kept if the weights are no longer those it was made of, whoever changed them.

        Reads all the weights once. On CUDA the host waits for it, and while a graph is captured nothing is
        asked.
        """
        kept = self._kept
        if kept is None or _is_capturing(kept.sums.device):
            return
        sums = checksum(*self.sources())
        alike = all(getattr(sums, name) == getattr(kept.sums, name) for name in ("shape", "dtype", "device"))
        if not (alike and torch.equal(sums, kept.sums)):
            self._kept = None

    def train(self, mode: bool = True) -> Self:
        """Switch between train and eval mode; what was kept is dropped."""
        self._kept = None
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}


def drop_stale(module: nn.Module) -> None:
    """`Keeper.drop_stale` of all layers inside, where something kept could be used: without gradients."""
    if module.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return
    for layer in _keepers(module):
        layer.drop_stale()


def _keepers(module: nn.Module) -> Iterator[Keeper]:
    """Every `Keeper` inside, without what ``module.modules()`` spends on names and on modules met twice."""
    below: list[nn.Module | None] = [module]
    while below:
        one = below.pop()
        if isinstance(one, Keeper):
            yield one
        elif one is not None:
            below.extend(one._modules.values())


def checksum(*weights: Tensor) -> Tensor:
    """One number for each row of the weights (R, ...), which changes where any entry of it does: (sum of R,).

    A row's product with a fixed direction in which no entry is 0, so that rows and entries that change places
    show too. Float32 and float64 on CPUs are multiplied as they are, as fast as memory gives them (1.2 ms for
    4096 x 1024 in float32, one thread): changes far below a row's rounding hide. All others are read as whole
    numbers, whose product with odd ones, modulo their range, misses none.
    """
    with torch.no_grad():
        sums = [_products(weight.detach().flatten(1)) for weight in weights]
        return sums[0] if len(sums) == 1 else torch.cat(sums)


def _products(rows: Tensor) -> Tensor:
    """(R, K) -> (R,)."""
    on_cpu = rows.device.type == "cpu"
    if not (on_cpu and rows.dtype in (torch.float32, torch.float64)):
        rows = _words(rows.contiguous())
    along = _direction(rows.shape[1], rows.dtype, rows.device)
    if on_cpu:
        with torch.autocast("cpu", enabled=False):
            return torch.mv(rows, along)
    return (rows * along).sum(1)  # CUDA has no products of matrices of whole numbers


def _words(rows: Tensor) -> Tensor:
    """The bytes of rows (R, K) as whole numbers (R, fewer), as many bytes to each as rows can be cut into."""
    size, first = rows.shape[1] * rows.element_size(), rows.storage_offset() * rows.element_size()
    return rows.view(next(kind for kind in WORDS if size % kind.itemsize == first % kind.itemsize == 0))


@lru_cache(maxsize=DIRECTIONS)
def _direction(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(K,): floats from 1 to 2, or whole numbers, odd, so that no change is multiplied to 0."""
    with torch.inference_mode(False), torch.no_grad():
        if dtype.is_floating_point:
            along = torch.arange(size, dtype=torch.float64).cos() / 2 + 1.5
        else:
            draw = torch.Generator().manual_seed(0)
            along = torch.randint(-(2**62), 2**62, (size,), generator=draw).bitwise_or(1)
        return along.to(dtype=dtype).to(device)


def _is_capturing(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()
