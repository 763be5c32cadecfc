"""Pickles with code in them: nothing of it is run, imported or written, whatever the file holds."""

from __future__ import annotations

import argparse
import builtins
import functools
import importlib
import io
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xlsrt.encoder.checkpoints import load_pretrained, unpickle
from xlsrt.encoder.checkpoints.unpickle import LazyTensor, Stub, load_inert
from xlsrt.errors import UserError

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])


class Call:
    """Pickled as a call: unpickling it in the ordinary way runs ``function(*args)``."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


def write(path: Path, content: Any, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def attacks(marker: Path) -> dict[str, Call]:
    code = f"open({str(marker)!r}, 'w').close()"
    return {
        "os.system": Call(os.system, f"touch {marker}"),
        "subprocess.call": Call(subprocess.call, ["touch", str(marker)]),
        "shutil.copy": Call(shutil.copy, __file__, str(marker)),
        "builtins.eval": Call(builtins.eval, code),
        "builtins.exec": Call(builtins.exec, code),
        "builtins.open": Call(builtins.open, str(marker), "w"),
        "builtins.__import__": Call(builtins.__import__, "this"),
    }


@FORMATS
@pytest.mark.parametrize("place", ["args", "model", "last_optimizer_state"])
@pytest.mark.parametrize("name", sorted(attacks(Path("unused"))))
def test_code_is_refused_by_name_and_not_run(name: str, place: str, zipped: bool, tmp_path: Path) -> None:
    marker = tmp_path / "run"
    content: dict[str, Any] = {"args": None, "model": {"mask_emb": torch.ones(2)}}
    content[place] = {"x": attacks(marker)[name]}
    path = write(tmp_path / "evil.pt", content, zipped)
    with pytest.raises(UserError) as refusal:
        load_pretrained(path)
    message = str(refusal.value)
    assert str(path) in message and "Nothing of it was run" in message
    assert name.rpartition(".")[2] in message
    assert not marker.exists()


def test_the_attacks_work_where_pickles_are_trusted(tmp_path: Path) -> None:
    """The tests above could not fail if these files were harmless."""
    path = write(tmp_path / "evil.pt", {"x": attacks(tmp_path / "run")["os.system"]})
    torch.load(path, weights_only=False)
    assert (tmp_path / "run").exists()


@FORMATS
def test_unknown_names_are_neither_imported_nor_called(
    zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "trap.py").write_text(
        "from pathlib import Path\n"
        "Path(__file__).with_name('imported').touch()\n"
        "def spring(*args):\n    Path(__file__).with_name('called').touch()\n"
    )
    monkeypatch.syspath_prepend(str(package))
    trap = importlib.import_module("trap")
    path = write(tmp_path / "file.pt", {"args": Call(trap.spring, 1, "two"), "model": {}}, zipped)
    (package / "imported").unlink()
    del sys.modules["trap"]
    stub = load_inert(path)["args"]
    assert isinstance(stub, Stub) and (stub.path, stub.args) == ("trap.spring", (1, "two"))
    assert "trap" not in sys.modules
    assert not (package / "imported").exists() and not (package / "called").exists()


@FORMATS
def test_tensors_come_out_as_they_went_in(zipped: bool, tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "whole": base,
        "transposed": base.T,
        "slice": base[1:3, ::2],
        "parameter": torch.nn.Parameter(torch.randn(3)),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "empty": torch.empty(0, 3),
        "half": torch.randn(5).half(),
        "bfloat": torch.randn(5).bfloat16(),
        "flags": torch.tensor([True, False]),
        "long": torch.tensor([2**40, -1]),
    }
    found = load_inert(
        write(tmp_path / "file.pt", {"args": argparse.Namespace(a=1), "model": tensors}, zipped)
    )
    assert found["args"].state == {"a": 1}
    for name, tensor in tensors.items():
        lazy = found["model"][name]
        assert isinstance(lazy, LazyTensor)
        assert (lazy.shape, lazy.dtype) == (tuple(tensor.shape), tensor.dtype)
        assert torch.equal(lazy.load(), tensor.detach()), name


def test_whole_modules_and_torchscript_are_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(UserError, match=r"holds objects other than tensors.*safetensors"):
        load_pretrained(tmp_path / "module.pt")
    with pytest.warns((DeprecationWarning, FutureWarning)):
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    for read in (load_pretrained, load_inert):
        with pytest.raises(UserError, match=r"script.pt is a TorchScript archive, which holds code"):
            read(tmp_path / "script.pt")


def test_attributes_set_by_a_pickle_reach_nothing_of_ours(tmp_path: Path) -> None:
    """BUILD can set attributes on whatever a name gave: it must be a throw-away."""
    spoil = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x07\x00\x00\x00spoiledK\x01s\x86b0"
        b"cfairseq\nThing\n)\x81N}X\x04\x00\x00\x00pathK\x01s\x86b."
    )
    unpickle._Unpickler(io.BytesIO(spoil), tmp_path, lambda saved_id: None).load()
    assert not hasattr(unpickle._rebuild_tensor, "spoiled") and not hasattr(
        torch._utils._rebuild_tensor_v2, "spoiled"
    )
    assert Stub.path == ""


def test_tensors_that_leave_their_storage_are_refused(tmp_path: Path) -> None:
    storage = torch.storage.TypedStorage(
        wrap_storage=torch.ones(4).untyped_storage(), dtype=torch.float32, _internal=True
    )

    class Bent:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_tensor_v2, (storage, 2, (4,), (1,), False, {})

    path = write(tmp_path / "bent.pt", {"args": argparse.Namespace(), "model": {"mask_emb": Bent()}})
    with pytest.raises(UserError, match="its numbers are not in the file"):
        load_inert(path)["model"]["mask_emb"].load()


@functools.cache
def sound_file(zipped: bool) -> bytes:
    """Made once: the older format names storages by their addresses, and examples must be repeatable."""
    file = io.BytesIO()
    content = {"args": argparse.Namespace(a=[1, "x"]), "model": {"w": torch.ones(3)}}
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


@FORMATS
@settings(max_examples=60)
@given(data=st.data())
def test_damage_anywhere_is_a_plain_refusal(zipped: bool, data: st.DataObject, tmp_path_factory: Any) -> None:
    content = bytearray(sound_file(zipped))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(1, len(content) - 1))]
    else:
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)):
            content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / "file.pt"
    path.write_bytes(content)
    try:
        load_inert(path)
    except UserError as error:  # any other exception fails the test
        assert str(path) in str(error)


def test_protocols_of_old_and_new_pickles(tmp_path: Path) -> None:
    """Namespaces are pickled differently by every protocol; all give the same stub."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path = tmp_path / f"protocol{protocol}.pt"
        torch.save({"args": argparse.Namespace(a=1), "model": {}}, path, pickle_protocol=protocol)
        assert load_inert(path)["args"].state == {"a": 1}, protocol


@pytest.mark.parametrize("content", [b"abc", b"<!doctype html>\n<html>not found</html>\n", b"\x80"])
def test_files_of_another_kind_are_damaged_not_dangerous(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.pt.*(cannot be read|damaged)") as refused:
        load_pretrained(tmp_path / "x.pt")
    assert "run code" not in str(refused.value)
