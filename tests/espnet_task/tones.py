"""A corpus of a dozen short sounds, and trainings on it that take a second or two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from xlsrt.data.splits import split_files, split_of

CHARACTERS = "abcd"

# No dropout of any kind: what remains is arithmetic.
PLAIN = {
    "preset": "tiny",
    "mask_time_prob": 0.0,
    "mask_channel_prob": 0.0,
    "layer_drop": 0.0,
} | dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"), 0.0)


@dataclass(frozen=True)
class Corpus:
    """Paths of a generated corpus in the layout that stages 2 to 4 write.

    Attributes:
        splits: where the training set lies in parts, if it does.
    """

    root: Path
    splits: Path | None = None

    @property
    def options(self) -> list[str]:
        """The data options of asr_train."""
        found = ["--token_list", str(self.root / "tokens.txt"), "--token_type", "char"]
        for phase in ("train", "valid"):
            data = f"--{phase}_data_path_and_name_and_type"
            found += [
                data,
                f"{self.root}/{phase}/wav.scp,speech,sound",
                data,
                f"{self.root}/{phase}/text,text,text",
            ]
            found += [f"--{phase}_shape_file", f"{self.root}/{phase}/speech_shape"]
        if self.splits:
            found = [word.replace(f"{self.root}/train/", f"{self.splits}/") for word in found]
            found += ["--multiple_iterator", "true"]
        return found

    def in_parts(self, folder: Path, number: int = 2) -> Corpus:
        """The same with its training set in parts, as stage 4 makes them."""
        tables = [self.root / "train" / name for name in ("speech_shape", "wav.scp", "text", "utt2lang")]
        split_files([path for path in tables if path.exists()], number, folder)
        return Corpus(self.root, folder)


Train = Callable[..., Path]
"""What the fixture ``train`` is."""


def write_languages(corpus: Corpus, train: int = 12) -> None:
    """A third of the training set is of another language; none of it is in the second of two parts."""
    few = [n for n in range(train) if split_of(f"train{n:02d}", 2) == 0][: train // 3]
    lines = [f"train{number:02d} {'et' if number in few else 'es'}" for number in range(train)]
    (corpus.root / "train/utt2lang").write_text("\n".join(lines) + "\n")


def write_corpus(root: Path, train: int = 12, valid: int = 4) -> Corpus:
    """Each character is a tone of 0.15 s."""
    rng = np.random.default_rng(0)
    for phase, count in (("train", train), ("valid", valid)):
        directory = root / phase
        directory.mkdir(parents=True)
        lines: dict[str, list[str]] = {"wav.scp": [], "text": [], "speech_shape": []}
        for number in range(count):
            name = f"{phase}{number:02d}"
            text = "".join(rng.choice(list(CHARACTERS), size=2 + number % 5))
            time = np.arange(2400) / 16000
            tones = [0.1 * np.sin(2 * np.pi * 300 * (1 + CHARACTERS.index(c)) * time) for c in text]
            wav = np.concatenate([*tones, np.zeros(800)]) + 0.001 * rng.standard_normal(
                2400 * len(text) + 800
            )
            soundfile.write(directory / f"{name}.flac", wav, 16000)
            lines["wav.scp"].append(f"{name} {directory / name}.flac")
            lines["text"].append(f"{name} {text}")
            lines["speech_shape"].append(f"{name} {len(wav)}")
        for file, rows in lines.items():
            (directory / file).write_text("\n".join(rows) + "\n", encoding="utf-8")
    (root / "tokens.txt").write_text("\n".join(["<blank>", "<unk>", *CHARACTERS, "<sos/eos>"]) + "\n")
    return Corpus(root)


def settings(**changes: Any) -> dict[str, Any]:
    """A training configuration of the smallest size; 4 batches an epoch."""
    base: dict[str, Any] = {
        "encoder_conf": {
            "config": {"preset": "tiny", "layer_drop": 0.1, "hidden_dropout": 0.1},
            "train_context": {"chunk_frames": [8, 16], "left": [8], "sink_frames": [0, 2], "seed": 3},
            "eval_context": {"chunk_ms": 160, "left_ms": 160},
            "augment": {"gain_db": 6, "noise_prob": 0.5, "speed": [0.9, 1.0, 1.1]},
        },
        "decoder_conf": {"hidden_size": 16},
        "joint_net_conf": {"joint_size": 16},
        "model_conf": {"ctc_weight": 0.3},
        "optim_conf": {"lr": 0.001, "weight_decay": 0.01},
        "scheduler": "warmupholddecay",
        "scheduler_conf": {"warmup": 0.2, "hold": 0.3},
        "batch_bins": 30000,
        "num_workers": 0,
        "max_epoch": 2,
        "use_tensorboard": False,
        "use_matplotlib": False,
    }
    return base | changes


def weights(path: Path) -> dict[str, torch.Tensor]:
    """A model file's tensors."""
    return torch.load(path, weights_only=True)


def largest_difference(one: Path, other: Path) -> float:
    """Over all tensors of two model files."""
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)
