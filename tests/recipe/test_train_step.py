from __future__ import annotations

import re
from pathlib import Path

import pytest

from xlsrt.recipe.adapt import Adaptation
from xlsrt.recipe.train_step import ECHO, train
from xlsrt.tree import read_tree

HEAD = "[host] 2026-11-23 02:22:31,001 (trainer:300) INFO: "


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            "3epoch results: [train] loss_transducer=265.9, loss=359.1, loss_ctc=310.4, time=34.75 seconds, "
            "[valid] loss_transducer=153.0, loss=197.2, loss_ctc=147.1, ter=0.981, cer_ctc=1.000, time=2.4 s",
            ["3epoch results:", "loss=359.1", "[valid]", "loss=197.2", "ter=0.981", "cer_ctc=1.000"],
        ),
        (
            "11/32epoch:train:1/4batch: loss=298.2, loss_ctc=250.6, lr=0.001; remaining: 28 s, 60 s of all",
            ["11/32epoch", "train:1/4batch", "loss=298.2", "remaining: 28 s, 60 s of all"],
        ),
        ("The training was finished at 3 epochs ", []),
    ],
)
def test_progress_is_short(line: str, shown: list[str]) -> None:
    found = re.search(ECHO, HEAD + line)
    assert found
    assert [part for part in found.groups() if part] == shown


def test_other_lines_are_not_shown() -> None:
    assert not re.search(ECHO, HEAD + "Model structure: loss=none")


@pytest.fixture
def backend(tmp_path: Path) -> str:
    """A backend that notes the command and makes what the training would. Its name says: this machine."""
    script = tmp_path / "run.pl"
    script.write_text(
        f"""#!/usr/bin/env bash
echo "$@" >> {tmp_path}/started
while [ "$1" != --output_dir ]; do shift; done
mkdir -p "$2/encoder"
touch "$2"/encoder/{{config.json,model.safetensors}}
""",
        encoding="utf-8",
    )
    script.chmod(0o755)
    return str(script)


def test_a_training_tells_its_queue_of_its_workers(tmp_path: Path, backend: str) -> None:
    queue = Path(backend).rename(tmp_path / "slurm.pl")
    for name, settings, processors in (("a", {}, 4), ("b", {"num_workers": 4}, 10)):
        plan = Adaptation(tmp_path / name, {"objective": "best_rq", **settings})
        assert train(plan, [], str(queue), 2, 1) == 0
        command = (tmp_path / "started").read_text(encoding="utf-8").splitlines()[-1]
        assert command.startswith(f"--num-threads {processors} --gpu 2 ")


def test_a_training_is_done_once_and_never_lost(tmp_path: Path, backend: str, capfd) -> None:
    data, exp = tmp_path / "wav.scp", tmp_path / "exp/adapt"
    data.write_text("a a.wav\n", encoding="utf-8")

    def started(**settings: object) -> list[str]:
        assert train(Adaptation(exp, {"objective": "best_rq", **settings}), [data], backend, 0, 1) == 0
        return (tmp_path / "started").read_text(encoding="utf-8").splitlines()

    (command,) = started(seed=1)
    assert f"-m xlsrt.bin.pretrain --objective best_rq --config {exp}/train.yaml" in command
    assert read_tree(exp / "train.yaml") == {"objective": "best_rq", "seed": 1}
    assert len(started(seed=1, num_workers=3)) == 1, "another speed is no other training"
    (exp / "encoder/config.json").unlink()
    (exp / "checkpoint.pth").touch()
    (exp / ".dist_init").touch()
    assert len(started(seed=1)) == 2 and (exp / "checkpoint.pth").exists(), "it goes on"
    assert not (exp / ".dist_init").exists()
    assert len(started(seed=2)) == 3 and not (exp / "checkpoint.pth").exists()
    assert [*(exp.parent / "replaced").glob("adapt-*/checkpoint.pth")]
    assert "was trained with other settings or data: moved to" in capfd.readouterr().out
    assert len(read_tree(exp / "record.yaml")["runs"]) == 1
