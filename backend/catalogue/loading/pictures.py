"""What runs on the executors while a source is checked: entries in; pictures out as Parquet files, facts as rows.

Pictures never pass through the JVM or the driver: a Python worker reads them, checks them and writes them where the
commit will find them. Only hashes, sizes and reasons come back. Usable pictures are written as the table
``picture_bytes`` has them, each once, so that a load can take the files as they are; rejected rows go to a file of their
own, as the table ``quarantine`` has them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from backend.catalogue.items import BYTES_COLUMNS, BYTES_CONSTRAINTS
from backend.catalogue.loading.constraints import require_storable
from backend.catalogue.loading.entries import CHECKED_ENTRY_SCHEMA
from backend.catalogue.loading.further import HASHES, KNOWN_MORE, MORE, MORE_HASHES
from backend.catalogue.loading.load_warnings import warning
from backend.catalogue.loading.product_files import GroupedWriter
from backend.catalogue.schemas import QUARANTINE_SCHEMA, stored_schema
from backend.catalogue.sources.pictures.names import no_picture
from backend.errors import ImageRejected
from backend.imaging.pixels import verify
from backend.spark.executors import spare_zip_imports

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from backend.catalogue.sources.sources import Picture, Source
    from backend.imaging.spec import ImageInfo

# What comes back of every entry, in the order of the entries. ``file`` is null where no picture was staged, because the
# catalogue holds the very same one; then it has no size either.
FACT_SCHEMA = pa.schema(
    [
        ("image_sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("channels", pa.int32()),
        ("reason", pa.string()),
        ("n_bytes", pa.int64()),
        ("file", pa.string()),
        (MORE_HASHES, HASHES),  # of the further pictures that can be used, in order
        ("more_file", pa.string()),  # null where none of them was staged
        ("warning", pa.string()),  # about those that cannot
    ]
)
STORED_BYTES_SCHEMA = stored_schema(BYTES_COLUMNS)
# Pictures that are held at once; a picture of a shop has some 100 kB.
_CHUNK_ROWS = 256


@dataclass(frozen=True, slots=True)
class _Checked:
    picture: bytes | None
    sha256: str | None
    info: ImageInfo | None
    reason: str | None
    is_held: bool = False


@dataclass(slots=True)
class _More:
    """The further pictures of an entry: hashes in their order, whether one was staged, what is to be said."""

    hashes: list[str] = field(default_factory=list)
    is_staged: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PictureCheck:
    """Reads, checks and stages the pictures of entries; small when pickled.

    Attributes:
        source: Where the pictures come from.
        folder: Where the files go; every executor and the driver must see it at the same path.
        ingested_at: Time that all rows of this load carry.
        max_pixels: Largest width x height that is accepted.
    """

    source: Source
    folder: Path
    ingested_at: datetime
    max_pixels: int

    def __call__(self, number: int, parts: Iterable[bytes]) -> Iterator[bytes]:
        """Turn parts, each a serialised table of :data:`CHECKED_ENTRY_SCHEMA`, into their facts, row for row."""
        from pyspark import TaskContext

        spare_zip_imports()
        context = TaskContext.get()
        attempt = context.taskAttemptId() if context else 0
        for part in parts:
            entries = pa.ipc.open_stream(part).read_all().combine_chunks()
            # A task that is tried again writes another file; only what the finished one names is read.
            facts = self.stage(entries, self.folder / f"part-{number:06d}-{attempt:09d}.parquet")
            yield to_bytes(facts)

    def stage(self, entries: pa.Table, path: Path) -> pa.Table:
        """Check entries and write the pictures that a commit may need; returns the facts of all.

        Usable pictures go to ``path``, rejected rows to a file beside it; a file without rows is not kept.

        Raises:
            CatalogueError: A usable picture breaks a constraint of the table, which is a defect of the checks before.
        """
        aside = path.with_name(f"rejected-{path.name}")
        facts, seen = [], set[str]()
        with GroupedWriter(path, STORED_BYTES_SCHEMA) as usable, GroupedWriter(aside, QUARANTINE_SCHEMA) as rejected:
            for start in range(0, entries.num_rows, _CHUNK_ROWS):
                chunk = entries.slice(start, _CHUNK_ROWS)
                checked = self._checked(chunk)
                _stage(usable, checked, seen)
                more = self._further(chunk, checked, partial(_stage, usable, seen=seen))
                rejected.add(self._rejected(chunk, checked))
                facts.append(_facts(checked, more, path.name, aside.name))
        return pa.concat_tables(facts)

    def _checked(self, entries: pa.Table) -> list[_Checked]:
        (batch,) = entries.combine_chunks().to_batches()
        pictures = self.source.read(batch)
        reasons, known, locators = (entries[name].to_pylist() for name in ("reason", "known_sha256", "locator"))
        held = ({sha256} for sha256 in known)
        return [self._look_at(*row) for row in zip(pictures, reasons, held, locators, strict=True)]

    def _further(
        self, entries: pa.Table, checked: list[_Checked], stage: Callable[[list[_Checked]], None]
    ) -> list[_More]:
        """Read the further pictures of usable entries, a few at once; what repeats an earlier one is passed over."""
        more = [_More() for _ in checked]
        named = entries[MORE].to_pylist() if MORE in entries.column_names else []
        known = entries[KNOWN_MORE].to_pylist() if KNOWN_MORE in entries.column_names else [None] * len(checked)
        wanted = [(row, where) for row, all_ in enumerate(named) if not checked[row].reason for where in all_ or ()]
        for start in range(0, len(wanted), _CHUNK_ROWS):
            rows, locators = zip(*wanted[start : start + _CHUNK_ROWS], strict=True)
            asked = entries.take(pa.array(rows))
            at = asked.column_names.index("locator")
            asked = asked.set_column(at, "locator", pa.array(locators, pa.string()))
            (batch,) = asked.combine_chunks().to_batches()
            held = ({*(known[row] or ())} for row in rows)
            looked = zip(self.source.read(batch), [None] * len(rows), held, locators, strict=True)
            found = [self._look_at(*one) for one in looked]
            stage(found)
            for row, where, one in zip(rows, locators, found, strict=True):
                if one.reason or not one.sha256:
                    more[row].warnings.append(warning("further_unread", where))
                elif one.sha256 not in {checked[row].sha256, *more[row].hashes}:
                    more[row].hashes.append(one.sha256)
                    more[row].is_staged |= not one.is_held
        return more

    def _look_at(
        self, picture: Picture, reason: str | None, known: Collection[str | None], locator: str | None
    ) -> _Checked:
        if isinstance(picture, ImageRejected):
            return _Checked(None, None, None, reason or f"{picture.code}: {picture.message}")
        if picture is None:
            return _Checked(None, None, None, reason or no_picture(locator))
        sha256 = hashlib.sha256(picture).hexdigest()
        if reason is not None:
            return _Checked(picture, sha256, None, reason)
        if sha256 in known:
            return _Checked(None, sha256, None, None, is_held=True)
        try:
            return _Checked(picture, sha256, verify(picture, max_pixels=self.max_pixels), None)
        except ImageRejected as error:
            return _Checked(picture, sha256, None, f"{error.code}: {error.message}")

    def _rejected(self, entries: pa.Table, checked: list[_Checked]) -> pa.Table:
        keep = [row for row, found in enumerate(checked) if found.reason]
        entries, checked = entries.take(pa.array(keep, pa.int64())), [checked[row] for row in keep]
        values = {name: entries[name] for name in CHECKED_ENTRY_SCHEMA.names if name in QUARANTINE_SCHEMA.names}
        values |= {
            "image": [found.picture for found in checked],
            "image_sha256": [found.sha256 for found in checked],
            "reason": [found.reason for found in checked],
            "source": [self.source.name] * len(checked),
            "ingested_at": [self.ingested_at] * len(checked),
        }
        return pa.Table.from_pydict({name: values[name] for name in QUARANTINE_SCHEMA.names}, schema=QUARANTINE_SCHEMA)


def _stage(usable: GroupedWriter, checked: list[_Checked], seen: set[str]) -> None:
    pictures = _bytes_of(checked, seen)
    require_storable(pictures, BYTES_COLUMNS, BYTES_CONSTRAINTS)
    usable.add(pictures)


def _bytes_of(checked: list[_Checked], seen: set[str]) -> pa.Table:
    """Return the usable pictures that were not seen before, each once."""
    fresh = {found.sha256: found for found in checked if found.info and found.sha256 not in seen}
    seen |= {sha256 for sha256 in fresh if sha256}
    rows = [
        (sha256, found.picture, found.info.width, found.info.height, found.info.channels)
        for sha256, found in fresh.items()
        if found.info
    ]
    columns = zip(*rows, strict=True) if rows else [[] for _ in STORED_BYTES_SCHEMA]
    return pa.Table.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, STORED_BYTES_SCHEMA, strict=True)], schema=STORED_BYTES_SCHEMA
    )


def _facts(checked: list[_Checked], more: list[_More], usable: str, rejected: str) -> pa.Table:
    infos = [found.info for found in checked]
    return pa.table(
        {
            "image_sha256": [found.sha256 for found in checked],
            "width": [info.width if info else None for info in infos],
            "height": [info.height if info else None for info in infos],
            "channels": [info.channels if info else None for info in infos],
            "reason": [found.reason for found in checked],
            "n_bytes": [len(found.picture) if found.picture else 0 for found in checked],
            "file": [None if found.is_held else rejected if found.reason else usable for found in checked],
            MORE_HASHES: [one.hashes or None for one in more],
            "more_file": [usable if one.is_staged else None for one in more],
            "warning": ["\n".join(one.warnings) or None for one in more],
        },
        schema=FACT_SCHEMA,
    )


def to_bytes(table: pa.Table) -> bytes:
    """Serialise a table; ``pa.ipc.open_stream(...).read_all()`` reads it back."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
