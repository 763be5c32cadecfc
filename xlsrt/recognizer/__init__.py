"""From waveform to words: offline, as a stream, as many streams. Does not import ESPnet.

Shape legend: B streams, S samples at 16 kHz, T encoder frames of 20 ms, D encoder width.
"""

from __future__ import annotations

from xlsrt.recognizer.endpoint import EndpointRules
from xlsrt.recognizer.model import Model, load_exp
from xlsrt.recognizer.recognizer import Recognizer
from xlsrt.recognizer.result import Partial, Result
from xlsrt.recognizer.stream import Stream, StreamPool

__all__ = ["EndpointRules", "Model", "Partial", "Recognizer", "Result", "Stream", "StreamPool", "load_exp"]
