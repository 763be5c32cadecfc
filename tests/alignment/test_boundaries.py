"""Starts and ends of words between the frames of their tokens."""

from __future__ import annotations

import numpy as np
import pytest

from xlsrt.alignment.boundaries import PAUSE_FRAMES, WordFrames, quiet_frames, word_bounds


def quiet(*runs: tuple[int, int], frames: int = 60) -> np.ndarray:
    found = np.zeros(frames, dtype=bool)
    for begin, end in runs:
        found[begin:end] = True
    return found


def test_words_without_a_pause_share_the_frames_between_by_letters() -> None:
    words = [WordFrames(10, 12, 3, 3), WordFrames(20, 21, 1, 2)]
    (_, first), (second, _) = word_bounds(words, quiet())
    assert first == second == 12 + 8 * 3 / 4
    # as short a silence as the closure of a plosive is none
    assert word_bounds(words, quiet((14, 14 + PAUSE_FRAMES - 1))) == word_bounds(words, quiet())


def test_a_pause_ends_a_word_and_begins_the_next() -> None:
    words = [WordFrames(10, 12), WordFrames(40, 42)]
    assert word_bounds(words, quiet((0, 7), (15, 25), (50, 60))) == [(7, 15), (25, 50)]
    # a cough between two pauses belongs to nobody
    assert word_bounds(words, quiet((15, 25), (28, 36)))[0][1] == 15
    assert word_bounds(words, quiet((15, 25), (28, 36)))[1][0] == 36


def test_ends_of_a_recording() -> None:
    # without quiet a word gets a little; shorter quiet at the very end counts, there it goes on unheard
    assert word_bounds([WordFrames(20, 30)], quiet()) == [(15, 35)]
    assert word_bounds([WordFrames(2, 57)], quiet()) == [(0, 60)]
    assert word_bounds([WordFrames(5, 50)], quiet((0, 2), (58, 60))) == [(2, 58)]
    assert word_bounds([WordFrames(0, 60)], quiet()) == [(0, 60)]
    assert word_bounds([], quiet()) == []


def test_quiet_is_told_from_speech_whatever_the_level() -> None:
    rng = np.random.default_rng(0)
    level = np.repeat([0.001, 0.1, 0.001, 0.1], 320 * 20)
    samples = (rng.standard_normal(len(level)) * level).astype(np.float32)
    found = quiet_frames(samples, (len(samples) - 400) // 320 + 1)
    assert found[1:19].all() and not found[21:39].any() and found[41:59].all() and not found[61:].any()
    assert (quiet_frames(30 * samples, len(found)) == found).all()
    assert not quiet_frames(samples[320 * 20 : 320 * 40], 19).any()  # noise alone: no frame is quiet


@pytest.mark.parametrize("frames", [0, 1])
def test_hardly_any_frames(frames: int) -> None:
    assert quiet_frames(np.zeros(400, dtype=np.float32), frames).tolist() == [False] * frames
