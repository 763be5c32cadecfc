"""Packed models: a folder or zip with settings, vocabulary and safetensors weights. Loading executes nothing
in it.

``model.json`` (settings), ``model.safetensors``, ``bpe.model`` (SentencePiece, where there is one),
``ngram.arpa`` and ``bigram.arpa`` (where the experiment has them), and for readers ``README.md``, ``LICENSE``
and, where the experiment has them, its figures in ``RESULTS.md``.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from xlsrt.context import AttentionContext
from xlsrt.encoder import XlsrConfig, XlsrEncoder
from xlsrt.errors import UserError
from xlsrt.recognizer.model import Model, found_ngrams, load_exp, load_weights, read_config
from xlsrt.recognizer.model_files import SETTINGS, WEIGHTS, check_model_file, is_pack
from xlsrt.search.options import check_search
from xlsrt.settings import as_mapping
from xlsrt.tensor_files import parse_safetensors
from xlsrt.text import TokenModel
from xlsrt.transducer import HeadConfig, TransducerHead
from xlsrt.transducer.training_conf import PREFIXES

VERSION = 1
PIECES = "bpe.model"
TRAINING_ONLY = ("simple_encoder.", "simple_predictor.")
_AGAIN = "copy the packed model again"


def write_pack(
    exp_dir: Path,
    output_dir: Path,
    model_file: str | None = None,
    as_zip: bool = False,
    dtype: str = "float32",
) -> Path:
    """Pack an experiment into the folder ``output_dir`` and, if asked, into ``output_dir``.zip beside it.

    A folder that is there is replaced when the new one is complete. dtype: of the weights, float32 or
    bfloat16.

    Raises:
        UserError: see `load_exp`; or ``output_dir`` exists and is no packed model.
    """
    if dtype not in ("float32", "bfloat16"):
        raise UserError(f"dtype is {dtype!r}; weights are packed as float32 or bfloat16")
    if output_dir.exists() and any(output_dir.iterdir()) and not is_pack(output_dir):
        raise UserError(f"{output_dir} exists and is no packed model; choose another --output_dir")
    model = load_exp(exp_dir, model_file)
    args = read_config(exp_dir / "config.yaml")
    output_dir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output_dir.parent, prefix=".pack-") as temporary:
        made = Path(temporary) / output_dir.name
        made.mkdir()
        _write_files(made, model, decoded_with(exp_dir, model.context), args, getattr(torch, dtype))
        _write_papers(made, exp_dir)
        if as_zip:
            archive = Path(temporary) / "model.zip"
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
                for file in sorted(made.iterdir()):
                    target.write(file, file.name)
            archive.replace(output_dir.with_name(output_dir.name + ".zip"))
        if output_dir.exists():
            shutil.rmtree(output_dir)
        made.replace(output_dir)
    return output_dir


def decoded_with(exp_dir: Path, context: AttentionContext) -> dict[str, Any]:
    """The greedy search that an experiment was decoded with in ``context``; if in none, the plain one."""
    for file in sorted(exp_dir.glob("*/*/decoding.json")):
        facts = json.loads(file.read_text(encoding="utf-8"))
        search = facts.get("search") or {}
        if search.get("type") == "greedy" and facts.get("context") == context.to_dict():
            return dict(search)
    return {"type": "greedy"}


def _write_files(
    directory: Path, model: Model, search: Mapping[str, Any], args: Mapping[str, Any], dtype: torch.dtype
) -> None:
    conf = args["encoder_conf"]
    settings = {
        "format": "xlsrt-model",
        "version": VERSION,
        "encoder": model.encoder.config.to_dict(),
        "head": {**model.head.config.to_dict(), "loss": "full"},
        "context": model.context.to_dict(),
        "search": search,
        "trained_contexts": conf.get("train_context"),
        "token_type": model.tokens.token_type,
        "token_list": model.tokens.token_list,
    }
    text = json.dumps(settings, ensure_ascii=False, indent=1)
    (directory / SETTINGS).write_text(text + "\n", encoding="utf-8")
    tensors = {f"{PREFIXES['encoder']}{key}": value for key, value in model.encoder.state_dict().items()}
    for key, value in model.head.state_dict().items():
        if not key.startswith(TRAINING_ONLY):
            tensors[f"{PREFIXES['head']}{key}"] = value
    stored = {
        key: value.to(dtype if value.is_floating_point() else value.dtype).contiguous().clone()
        for key, value in tensors.items()
    }
    safetensors.torch.save_file(stored, directory / WEIGHTS)
    # safetensors lets nobody else read its file: as readable as its neighbour.
    shutil.copymode(directory / SETTINGS, directory / WEIGHTS)
    for name, ngram in model.ngrams.items():
        (directory / name).write_bytes(ngram.read_bytes())
    if model.tokens.bpe_model is not None:
        (directory / PIECES).write_bytes(model.tokens.model_bytes())


def _write_papers(directory: Path, exp_dir: Path) -> None:
    (directory / "LICENSE").write_text(_licence(), encoding="utf-8")
    if (exp_dir / "RESULTS.md").is_file():
        shutil.copyfile(exp_dir / "RESULTS.md", directory / "RESULTS.md")
    (directory / "README.md").write_text(
        f"# {exp_dir.resolve().name}\n\nA streaming speech recogniser. It needs xlsrt, not ESPnet:\n\n"
        "    from xlsrt import Recognizer\n"
        '    recognizer = Recognizer.from_exp("this folder, or its zip")\n'
        '    print(recognizer.transcribe("talk.flac").text)\n\n'
        f"Settings and the contexts it was trained for: {SETTINGS}. Weights: {WEIGHTS}.\n",
        encoding="utf-8",
    )


def _licence() -> str:
    """Our licence, from the checkout or, where the package is installed, from what pip keeps of it."""
    checkout = Path(__file__).resolve().parents[2] / "LICENSE"
    if checkout.is_file():
        return checkout.read_text(encoding="utf-8")
    try:
        kept = metadata.distribution("xlsrt")
    except metadata.PackageNotFoundError:
        return "Apache-2.0\n"
    return kept.read_text("licenses/LICENSE") or kept.read_text("LICENSE") or "Apache-2.0\n"


def load_model(path: Path, model_file: str | None = None) -> Model:
    """Read a packed model or an experiment directory; `load_exp` tells of ``model_file``.

    Raises:
        UserError: as `load_pack`, `load_exp` and `check_model_file`.
    """
    check_model_file(path, model_file)
    return load_pack(path) if is_pack(path) else load_exp(path, model_file)


def load_pack(path: Path) -> Model:
    """Read a packed model.

    Raises:
        UserError: a file is missing or damaged, the format is newer, or weights and settings do not fit.
    """
    settings = _settings(path)
    pieces = _read(path, PIECES, optional=True)
    try:
        head = HeadConfig.from_dict(settings["head"])
        tokens = _checked_tokens(settings["token_list"], head.vocab_size)
        search = as_mapping(settings.get("search", {"type": "greedy"}), "search", "{type: greedy}")
        model = Model(
            XlsrEncoder(XlsrConfig.from_dict(settings["encoder"])),
            TransducerHead(head),
            TokenModel(tokens, settings["token_type"], pieces or None),
            AttentionContext.from_dict(settings["context"]),
            check_search(search),
            found_ngrams(path if path.is_dir() else _zip_folder(path)),
        )
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise UserError(f"{path}: {SETTINGS} is damaged ({error}); {_AGAIN}") from None
    model.tokens.check_pieces(str(path))
    name = f"{path}: {WEIGHTS}"
    weights = parse_safetensors(_read(path, WEIGHTS), name, _AGAIN)
    load_weights(model, {key: value.float() for key, value in weights.items()}, name)
    return model


def _checked_tokens(tokens: Any, size: int) -> list[str]:
    """The token list, where it is one for a head of ``size`` tokens: ids would mean other tokens, or none."""
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise UserError("token_list must be a list of strings")
    if len(tokens) != size:
        raise UserError(f"token_list has {len(tokens)} tokens, and head.vocab_size is {size}")
    if len(set(tokens)) != len(tokens):
        twice = next(token for at, token in enumerate(tokens) if token in tokens[:at])
        raise UserError(f"token_list has {twice!r} twice")
    return tokens


def _zip_folder(path: Path) -> zipfile.Path:
    archive = zipfile.ZipFile(path)
    return zipfile.Path(archive, _within(archive))


def _within(archive: zipfile.ZipFile) -> str:
    """What stands before a zip's names: nothing, or the one folder that somebody has zipped."""
    names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    tops = {name.split("/")[0] for name in names}
    return f"{tops.pop()}/" if SETTINGS not in names and len(tops) == 1 else ""


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(_read(path, SETTINGS).decode("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {SETTINGS} is damaged ({error}); {_AGAIN}") from None
    wanted = {"encoder", "head", "context", "token_type", "token_list"}
    if not isinstance(settings, dict) or settings.get("format") != "xlsrt-model":
        raise UserError(f"{path}: {SETTINGS} does not describe an xlsrt model; {_AGAIN}")
    version = settings.get("version", VERSION)
    if isinstance(version, bool) or not isinstance(version, int):
        raise UserError(f"{path}: {SETTINGS} is damaged (version is {version!r}, no whole number); {_AGAIN}")
    if version > VERSION:
        raise UserError(f"{path} was packed by a newer xlsrt (format {version}); update xlsrt")
    if not wanted <= set(settings):
        raise UserError(f"{path}: {SETTINGS} lacks {', '.join(sorted(wanted - set(settings)))}; {_AGAIN}")
    return settings


def _read(path: Path, name: str, optional: bool = False) -> bytes:
    """A file of the pack; of an optional one that is not there, nothing."""
    try:
        if path.is_dir():
            return (path / name).read_bytes()
        with zipfile.ZipFile(path) as archive:
            return archive.read(_within(archive) + name)
    except (FileNotFoundError, KeyError):
        if optional:
            return b""
        raise UserError(f"{path} lacks {name}; {_AGAIN}") from None
    except Exception as error:
        # Somebody may have packed the folder anew, in any way a zip knows, each of which fails in its own.
        raise UserError(f"{path} cannot be read: {name}: {error}; {_AGAIN}") from None
