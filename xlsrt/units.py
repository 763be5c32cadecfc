"""What time is counted in, everywhere: samples at 16 kHz, encoder frames of 20 ms, seconds."""

from __future__ import annotations

SAMPLE_RATE = 16000
"""Samples a second that wav2vec 2.0 hears."""
HOP = 320
"""Samples from one encoder frame to the next."""
WINDOW = 400
"""Samples that a frame is made of; fewer give none."""
FRAME_SECONDS = HOP / SAMPLE_RATE
