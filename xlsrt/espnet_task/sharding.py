"""Training with parameters, gradients and optimiser state spread over the ranks (PyTorch's fully sharded data
parallelism), and states that are whole wherever they are saved or loaded.

ESPnet 202511 has DeepSpeed, whose trainer replaces ours and with it atomic checkpoints, resuming and signals,
and fairscale's ``sharded_ddp``, which is no longer maintained; so this is ours. Checkpoints are those of
unsharded training: any number of ranks goes on from them.

PyTorch's part of it is imported where it is used: it takes a second, and most trainings do without.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from xlsrt.errors import UserError
from xlsrt.espnet_task.trained_model import TrainedModel


def shard(model: TrainedModel) -> None:
    """Spread the model over all ranks, in place; call it before the optimiser is built.

    Each transformer layer is gathered when it is computed and freed afterwards; the rest (convolutions, head)
    stays gathered during a step.

    Raises:
        UserError: there is one process only, or the model skips layers at random, each rank others.
    """
    if not torch.distributed.is_initialized():
        raise UserError(
            "sharded true needs several ranks: use --ngpu or --num_nodes above 1, or sharded false"
        )
    config = model.encoder.xlsr.config
    for name in ("layer_drop", "freeze_encoder_updates"):
        if getattr(config, name):
            raise UserError(
                f"sharded true: encoder_conf.config.{name} is {getattr(config, name)}, and must be 0: all "
                "ranks compute every layer together"
            )
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    kind = next(model.parameters()).device.type
    mesh = init_device_mesh(kind, (torch.distributed.get_world_size(),))
    for layer in model.encoder.xlsr.encoder.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def is_sharded(model: nn.Module) -> bool:
    """Whether `shard` has been called."""
    fsdp = sys.modules.get("torch.distributed.fsdp")
    return fsdp is not None and isinstance(model, fsdp.FSDPModule)


def whole(value: Tensor) -> Tensor:
    """A value of which each rank may hold a part."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def states(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> tuple[dict[str, Any], Any]:
    """Weights and optimiser state, whole on the first rank; all ranks must call it."""
    if not is_sharded(model):
        return model.state_dict(), optimizer.state_dict() if optimizer else None
    from torch.distributed.checkpoint import state_dict

    whole_on_first = state_dict.StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights = state_dict.get_model_state_dict(model, options=whole_on_first)
    if optimizer is None:
        return weights, None
    named = state_dict.get_optimizer_state_dict(model, optimizer, options=whole_on_first)
    return weights, _numbered(named) if named else None


def load_states(
    model: nn.Module, optimizer: torch.optim.Optimizer, weights: Mapping[str, Any], moments: Mapping[str, Any]
) -> None:
    """Undo `states`; sharded: the first rank's values count, and all ranks must call it."""
    if not is_sharded(model):
        model.load_state_dict(weights)
        optimizer.load_state_dict(dict(moments))
        return
    from torch.distributed.checkpoint import state_dict

    from_first = state_dict.StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    state_dict.set_model_state_dict(model, dict(weights), options=from_first)
    named = _named(moments, model, optimizer) if moments else {}
    state_dict.set_optimizer_state_dict(model, optimizer, named, options=from_first)


def read_on_first(read: Callable[[], dict[str, Any]], sharded: bool, rank: int) -> dict[str, Any]:
    """What ``read`` gives; sharded: read by the first rank, the others get all but the large states."""
    if not sharded:
        return read()
    found: list[Any] = [None, None]
    if rank == 0:
        try:
            found[0] = read()
        except UserError as error:
            found[1] = str(error)
    large: dict[str, Any] = {"model": {}, "optimizers": [{}]}
    small = [found[0] and {**found[0], **large}, found[1]]
    torch.distributed.broadcast_object_list(small, src=0)
    if small[1] is not None:
        raise UserError(small[1])
    return found[0] if rank == 0 else small[0]


def _numbered(named: Mapping[str, Any]) -> dict[str, Any]:
    """Optimiser state by parameter names -> by numbers, as an optimiser's own ``state_dict``."""
    numbers: dict[str, int] = {}
    groups = []
    for group in named["param_groups"]:
        for name in group["params"]:
            numbers[name] = len(numbers)
        groups.append({**group, "params": [numbers[name] for name in group["params"]]})
    return {"state": {numbers[name]: value for name, value in named["state"].items()}, "param_groups": groups}


def _named(plain: Mapping[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Undo `_numbered`."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups, order = [], []
    for group, saved in zip(optimizer.param_groups, plain["param_groups"], strict=True):
        params = [names[id(parameter)] for parameter in group["params"]]
        order += params
        groups.append({**saved, "params": params})
    return {
        "state": {order[number]: value for number, value in plain["state"].items()},
        "param_groups": groups,
    }
