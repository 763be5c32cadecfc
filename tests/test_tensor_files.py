"""Whatever lies in a file of tensors, it is read or refused by name, and none of its code runs."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save, save_file

from xlsrt.errors import UserError
from xlsrt.tensor_files import (
    NotWeightsOnly,
    check_finite,
    check_safetensors,
    misfits,
    parse_safetensors,
    read_checkpoint,
    read_model,
    read_safetensors,
    read_torch,
    read_weights,
    write_torch,
)

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}
PAGE = b"<!doctype html>\n<html>not found</html>\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
READERS: dict[str, Callable[[Path], Any]] = {
    "torch": read_torch,
    "model": lambda path: read_model(path, "take another"),
    "checkpoint": read_checkpoint,
    "safetensors": read_safetensors,
    "head of safetensors": check_safetensors,
}


def same(found: Any) -> bool:
    return found.keys() == WEIGHTS.keys() and all(torch.equal(found[key], WEIGHTS[key]) for key in found)


def test_tensors_come_out_as_they_went_in(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    torch.save(WEIGHTS, tmp_path / "a.pth")
    torch.save(WEIGHTS, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "a.pth", "old.pth"):
        assert same(read_weights(tmp_path / name))
    check_safetensors(tmp_path / "a.safetensors")
    assert same(parse_safetensors(save(WEIGHTS), "a"))


def test_a_model_is_flat_or_in_a_trainers_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save({"model": WEIGHTS, "epoch": 3}, path)
    assert same(read_model(path, "")) and read_checkpoint(path)["epoch"] == 3
    torch.save(WEIGHTS, path)
    assert same(read_model(path, ""))
    torch.save({"model": {**WEIGHTS, "b": 3}}, path)
    with pytest.raises(UserError, match=r"checkpoint\.pth is not a state dict: \['b'\]"):
        read_model(path, "")
    torch.save([1, 2], path)
    with pytest.raises(UserError, match=r"holds a list, expected a state dict"):
        read_model(path, "")
    with pytest.raises(UserError, match=r"is no checkpoint, it holds a list: delete it"):
        read_checkpoint(path)


def test_what_is_read_to_go_on_with_is_not_mapped(tmp_path: Path) -> None:
    """The file is replaced while the optimiser changes what came from it."""
    path = tmp_path / "checkpoint.pth"
    torch.save(WEIGHTS, path)
    found = read_checkpoint(path)
    with path.open("r+b") as file:
        file.truncate(0)
    assert same(found)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"", "is empty"),
        (PAGE, "damaged, cut off or of another format"),
        (POINTER, "Git LFS pointer"),
        (b"PK\x03\x04 half a file", "damaged, cut off or of another format"),
        (b"\x80", "cannot be read|objects other"),
        (struct.pack("<q", 2**60), "damaged, cut off or of another format"),
    ],
)
def test_other_files_are_named(reader: str, content: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=says) as refused:
        READERS[reader](path)
    assert "x.pth" in str(refused.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_any_damage_is_a_plain_refusal(zipped: bool, tmp_path: Path) -> None:
    file = io.BytesIO()
    torch.save(WEIGHTS, file, _use_new_zipfile_serialization=zipped)
    whole = file.getvalue()
    path = tmp_path / "x.pth"
    draw = torch.Generator().manual_seed(0)
    for _ in range(150):
        content = bytearray(whole)
        for place in torch.randint(len(whole), (4,), generator=draw).tolist():
            content[place] = int(torch.randint(256, (1,), generator=draw))
        cut = len(whole) - int(torch.randint(2, (1,), generator=draw)) * len(whole) // 3
        path.write_bytes(content[:cut])
        try:
            read_torch(path)
        except UserError as error:  # any other exception fails the test
            assert str(path) in str(error)


class Evil:
    def __reduce__(self) -> Any:
        return (eval, ("open('ran', 'w').close()",))


def test_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pth"
    for write in (
        lambda: torch.save({"a": Evil()}, path),
        lambda: torch.save({"a": Evil()}, path, _use_new_zipfile_serialization=False),
        lambda: path.write_bytes(pickle.dumps(Evil())),
    ):
        write()
        with pytest.raises(NotWeightsOnly, match=r"x\.pth: .*run code .*: use a \.safetens") as refused:
            read_torch(path)
        # PyTorch's own advice is to let it run.
        assert "weights_only" not in str(refused.value) and "add_safe" not in str(refused.value)
        with pytest.raises(NotWeightsOnly, match=r": take another$"):
            read_model(path, "take another")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/constants.pkl", b"")
    with pytest.raises(UserError, match="TorchScript archive, which holds code"):
        read_torch(path)
    assert not (tmp_path / "ran").exists()


def test_parts_of_a_pack_are_named_with_their_way_out() -> None:
    for content, says in ((b"", "is empty"), (save(WEIGHTS)[:-3], "damaged"), (POINTER, "Git LFS")):
        with pytest.raises(UserError, match=rf"^m\.zip: weights .*{says}"):
            parse_safetensors(content, "m.zip: weights", "copy it again")
    with pytest.raises(UserError, match=r"^m\.zip \(39 bytes\).*copy it again"):
        parse_safetensors(PAGE, "m.zip", "copy it again")


def test_broken_numbers_are_named() -> None:
    check_finite({"a": torch.full((4,), 3e38), "n": torch.tensor(3)}, "x.pth")  # their sum is infinite
    tensors = {f"t{number}": torch.tensor([1.0, float("nan")]) for number in range(20)}
    with pytest.raises(UserError, match=r"x\.pth: NaN or infinite values in t0, .*and 8 more.*take another"):
        check_finite(tensors, "x.pth")


def test_what_does_not_fit_is_listed() -> None:
    assert misfits(WEIGHTS, WEIGHTS) == ""
    found = {"a": torch.zeros(3), "b": torch.zeros(1)}
    assert misfits(found, WEIGHTS) == (
        "1 missing: n; 1 unexpected: b; 1 of another shape: a (3,) instead of (2, 3)"
    )


def test_checkpoints_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    write_torch(path, {"a": torch.ones(2)})

    class Unsaveable:
        def __reduce__(self) -> tuple[object, ...]:
            raise RuntimeError("cannot be pickled")

    with pytest.raises(RuntimeError):
        write_torch(path, {"a": torch.zeros(2), "b": Unsaveable()})
    assert torch.equal(read_checkpoint(path)["a"], torch.ones(2))
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pth"]
