"""The espeak wrapper: what it says, when it says it, and that it says the same twice."""

from __future__ import annotations

import hashlib
import multiprocessing
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from xlsrt.data.synth import espeak, espeak_library
from xlsrt.errors import UserError

ROOT = Path(__file__).parents[2]


def digest(text: str, language: str = "en-us", variant: str = "whisper") -> str:
    """Of a voice with much randomness in it."""
    said = espeak.synthesize(text, language, variant, fresh=True)
    return hashlib.sha256(said.samples.tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("turn on 23 lights, please", "en-us"),
        ("turn off the fan in the bedroom", "en-us"),  # spoken as one event: "inthe"
        ("kakskümmend kolm õuna", "et"),
        ("quatre vingt dix neuf enfants", "fr"),
        ("नमस्ते दोस्त", "hi"),
    ],
)
def test_every_word_has_its_time(text: str, language: str) -> None:
    samples, rate, words = espeak.synthesize(text, language, "m3")
    assert rate == 22050 and samples.dtype == np.int16
    assert [word.label for word in words] == text.split()
    assert all(0 <= word.start < word.end <= len(samples) / rate for word in words)
    assert all(a.end <= b.start + 1e-6 for a, b in pairwise(words))


def test_sound_is_where_the_phonemes_are() -> None:
    said = espeak.synthesize("sixty, seventy", "en-us", word_gap=30)
    loud = np.zeros(len(said.samples), bool)
    for phoneme in said.phonemes:
        loud[round(phoneme.start * said.sample_rate) : round(phoneme.end * said.sample_rate)] = True
    power = said.samples.astype(float) ** 2
    assert (~loud).mean() > 0.1
    assert power[loud].mean() > 1000 * power[~loud].mean()


@pytest.mark.parametrize(
    ("text", "language"), [("dzień dobry", "pl"), ("the seven yellow shoes", "en"), ("bonjour", "fr")]
)
def test_phonemes_are_those_spoken_and_carry_no_stress(text: str, language: str) -> None:
    symbols = espeak.phonemes(text, language)
    assert symbols == [p.label for p in espeak.synthesize(text, language, "f2").phonemes]
    assert len(symbols) >= 5
    assert not set("ˈˌ_ ") & set("".join(symbols))


def test_phonemes_go_on_after_a_comma_and_keep_units() -> None:
    assert espeak.phonemes("fine, cheese. My", "en-us") == ["f", "aɪ", "n", "tʃ", "iː", "z", "m", "aɪ"]


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("ˈɔ̃", "ɔ̃"),
        ("tʃ", "tʃ"),
        ("t͡ʃ", "tʃ"),
        ("ˌaː2", "aː"),
        ("(en)", ""),
        ("ε", "ɛ"),
        ("t̪", "t"),
        ("ç", "ç"),
    ],
)
def test_clean_phoneme(raw: str, clean: str) -> None:
    assert espeak.clean_phoneme(raw) == clean


def test_fresh_forgets_what_was_said_before() -> None:
    first = digest("one two three")
    for _ in range(3):
        espeak.synthesize("quelque chose", "fr", "croak")
    assert digest("one two three") == first
    code = "from tests.data.test_synth_espeak import digest; print(digest('one two three'))"
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == first


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_have_an_espeak_of_their_own(method: str) -> None:
    here = digest("four five six")
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(digest, ["four five six"] * 4) == [here] * 4
    assert digest("four five six") == here


def test_a_long_data_path_is_reached_by_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak_library, "_MAX_DATA_PATH", 1)
    espeak_library._data_path.cache_clear()
    try:
        link = espeak_library._data_path()
        assert "site-packages" not in link and len(link) < 120
        assert len(espeak.synthesize("hello", "en-us", fresh=True).samples) > 5000
    finally:
        espeak_library._data_path.cache_clear()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"language": "klingonese"}, "klingonese"),
        ({"variant": "nobody"}, "nobody.*m1"),
        ({"rate": 20}, "rate is 20.*80 to 450"),
        ({"pitch": 100}, "pitch is 100"),
        ({"word_gap": -1}, "word_gap"),
        ({"text": " "}, "nothing to say"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    call: dict[str, object] = {"text": "one", "language": "en-us", **arguments}
    with pytest.raises(UserError, match=message):
        espeak.synthesize(**call)  # type: ignore[arg-type]
    assert len(espeak.synthesize("one", "en-us").samples)


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match="pip install espeakng-loader"):
        espeak_library._package()
