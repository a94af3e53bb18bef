"""Catalogues written without a JVM, cut into files and row groups as a test needs them, with deletion vectors."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, WriterProperties, write_deltalake

from backend.catalogue.items import PICTURE_BYTES, PRODUCTS
from backend.catalogue.loading import picture_tables
from backend.catalogue.loading.product_files import append_files
from backend.catalogue.schemas import BYTES_SCHEMA, PICTURED_SCHEMA
from backend.catalogue.snapshot import Snapshot, open_snapshot
from backend.imaging import pixels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Row = dict[str, Any]
_ROARING, _NO_RUNS = 1681511377, 12346  # magic numbers: of Delta's vectors, of a bitmap without runs
_Z85 = bytes.maketrans(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
)


def picture_rows(labels: Sequence[str], *, split: str = "train", side: int = 12, first: int = 0) -> list[Row]:
    """A grey picture of noise for each label, with ids in the order of the labels."""
    rng = np.random.default_rng((len(labels), first))
    pictures = rng.integers(0, 256, (len(labels), side, side), dtype=np.uint8)
    return [
        {"product_id": f"p{first + number:04d}", "label": label, "split": split, "image": pixels.encode_png(picture)}
        for number, (label, picture) in enumerate(zip(labels, pictures, strict=True))
    ]


def product_table(rows: Iterable[Row]) -> pa.Table:
    """Rows in all columns of a products table of earlier versions; what a row does not say is filled in or null."""
    filled = [
        {
            "image_sha256": hashlib.sha256(row["image"]).hexdigest(),
            "width": 12,
            "height": 12,
            "channels": 1,
            "source": "test",
            "ingested_at": datetime(2026, 11, 24, tzinfo=UTC),
            **row,
        }
        for row in rows
    ]
    return pa.Table.from_pylist(filled, schema=PICTURED_SCHEMA)


def store(
    folder: Path, *files: Iterable[Row], rows_per_group: int = 8, name: str = "stored", in_rows: bool = False
) -> Snapshot:
    """Write each of ``files`` as one Parquet file of a new table, and open it.

    Their pictures lie in a table of their own, cut alike; with ``in_rows`` in the rows, as earlier versions had them.
    """
    place, held = folder / name, set()
    write_deltalake(place / PRODUCTS, _without_pictures(product_table([]), in_rows=in_rows))
    if not in_rows:
        write_deltalake(place / PICTURE_BYTES, product_table([]).select(BYTES_SCHEMA.names))
    properties = WriterProperties(max_row_group_size=rows_per_group, write_batch_size=rows_per_group)
    for rows in files:
        table = product_table(rows)
        if not in_rows:
            put_bytes(place, table, held, writer_properties=properties)
        table = _without_pictures(table, in_rows=in_rows)
        write_deltalake(place / PRODUCTS, table, mode="append", writer_properties=properties)
    return open_snapshot(folder, name)


def put_bytes(place: Path, table: pa.Table, held: set[str], **options: Any) -> None:
    """Put the pictures of rows where the catalogue in the folder keeps them, but those that are held."""
    rows = {row["image_sha256"]: row for row in table.select(BYTES_SCHEMA.names).to_pylist()}
    fresh = [row for sha256, row in rows.items() if sha256 not in held]
    held |= set(rows)
    if fresh:
        table = pa.Table.from_pylist(fresh, BYTES_SCHEMA)
        write_deltalake(place / PICTURE_BYTES, table, mode="append", **options)


def hold_pictures(folder: Path, table: pa.Table) -> pa.Table:
    """Put the pictures of rows where a real catalogue keeps them, as a load would, and return the rest of the rows."""
    path, names = folder / PICTURE_BYTES, table["image_sha256"].combine_chunks()
    fresh = picture_tables.fresh_ones(names, picture_tables.held_hashes(folder))
    if fresh.any():
        pictures = table.select(BYTES_SCHEMA.names).filter(pa.array(fresh))
        append_files(path, picture_tables.written_bytes(path, [pictures]), note={})
    return table.drop_columns(["image"])


def _without_pictures(table: pa.Table, *, in_rows: bool) -> pa.Table:
    return table if in_rows else table.drop_columns(["image"])


def hide(snapshot: Snapshot, folder: Path, ids: Iterable[str]) -> Snapshot:
    """Commit deletion vectors over the oldest row of each of these products, as Delta's writers do, and open it."""
    table, gone = folder / snapshot.name / PRODUCTS, set(ids)
    added = _added(table)
    actions: list[Row] = [{"commitInfo": {"timestamp": 1, "operation": "DELETE"}}, _PROTOCOL]
    for path, action in added.items():  # oldest first
        names = pq.read_table(table / path, columns=["product_id"])["product_id"].to_pylist()
        places = [place for place, name in enumerate(names) if name in gone]
        gone -= set(names)
        if places:
            actions.append({"remove": {"path": path, "deletionTimestamp": 1, "dataChange": True}})
            actions.append({"add": {**action, "deletionVector": _vector(places), "dataChange": True}})
    version = snapshot.version + 1
    log = table / "_delta_log" / f"{version:020d}.json"
    log.write_text("\n".join(json.dumps(action) for action in actions))
    assert DeltaTable(table).version() == version
    return open_snapshot(folder, snapshot.name)


_PROTOCOL: Row = {
    "protocol": {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"],
        "writerFeatures": ["deletionVectors"],
    }
}


def _added(table: Path) -> dict[str, Row]:
    """The add action of every file, oldest first."""
    logs = sorted((table / "_delta_log").glob("*.json"))
    actions = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    return {action["add"]["path"]: action["add"] for action in actions if "add" in action}


def _vector(places: list[int]) -> Row:
    """A deletion vector that stands in the log itself: one bitmap of 16-bit places."""
    bitmap = struct.pack("<IIHHI", _NO_RUNS, 1, 0, len(places) - 1, 16) + struct.pack(f"<{len(places)}H", *places)
    raw = struct.pack("<IQI", _ROARING, 1, 0) + bitmap
    padded = raw + b"\x00" * (-len(raw) % 4)
    return {
        "storageType": "i",
        "pathOrInlineDv": base64.b85encode(padded).translate(_Z85).decode("ascii"),
        "sizeInBytes": len(raw),
        "cardinality": len(places),
    }
