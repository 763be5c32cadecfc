"""The pretraining loop: resumable, monitored, exported in the HF layout at the end."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from xlsrt.context import AttentionContext, ContextSampler
from xlsrt.encoder.precision import multiplies_bfloat16
from xlsrt.errors import UserError
from xlsrt.pretrain.data import Inventory, LostMaker, SyntheticBatches, Utterance, batches
from xlsrt.pretrain.model import PhonemeBatch, PhonemeModel
from xlsrt.tensor_files import read_checkpoint, write_torch
from xlsrt.units import SAMPLE_RATE

_MOST_LOST = 10
"""Speech makers that may die without a batch between them: espeak-ng dies of some texts, not of all."""

# Seeds from here on make the validation set; training counts up from zero and never gets there.
VALID_SEED = 1 << 40
# Seeds of utterances that a training may use up; those of the next `PretrainOptions.seed` follow.
UTTERANCES = 1 << 32
# Trainings whose seeds lie below the validation set's.
SEEDS = 256
CHECKPOINT = "checkpoint.pth"
# Least and most of the options.
_BOUNDS = dict.fromkeys(("updates", "warmup", "weight_decay"), (0.0, math.inf))
_BOUNDS |= dict.fromkeys(("frame_weight", "frame_weight_end", "full_prob"), (0.0, 1.0))


@dataclass(frozen=True)
class PretrainOptions:
    """What a run does; saved beside its checkpoints, and compared with them on resuming.

    Attributes:
        updates: optimisation steps; the learning rate falls to zero over them.
        batch_seconds: padded audio in a batch, of each rank.
        peak_lr: learning rate after ``warmup`` updates.
        frame_weight: share of the frame loss at the start; falls linearly to ``frame_weight_end``.
        full_prob: share of the batches that see full attention; the others sample a chunked context.
        amp: run the encoder in bfloat16, on CPUs that multiply it.
    """

    updates: int = 4000
    batch_seconds: float = 64.0
    peak_lr: float = 1.5e-3
    warmup: int = 300
    weight_decay: float = 0.02
    frame_weight: float = 0.9
    frame_weight_end: float = 0.2
    full_prob: float = 0.5
    amp: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if not least <= value <= most or not math.isfinite(value):
                reach = f"from {least:g} on" if most == math.inf else f"from {least:g} to {most:g}"
                raise UserError(f"--{name} {value:g}: give a number {reach}")
        for name in ("batch_seconds", "peak_lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"--{name} {getattr(self, name):g}: give a number above 0")
        if not 0 <= self.seed < SEEDS:
            raise UserError(
                f"--seed {self.seed}: give 0 to {SEEDS - 1}, others would hear the validation speech"
            )

    def lr(self, update: int) -> float:
        """Linear warm-up, then half a cosine to zero."""
        if update < self.warmup:
            return self.peak_lr * (update + 1) / self.warmup
        done = (update - self.warmup) / max(1, self.updates - self.warmup)
        return self.peak_lr * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))

    def frame_share(self, update: int) -> float:
        done = min(1.0, update / max(1, self.updates))
        return self.frame_weight + (self.frame_weight_end - self.frame_weight) * done


def phone_error_rate(model: PhonemeModel, batches: list[PhonemeBatch], context: AttentionContext) -> float:
    """Greedy CTC phoneme error rate in percent."""
    from rapidfuzz.distance import Levenshtein

    errors = total = 0
    model.eval()
    for batch in batches:
        for hyp, ref, length in zip(
            model.decode(batch, context), batch.phonemes.tolist(), batch.phoneme_lens.tolist(), strict=True
        ):
            errors += Levenshtein.distance(hyp, ref[:length])
            total += length
    model.train()
    return 100.0 * errors / max(1, total)


def _optimizer(model: PhonemeModel, options: PretrainOptions) -> AdamW:
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    return AdamW(
        [{"params": decayed, "weight_decay": options.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=options.peak_lr,
        betas=(0.9, 0.98),
        fused=True,
    )


def read_state(checkpoint: Path, options: PretrainOptions, begins: str) -> dict[str, Any] | None:
    """What a run left to go on from; None where there is nothing.

    Args:
        options, begins: of the run that is to go on.

    Raises:
        UserError: it was another run: lists what differs.
    """
    if not checkpoint.is_file():
        return None
    state = read_checkpoint(checkpoint)
    known = state.get("options") or {}
    changed = [
        f"{name} {known.get(name)}, not {value}"
        for name, value in asdict(options).items()
        if known.get(name) != value
    ]
    if changed:
        raise UserError(
            f"{checkpoint} was written with other options ({'; '.join(changed)}): give the same ones or "
            "another --output_dir"
        )
    before = state.get("begins", begins)  # older checkpoints do not say
    if before != begins:
        raise UserError(
            f"{checkpoint} began with {before}, and this is {begins}: give the same --init and --preset, "
            "or another --output_dir"
        )
    return state


class Pretraining:
    """One run in ``directory``; `run` continues from the last checkpoint found there.

    Args:
        model: freshly built; its weights are replaced on resuming.
        dataset: endless training batches; its ``first_seed`` is moved past what was consumed.
        valid: a few fixed batches.
        begins: what the model was before the first update, for people.
    """

    def __init__(
        self,
        model: PhonemeModel,
        dataset: SyntheticBatches,
        valid: list[PhonemeBatch],
        options: PretrainOptions,
        directory: Path,
        num_workers: int = 1,
        save_every: int = 200,
        begins: str = "",
    ) -> None:
        self.model, self.dataset, self.valid, self.options = model, dataset, valid, options
        self.directory, self.num_workers, self.save_every = directory, num_workers, save_every
        self.begins = begins
        self.optimizer = _optimizer(model, options)
        self.update = 0
        self.audio_seconds = 0.0
        self.lost_workers = 0
        self.sampler = ContextSampler.from_dict(
            {
                "chunk_frames": {"min": 16, "max": 128, "multiple": 8},
                "left": ["1x", "2x", "all"],
                "sink_frames": [0, 4, 16],
                "full_prob": options.full_prob,
                "seed": options.seed,
            }
        )

    @property
    def checkpoint(self) -> Path:
        return self.directory / CHECKPOINT

    def resume(self) -> bool:
        """Take up the last checkpoint; False where there is none."""
        state = read_state(self.checkpoint, self.options, self.begins)
        if state is None:
            return False
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.update, self.audio_seconds = state["update"], state["audio_seconds"]
        self.dataset.first_seed = state["next_seed"]
        return True

    def save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "update": self.update,
            "audio_seconds": self.audio_seconds,
            "next_seed": self._next_seed(),
            "options": asdict(self.options),
            "begins": self.begins,
        }
        write_torch(self.checkpoint, state)

    def run(self) -> None:
        """Train to the last update, with a progress line and a record in log.jsonl every 50 updates."""
        options = self.options
        self.model.train()
        start, start_update, start_audio = time.monotonic(), self.update, self.audio_seconds
        sums: dict[str, float] = {}
        lost = 0
        made = batches(self.dataset, self.num_workers)
        while self.update < options.updates:
            try:
                batch = next(made)
            except LostMaker as error:
                self.lost_workers += 1
                lost += 1
                if lost > _MOST_LOST:
                    raise UserError(
                        f"{lost} speech-making processes died one after the other ({error}): give them more "
                        "memory (/dev/shm too), or --num_workers 0 to make speech in the training process"
                    ) from None
                self.dataset.first_seed = self._next_seed()
                print(f"a speech-making process died ({error}); going on with a new one", flush=True)
                made = batches(self.dataset, self.num_workers)
                continue
            lost = 0
            stats = self._step(batch)
            self.audio_seconds += self.dataset.ranks * float(batch.wav_lens.sum()) / SAMPLE_RATE
            self.update += 1
            for name, value in stats.items():
                sums[name] = sums.get(name, 0.0) + value / 50
            if self.update % 50 == 0 and self.dataset.rank == 0:
                elapsed = time.monotonic() - start
                left = elapsed / (self.update - start_update) * (options.updates - self.update)
                record = {
                    "update": self.update,
                    **{name: round(value, 4) for name, value in sums.items()},
                    "lr": round(options.lr(self.update), 6),
                    "audio_hours": round(self.audio_seconds / 3600, 2),
                    "speed": round((self.audio_seconds - start_audio) / elapsed, 1),
                }
                sums = {}
                if self.update % self.save_every == 0:
                    record["per_full"] = round(
                        phone_error_rate(self.model, self.valid, AttentionContext.full()), 2
                    )
                    chunked = AttentionContext.from_ms(640, 640, 16)
                    record["per_640ms"] = round(phone_error_rate(self.model, self.valid, chunked), 2)
                    self.save()
                print(json.dumps(record), f"{left / 60:.1f} min left", flush=True)
                with (self.directory / "log.jsonl").open("a", encoding="utf-8") as log:
                    log.write(json.dumps(record) + "\n")
        if self.dataset.rank == 0:
            self.save()

    def _next_seed(self) -> int:
        # Roughly one utterance per three seconds of audio was made; a generous stride never repeats one.
        # Past the speech that a process died of: espeak-ng would die of it again.
        return self.options.seed * UTTERANCES + int(self.audio_seconds) + 10_000 * self.lost_workers

    def _step(self, batch: PhonemeBatch) -> dict[str, float]:
        options = self.options
        for group in self.optimizer.param_groups:
            group["lr"] = options.lr(self.update)
        context = self.sampler.sample(self.update)
        mixed = options.amp and (batch.wav.device.type != "cpu" or multiplies_bfloat16())
        with torch.autocast(batch.wav.device.type, torch.bfloat16, enabled=mixed):
            out: dict[str, Tensor] = self.model(batch, context, options.frame_share(self.update))
        loss = out.pop("loss")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.dataset.ranks > 1:
            self._average_gradients()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        return {"loss": loss.item(), "grad_norm": norm.item(), **{k: v.item() for k, v in out.items()}}

    def _average_gradients(self) -> None:
        """Over the ranks: in one message, since they are few and small."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        flat /= self.dataset.ranks
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))


def collect_or_load(directory: Path, make: Callable[[int], Utterance], utterances: int = 1500) -> Inventory:
    """The run's phoneme inventory: kept in the run's directory, collected on first use."""
    path = directory / "phonemes.json"
    if path.is_file():
        return Inventory.load(path)
    inventory = Inventory.collect(make, range(utterances))
    inventory.save(path)
    return inventory
