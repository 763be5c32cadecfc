"""Import ESPnet's ASR task without what it drags along for other tasks.

``import espnet2.tasks.asr`` costs about 16 s of CPU: transformers (for decoders and front-ends that we do not
offer), numba and scipy.stats (for one class of a text-to-speech model), nltk with an attempt to download data
(for grapheme-to-phoneme conversion), and the instrumentation of every function by typeguard. Every training
stage and every spawned worker pays it. While the import runs, and only then,

* optional packages that ESPnet imports inside ``try`` are reported as absent,
* text front-ends for text-to-speech are placeholders that load the real module on first use,
* the one text-to-speech class that ESPnet asks for (for ``isinstance``) is an empty class,
* typeguard's decorator leaves functions as they are: `xlsrt.espnet_task` checks its own input.

Afterwards ``sys.modules`` is as if nothing had happened. 3 s of CPU remain.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.machinery
import inspect
import io
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ABSENT = (
    "transformers",
    "s3prl",
    "fairseq",
    "whisper",
    "wandb",
    "fairscale",
    "apex",
    "deepspeed",
    "flash_attn",
)
DEFERRED = ("g2p_en", "tacotron_cleaner", "tacotron_cleaner.cleaners")
TTS_PACKAGE = "espnet2.gan_tts.jets"


class _Deferred(types.ModuleType):
    """A module that is imported when one of its names is first asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


def _placeholders() -> dict[str, types.ModuleType | None]:
    import torch

    found: dict[str, types.ModuleType | None] = dict.fromkeys(ABSENT)
    for name in DEFERRED:
        module = _Deferred(name)
        module.__path__ = []
        # Whoever asks whether the package is installed (transformers does) looks for this.
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        found[name] = module
        parent, _, leaf = name.rpartition(".")
        if parent:
            setattr(found[parent], leaf, module)
    package = types.ModuleType(TTS_PACKAGE)
    package.__path__ = []
    alignments = types.ModuleType(f"{TTS_PACKAGE}.alignments")
    alignments.AlignmentModule = type("AlignmentModule", (torch.nn.Module,), {})  # type: ignore[attr-defined]
    found[TTS_PACKAGE] = package
    found[f"{TTS_PACKAGE}.alignments"] = alignments
    return found


def _unchecked(function: Callable[..., Any] | None = None, **_options: Any) -> Any:
    return function if function is not None else (lambda wrapped: wrapped)


@contextlib.contextmanager
def lean_imports() -> Iterator[None]:
    """Within this block ESPnet's imports are cheap and silent (see the module's text)."""
    import typeguard

    placed = {name: module for name, module in _placeholders().items() if name not in sys.modules}
    sys.modules.update(placed)  # type: ignore[arg-type]
    checked = typeguard.typechecked
    typeguard.typechecked = _unchecked  # type: ignore[assignment]
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        typeguard.typechecked = checked
        for name, module in placed.items():
            if name in sys.modules and sys.modules[name] is module:
                del sys.modules[name]


def import_espnet_asr() -> None:
    """Import ``espnet2.tasks.asr`` once, leanly; a process that has it already keeps it as it is."""
    if "espnet2.tasks.asr" in sys.modules:
        return
    with lean_imports():
        importlib.import_module("espnet2.tasks.asr")


def leave_compiler_unloaded() -> None:
    """Let torch's optimisers be built without ``torch._dynamo``, 4 s of CPU that nothing here uses.

    Their methods are wrapped to be skipped by ``torch.compile`` and import it for that on their first call.
    """
    import torch

    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        method = inspect.unwrap(getattr(torch.optim.Optimizer, name))
        if not hasattr(method, "__dynamo_disable"):
            setattr(method, "__dynamo_disable", method)


def step_without_compiler(optimizer: torch.optim.Optimizer) -> Callable[[], Any]:
    """``optimizer.step`` without its wrappers (hooks, profiler labels), which import ``torch._dynamo``."""
    import torch

    step = functools.partial(inspect.unwrap(type(optimizer).step), optimizer)
    return torch.no_grad()(step)
