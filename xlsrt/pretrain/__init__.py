"""Pretraining of small encoders on synthetic speech: phoneme frames and phoneme CTC in many languages.

Shapes: B utterances, S samples at 16 kHz, T encoder frames of 20 ms, D encoder width, V phonemes.
"""
