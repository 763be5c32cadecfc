"""Synthetic speech: espeak-ng voices, texts in many languages, rooms and noises."""
