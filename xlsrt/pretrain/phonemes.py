"""Pretraining on made-up speech from beginning to end: an encoder that tells phonemes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch

from xlsrt.cpu import prepare_training
from xlsrt.data.synth.pretraining import make_utterance
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.encoder.checkpoints import save_pretrained
from xlsrt.errors import UserError
from xlsrt.pretrain.data import SyntheticBatches, collate
from xlsrt.pretrain.loop import (
    CHECKPOINT,
    UTTERANCES,
    VALID_SEED,
    Pretraining,
    PretrainOptions,
    collect_or_load,
    read_state,
)
from xlsrt.pretrain.model import PhonemeModel

# Speech is made afresh for every update: nothing to overfit, so dropout would only slow learning.
_OFF = ("hidden_dropout", "attention_dropout", "feat_proj_dropout", "layer_drop", "mask_time_prob")


def pretrain_phonemes(
    output_dir: Path,
    options: PretrainOptions,
    *,
    preset: str,
    init: str | None,
    num_workers: int,
    threads: int,
    valid_utterances: int,
    dtype: str,
) -> Path:
    """Train in ``output_dir``, from its last checkpoint on where there is one; returns the exported encoder.

    Args:
        preset: encoder size, of `XlsrConfig`. init: start from this encoder instead.
        num_workers: processes that make speech.
        threads: of the training step; 0 leaves torch's number.
        valid_utterances: size of the fixed validation set.
        dtype: of the exported weights.

    Raises:
        UserError: a number is out of range; ``output_dir`` has a checkpoint of other options; ``preset`` or
            ``init`` is not known.
    """
    for name, value, least in (
        *(("num_workers", num_workers, 0), ("threads", threads, 0)),
        ("valid_utterances", valid_utterances, 1),
    ):
        if value < least:
            raise UserError(f"--{name} {value}: give a number from {least} on")
    if threads:
        torch.set_num_threads(threads)
    prepare_training()
    torch.manual_seed(options.seed)
    rank, ranks = _join_ranks()
    # Fine-tuning leaves a pretrained feature extractor as it is; this is pretraining.
    fields = {**dict.fromkeys(_OFF, 0.0), "freeze_feature_extractor": False}
    encoder = (
        XlsrEncoder.from_pretrained(init, **fields)
        if init
        else XlsrEncoder(XlsrConfig.preset(preset, **fields))
    )
    begins = (
        f"the encoder {Path(init).resolve() if Path(init).exists() else init}" if init else f"preset {preset}"
    )
    # Before speech is made, which takes a minute or two.
    read_state(output_dir / CHECKPOINT, options, begins)
    output_dir.mkdir(parents=True, exist_ok=True)
    inventory = collect_or_load(output_dir, make_utterance)
    model = PhonemeModel(encoder, len(inventory))
    made = sorted(
        (make_utterance(VALID_SEED + i) for i in range(valid_utterances)), key=lambda one: len(one.wav)
    )
    valid = [collate(made[i : i + 10], inventory) for i in range(0, len(made), 10)]
    dataset = SyntheticBatches(
        make_utterance, inventory, options.batch_seconds, options.seed * UTTERANCES, rank, ranks
    )
    run = Pretraining(model, dataset, valid, options, output_dir, num_workers, begins=begins)
    if run.resume() and rank == 0:
        print(f"resuming at update {run.update} of {options.updates}", flush=True)
    run.run()
    encoder.config = replace(encoder.config, freeze_feature_extractor=None)  # whoever loads it decides
    exported = output_dir / "encoder"
    if rank == 0:
        save_pretrained(encoder, exported, dtype=dtype)
        print(f"encoder written to {exported}")
    if ranks > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    return exported


def _join_ranks() -> tuple[int, int]:
    """Which of how many trainings that torchrun started this one is; (0, 1) without it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 0, 1
    torch.distributed.init_process_group("gloo")
    return torch.distributed.get_rank(), torch.distributed.get_world_size()
