"""Predictor, joint and losses of the transducer.

Shape legend: B utterances or streams, T encoder frames of 20 ms, N joint frames (T / output_subsampling,
rounded up), U tokens of the longest transcript, V vocabulary with the blank, D encoder width,
P predictor width, J joint width.
"""

from __future__ import annotations

from xlsrt.transducer.config import HeadConfig
from xlsrt.transducer.head import TransducerHead
from xlsrt.transducer.predictor import LstmPredictor, Predictor, StatelessPredictor

__all__ = ["HeadConfig", "LstmPredictor", "Predictor", "StatelessPredictor", "TransducerHead"]
