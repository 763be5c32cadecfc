"""Decoding of whole sets: configuration, batches, shards that resume, ESPnet's output files."""

from __future__ import annotations
