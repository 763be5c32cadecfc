"""What became of it: scores, tables and pictures.

Legend: ref is the reference (what was said), hyp the hypothesis (what was recognised); counts are in units of
the metric: words (WER), characters with the space as one of them (CER) or tokens of the model (TER).
"""

from __future__ import annotations
