"""Settings of a model that are damaged or mistyped, and checkpoints of what has none to choose from."""

from __future__ import annotations

import json
import shutil
import zipfile

import pytest
import soundfile
import yaml

from tests.recognizer.make import TOKENS, make_exp
from xlsrt import Recognizer
from xlsrt.bin import asr_decode, transcribe
from xlsrt.errors import UserError
from xlsrt.recognizer.model import read_config
from xlsrt.recognizer.pack import load_model, write_pack


@pytest.fixture(scope="module")
def exp(tmp_path_factory):
    return make_exp(tmp_path_factory.mktemp("exp") / "exp")


@pytest.fixture(scope="module")
def pack(exp):
    return write_pack(exp, exp.parent / "packed", as_zip=True)


def copied(pack, folder, **changed):
    """A pack with other settings; None leaves one out."""
    made = shutil.copytree(pack, folder / "m", dirs_exist_ok=True)
    settings = {**json.loads((pack / "model.json").read_text(encoding="utf-8")), **changed}
    (made / "model.json").write_text(json.dumps(settings), encoding="utf-8")
    return made


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ([*TOKENS[:5], *TOKENS[6:]], "token_list has 12 tokens, and head.vocab_size is 13"),
        (TOKENS[:4], "token_list has 4 tokens, and"),
        ([*TOKENS, "a", "b"], "token_list has 15 tokens, and"),
        ([*TOKENS[:5], "▁the", *TOKENS[6:]], "token_list has '▁the' twice"),
        ([*TOKENS[:5], None, *TOKENS[6:]], "token_list must be a list of strings"),
        ({"<blank>": 0}, "token_list must be a list of strings"),
    ],
)
def test_a_packs_tokens_are_those_of_its_head(pack, tmp_path, tokens, words):
    made = copied(pack, tmp_path, token_list=tokens)
    with pytest.raises(UserError, match=rf"m: model\.json is damaged \({words}.*\); copy the packed model"):
        load_model(made)


def test_damaged_settings_of_a_pack_are_named(pack, tmp_path):
    for changed, words in (
        ({"version": "2"}, "version is '2', no whole number"),
        ({"search": "beam"}, "search is 'beam'; it must be a mapping"),
        ({"search": None}, "search is None; it must be a mapping"),
        ({"search": {"type": "beam", "beam_sise": 2}}, r"search \(type: beam\): unknown key beam_sise"),
    ):
        with pytest.raises(UserError, match=rf"m: model\.json is damaged \({words}.*; copy the packed model"):
            load_model(copied(pack, tmp_path, **changed))
    for key in json.loads((pack / "model.json").read_text(encoding="utf-8")):
        for value in (None, 5, "x", [], [1], {"a": 1}, True):
            made = copied(pack, tmp_path, **{key: value})
            try:
                load_model(made)
            except UserError as error:
                assert "model.json" in str(error) or "newer" in str(error)
            else:
                # True is 1 to some; nobody reads the contexts it was trained for.
                assert key == "trained_contexts" or (key, value) == ("search", {}), (key, value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_damaged_zip_is_named_however_it_is_packed(pack, tmp_path, method):
    """Our own are stored, but a folder is easily zipped anew, and each method has errors of its own."""
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.write(pack / "model.json", "model.json")
    info = zipfile.ZipFile(path).getinfo("model.json")
    content = bytearray(path.read_bytes())
    middle = info.header_offset + 30 + len("model.json") + info.compress_size // 2
    content[middle : middle + 40] = bytes(byte ^ 0xFF for byte in content[middle : middle + 40])
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"m\.zip cannot be read: model\.json: .*copy the packed model again"):
        load_model(path)


def test_an_encrypted_zip_is_named(pack, tmp_path):
    content = bytearray(shutil.copyfile(f"{pack}.zip", tmp_path / "m.zip").read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(mark, at + 1)
    (tmp_path / "m.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"m\.zip cannot be read: .*encrypted"):
        load_model(tmp_path / "m.zip")


def test_a_pack_has_no_checkpoints_to_choose_from(exp, pack, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"never opened")
    words = r"is a packed model with one set of weights: leave model_file \(valid.ter.best\) out, or give the"
    for model in (pack, pack.with_name("packed.zip")):
        with pytest.raises(UserError, match=words):
            Recognizer.from_exp(model, model_file="valid.ter.best")
        options = ["--model", str(model), "--model_file", "valid.ter.best"]
        with pytest.raises(UserError, match=words):
            transcribe.main([str(tmp_path / "a.wav"), *options])
    # A report loads what `decoding.json` names.
    load_model(pack, "model.safetensors")
    load_model(pack.with_name("packed.zip"), "packed.zip")
    with pytest.raises(UserError, match=r"no model file model\.safetensors"):
        load_model(exp, "model.safetensors")


def test_a_pack_is_decoded_without_a_checkpoint(pack, tmp_path):
    soundfile.write(tmp_path / "a.wav", [0.0] * 16000, 16000)
    (tmp_path / "wav.scp").write_text(f"a {tmp_path / 'a.wav'}\n")
    (tmp_path / "utt2spk").write_text("a a\n")
    (tmp_path / "decode.yaml").write_text("search: greedy\n")
    options = ["--model", pack, "--decode_config", tmp_path / "decode.yaml", "--data_dir", tmp_path]
    options += ["--output_dir", tmp_path / "out"]
    asr_decode.main([*map(str, options)])
    # Also where the set is decoded already.
    with pytest.raises(UserError, match="one set of weights"):
        asr_decode.main([*map(str, options), "--model_file", "valid.ter.best"])


@pytest.mark.parametrize(
    ("section", "changed", "words"),
    [
        ("model_conf", {"output_subsamplin": 4}, r"model_conf: unknown key output_subsamplin \(did you mean"),
        ("model_conf", {"join": {"utterence": 4}}, "model_conf.join: unknown key utterence"),
        ("encoder_conf", {"eval_contxt": {}}, r"encoder_conf: unknown key eval_contxt \(did you mean eval_"),
        ("encoder_conf", {"config": 5}, "encoder_conf.config is 5"),
        ("encoder_conf", {"config": None}, "encoder_conf.config must hold the encoder's settings"),
        ("encoder_conf", {"config": {"preset": "tiny", "hiden_size": 5}}, "hiden_size"),
        ("encoder_conf", {"eval_context": {"chunk_ms": 330}}, "330"),
    ],
)
def test_a_configuration_is_read_as_strictly_as_training_does(exp, tmp_path, section, changed, words):
    args = read_config(exp / "config.yaml")
    args[section] = {**args[section], **changed}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(args, allow_unicode=True), encoding="utf-8")
    shutil.copyfile(exp / "latest.pth", tmp_path / "latest.pth")
    with pytest.raises(UserError, match=rf"config\.yaml: .*{words}"):
        load_model(tmp_path)


def test_what_a_training_writes_is_read(exp, tmp_path):
    """Every key that training knows is known here."""
    args = read_config(exp / "config.yaml")
    args["encoder_conf"] |= {"pretrained": None, "train_context": None, "eval_context": None, "augment": {}}
    args["model_conf"] = {"ctc_only_updates": 3, "join": {"utterances": 2}, "valid_max_symbols": 5}
    args["model_conf"] |= {"extract_feats_in_collect_stats": False, "ctc_weight": 0.3, "prune_range": 4}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(args, allow_unicode=True), encoding="utf-8")
    shutil.copyfile(exp / "latest.pth", tmp_path / "latest.pth")
    assert load_model(tmp_path).context.is_full
