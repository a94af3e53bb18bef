"""Arrays in files that may come from anywhere: headers are read as text, never evaluated, and sizes are checked first.

NumPy's own readers believe what a header says: they give out the memory for it, and evaluate its text.
"""

from __future__ import annotations

import math
import os
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.files.plain_files import open_plain

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_LONGEST_HEADER, _MOST_ARRAYS = 1_024, 10_000
# As NumPy writes it: format version, length, and one dictionary padded with spaces; see ``numpy.lib.format``.
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<|][fiu][1248])', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,15}, ?)*(?:\d{1,15})?)\), \} *\n",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Header:
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    fortran: bool
    length: int

    @property
    def n_bytes(self) -> int:
        """What header and values take."""
        return self.length + self.dtype.itemsize * math.prod(self.shape)


def _header(start: bytes) -> _Header:
    found = _NPY.match(start)
    if found is None or found.end() != 10 + int.from_bytes(found[1], "little"):
        raise ValueError("not a plain array")
    shape = tuple(int(text) for text in found[4].split(b",") if text.strip())
    return _Header(np.dtype(found[2].decode()), shape, found[3] == b"True", found.end())


def open_matrix(path: Path) -> NDArray[np.float32]:
    """Open an ``.npy`` file memory-mapped, float32 (N, D) in C order.

    Raises:
        OSError: It is not there, or no plain file.
        ValueError: It holds something else, or not as much as it says.
    """
    with open_plain(path) as stream:
        header = _header(stream.read(_LONGEST_HEADER))
        if header.dtype != np.float32 or len(header.shape) != 2 or header.fortran:
            raise ValueError("not a float32 matrix")
        if header.n_bytes != os.fstat(stream.fileno()).st_size:
            raise ValueError("not of the declared size")
        return np.memmap(stream, np.float32, "r", header.length, header.shape)


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read an ``.npz`` file as ``numpy.savez`` writes it, by name; arrays may be read-only.

    Raises:
        OSError: It is not there, or no plain file.
        ValueError: It holds something else than arrays of numbers, uncompressed, or more than the file has room for.
    """
    try:
        with open_plain(path) as stream, zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if len(members) > _MOST_ARRAYS or len({one.filename for one in members}) != len(members):
                raise ValueError("not plain arrays")
            if any(one.compress_type != zipfile.ZIP_STORED or not one.filename.endswith(".npy") for one in members):
                raise ValueError("not plain arrays")
            if sum(one.file_size for one in members) > os.fstat(stream.fileno()).st_size:
                raise ValueError("not of the declared size")
            return {one.filename.removesuffix(".npy"): _array(archive.read(one)) for one in members}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(str(error)) from error


def _array(data: bytes) -> NDArray[np.generic]:
    header = _header(data[:_LONGEST_HEADER])
    if header.n_bytes != len(data):
        raise ValueError("not of the declared size")
    values = np.frombuffer(data, header.dtype, offset=header.length)
    return values.reshape(header.shape, order="F" if header.fortran else "C")
