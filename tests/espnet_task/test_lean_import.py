"""ESPnet comes in cheaply, and the process is as before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from xlsrt.espnet_task.lean_import import step_without_compiler

CHECK = """
import sys
import typeguard
checked = typeguard.typechecked
import xlsrt.espnet_task.task
import espnet2.tasks.asr as asr
heavy = {"transformers", "numba", "nltk", "inflect", "sympy", "torch._dynamo"} & set(sys.modules)
assert not heavy, heavy
assert typeguard.typechecked is checked
assert not [name for name, module in sys.modules.items() if module is None]
print("now the real one", file=sys.stderr)  # which has warnings of its own
import g2p_en.expand  # the real one, not a placeholder
assert g2p_en.expand.normalize_numbers("2") == "two", g2p_en.expand
assert asr.encoder_choices.classes["xlsr"].__module__ == "xlsrt.espnet_task.encoder"
"""


def test_the_import_is_light_silent_and_leaves_no_trace() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=root, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    before_g2p, mark, _ = done.stderr.partition("now the real one")
    assert mark and "Flash" not in done.stdout + before_g2p and "Warning" not in before_g2p


def test_the_bare_step_is_the_step() -> None:
    results = []
    for bare in (False, True):
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 8))
        optimizer = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.1)
        step = step_without_compiler(optimizer) if bare else optimizer.step
        for power in (2, 3, 4):
            optimizer.zero_grad()
            weight.pow(power).sum().backward()
            step()
        assert weight.requires_grad and weight.grad_fn is None
        results.append(weight.detach().clone())
    assert torch.equal(*results)
