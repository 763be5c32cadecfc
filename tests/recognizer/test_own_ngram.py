"""`lm: ngram`, `lodr: bigram`: n-gram models with a model, in experiments, packed folders, zips."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.recognizer.make import TOKENS, make_exp, noise, same
from xlsrt import Recognizer
from xlsrt.bin import asr_decode
from xlsrt.data.kneser_ney import estimate_ngram, write_arpa
from xlsrt.errors import UserError
from xlsrt.recognizer.pack import write_pack

SEARCH = {"type": "beam", "beam_size": 4, "lm_weight": 2.0}


@pytest.fixture
def exp(tmp_path: Path) -> Path:
    made: Path = make_exp(tmp_path / "exp", blank_bias=9.0)
    return made


def give(exp: Path, *sentences: list[str], name: str = "ngram.arpa", order: int = 3) -> Path:
    write_arpa(estimate_ngram(sentences, order, set(TOKENS) - {"<blank>", "<sos/eos>"}), exp / name)
    return exp / name


def test_they_are_found_wherever_the_model_is(exp: Path, tmp_path: Path) -> None:
    file = give(exp, ["▁the", "▁cat", "s"] * 5)
    bigram = give(exp, ["▁do", "g"] * 4, name="bigram.arpa", order=2)
    wav, found = noise(3), {}
    found["none"] = Recognizer.from_exp(exp, search={"type": "beam"}).transcribe(wav)
    found["lm"] = Recognizer.from_exp(exp, search={**SEARCH, "lm": str(file)}).transcribe(wav)
    both = {**SEARCH, "lm": str(file), "lodr": str(bigram), "lodr_weight": 1.5}
    found["lodr"] = Recognizer.from_exp(exp, search=both).transcribe(wav)
    assert len({result.text for result in found.values()}) == 3
    write_pack(exp, tmp_path / "m", as_zip=True)
    shutil.move(exp, tmp_path / "elsewhere")
    for place in ("elsewhere", "m", "m.zip"):
        own = Recognizer.from_exp(tmp_path / place, search={**SEARCH, "lm": "ngram"})
        same(own.transcribe(wav), found["lm"])
        own = Recognizer.from_exp(tmp_path / place, search={**both, "lm": "ngram", "lodr": "bigram"})
        same(own.transcribe(wav), found["lodr"])


def test_without_one(exp: Path, tmp_path: Path) -> None:
    write_pack(exp, tmp_path / "m", as_zip=True)
    for place in (exp, tmp_path / "m", tmp_path / "m.zip"):
        with pytest.raises(UserError, match=r"no ngram.arpa lies beside its weights: train it .*--use_ngram"):
            Recognizer.from_exp(place, search={**SEARCH, "lm": "ngram"})
    file = give(exp, ["▁the"])
    with pytest.raises(UserError, match=r"`bigram` is .* and no bigram.arpa lies beside its weights"):
        Recognizer.from_exp(exp, search={**SEARCH, "lm": str(file), "lodr": "bigram"})


def test_a_damaged_one_in_a_zip_is_named(exp: Path, tmp_path: Path) -> None:
    """One digit is another: the text is still an n-gram model, and the zip's checksum alone can tell."""
    give(exp, ["▁the", "▁cat", "s"] * 5)
    path = Path(f"{write_pack(exp, tmp_path / 'm', as_zip=True)}.zip")
    content = bytearray(path.read_bytes())
    digit = content.index(b"-0.", content.index(b"1-grams:")) + 3
    content[digit] = ord("1") if content[digit] != ord("1") else ord("2")
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"m\.zip/ngram\.arpa is packed, and not whole .*copy it again"):
        Recognizer.from_exp(path, search={**SEARCH, "lm": "ngram"})


def test_sets_are_decoded_again_with_another_one(exp: Path, tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "a.wav", noise(3).numpy(), 16000)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/wav.scp").write_text(f"a {tmp_path / 'a.wav'}\n")
    (tmp_path / "data/utt2spk").write_text("a a\n")
    config = tmp_path / "decode.yaml"
    config.write_text(
        "context: {chunk_ms: 320, left_ms: 320}\nsearch: {type: beam, lm: ngram, lm_weight: 2.0}\n"
    )
    words = [
        "--exp_dir",
        exp,
        "--decode_config",
        config,
        "--data_dir",
        tmp_path / "data",
        "--output_dir",
        tmp_path / "out",
    ]

    def decoded() -> str:
        asr_decode.main(list(map(str, words)))
        return (tmp_path / "out/text").read_text()

    give(exp, ["▁the", "▁cat", "s"] * 5)
    first = decoded()
    give(exp, ["▁do", "g", "▁ru", "n"] * 7)
    assert decoded() != first
