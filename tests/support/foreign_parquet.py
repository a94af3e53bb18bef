"""Parquet files as newer writers leave them, made of what is installed: notes on string views, half floats."""

from __future__ import annotations

import re
import tempfile
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

_NOTE = re.compile(rb"ARROW:schema\x18[\x80-\xff]*[\x00-\x7f]([A-Za-z0-9+/=]+)")
_END = b"PAR1"
_REAL, _PLACE = b"ARROW:schema", b"ARROW_schema"  # pyarrow keeps the real name to itself


def write_with_views(path: Path, table: pa.Table, **options: object) -> Path:
    """Write a file whose note on Arrow's types is one that pyarrow 14 does not know, as polars and deltalake do."""
    pq.write_table(table.replace_schema_metadata({_PLACE: _note_on_views()}), path, **options)
    path.write_bytes(path.read_bytes().replace(_REAL, b"ARROW#schema").replace(_PLACE, _REAL))
    with pytest.raises(pa.ArrowInvalid, match="Unrecognized type: 24"):
        pq.read_metadata(path)
    return path


@cache
def _note_on_views() -> bytes:
    """Have deltalake write a string view, and return its note on it."""
    with tempfile.TemporaryDirectory() as folder:
        write_deltalake(folder, pa.table({"name": ["one", "other"]}))
        DeltaTable(folder).delete("name = 'one'")
        (file,) = DeltaTable(folder).file_uris()
        found = _NOTE.search(Path(file.removeprefix("file://")).read_bytes())
    assert found
    return found[1]


def as_half_float(path: Path, column: str) -> Path:
    """Give a column of two bytes the logical type of half floats, which pyarrow 14 does not write or know."""
    data = path.read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    name = b"\x18" + bytes([len(column)]) + column.encode()
    # The last field of the column's element: field 10, a union of which field 15 is there, an empty struct.
    footer = data[start:-8].replace(name + b"\x00", name + b"\x6c\x0c\x1e\x00\x00\x00", 1)
    assert len(footer) != len(data[start:-8])
    path.write_bytes(data[:start] + footer + len(footer).to_bytes(4, "little") + _END)
    return path
