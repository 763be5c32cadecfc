"""Experiment directories and packed models: what loads, what is refused, and that nothing in them runs."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import zipfile

import pytest
import torch
import yaml

from tests.recognizer.make import make_exp, noise, same
from xlsrt import AttentionContext, Recognizer
from xlsrt.bin import pack as pack_command
from xlsrt.errors import UserError
from xlsrt.recognizer.pack import write_pack


@pytest.fixture
def exp(tmp_path):
    return make_exp(tmp_path / "exp", blank_bias=9.0)


def change(exp, function):
    path = exp / "config.yaml"
    args = yaml.safe_load(path.read_text(encoding="utf-8"))
    function(args)
    path.write_text(yaml.safe_dump(args, allow_unicode=True), encoding="utf-8")


def test_model_files_are_found_in_order(exp):
    make_exp(exp, seed=1, name="valid.ter.ave.pth", blank_bias=9.0)
    wav = noise(2)
    average = Recognizer.from_exp(exp).transcribe(wav)
    same(Recognizer.from_exp(exp, model_file="valid.ter.ave").transcribe(wav), average)
    same(Recognizer.from_exp(exp, model_file=str(exp / "valid.ter.ave.pth")).transcribe(wav), average)
    latest = Recognizer.from_exp(exp, model_file="latest.pth").transcribe(wav)
    assert latest.hypothesis.tokens != average.hypothesis.tokens
    with pytest.raises(UserError, match=r"no model file best.*latest\.pth, valid\.ter\.ave\.pth"):
        Recognizer.from_exp(exp, model_file="best")


def test_checkpoints_with_an_optimiser_load(exp):
    weights = torch.load(exp / "latest.pth", weights_only=True)
    torch.save({"model": weights, "optimizers": [{"state": {}}]}, exp / "checkpoint.pth")
    wav = noise(1)
    same(
        Recognizer.from_exp(exp, model_file="checkpoint").transcribe(wav),
        Recognizer.from_exp(exp).transcribe(wav),
    )


def test_weights_must_fit_exactly(exp):
    weights = torch.load(exp / "latest.pth", weights_only=True)
    cases = {
        r"missing: head\.ctc\.bias": {k: v for k, v in weights.items() if k != "head.ctc.bias"},
        r"unexpected: decoder\.x": {**weights, "decoder.x": torch.zeros(1)},
        r"unexpected: head\.x": {**weights, "head.x": torch.zeros(1)},
        r"head\.ctc\.bias \(2,\) instead of \(13,\)": {**weights, "head.ctc.bias": torch.zeros(2)},
        r"not a state dict": {"a": 1},
    }
    for words, changed in cases.items():
        torch.save(changed, exp / "latest.pth")
        with pytest.raises(UserError, match=words):
            Recognizer.from_exp(exp)


class Evil:
    def __reduce__(self):
        return (eval, ("open('ran', 'w').close()",))


def test_code_in_weights_does_not_run(exp, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"head.x": Evil()}, exp / "latest.pth")
    with pytest.raises(UserError, match=r"objects other than tensors.*last whole checkpoint") as said:
        Recognizer.from_exp(exp)
    # PyTorch's own advice is to let it run.
    assert "weights_only" not in str(said.value) and "add_safe" not in str(said.value)
    (exp / "latest.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError, match="objects other than tensors"):
        Recognizer.from_exp(exp)
    assert not (tmp_path / "ran").exists()


def test_damaged_directories_are_named(exp, tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        Recognizer.from_exp(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"config\.yaml does not exist.*experiment"):
        Recognizer.from_exp(tmp_path / "empty")
    content = (exp / "latest.pth").read_bytes()
    (exp / "latest.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"latest\.pth .* is damaged.*last whole checkpoint"):
        Recognizer.from_exp(exp)
    (exp / "latest.pth").unlink()
    with pytest.raises(UserError, match="holds no weights"):
        Recognizer.from_exp(exp)
    (exp / "config.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read as YAML"):
        Recognizer.from_exp(exp)
    (exp / "config.yaml").write_text("a: 1", encoding="utf-8")
    with pytest.raises(UserError, match="no encoder_conf"):
        Recognizer.from_exp(exp)


def test_token_lists_may_be_files(exp):
    wanted = Recognizer.from_exp(exp).transcribe(noise(2))

    def to_file(args):
        (exp / "tokens.txt").write_text("\n".join(args["token_list"]) + "\n", encoding="utf-8")
        args["token_list"] = "tokens.txt"

    change(exp, to_file)
    same(Recognizer.from_exp(exp).transcribe(noise(2)), wanted)
    (exp / "tokens.txt").unlink()
    with pytest.raises(UserError, match=r"token list tokens\.txt"):
        Recognizer.from_exp(exp)


def test_packs_say_the_same(exp, tmp_path):
    (exp / "RESULTS.md").write_text("WER 1.0\n", encoding="utf-8")
    change(exp, lambda args: args["encoder_conf"].update(train_context={"chunk_ms": 320, "left_ms": 320}))
    pack_command.main(["--exp_dir", str(exp), "--output_dir", str(tmp_path / "m"), "--zip"])
    wav = noise(2)
    wanted = Recognizer.from_exp(exp).transcribe(wav)
    assert wanted.text
    shutil.rmtree(exp)
    same(Recognizer.from_exp(tmp_path / "m").transcribe(wav), wanted)
    same(Recognizer.from_exp(tmp_path / "m.zip").transcribe(wav), wanted)
    zipped = shutil.make_archive(str(tmp_path / "folder"), "zip", tmp_path, "m")  # as a file manager does
    same(Recognizer.from_exp(zipped).transcribe(wav), wanted)
    settings = json.loads((tmp_path / "m" / "model.json").read_text(encoding="utf-8"))
    assert settings["trained_contexts"] == {"chunk_ms": 320, "left_ms": 320}
    assert (tmp_path / "m" / "RESULTS.md").read_text(encoding="utf-8") == "WER 1.0\n"
    assert sorted(zipfile.ZipFile(tmp_path / "m.zip").namelist()) == sorted(
        p.name for p in (tmp_path / "m").iterdir()
    )
    assert not list(tmp_path.glob(".pack-*"))
    assert len({p.stat().st_mode for p in (tmp_path / "m").iterdir()}) == 1, "as readable as the others"


def test_a_pack_searches_as_its_experiment_was_decoded(exp, tmp_path):
    own = Recognizer.from_exp(exp).context.to_dict()
    penalised = {"type": "greedy", "blank_penalty": 3.0}
    for name, search, context in (
        ("decode_a", {"type": "beam", "beam_size": 2}, own),
        ("decode_b", {"type": "greedy", "blank_penalty": 9.0}, {"chunk_ms": 1280, "left_ms": 0}),
        ("decode_c", penalised, own),
    ):
        folder = exp / name / "dev"
        folder.mkdir(parents=True)
        (folder / "decoding.json").write_text(json.dumps({"search": search, "context": context}))
    packed, wav = write_pack(exp, tmp_path / "m"), noise(2)
    wanted = Recognizer.from_exp(exp, search=penalised).transcribe(wav)
    assert wanted.hypothesis.tokens != Recognizer.from_exp(exp).transcribe(wav).hypothesis.tokens
    same(Recognizer.from_exp(packed).transcribe(wav), wanted)
    # Packs of before have no search in them.
    settings = json.loads((packed / "model.json").read_text(encoding="utf-8"))
    del settings["search"]
    (packed / "model.json").write_text(json.dumps(settings), encoding="utf-8")
    same(Recognizer.from_exp(packed).transcribe(wav), Recognizer.from_exp(exp).transcribe(wav))


def test_the_checkpoint_that_was_decoded_is_packed(exp, tmp_path):
    weights = torch.load(exp / "latest.pth", weights_only=True)
    for name, shift in (("best", 1.0), ("ave", 2.0)):
        torch.save({key: value + shift for key, value in weights.items()}, exp / f"valid.ter.{name}.pth")
    config = yaml.safe_load((exp / "config.yaml").read_text(encoding="utf-8"))
    config["best_model_criterion"] = [["valid", "ter", "min"]]
    (exp / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    packed = {}
    for choice in ("best", "ave", "latest.pth"):
        pack_command.main(
            ["--exp_dir", str(exp), "--output_dir", str(tmp_path / "m"), "--model_file", choice]
        )
        packed[choice] = Recognizer.from_exp(tmp_path / "m").head.state_dict()
    for key, value in packed["latest.pth"].items():
        assert torch.allclose(packed["best"][key], value + 1) and torch.allclose(
            packed["ave"][key], value + 2
        )


def test_packing_drops_what_only_training_needs(tmp_path):
    exp = make_exp(tmp_path / "exp", model_conf={"loss": "pruned", "ctc_weight": 0.0})
    packed = write_pack(exp, tmp_path / "m")
    same(Recognizer.from_exp(packed).transcribe(noise(1)), Recognizer.from_exp(exp).transcribe(noise(1)))


def test_bad_packs_are_refused(exp, tmp_path):
    made = write_pack(exp, tmp_path / "m", dtype="bfloat16")
    assert Recognizer.from_exp(write_pack(exp, made)).transcribe(noise(1)).text is not None  # replaces a pack
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("precious", encoding="utf-8")
    with pytest.raises(UserError, match="no packed model"):
        write_pack(exp, tmp_path / "other")
    assert (tmp_path / "other" / "thesis.tex").exists()
    settings = json.loads((made / "model.json").read_text(encoding="utf-8"))
    for changed, words in (
        ({"version": 99}, "newer"),
        ({"format": "x"}, "does not describe"),
        ({"head": {"a": 1}}, "a;"),
    ):
        (made / "model.json").write_text(json.dumps({**settings, **changed}), encoding="utf-8")
        with pytest.raises(UserError, match=words):
            Recognizer.from_exp(made)
    (made / "model.json").write_text(json.dumps(settings), encoding="utf-8")
    weights = (made / "model.safetensors").read_bytes()
    (made / "model.safetensors").write_bytes(weights[:1000])
    with pytest.raises(UserError, match=r"model\.safetensors .* is damaged.*copy the packed model again"):
        Recognizer.from_exp(made)
    (made / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"lacks model\.safetensors"):
        Recognizer.from_exp(made)
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with pytest.raises(UserError, match="cannot be read"):
        Recognizer.from_exp(tmp_path / "x.zip")


def test_espnet_is_not_needed(exp):
    code = (
        "import sys; sys.modules.update(espnet=None, espnet2=None, torchcodec=None)\n"
        "import torch; from xlsrt import Recognizer\n"
        f"print(Recognizer.from_exp({str(exp)!r}).transcribe(torch.zeros(1000)).text)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_broken_weights_and_settings_are_refused(exp, tmp_path):
    folder = write_pack(exp, tmp_path / "m")
    settings = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    settings["head"]["joint_size"] = "big"
    (folder / "model.json").write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(UserError, match=r"model\.json is damaged .*copy the packed model again"):
        Recognizer.from_exp(folder)
    (folder / "model.safetensors").unlink()
    settings["head"]["joint_size"] = json.loads((write_pack(exp, tmp_path / "n") / "model.json").read_text())[
        "head"
    ]["joint_size"]
    (folder / "model.json").write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(UserError, match=r"m lacks model\.safetensors; copy the packed model again$"):
        Recognizer.from_exp(folder)
    weights = torch.load(exp / "latest.pth", weights_only=True)
    name = next(key for key in weights if key.startswith("encoder"))
    weights[name][0] = float("nan")
    torch.save(weights, exp / "latest.pth")
    with pytest.raises(UserError, match=rf"NaN or infinite values in {name}.*another checkpoint"):
        Recognizer.from_exp(exp)
    (exp / "latest.pth").write_bytes(b"")
    with pytest.raises(UserError, match=r"latest\.pth is empty: copy it again"):
        Recognizer.from_exp(exp)


def test_arguments_of_a_wrong_kind(exp):
    wav = noise(1)
    whole = Recognizer.from_exp(exp, "full")
    same(whole.transcribe(wav), Recognizer.from_exp(exp, AttentionContext.full()).transcribe(wav))
    for arguments, message in (
        ({"context": "x"}, "context is 'x'; give an AttentionContext"),
        ({"search": 5}, "search is 5; it must be a mapping such as greedy or beam, or"),
        ({"device": "cuda:99"}, "PyTorch sees"),
    ):
        with pytest.raises(UserError, match=message):
            Recognizer.from_exp(exp, **arguments)
    recognizer = Recognizer.from_exp(exp, {"chunk_ms": 320})
    with pytest.raises(UserError, match="endpoint is 5; give EndpointRules"):
        recognizer.stream(endpoint=5)
    for make in (whole.stream, whole.pool):
        with pytest.raises(
            UserError, match="with full attention nothing comes out of a stream before its end"
        ):
            make(endpoint={"trailing_silence": 0.5})
    pool = recognizer.pool()
    pool.open("a")
    with pytest.raises(UserError, match="stream 'a' is named twice"):
        pool.finish(["a", "a"])
    assert pool.finish(["a"])["a"].text == ""


def test_a_sentencepiece_model_of_others(exp, tmp_path):
    spm = pytest.importorskip("sentencepiece")
    (tmp_path / "text").write_text("the cat runs\nthe dog\n" * 20, encoding="utf-8")
    made = str(tmp_path / "other")
    spm.SentencePieceTrainer.train(
        input=str(tmp_path / "text"), model_prefix=made, vocab_size=30, minloglevel=2, hard_vocab_limit=False
    )
    change(exp, lambda args: args.update(bpemodel=f"{made}.model"))
    with pytest.raises(UserError, match=r"SentencePiece model lacks \d+ of its tokens.*different models"):
        Recognizer.from_exp(exp)
    (tmp_path / "other.model").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="SentencePiece model is damaged"):
        Recognizer.from_exp(exp)
    change(exp, lambda args: args.pop("bpemodel"))
    search = {"type": "beam", "phrases": ["the cat"]}
    (tmp_path / "phrases").write_text("the cat\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"SentencePiece model .* is missing, and without it"):
        Recognizer.from_exp(exp, search={**search, "phrases": str(tmp_path / "phrases")})
