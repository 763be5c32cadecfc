"""The wav2vec 2.0 encoder, offline and streaming. Torch only.

Shapes throughout: B utterances or streams, S samples at 16 kHz, T frames of 20 ms, N chunks of C frames, K
keys, H heads, D hidden size.
"""

from __future__ import annotations

from xlsrt.encoder.config import XlsrConfig
from xlsrt.encoder.encoder import XlsrEncoder
from xlsrt.encoder.state import EncoderState

__all__ = ["EncoderState", "XlsrConfig", "XlsrEncoder"]
