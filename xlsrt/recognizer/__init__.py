"""From waveform to words: offline, as a stream, as many streams. Does not import ESPnet.

The names load on first use: who asks for endpoint rules alone does not wait for torch.

Shape legend: B streams, S samples at 16 kHz, T encoder frames of 20 ms, D encoder width.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xlsrt.recognizer.endpoint import EndpointRules as EndpointRules
    from xlsrt.recognizer.model import Model as Model
    from xlsrt.recognizer.model import load_exp as load_exp
    from xlsrt.recognizer.recognizer import Recognizer as Recognizer
    from xlsrt.recognizer.result import Partial as Partial
    from xlsrt.recognizer.result import Result as Result
    from xlsrt.recognizer.stream import Stream as Stream
    from xlsrt.recognizer.stream import StreamPool as StreamPool

_HOMES = {
    "EndpointRules": "endpoint",
    "Model": "model",
    "Partial": "result",
    "Recognizer": "recognizer",
    "Result": "result",
    "Stream": "stream",
    "StreamPool": "stream",
    "load_exp": "model",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
