"""The footer of a Parquet file without what pyarrow 14 does not know: Arrow's types, and newer logical types.

Specification: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift, written in Thrift's
compact protocol, https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_MAGIC = b"PAR1"
_TAIL = 8  # bytes behind the footer: its length and the magic
_NOTE, _NO_NOTE = b"ARROW:schema", b"arrow-schema"  # of one length, so that nothing moves
_SCHEMA_FIELD, _NAME_FIELD, _LOGICAL_TYPE_FIELD = 2, 4, 10
_KNOWN_LOGICAL_TYPES = frozenset(range(1, 15)) - {9}
_HALF_FLOAT = 15
_VARINT_BITS = 70
# What walking through a damaged footer or page raises.
DAMAGE = (IndexError, StopIteration, RecursionError)


@dataclass(frozen=True, slots=True)
class PlainFooter:
    """A footer that pyarrow reads, from the byte ``start`` of the file to its end."""

    start: int
    footer: bytes
    half_floats: frozenset[str]


def plain_footer(file: pa.NativeFile) -> PlainFooter | None:
    """Take out of a footer what pyarrow does not know; None where there is nothing of it."""
    size = file.size()
    file.seek(max(size - _TAIL, 0))
    tail = file.read(_TAIL)
    start = size - _TAIL - int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or start < len(_MAGIC):
        return None
    file.seek(start)
    footer = file.read(size - _TAIL - start)
    try:
        unknown = list(_unknown_types(footer))
    except DAMAGE:
        return None  # a damaged one
    cut, at = b"", 0
    for _, _, first, last in unknown:
        cut, at = cut + footer[at:first], last
    cut = (cut + footer[at:]).replace(_NOTE, _NO_NOTE)
    if cut == footer:
        return None
    halves = frozenset(name for name, kind, _, _ in unknown if kind == _HALF_FLOAT)
    return PlainFooter(start, cut + len(cut).to_bytes(4, "little") + _MAGIC, halves)


def _unknown_types(footer: bytes) -> Iterator[tuple[str, int, int, int]]:
    """Yield the columns with a logical type that pyarrow does not know: name, type, and where it is.

    It is the last field of its column's, so that nothing behind counts from it.
    """
    thrift = Thrift(footer)
    for number, kind, _ in thrift.fields():
        if number != _SCHEMA_FIELD:
            thrift.skip(kind)
            continue
        for _ in range(thrift.list_header()[0]):
            name = ""
            for part, inner, begin in thrift.fields():
                if part == _NAME_FIELD:
                    name = thrift.text()
                elif part == _LOGICAL_TYPE_FIELD:
                    logical = thrift.only_field()
                    if logical not in _KNOWN_LOGICAL_TYPES:
                        yield name, logical, begin, thrift.at
                else:
                    thrift.skip(inner)
        return


class Thrift:
    """Walks through Thrift's compact protocol."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def fields(self) -> Iterator[tuple[int, int, int]]:
        """Yield number, kind and begin of each field of a struct; each is to be passed before the next is asked for."""
        number = 0
        while True:
            begin, header = self.at, self._byte()
            if not header:
                return
            number = number + (header >> 4) if header >> 4 else self._integer()
            yield number, header & 15, begin

    def struct(self) -> dict[int, Any]:
        """Return the integers of a struct and of the structs in it by their numbers; all else is passed."""
        found: dict[int, Any] = {}
        for number, kind, _ in self.fields():
            if kind in {4, 5, 6}:
                found[number] = self._integer()
            elif kind == 12:
                found[number] = self.struct()
            else:
                self.skip(kind)
        return found

    def only_field(self) -> int:
        """Pass a union and return which of its fields it has; 0 for none."""
        found = 0
        for number, kind, _ in self.fields():
            found = number
            self.skip(kind)
        return found

    def text(self) -> str:
        """Pass a text and return it."""
        size = self._varint()
        self.at += size
        return self._data[self.at - size : self.at].decode("utf-8", "replace")

    def list_header(self) -> tuple[int, int]:
        """Pass the head of a list; return its length and the kind of its values."""
        header = self._byte()
        return (self._varint() if header >> 4 == 15 else header >> 4), header & 15

    def skip(self, kind: int) -> None:
        """Pass a value of a struct's field."""
        if kind in {4, 5, 6}:
            self._varint()
        elif kind == 8:
            self.text()
        elif kind in {9, 10}:
            size, inner = self.list_header()
            if size > len(self._data):
                raise IndexError("a list that is longer than the footer")
            for _ in range(size):
                self.skip(3 if inner in {1, 2} else inner)
        elif kind == 12:
            for _, inner, _ in self.fields():
                self.skip(inner)
        else:  # a truth is in its header, a byte and a double have their sizes; there is no map in a footer
            self.at += {3: 1, 7: 8}.get(kind, 0)

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while shift < _VARINT_BITS:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise IndexError("a number that does not end")

    def _integer(self) -> int:
        """Return a signed integer, which is written zigzag."""
        value = self._varint()
        return value >> 1 ^ -(value & 1)
