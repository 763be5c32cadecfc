"""Reading PyTorch pickles without running anything that is in them.

fairseq's files hold a namespace of training options beside the weights: objects of classes that are not
installed here and must not be imported. A pickle is a program; what makes it dangerous is that it may name
any function and call it. Here no name is ever imported: a short table of harmless constructors is answered by
our own, every other name becomes an inert `Stub` that only remembers what it was given, and names that exist
to run code are refused with a message. Tensors become `LazyTensor`: nothing is read from the file until one
is asked for, so optimizer states cost nothing.

Both file formats of ``torch.save`` are read: zip archives (PyTorch >= 1.6) and the older single stream.
``torch.load`` with a pickle module of ours would not do: it dispatches archives to TorchScript and, in the
older format, compares and writes source files that the pickle names.
"""

from __future__ import annotations

import collections
import io
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from xlsrt.errors import UserError
from xlsrt.tensor_files import check_no_script, damaged

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}

#: Modules with no business in a checkpoint: naming one of them is an attempt to run code.
_CODE_MODULES = re.compile(
    r"(asyncio|bdb|cffi|code|codeop|commands|concurrent|cProfile|ctypes|ftplib|http|imp|importlib|inspect"
    r"|marshal|mmap|multiprocessing|nt|os|pdb|pickle|pip|popen2|posix|posixpath|profile|pty|requests|resource"
    r"|runpy|setuptools|shutil|signal|site|smtplib|socket|socketserver|sqlite3|ssl|subprocess|sys|telnetlib"
    r"|tempfile|threading|timeit|trace|urllib|venv|webbrowser|xmlrpc|zipimport)(\.|$)|_?io\.open"
)
_CODE_BUILTINS = re.compile(
    r"(builtins|__builtin__)\.(__build_class__|__import__|breakpoint|compile|delattr|eval|exec|execfile|exit"
    r"|globals|input|locals|open|quit|setattr|vars)(\.|$)"
)


class Stub(dict[Any, Any]):
    """Stands for an object whose class is not imported. It remembers, and does nothing else.

    Attributes:
        path: the dotted name that the pickle asked for.
        args: what the constructor was called with.
        state: what the object's ``__dict__`` would be.
        items_added: what was appended to it. As a dict it holds what was set by key.
    """

    path = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> Stub:
        stub = super().__new__(cls)
        stub.args = args
        stub.state = None
        stub.items_added = []
        return stub

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args: tuple[Any, ...]
        self.state: Any
        self.items_added: list[Any]

    # Objects of unknown classes may be members of sets and keys of dicts: they are compared by identity.
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, item: Any) -> None:
        self.items_added.append(item)

    def extend(self, items: Any) -> None:
        self.items_added.extend(items)

    add = append


class Storage:
    """Where a tensor's numbers lie in the file: ``read()`` gives them as a flat tensor."""

    def __init__(self, dtype: torch.dtype, read: Callable[[], Tensor]) -> None:
        self.dtype = dtype
        self.read = read


class LazyTensor:
    """A tensor not read yet: shape and dtype are known, `load` reads its numbers from the file."""

    def __init__(
        self, storage: Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride

    @property
    def dtype(self) -> torch.dtype:
        return self.storage.dtype

    def load(self) -> Tensor:
        """The tensor itself. `UserError` where its numbers are not all in the file."""
        try:
            return torch.as_strided(self.storage.read(), self.shape, self.stride, self.offset).clone()
        except (RuntimeError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise UserError(
                f"its numbers are not in the file, it is damaged: fetch it again ({error})"
            ) from None


def load_inert(path: Path) -> Any:
    """The object in a file of ``torch.save``: containers as they are, tensors as `LazyTensor`, else `Stub`.

    `UserError` where the file is damaged or where its pickle names something that runs code.
    """
    try:
        with path.open("rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            return _load_zip(path) if is_zip else _load_stream(file, path)
    except UserError:
        raise
    except Exception as error:
        # Any bytes may come: whatever they make the pickle machine raise, it is the file that is wrong.
        raise damaged(path, path.stat().st_size, error) from None


def _load_zip(path: Path) -> Any:
    # Left open: the tensors read from it later, and close it when the last of them is gone.
    archive = zipfile.ZipFile(path)
    entries = {name.partition("/")[2]: name for name in archive.namelist()}
    check_no_script(path, archive)
    if "data.pkl" not in entries:
        raise UserError(f"{path} is a zip archive but not one of torch.save: it has no data.pkl")
    if "byteorder" in entries and archive.read(entries["byteorder"]) != b"little":
        raise UserError(f"{path} was saved on a big-endian machine: re-save it on a little-endian one")

    def storage(saved_id: Any) -> Storage:
        _, dtype, key, _, size = saved_id
        return Storage(dtype, lambda: _flat(archive.read(entries[f"data/{key}"]), dtype, size))

    return _Unpickler(io.BytesIO(archive.read(entries["data.pkl"])), path, storage).load()


def _load_stream(file: BinaryIO, path: Path) -> Any:
    """The format before PyTorch 1.6: five pickles, then each storage's length (int64) and numbers."""
    sizes: dict[str, tuple[torch.dtype, int]] = {}
    places: dict[str, int] = {}

    def storage(saved_id: Any) -> Any:
        if saved_id[0] == "module":
            return saved_id[1]
        _, dtype, key, _, size, view = saved_id
        sizes[key] = (dtype, size)
        offset, length = (view[1], view[2]) if view is not None else (0, size)

        def read() -> Tensor:
            with path.open("rb") as reopened:
                reopened.seek(places[key])
                whole = _flat(reopened.read(size * dtype.itemsize), dtype, size)
            return whole[offset : offset + length]

        return Storage(dtype, read)

    head = [_Unpickler(file, path, storage).load() for _ in range(3)]
    if head[:2] != [_MAGIC, _PROTOCOL]:
        raise UserError(f"{path} is not a file of torch.save: its first bytes are others")
    content = _Unpickler(file, path, storage).load()
    stored = _Unpickler(file, path, storage).load()
    place = file.tell()
    for key in stored:
        dtype, size = sizes[key]
        file.seek(place)
        (written,) = struct.unpack("<q", file.read(8))
        if written != size:
            raise UserError(
                f"{path}: storage {key} has {written} numbers where the pickle says {size}: it is damaged"
            )
        places[key] = place + 8
        place += 8 + size * dtype.itemsize
    if place > path.stat().st_size:
        raise UserError(
            f"{path} is cut off: {path.stat().st_size} bytes where its tensors need {place}. Fetch it again"
        )
    return content


def _flat(data: bytes, dtype: torch.dtype, size: int) -> Tensor:
    if len(data) < size * dtype.itemsize:
        raise UserError(
            f"a tensor of {size} {dtype} has only {len(data)} bytes in the file: it is damaged, fetch it "
            "again"
        )
    if size == 0:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype, count=size)


class _Unpickler(pickle.Unpickler):
    """pickle's machine with every way to the outside closed: `find_class` imports nothing."""

    def __init__(self, file: Any, path: Path, storage: Callable[[Any], Any]) -> None:
        # Files of Python 2 hold byte strings; a bad byte in an option's text must not cost the weights.
        super().__init__(file, encoding="utf-8", errors="replace")
        self._path = path
        self._storage = storage
        self._stubs: dict[str, type[Stub]] = {}

    def persistent_load(self, saved_id: Any) -> Any:
        return self._storage(saved_id)

    def find_class(self, module: str, name: str) -> Any:
        path = f"{module}.{name}"
        if module in ("torch", "torch.cuda", "torch.storage") and name in _DTYPES:
            return _DTYPES[name]
        if path in _CONSTRUCTORS:
            return _CONSTRUCTORS[path]()
        if _CODE_MODULES.match(path) or _CODE_BUILTINS.match(path):
            raise UserError(
                f"{self._path}: its pickle asks for {path}, which is code to run and not weights. Nothing of "
                "it was run and nothing was loaded. Do not open this file with other tools; get the "
                "checkpoint from its publisher"
            )
        if path not in self._stubs:
            self._stubs[path] = type("Stub", (Stub,), {"path": path})
        return self._stubs[path]


def _rebuild_tensor(storage: Storage, offset: int, size: Any, stride: Any, *_rest: Any) -> LazyTensor:
    if not isinstance(storage, Storage):
        raise UserError("a tensor in the file has no storage: it is damaged")
    return LazyTensor(storage, int(offset), tuple(map(int, size)), tuple(map(int, stride)))


def _rebuild_parameter(data: Any, *_rest: Any) -> Any:
    return data


def _reconstruct(cls: Any, *_rest: Any) -> Any:
    """What copyreg calls for objects pickled with the oldest protocols."""
    return cls() if isinstance(cls, type) and issubclass(cls, Stub) else Stub(cls)


def _fresh(function: Callable[..., Any]) -> Callable[[], Callable[..., Any]]:
    # A pickle may set attributes on what it was given: it gets a function of its own each time, never ours.
    return lambda: lambda *args: function(*args)


#: The constructors that a pickle gets. Builtin types cannot be altered and are given as they are.
_CONSTRUCTORS: dict[str, Callable[[], Any]] = {
    "torch._utils._rebuild_tensor": _fresh(_rebuild_tensor),
    "torch._utils._rebuild_tensor_v2": _fresh(_rebuild_tensor),
    "torch._utils._rebuild_parameter": _fresh(_rebuild_parameter),
    "copy_reg._reconstructor": _fresh(_reconstruct),
    "copyreg._reconstructor": _fresh(_reconstruct),
    "collections.OrderedDict": lambda: collections.OrderedDict,
    **{f"{module}.set": lambda: set for module in ("builtins", "__builtin__")},
    **{f"{module}.frozenset": lambda: frozenset for module in ("builtins", "__builtin__")},
}
