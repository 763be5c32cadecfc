"""Live listening: files, raw samples or a microphone through a recogniser, and where the words go."""

from __future__ import annotations
