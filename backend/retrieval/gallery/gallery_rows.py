"""The rows of a gallery on their way from the catalogue to the bundle: decoded ahead, spilled to disk, sorted."""

from __future__ import annotations

import logging
import os
from bisect import bisect_right
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from backend.catalogue.fields import COLUMNS
from backend.catalogue.schemas import arrow_schema
from backend.errors import ImageRejected
from backend.imaging import pixels as imaging

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.imaging.spec import PixelSpec

ROW_GROUP = 4096
# Below this size a picture's decoding is mostly Python, and threads that share one interpreter only get in each
# other's way: 28 x 28 pixels cost 0.09 ms with one thread and 0.17 with two; 240 x 240 cost 10 ms and 5.
_BYTES_WORTH_A_THREAD = 4096
_log = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        *arrow_schema(COLUMNS),
        pa.field("thumbnail", pa.binary(), nullable=False),
    ]
)


QUERY_SCHEMA = pa.schema([SCHEMA.field("product_id"), SCHEMA.field("label")])

_Picture = tuple["NDArray[np.uint8]", bytes]
_Pending = tuple[pa.RecordBatch, list["Future[list[_Picture | str]]"]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """One batch of n readable pictures.

    Attributes:
        rows: Their columns as the schema asked for says; n rows.
        pixels: What the network sees; uint8 (n, H, W, C).
        unreadable: Product ids of the pictures that were left out.
        images: The encoded pictures; n of them.
    """

    rows: pa.RecordBatch
    pixels: NDArray[np.uint8]
    unreadable: list[str]
    images: pa.Array


def decoded_ahead(batches: Iterable[pa.RecordBatch], spec: PixelSpec, schema: pa.Schema) -> Iterator[Decoded]:
    """Decode batches that have a column ``image``; while one is used, the next is decoded.

    Args:
        batches: Rows of a catalogue.
        spec: What the network sees.
        schema: Columns of the answer; a column ``thumbnail`` is made from the picture, the others are passed on.
    """
    workers = max(1, len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        ahead: _Pending | None = None
        for batch in batches:
            following = (batch, _submit(pool, batch, spec, schema, workers))
            if ahead is not None:
                yield _collected(ahead, spec, schema)
            ahead = following
        if ahead is not None:
            yield _collected(ahead, spec, schema)


def _submit(
    pool: ThreadPoolExecutor, batch: pa.RecordBatch, spec: PixelSpec, schema: pa.Schema, workers: int
) -> list[Future[list[_Picture | str]]]:
    images = batch.column("image").to_pylist()
    large = sum(map(len, images)) >= _BYTES_WORTH_A_THREAD * len(images)
    step = -(-len(images) // (workers if large else 1)) or 1
    with_thumbnails = "thumbnail" in schema.names
    parts = (images[at : at + step] for at in range(0, len(images), step))
    return [pool.submit(_decode, part, spec, with_thumbnails=with_thumbnails) for part in parts]


def _decode(images: list[bytes], spec: PixelSpec, *, with_thumbnails: bool) -> list[_Picture | str]:
    """Decode pictures; a text says why one cannot be."""
    out: list[_Picture | str] = []
    for data in images:
        try:
            out.append((imaging.decode(data, spec).pixels, imaging.thumbnail(data) if with_thumbnails else b""))
        except ImageRejected as error:
            out.append(error.message)
    return out


def _collected(pending: _Pending, spec: PixelSpec, schema: pa.Schema) -> Decoded:
    batch, futures = pending
    pictures = [picture for future in futures for picture in future.result()]
    unreadable = []
    for product_id, picture in zip(batch.column("product_id").to_pylist(), pictures, strict=True):
        if isinstance(picture, str):
            unreadable.append(product_id)
            _log.warning("left out: %s: %s", product_id, picture)
    rows = [row for row, picture in enumerate(pictures) if not isinstance(picture, str)]
    good = [picture for picture in pictures if not isinstance(picture, str)]
    pixels = np.stack([p for p, _ in good]) if good else np.empty((0, *spec.shape), dtype=np.uint8)
    kept = batch.take(pa.array(rows, pa.int64()))
    thumbnails = pa.array([thumbnail for _, thumbnail in good], pa.binary())
    columns = [thumbnails if f.name == "thumbnail" else kept.column(f.name).cast(f.type) for f in schema]
    rows_of_schema = pa.RecordBatch.from_arrays(columns, schema=schema)
    return Decoded(rows_of_schema, pixels, unreadable, kept.column("image"))


def write_sorted(spill: Path, places: list[tuple[int, int]], path: Path) -> None:
    """Write spilled rows as Parquet in the order of ``places``; the spill is memory-mapped, not read.

    Args:
        spill: Arrow file of record batches of ``SCHEMA``.
        places: Where each row of the answer is in the spill: (batch, row in it).
        path: The file to write.
    """
    with pa.memory_map(str(spill)) as source, _writer(path) as writer:
        batches = pa.ipc.open_file(source)
        for start in range(0, len(places), ROW_GROUP):
            writer.write_table(_gathered(batches, places[start : start + ROW_GROUP]))


def merged_rows(source: Path, stays: NDArray[np.bool_], fresh: pa.Table, path: Path) -> None:
    """Write a gallery without some of its rows and with others put in; at most two row groups are in memory.

    Args:
        source: The gallery, ordered by product id.
        stays: Which of its N rows stay, bool (N,).
        fresh: Rows of ``SCHEMA`` that are put in, ordered by product id; none of their products stays.
        path: The file to write; row groups are cut as :func:`write_sorted` cuts them.
    """
    with pq.ParquetFile(source) as old, _writer(path) as writer:
        pending = SCHEMA.empty_table()
        for part in _interleaved(old, stays, fresh):
            pending = pa.concat_tables([pending, part])
            while len(pending) >= ROW_GROUP:
                writer.write_table(pending.slice(0, ROW_GROUP).combine_chunks())
                pending = pending.slice(ROW_GROUP)
        if len(pending):
            writer.write_table(pending.combine_chunks())


def with_fields(rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return columns of a gallery's rows; a field that is newer than the gallery is null."""
    for name in names:
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(len(rows), SCHEMA.field(name).type))
    return rows.select(list(names))


def _writer(path: Path) -> pq.ParquetWriter:
    compression = {name: "none" if name == "thumbnail" else "zstd" for name in SCHEMA.names}
    return pq.ParquetWriter(path, SCHEMA, compression=compression)


def _interleaved(old: pq.ParquetFile, stays: NDArray[np.bool_], fresh: pa.Table) -> Iterator[pa.Table]:
    """Yield the old rows that stay, a row group at a time, each with the fresh ones up to its last product id."""
    ids = fresh["product_id"].to_pylist()
    start = taken = 0
    for number in range(old.num_row_groups):
        rows = with_fields(old.read_row_group(number), SCHEMA.names).cast(SCHEMA)
        is_last = number == old.num_row_groups - 1
        upto = len(ids) if is_last else bisect_right(ids, rows["product_id"][len(rows) - 1].as_py())
        kept = rows.filter(pa.array(stays[start : start + len(rows)]))
        part = pa.concat_tables([kept, fresh.slice(taken, upto - taken)])
        yield part.sort_by("product_id") if upto > taken else part
        start, taken = start + len(rows), upto


def _gathered(batches: pa.ipc.RecordBatchFileReader, places: list[tuple[int, int]]) -> pa.Table:
    by_batch: dict[int, list[tuple[int, int]]] = {}  # batch -> (row in it, place in the answer)
    for target, (number, row) in enumerate(places):
        by_batch.setdefault(number, []).append((row, target))
    parts = [batches.get_batch(number).take(pa.array([row for row, _ in rows])) for number, rows in by_batch.items()]
    targets = np.asarray([target for rows in by_batch.values() for _, target in rows])
    return pa.Table.from_batches(parts).combine_chunks().take(pa.array(np.argsort(targets)))
