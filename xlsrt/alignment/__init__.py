"""Forced alignment: when the words of known transcripts were said. (`xlsrt.report.edits` aligns for scores.)

Shape legend: S samples at 16 kHz, T frames of 20 ms, V tokens of the vocabulary, U tokens of the transcript.
"""

from __future__ import annotations
