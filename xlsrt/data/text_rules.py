"""Transcripts as they are spoken: one writing of each character, no punctuation, the letters of the language.

Three strengths: ``full`` knows the language's letters and refuses what nobody can tell how to read (digits,
signs, other alphabets); ``light`` is for any language: lower case without punctuation; ``none`` mends Unicode
alone.
"""

from __future__ import annotations

import argparse
import logging
import re
import unicodedata
from dataclasses import dataclass

log = logging.getLogger(__name__)

STRENGTHS = ("full", "light", "none")

_LATIN = "abcdefghijklmnopqrstuvwxyz"
# Letters of a language; an apostrophe among them stays within words, elsewhere it goes without a trace.
LETTERS = {
    "be": "абвгдеёжзійклмнопрстуўфхцчшыьэюя'",
    "ca": _LATIN + "àçèéíïòóúü·'",
    "de": _LATIN + "äöüß",
    "en": _LATIN + "'",
    "es": _LATIN + "áéíñóúü",
    "et": _LATIN + "äõöüšž",
    "fr": _LATIN + "àâæçèéêëîïôœùûüÿ'",
    "it": _LATIN + "àèéìíîòóùú'",
    "nl": _LATIN + "áäèéëíïóöúü'",
    "pl": _LATIN + "ąćęłńóśźż",
    "pt": _LATIN + "áàâãçéêíóôõúü",
}
NAMES = {
    "be": "Belarusian",
    "ca": "Catalan",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
}

# Some languages write letters with these, which may stand at the end of a word.
_LETTER_MARKS = re.compile("[\u02bc\u02b9\u02bb]")
_UZBEK_MARKS = re.compile("(?<=[og])[\u2018\u2019\u0060']", re.IGNORECASE)
_MARK = "\ue000"  # stands for such a mark until quotation marks are gone
# Armenian marks of questions and stress stand over a vowel, amid the word.
_WITHIN_WORDS = re.compile("[\u055b\u055c\u055e]")
_APOSTROPHES = re.compile("[\u2018\u2019\u201b\u02bc\u02b9\u02bb\u00b4\u0060\u2032\uff07\u055a]")
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_LIGATURES = str.maketrans(
    {"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "đ": "d", "ł": "l", "ð": "d", "þ": "th"}
)
# Latin letters that look like Cyrillic ones and are typed in their place.
_LOOKALIKES = str.maketrans("aceiopxyACEIOPXY", "асеіорхуАСЕІОРХУ")
_CYRILLIC = re.compile("[\u0400-\u04ff]")
_WORD = re.compile(r"(?:[^\W\d_]|[\u0300-\u036f])+(?:'(?:[^\W\d_]|[\u0300-\u036f])+)*")
_AMID_SENTENCE = re.compile(r"[\w,;(–—-]")
# Unicode's class of these is that of the full stop, but they are read aloud, each in several ways.
_SPOKEN_SIGNS = frozenset("&%@#*§¶‰‱/\\_\u066a\u0609\u060a\u204e")
_GEMINATED_L = re.compile("l[\u00b7\u2022\u2027\u2219\u22c5.]l|\u0140l")
_DOTLESS = ("az", "crh", "tr", "tt")
# Written without spaces; where words end may be told by an invisible one.
_UNSPACED = ("km", "lo", "my", "th")
# Signs that are part of a word where letters stand on both sides.
_JOINING = {"ca": "·", "oc": "·", "he": "\u05f3\u05f4", "yi": "\u05f3\u05f4"}


@dataclass(frozen=True)
class TextRules:
    """How transcripts of a language are written.

    Attributes:
        language: ISO 639 code; of a locale such as ``et-EE`` or ``es_419`` the part before the first sign.
        strength: ``full`` (needs a language of `LETTERS`; others get ``light``), ``light`` or ``none``.
    """

    language: str
    strength: str = "full"

    def __post_init__(self) -> None:
        assert self.strength in STRENGTHS

    @property
    def base(self) -> str:
        return re.split("[-_]", self.language.lower())[0]

    @property
    def falls_back(self) -> bool:
        """Whether ``full`` was asked for and only ``light`` is there."""
        return self.strength == "full" and self.base not in LETTERS

    def __call__(self, text: str) -> tuple[str, str | None]:
        """The transcript, and why it cannot be used (None: it can)."""
        text = unicodedata.normalize("NFC", text)
        if self.base in _UNSPACED:
            text = text.replace("\u200b", " ")
        text = _INVISIBLE.sub("", text)
        if self.strength == "none":
            return " ".join(text.split()), None
        light = self.strength == "light" or self.falls_back
        if light:
            text = _LETTER_MARKS.sub(_MARK, _WITHIN_WORDS.sub("", text))
            text = _UZBEK_MARKS.sub(_MARK, text) if self.base == "uz" else text
        text = _APOSTROPHES.sub("'", text)
        if self.base == "be" and not light:
            text = _belarusian(text)
        text = unicodedata.normalize("NFC", _lower(text, self.base))
        return (_light(text, self.base), None) if light else _full(text, self.base)


def make_rules(language: str, strength: str) -> TextRules:
    """The rules of a language; a warning says so where they are weaker than what was asked for."""
    rules = TextRules(language, strength)
    if rules.falls_back:
        log.warning(
            "--text_rules full: the letters of '%s' are not known (those of %s are): its transcripts are "
            "written by the rules 'light', digits stay in; if it is one of these, name it (--language, "
            "--languages)",
            language,
            ", ".join(sorted(LETTERS)),
        )
    return rules


def _lower(text: str, language: str) -> str:
    if language in _DOTLESS:
        text = text.replace("İ", "i").replace("I", "ı")
    return text.lower()


def _light(text: str, language: str) -> str:
    """Letters, marks and digits of every alphabet, and apostrophes within words."""
    joining = _JOINING.get(language, "")
    if "·" in joining:
        text = _GEMINATED_L.sub("l·l", text)
    if "\u05f4" in joining:
        text = text.replace('"', "\u05f4")

    def kept(position: int, char: str) -> bool:
        if unicodedata.category(char)[0] in "LMN" or char in f"'\u200c\u200d{_MARK}":
            return True
        return char in joining and _is_letter(text, position - 1) and _is_letter(text, position + 1)

    words = "".join(c if kept(at, c) else " " for at, c in enumerate(text)).split()
    return " ".join(word.strip("'") for word in words if word.strip("'")).replace(_MARK, "'")


def _belarusian(text: str) -> str:
    """Latin look-alikes as Cyrillic, where they are no foreign words.

    In words that have other Cyrillic letters; and the words і, а, у, о, since the keyboards of other
    languages lack і. No longer words and no other single letters: IX, XX and the C of a vitamin are
    not read as they look, nor is a capital I amid a sentence, which is the first of a name.
    """
    if not _CYRILLIC.search(text):
        return text

    def mended(match: re.Match[str]) -> str:
        word = match[0]
        if word in (*"AIOY",):
            alone = not _AMID_SENTENCE.match(text[: match.start()].rstrip()[-1:])
        else:
            alone = word in (*"aioy",)
        mixed = _CYRILLIC.search(word)
        # A stress mark and the Latin letter below it are one character in NFC.
        return unicodedata.normalize("NFD", word).translate(_LOOKALIKES) if alone or mixed else word

    return _WORD.sub(mended, text)


def _full(text: str, language: str) -> tuple[str, str | None]:
    letters = LETTERS[language]
    if language == "ca":
        text = _GEMINATED_L.sub("l·l", text)
    written: list[str] = []
    for position, char in enumerate(text):
        if char in "'·":
            inside = _is_letter(text, position - 1) and _is_letter(text, position + 1)
            if char in letters and inside:
                written.append(char)
            elif not (char == "'" and inside):
                written.append(" ")
            continue
        if char in letters:
            written.append(char)
            continue
        kind = unicodedata.category(char)
        if kind[0] in "NS" or unicodedata.normalize("NFKC", char) in _SPOKEN_SIGNS:
            return text, f"spoken form unknown: '{char}'"
        if kind[0] in "PZC":
            written.append(" ")
        elif kind[0] == "M":
            continue  # a stress mark: the letter that it stands on is there
        else:
            plain = _plain(char)
            if not plain or any(c not in letters for c in plain):
                return text, f"letter that is not {NAMES[language]}: '{char}' (U+{ord(char):04X})"
            written.append(plain)
    result = " ".join("".join(written).split())
    return result, None if result else "empty transcript: nothing but punctuation"


def _is_letter(text: str, position: int) -> bool:
    return 0 <= position < len(text) and text[position].isalpha()


def _plain(char: str) -> str:
    """A letter without its accents; ligatures as two letters."""
    parts = unicodedata.normalize("NFD", char).translate(_LIGATURES)
    return "".join(c for c in parts if unicodedata.category(c)[0] != "M")


def add_text_argument(parser: argparse.ArgumentParser, default: str) -> None:
    """``--text_rules``."""
    parser.add_argument(
        "--text_rules",
        choices=STRENGTHS,
        default=default,
        help="full: the letters of the language alone, utterances with digits, signs or foreign letters are "
        f"left out (for {', '.join(sorted(LETTERS))}; others as light); light: lower case, no punctuation "
        "and no signs; none: as published, Unicode mended (default: %(default)s)",
    )
