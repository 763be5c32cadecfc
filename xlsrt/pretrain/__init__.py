"""Pretraining: small encoders on synthetic speech with known phonemes, any encoder on unlabelled audio.

Shapes: B utterances, S samples at 16 kHz, T encoder frames of 20 ms, D encoder width, V phonemes.
"""
