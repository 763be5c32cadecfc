"""A checkpoint opened: what its config says, how its tensors are read, and how they get into an encoder."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from xlsrt.encoder.checkpoints import keys
from xlsrt.encoder.config import XlsrConfig
from xlsrt.encoder.encoder import XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.settings import check_keys
from xlsrt.tensor_files import check_finite, misfits

_LOG = logging.getLogger("xlsrt.encoder.checkpoints")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One source of weights.

    Attributes:
        source: what the user named, for messages.
        family: a key of `keys.SKIPPED`.
        fields: fields of `XlsrConfig` that the source determines (may hold ``preset`` as a base).
        read: reads the tensors under the file's own names; called only when weights are wanted.
    """

    source: str
    family: str
    fields: Mapping[str, Any]
    read: Callable[[], Mapping[str, Tensor]]

    def config(self, overrides: Mapping[str, Any]) -> XlsrConfig:
        """The config in force: the source's fields, replaced by ``overrides``."""
        try:
            return XlsrConfig.from_dict({**self.fields, **overrides})
        except UserError as error:
            raise UserError(f"{self.source}: {error}") from None


def check_overrides(overrides: Mapping[str, Any]) -> None:
    """`UserError` for a name that is not a field of `XlsrConfig`."""
    check_keys(overrides, [field.name for field in dataclasses.fields(XlsrConfig)], XlsrConfig.WHERE)


class _NoDraws(TorchFunctionMode):
    """Inside, random initialisation leaves tensors as they were allocated."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "trunc_normal_", "kaiming_uniform_"):
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def build(config: XlsrConfig) -> XlsrEncoder:
    """An encoder for `fill`, its weights not drawn: that would be most of the time that loading takes."""
    with _NoDraws():
        encoder = XlsrEncoder(config)
    with torch.no_grad():
        for name in keys.OPTIONAL:
            encoder.get_parameter(name).uniform_()
    return encoder


def fill(encoder: XlsrEncoder, checkpoint: Checkpoint) -> None:
    """Copy the tensors of ``checkpoint`` into ``encoder``, cast to its dtype.

    `UserError` with every name and shape that differs, and for tensors that are not finite floating point
    numbers; the encoder is left as it was then.
    """
    found = checkpoint.read()
    translate = keys.translator(checkpoint.family, found)
    wanted = encoder.state_dict()
    tensors: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    skipped: list[str] = []
    for name, tensor in found.items():
        ours = translate(name)
        if ours is None or (ours in keys.OPTIONAL and ours not in wanted):
            skipped.append(name)
        elif ours in tensors:
            raise UserError(f"{checkpoint.source}: both {origin[ours]} and {name} claim to be {ours}")
        else:
            tensors[ours], origin[ours] = tensor, name
    kept = sorted(keys.OPTIONAL & (wanted.keys() - tensors.keys()))
    if problems := misfits(tensors, {name: value for name, value in wanted.items() if name not in kept}):
        raise UserError(
            f"{checkpoint.source} does not fit the encoder that its config describes. {problems}. Check that "
            "config and weights belong together and that no override changes a size; nothing was loaded"
        )
    _check_values({origin[name]: tensor for name, tensor in tensors.items()}, checkpoint.source)
    encoder.load_state_dict({**{name: wanted[name] for name in kept}, **tensors}, strict=True)
    count = sum(tensor.numel() for tensor in tensors.values())
    _LOG.info(
        "%s: loaded %d tensors, %.1f M values (%s names)%s%s",
        checkpoint.source,
        len(tensors),
        count / 1e6,
        checkpoint.family,
        f"; skipped, not part of the encoder: {keys.summarise(skipped)}" if skipped else "",
        f"; not in it, left at its initial value: {', '.join(kept)}" if kept else "",
    )


def _check_values(tensors: Mapping[str, Tensor], source: str) -> None:
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise UserError(
                f"{source}: {name} is {tensor.dtype}; quantised weights cannot be loaded, use the original"
            )
    check_finite(tensors, source)
