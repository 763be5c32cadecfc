"""The languages of the synthetic speech: how each spells letters and syllables, and its everyday words.

Word lists and syllable inventories were written for this project; they need not be complete, only varied.
"""

from __future__ import annotations

from dataclasses import dataclass

from xlsrt.data.synth import wordlists

_LATIN = "abcdefghijklmnopqrstuvwxyz"
_CYRILLIC = "абвгдежзиклмнопрстуфхцчшя"


@dataclass(frozen=True)
class Language:
    """One language of espeak.

    Attributes:
        code: what espeak calls it.
        weight: how often it is drawn, 1 for most.
        letters: those spelled one by one.
        onsets, vowels, codas: pieces of pseudo-words in the language's orthography; "" is allowed.
        words: everyday words.
    """

    code: str
    weight: float
    letters: str
    onsets: tuple[str, ...]
    vowels: tuple[str, ...]
    codas: tuple[str, ...]
    words: tuple[str, ...]


def _make(
    codes: str, onsets: str, vowels: str, codas: str, letters: str = _LATIN, weight: float = 1.0
) -> list[Language]:
    """One entry for each code; the first is the one whose words all share, the weight is split among them."""
    names = codes.split()
    words = tuple(wordlists.WORDS[names[0]].split())
    each = weight / len(names)
    return [
        Language(
            code, each, letters, ("", *onsets.split()), tuple(vowels.split()), ("", "", *codas.split()), words
        )
        for code in names
    ]


_ALL = [
    _make(
        "en-us en en-gb-scotland en-gb-x-rp en-029 en-us-nyc en-gb-x-gbclan",
        "b c d f g h j k l m n p r s t v w y z th sh ch st str pl br cr dr fl gr sp sk tr thr wh",
        "a e i o u ee oo ai ay ea ou ow igh o ar er or",
        "b ck d ff g l m n p r ss t x ng nd nt st ld rk lm mp nch tch th sh",
        weight=10.0,
    ),
    _make(
        "et",
        "h j k l m n p r s t v kr pr tr kl",
        "a e i o u õ ä ö ü aa ee ii oo uu äe ai ei õu öö üü",
        "l n r s t d k m ks st nd lt",
        weight=1.5,
    ),
    _make(
        "ca ca-va ca-ba",
        "b c d f g j l m n p r s t v x ll ny br cr tr pl bl",
        "a e i o u à é í ó ú ai ei au",
        "l n r s t m ns nt rt ts",
        weight=1.5,
    ),
    _make(
        "es es-419",
        "b c d f g j l m n ñ p r rr s t v z ch ll br cr tr pl bl gr qu",
        "a e i o u á é í ó ú ia ie io ue",
        "l n r s d z",
        weight=3.0,
    ),
    _make(
        "fr fr-be fr-ch",
        "b c d f g j l m n p r s t v ch qu br cr tr pl bl gr gn",
        "a e i o u é è ê ou on an in eau eu oi ai au un",
        "l r s t c f nt lle tte que me ne",
        weight=3.5,
    ),
    _make(
        "it",
        "b c d f g l m n p r s t v z ch gh gl gn br cr tr pl sc qu st",
        "a e i o u ia io ie uo",
        "l n r s",
        weight=1.5,
    ),
    _make(
        "de",
        "b d f g h j k l m n p r s t w z sch st sp br kr tr pl schl pf",
        "a e i o u ä ö ü ei au ie eu aa",
        "l n r s t ch ck ng nd lt rt ft",
        weight=1.5,
    ),
    _make(
        "nl",
        "b d f g h j k l m n p r s t v w z sch st br kr tr pl",
        "a e i o u aa ee oo uu ij ui oe eu ou ie",
        "l n r s t k p ng cht nd lf",
    ),
    _make(
        "pt pt-br",
        "b c d f g j l m n p r s t v z ch lh nh br cr tr pl qu",
        "a e i o u ã õ ão á é ó ei ou",
        "l r s m z",
    ),
    _make(
        "ro",
        "b c d f g h j l m n p r s t v z ș ț ch br cr tr pl",
        "a e i o u ă â î ea oa ia",
        "l n r s t c d m nt",
    ),
    _make(
        "pl",
        "b c d f g h j k l ł m n p r s t w z cz sz rz ch ś ć ż prz str",
        "a e i o u y ą ę ó ie ia",
        "l n r s t k m ść cz sz",
    ),
    _make(
        "cs",
        "b c d h j k l m n p r ř s š t v z ž č ch st pr",
        "a e i o u y á é í ó ů ou ě",
        "l n r s t k m st ch š",
    ),
    _make(
        "sk",
        "b c d h j k l m n p r s š t v z ž č ch st pr",
        "a e i o u y á é í ó ú ô ia ie",
        "l n r s t k m st ch",
    ),
    _make(
        "ru",
        "б в г д ж з к л м н п р с т ф х ц ч ш щ ст пр кр",
        "а е и о у ы э ю я ё",
        "л н р с т к м ть ст й в",
        _CYRILLIC,
    ),
    _make(
        "uk",
        "б в г д ж з к л м н п р с т ф х ц ч ш ст пр",
        "а е и о у і ю я ї є",
        "л н р с т к м ть ст й в",
        _CYRILLIC,
    ),
    _make(
        "bg",
        "б в г д ж з к л м н п р с т ф х ц ч ш ст пр",
        "а е и о у ъ ю я",
        "л н р с т к м ст й",
        _CYRILLIC,
    ),
    _make("tr", "b c ç d f g h k l m n p r s ş t v y z", "a e ı i o ö u ü", "l n r s t k m ş z"),
    _make(
        "fi",
        "h j k l m n p r s t v",
        "a e i o u y ä ö aa ee ii oo uu ää ie uo yö ai ei",
        "l n r s t kk ll nn ss tt",
        weight=1.2,
    ),
    _make(
        "sv",
        "b d f g h j k l m n p r s t v sk st sj tj br",
        "a e i o u y å ä ö",
        "l n r s t d k m ng nd rd ll tt",
    ),
    _make("da", "b d f g h j k l m n p r s t v sk st br", "a e i o u y æ ø å", "l n r s t d g m nd ld"),
    _make(
        "nb",
        "b d f g h j k l m n p r s t v sk st kj br",
        "a e i o u y æ ø å ei au",
        "l n r s t d k m ng nd tt",
    ),
    _make(
        "hu",
        "b c d f g h j k l m n p r s t v z sz cs gy ny zs",
        "a e i o u á é í ó ő ú ű ö ü",
        "l n r s t k m d sz ny",
    ),
    _make(
        "el",
        "β γ δ ζ θ κ λ μ ν ξ π ρ σ τ φ χ ψ στ πρ μπ ντ",
        "α ε η ι ο υ ω ά έ ί ό ού αι ει",
        "ν ς ρ λ",
        "αβγδεζηθικλμνξοπρστυφχψω",
    ),
    _make(
        "hr",
        "b c č ć d đ f g h j k l lj m n nj p r s š t v z ž st pr",
        "a e i o u ije ja",
        "l n r s t k m st š",
    ),
    _make("sl", "b c č d f g h j k l m n p r s š t v z ž st pr", "a e i o u", "l n r s t k m st š v"),
    _make("lv", "b c č d g ģ j k ķ l ļ m n ņ p r s š t v z ž", "a ā e ē i ī o u ū ie ai", "s š m r l n t"),
    _make("lt", "b c č d g j k l m n p r s š t v z ž", "a ą e ę ė i y o u ū ų ie uo ai", "s š r l n t k"),
    _make(
        "sw",
        "b ch d f g h j k l m n p r s sh t v w y z mb nd ng nj ny",
        "a e i o u",
        "",
        "abdefghijklmnoprstuvwyz",
    ),
    _make("id ms", "b c d g h j k l m n p r s t w y ng ny", "a e i o u ai au", "k l m n ng p r s t h"),
    _make(
        "vi",
        "b c ch d đ g h kh l m n ng nh ph r s t th tr v x",
        "a ă â e ê i o ô ơ u ư á à ả ã ạ iê uô",
        "c ch m n ng nh p t",
        "abcdeghiklmnopqrstuvxy",
    ),
    _make(
        "hi",
        "क ख ग घ च ज ट ड त द न प फ ब म य र ल व श स ह",
        "ा ि ी ु ू े ै ो ौ",
        "न र ल म स त",
        "अआइईउऊएओकखगचजटडतदनपबमयरलवशसह",
    ),
    _make("cy", "b c ch d dd f ff g h l ll m n p r rh s t th", "a e i o u w y ai ei", "d dd l n r s th t ch"),
    _make("eu", "b d f g h k l m n p r s t tx tz x z", "a e i o u ai ei au", "k l n r s t z"),
    _make(
        "is",
        "b d f g h j k l m n p r s t v þ st br",
        "a á e é i í o ó u ú y ý æ ö au ei",
        "l n r s t ð k nn ll",
    ),
    _make(
        "sq",
        "b c ç d dh f g gj h j k l ll m n nj p q r rr s sh t th v x xh z zh",
        "a e ë i o u y",
        "k l n r s sh t",
    ),
    _make("eo", "b c ĉ d f g ĝ h j ĵ k l m n p r s ŝ t v z", "a e i o u aj oj aŭ", "n s j r l"),
    _make(
        "ka",
        "ბ გ დ ვ ზ თ კ ლ მ ნ პ ჟ რ ს ტ ფ ქ ღ ყ შ ჩ ც ძ წ ჭ ხ ჯ ჰ",
        "ა ე ი ო უ",
        "ს მ ნ რ ლ",
        "აბგდევზთიკლმნოპრსტუფქ",
    ),
    _make(
        "af",
        "b d f g h j k l m n p r s t v w sk st br kr",
        "a e i o u aa ee oo ie oe ei ou",
        "l n r s t k p ng g nd",
    ),
    _make(
        "ja",
        "か き く け こ さ し す せ そ た ち つ て と な に ぬ ね の は ひ ふ へ ほ "
        "ま み む め も や ゆ よ ら り る れ ろ わ "
        "が ぎ ぐ げ ご ざ じ ず だ で ど ば び ぶ べ ぼ きゃ しゃ ちょ りょ",
        "あ い う え お ー",
        "ん ん っ",
        "あいうえおかきくけこさしすせそ",
    ),
    _make(
        "fa",
        "ب پ ت ج چ ح خ د ر ز س ش ف ق ک گ ل م ن و ه ی",
        "ا ی و ",
        "ن ر ل م ت د",
        "ابپتجچدرزسشفقکگلمنوهی",
        weight=0.5,
    ),
]

LANGUAGES: tuple[Language, ...] = tuple(language for group in _ALL for language in group)
