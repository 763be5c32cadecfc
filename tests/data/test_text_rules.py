"""Transcripts by the rules of a language."""

from __future__ import annotations

import unicodedata

import pytest

from xlsrt.data.text_rules import LETTERS, NAMES, TextRules, make_rules


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("et", "O\u0303o\u0308, „Šveits“ – žanr!", "õö šveits žanr"),
        ("et", "O\u0303ues on Bush'i auto", "õues on bushi auto"),
        ("ca", "L’home, col.legi; COL·LEGI i para\u0140lel…", "l'home col·legi col·legi i paral·lel"),
        ("ca", "· vés-te'n ·", "vés te'n"),
        ("be", "З’езд у Мiнску: и\u0306од, у\u0306 лес, ма\u0301ма", "з'езд у мінску йод ў лес мама"),
        ("es", "¿Qué? ¡Él, D’Artagnan y Curuçá!", "qué él dartagnan y curucá"),
        ("fr", "«\u00a0Aujourd’hui\u00a0», c'est-à-dire l'œuvre", "aujourd'hui c'est à dire l'œuvre"),
        ("it", "Dell'età è 'cosi\u0300'", "dell'età è così"),
        ("en", "\"Don't,\" he said—Zoë's naïve", "don't he said zoe's naive"),
        ("de", "Straße, weiß", "straße weiß"),
        ("es-419", "NIÑO", "niño"),
        ("es", "¿sí? ¡no! «a» „b” c… d · e • f † g ‡ h (i) [j]; k: l - m", "sí no a b c d e f g h i j k l m"),
        ("be", "I вось: ён i яна, y лес a яна «O так». I рэкi", "і вось ён і яна у лес а яна о так і рэкі"),
        ("be", "сям'i суб'iх мa\u0301ма", "сям'і суб'іх мама"),
    ],
)
def test_full_rules(language: str, text: str, expected: str) -> None:
    assert TextRules(language)(text) == (expected, None)


@pytest.mark.parametrize(
    ("language", "text", "why"),
    [
        ("et", "aastal 1999", "spoken form unknown: '1'"),
        ("es", "el 5 % de", "spoken form unknown: '5'"),
        ("fr", "dix €", "spoken form unknown: '€'"),
        ("it", "слово", "letter that is not Italian: 'с' (U+0441)"),
        ("be", "щука", "letter that is not Belarusian: 'щ' (U+0449)"),
        ("ca", "…—!", "empty transcript: nothing but punctuation"),
        ("be", "Мікалай I", "letter that is not Belarusian: 'i' (U+0069)"),
        ("be", "XIX стагоддзе", "letter that is not Belarusian: 'x' (U+0078)"),
        ("be", "у XX-м веку", "letter that is not Belarusian: 'x' (U+0078)"),
        ("be", "вітамін C", "letter that is not Belarusian: 'c' (U+0063)"),
        ("be", "io кажа", "letter that is not Belarusian: 'i' (U+0069)"),
        ("be", "i a o", "letter that is not Belarusian: 'i' (U+0069)"),
    ],
)
def test_what_nobody_can_read_is_refused_with_the_reason(language: str, text: str, why: str) -> None:
    assert TextRules(language)(text)[1] == why


@pytest.mark.parametrize("sign", "&%@#*§¶‰‱/\\_＆％＠＃＊／﹪٪؉+=<>|~^$€£°№©®™¬×÷½²")
def test_signs_that_are_spoken_are_refused_as_digits_are(sign: str) -> None:
    assert TextRules("es")(f"dos {sign} de agua")[1] == f"spoken form unknown: '{sign}'"
    assert TextRules("en")(f"rock{sign}roll")[1] == f"spoken form unknown: '{sign}'"


def test_a_language_whose_letters_are_not_known_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert make_rules("cy", "full")("Dau 2!") == ("dau 2", None)
    assert "the letters of 'cy' are not known" in caplog.text and "the rules 'light'" in caplog.text
    caplog.clear()
    make_rules("cy", "light"), make_rules("et_ee", "full")
    assert not caplog.text


def test_light_rules_suit_any_language() -> None:
    assert TextRules("tr")('İYİ, Işık\'ın 3 "evi"') == ("iyi ışık'ın 3 evi", None)
    assert TextRules("hi_in")("नमस्ते, दुनिया।") == ("नमस्ते दुनिया", None)
    assert TextRules("fa")("می\u200cشود") == ("می\u200cشود", None)
    assert TextRules("et", "light")("Aastal 1999: 'jah'") == ("aastal 1999 jah", None)


@pytest.mark.parametrize(
    ("language", "text", "written"),
    [
        ("hy-AM", "Ողջո՜ւյն, եկե՛ք. ինչո՞ւ", "ողջույն եկեք ինչու"),
        ("he", 'ארה״ב וצה"ל "שלום" ג׳ירף', "ארה״ב וצה״ל שלום ג׳ירף"),
        ("ca_es", "la col•lecció · l'home", "la col·lecció l'home"),
        ("uz", "tog‘ va bogʻ, ‘o'zbek’", "tog' va bog' o'zbek"),
        ("haw", "ʻāina 'kupuna'", "'āina kupuna"),
        ("km", "ខ្ញុំ\u200bទៅ", "ខ្ញុំ ទៅ"),
        ("et", "sõ\u200bna", "sõna"),
        ("el", "ναι· όχι", "ναι όχι"),
    ],
)
def test_light_rules_leave_words_whole(language: str, text: str, written: str) -> None:
    assert TextRules(language, "light")(text) == (written, None)


def test_no_rules_mend_unicode_alone() -> None:
    assert TextRules("et", "none")(" O\u0303u\u00ade,\u00a0\ufeffA! ") == ("Õue, A!", None)


@pytest.mark.parametrize("language", sorted(LETTERS))
def test_letters_are_composed_lower_case_and_come_through(language: str) -> None:
    letters = LETTERS[language]
    assert language in NAMES and len(set(letters)) == len(letters)
    assert unicodedata.normalize("NFC", letters) == letters == letters.lower()
    word = "".join(c for c in letters if c.isalpha())
    assert TextRules(language)(unicodedata.normalize("NFD", word.upper() if "ß" not in word else word)) == (
        word,
        None,
    )
