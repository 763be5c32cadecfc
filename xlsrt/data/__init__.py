"""Data: corpus readers, Kaldi data directories, audio formatting, token models and shape files.

Legend: an *utterance* has an id, a speaker, a transcript and audio; a *set* is a Kaldi data directory
(``wav.scp``, ``text``, ``utt2spk``, ``spk2utt``, perhaps ``segments``); a *dump* is a set whose audio is
16 kHz mono files, ready for training, with ``utt2num_samples``. All tables are sorted as ``LC_ALL=C sort``
does.
"""
