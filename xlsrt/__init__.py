"""xlsrt: streaming speech recognition from self-supervised multilingual encoders.

The public names load on first use: importing the package costs nothing, and light tools never load torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xlsrt.context import AttentionContext as AttentionContext
    from xlsrt.context import ContextSampler as ContextSampler
    from xlsrt.encoder import XlsrConfig as XlsrConfig
    from xlsrt.encoder import XlsrEncoder as XlsrEncoder
    from xlsrt.errors import UserError as UserError
    from xlsrt.recognizer import EndpointRules as EndpointRules
    from xlsrt.recognizer import Partial as Partial
    from xlsrt.recognizer import Recognizer as Recognizer
    from xlsrt.recognizer import Result as Result
    from xlsrt.recognizer import Stream as Stream
    from xlsrt.recognizer import StreamPool as StreamPool

__version__ = "0.1.0"

_HOMES = {
    "AttentionContext": "xlsrt.context",
    "ContextSampler": "xlsrt.context",
    "XlsrConfig": "xlsrt.encoder",
    "XlsrEncoder": "xlsrt.encoder",
    "UserError": "xlsrt.errors",
    "EndpointRules": "xlsrt.recognizer",
    "Partial": "xlsrt.recognizer",
    "Recognizer": "xlsrt.recognizer",
    "Result": "xlsrt.recognizer",
    "Stream": "xlsrt.recognizer",
    "StreamPool": "xlsrt.recognizer",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'xlsrt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
