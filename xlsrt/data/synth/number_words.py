"""0 to 999 written out in the six languages of the mini corpus, one spelling each, without hyphens."""

from __future__ import annotations

from xlsrt.errors import UserError

LANGUAGES = ("en", "et", "ca", "es", "fr", "it")

_EN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen"
)
_EN_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ET = "null üks kaks kolm neli viis kuus seitse kaheksa üheksa"
_CA = (
    "zero un dos tres quatre cinc sis set vuit nou deu onze dotze tretze catorze quinze setze disset "
    "divuit dinou"
)
_CA_TENS = "vint trenta quaranta cinquanta seixanta setanta vuitanta noranta"
_ES = (
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince "
    "dieciséis diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro "
    "veinticinco veintiséis veintisiete veintiocho veintinueve"
)
_ES_TENS = "treinta cuarenta cincuenta sesenta setenta ochenta noventa"
_ES_HUNDREDS = (
    "ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos novecientos"
)
_FR = "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize"
_FR_TENS = {2: "vingt", 3: "trente", 4: "quarante", 5: "cinquante", 6: "soixante", 8: "quatre vingt"}
_IT = (
    "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici "
    "quindici sedici diciassette diciotto diciannove"
)
_IT_TENS = "venti trenta quaranta cinquanta sessanta settanta ottanta novanta"


def number_words(n: int, language: str) -> str:
    """`n` in words, blank-separated.

    Raises:
        UserError: a number outside 0 to 999, or another language.
    """
    if not 0 <= n <= 999:
        raise UserError(f"number {n}: only 0 to 999 can be written out")
    if language not in _WRITERS:
        raise UserError(f"language {language!r}: numbers can be written out in {', '.join(LANGUAGES)}")
    return _WRITERS[language](n)


def _english(n: int) -> str:
    units = [*_EN.split(), "eighteen", "nineteen"]
    if n < 20:
        return units[n]
    if n < 100:
        return _join(_EN_TENS.split()[n // 10 - 2], units[n % 10] if n % 10 else "")
    return _join(f"{units[n // 100]} hundred", _english(n % 100) if n % 100 else "")


def _estonian(n: int) -> str:
    units = _ET.split()
    if n < 10:
        return units[n]
    if n == 10:
        return "kümme"
    if n < 20:
        return units[n % 10] + "teist"
    if n < 100:
        return _join(units[n // 10] + "kümmend", units[n % 10] if n % 10 else "")
    hundred = "sada" if n < 200 else units[n // 100] + "sada"
    return _join(hundred, _estonian(n % 100) if n % 100 else "")


def _catalan(n: int) -> str:
    units = _CA.split()
    if n < 20:
        return units[n]
    if n < 100:
        tens, unit = _CA_TENS.split()[n // 10 - 2], n % 10
        link = "i" if n < 30 and unit else ""  # vint-i-dos, but trenta-dos
        return _join(tens, link, units[unit] if unit else "")
    hundred = "cent" if n < 200 else f"{units[n // 100]} cents"
    return _join(hundred, _catalan(n % 100) if n % 100 else "")


def _spanish(n: int) -> str:
    units = _ES.split()
    if n < 30:
        return units[n]
    if n < 100:
        return _join(_ES_TENS.split()[n // 10 - 3], f"y {units[n % 10]}" if n % 10 else "")
    if n == 100:
        return "cien"
    return _join(_ES_HUNDREDS.split()[n // 100 - 1], _spanish(n % 100) if n % 100 else "")


def _french(n: int) -> str:
    units = _FR.split()
    if n < 17:
        return units[n]
    if n < 20:
        return f"dix {units[n - 10]}"
    if n == 80:
        return "quatre vingts"
    if n < 100:
        tens = n // 10
        if tens in (7, 9):  # soixante-dix, quatre-vingt-dix: counted on from the ten before
            rest, base = n - (tens - 1) * 10, _FR_TENS[tens - 1]
        else:
            rest, base = n % 10, _FR_TENS[tens]
        link = "et" if rest in (1, 11) and tens < 8 else ""
        return _join(base, link, _french(rest) if rest else "")
    hundreds, rest = divmod(n, 100)
    word = "cent" if hundreds == 1 else f"{units[hundreds]} cent" + ("" if rest else "s")
    return _join(word, _french(rest) if rest else "")


def _italian(n: int) -> str:
    """One word, as Italian writes it: vowels meet in ventuno and ventotto, a final tre takes an accent."""
    units = _IT.split()
    if n < 20:
        return units[n]
    if n < 100:
        tens, unit = _IT_TENS.split()[n // 10 - 2], n % 10
        if unit in (1, 8):
            tens = tens[:-1]
        return tens + ("" if unit == 0 else "tré" if unit == 3 else units[unit])
    hundred = ("" if n < 200 else units[n // 100]) + "cento"
    rest = n % 100
    return hundred + ("" if rest == 0 else "tré" if rest == 3 else _italian(rest))


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


_WRITERS = {"en": _english, "et": _estonian, "ca": _catalan, "es": _spanish, "fr": _french, "it": _italian}
