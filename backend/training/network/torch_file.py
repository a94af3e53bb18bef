"""Arrays out of a file in PyTorch's legacy format, without PyTorch and without running anything that the file names.

Such a file is five pickles (magic number, protocol, system, tensors by name, keys of storages), then for each storage
its length as int64 and its numbers. Of all that a pickle may name, four things are known here, and none of them runs
code of the file; anything else is refused. A tensor is a view of its storage with strides, which need not be C order.

Source: ``_legacy_load`` in torch/serialization.py.
"""

from __future__ import annotations

import collections
import pickle
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

if TYPE_CHECKING:
    from typing import BinaryIO

    from numpy.typing import NDArray

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_FLOAT, _LONG = "float32", "int64"
# What unpickling raises where a file is none.
_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    OverflowError,
    struct.error,
)
_LARGEST = 100_000_000  # values of one storage


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor as the file describes it; offset and strides count values."""

    key: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_arrays(file: BinaryIO) -> dict[str, NDArray[Any]]:
    """Read the tensors of a file as float32 or int64 arrays in C order, by name.

    Raises:
        ValueError: The file is of another format, is cut short, names anything but tensors, or a tensor leaves its storage.
    """
    try:
        heads = [_Unpickler(file).load() for _ in range(5)]
    except _DAMAGE as error:
        raise ValueError(f"not the tensors of PyTorch's legacy format: {error}") from error
    magic, protocol, _, views, keys = heads
    if (magic, protocol) != (_MAGIC, _PROTOCOL) or not isinstance(views, dict) or not isinstance(keys, list):
        raise ValueError("not PyTorch's legacy format")
    if not all(isinstance(view, _View) for view in views.values()):
        raise ValueError("something else than tensors by name")
    storages = {key: _storage(file, dtype) for key, dtype in _typed(keys, views.values())}
    return {name: _viewed(storages, view) for name, view in views.items()}


class _Unpickler(pickle._Unpickler):  # noqa: SLF001 - public in all but name
    """Knows the four names that tensors need. In Python, since the one in C gives out memory as a file says."""

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up in the table of four."""
        known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
            ("torch", "FloatStorage"): _FLOAT,
            ("torch", "LongStorage"): _LONG,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return known[module, name]

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        """Return key and type of the storage that a tensor names."""
        kind, dtype, key, _, _, view = pid
        if kind != "storage" or dtype not in {_FLOAT, _LONG} or view is not None or not isinstance(key, str):
            raise pickle.UnpicklingError("not a plain storage")
        return key, dtype


def _rebuilt(storage: tuple[str, str], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _View:
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or not all(type(number) is int and number >= 0 for number in numbers):
        raise pickle.UnpicklingError("a tensor without a plain shape")
    return _View(*storage, offset, tuple(shape), tuple(strides))


def _typed(keys: list[Any], views: Any) -> list[tuple[str, str]]:
    """Return the storages in the order of the file, each with its type."""
    types = {view.key: view.dtype for view in views}
    if set(keys) != set(types) or len(keys) != len(types):
        raise ValueError("the storages are not those of the tensors")
    return [(key, types[key]) for key in keys]


def _storage(file: BinaryIO, dtype: str) -> NDArray[Any]:
    count = int.from_bytes(_exactly(file, 8), "little", signed=True)
    if not 0 <= count <= _LARGEST:
        _cut()
    kind = np.dtype(dtype).newbyteorder("<")
    return np.frombuffer(_exactly(file, count * kind.itemsize), dtype=kind)


def _exactly(file: BinaryIO, count: int) -> bytes:
    content = file.read(count)
    return content if len(content) == count else _cut()


def _cut() -> NoReturn:
    raise ValueError("the file is cut short")


def _viewed(storages: dict[str, NDArray[Any]], view: _View) -> NDArray[Any]:
    """Return a tensor's values in C order, having checked that all of them are in its storage."""
    storage = storages[view.key]
    last = view.offset + sum((side - 1) * stride for side, stride in zip(view.shape, view.strides, strict=True))
    if 0 not in view.shape and last >= len(storage):
        raise ValueError("a tensor leaves its storage")
    steps = tuple(stride * storage.itemsize for stride in view.strides)
    return np.lib.stride_tricks.as_strided(storage[view.offset :], view.shape, steps, writeable=False).copy(order="C")
