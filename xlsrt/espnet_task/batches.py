"""Cuts a set into batches with ESPnet's samplers, and each batch into the parts of the ranks."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from espnet2.samplers.build_batch_sampler import build_batch_sampler

from xlsrt.errors import UserError


def build_batches(args: argparse.Namespace, iter_options: Any, mode: str) -> list[list[str]]:
    """The batches of this rank, as ESPnet's `build_sequence_iter_factory` makes them but for
    ``batch_multiple``.

    Args:
        args: of the training. iter_options: ESPnet's, of one set. mode: "train", "valid" or "plot_att".

    Raises:
        UserError: a batch has fewer utterances than there are ranks.
    """
    ranks = torch.distributed.get_world_size() if iter_options.distributed else 1
    categories = Path(iter_options.data_path_and_name_and_type[0][0]).with_name("utt2category")
    sampler = build_batch_sampler(
        type=iter_options.batch_type,
        shape_files=iter_options.shape_files,
        fold_lengths=args.fold_length,
        batch_size=iter_options.batch_size,
        batch_bins=iter_options.batch_bins,
        sort_in_batch=args.sort_in_batch,
        sort_batch=args.sort_batch,
        drop_last=args.drop_last_iter,
        min_batch_size=ranks if ranks > 1 else args.min_batch_size,
        utt2category_file=str(categories) if categories.exists() else None,
    )
    batches = [list(batch) for batch in sampler]
    if mode == "train":
        batches = in_multiples(batches, args.batch_multiple, ranks)
    if iter_options.num_batches is not None:
        batches = batches[: iter_options.num_batches]
    sizes = [len(batch) for batch in batches]
    logging.info(f"[{mode}] Batch sampler: {sampler}")
    logging.info(
        f"[{mode}] {len(sizes)} batches of {min(sizes)} to {max(sizes)} utterances, {sum(sizes)} in all"
    )
    if min(sizes) < ranks:
        files = args.valid_shape_file if mode == "valid" else args.train_shape_file
        raise UserError(
            f"{', '.join(files)}: a batch has fewer utterances than the training has processes "
            f"({min(sizes)} < {ranks}): take fewer (--num_nodes, --ngpu), larger batches "
            "(batch_bins, batch_size, valid_batch_size ...), or more utterances"
        )
    if ranks == 1:
        return batches
    rank = torch.distributed.get_rank()
    return [batch[rank::ranks] for batch in batches]


def check_batches(args: argparse.Namespace) -> None:
    """Refuse numbers of which no batches can be made.

    Raises:
        UserError: naming the option.
    """
    if args.batch_multiple < 1:
        raise UserError(f"batch_multiple is {args.batch_multiple}; it must be 1 (off) or more")
    if not 0 < args.epoch_share <= 1:
        raise UserError(f"epoch_share is {args.epoch_share:g}; it must be above 0 and at most 1 (all)")
    if args.epoch_share < 1 and args.num_iters_per_epoch is not None:
        raise UserError("epoch_share and num_iters_per_epoch both say how long an epoch is: give one of them")


def epoch_batches(args: argparse.Namespace, iter_options: Any, mode: str, batches: int) -> int | None:
    """How many of so many batches an epoch takes; None: all."""
    if mode == "train" and args.epoch_share < 1:
        return max(1, round(args.epoch_share * batches))
    told: int | None = iter_options.num_iters_per_epoch
    return told


def in_multiples(batches: Sequence[Sequence[str]], multiple: int, least: int = 1) -> list[list[str]]:
    """The same utterances in the same order, cut so that sizes are multiples.

    About as many batches, of about the sizes that they had: each cut goes to the nearest place. Where a batch
    has fewer utterances than the multiple, since they are long, its cut stays.

    Args:
        multiple: what sizes become multiples of; 1 changes nothing. least: size of the smallest batch.
    """
    if multiple == 1:
        return [list(batch) for batch in batches]
    utterances = [utterance for batch in batches for utterance in batch]
    before, cuts = 0, [0]
    for batch in batches[:-1]:
        before += len(batch)
        size = before - cuts[-1]
        if len(batch) >= multiple:
            size = max(round(size / multiple), -(-least // multiple)) * multiple
        if size > (room := len(utterances) - least - cuts[-1]):
            size = room // multiple * multiple or room
        if size >= least:
            cuts.append(cuts[-1] + size)
    return [utterances[start:end] for start, end in pairwise([*cuts, len(utterances)])]
