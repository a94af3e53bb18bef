"""What executors do, without Spark: every picture is decoded to its end, and a bad one keeps its row and reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from backend.catalogue.entries import CHECKED_ENTRY_SCHEMA
from backend.catalogue.items import PRODUCT_COLUMNS
from backend.catalogue.pictures import ROW_DDL, ROW_SCHEMA, PictureCheck
from backend.imaging import encode_png

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
COLOUR = encode_png(np.random.default_rng(2).integers(0, 256, (20, 30, 3), np.uint8))
GREY = encode_png(np.random.default_rng(2).integers(0, 256, (28, 28), np.uint8))


@dataclass(frozen=True)
class Given:
    """A source with these very pictures."""

    pictures: tuple[bytes | None, ...]
    name: str = "given"

    def entries(self) -> pa.Table:
        raise AssertionError("executors never list")

    def read(self, entries: pa.RecordBatch) -> list[bytes | None]:
        return [self.pictures[position] for position in entries.column("position").to_pylist()]


def batch_of(count, *, reasons=None):
    values = {field.name: pa.nulls(count, field.type) for field in CHECKED_ENTRY_SCHEMA}
    values |= {
        "product_id": [f"p{i}" for i in range(count)],
        "label": ["bag"] * count,
        "split": ["train"] * count,
        "price": [9.5] * count,
        "position": list(range(count)),
        "reason": reasons or [None] * count,
    }
    return pa.RecordBatch.from_pydict(values, schema=CHECKED_ENTRY_SCHEMA)


def rows_of(pictures, *, reasons=None, max_pixels=10_000):
    check = PictureCheck(Given(tuple(pictures)), NOW, max_pixels)
    batches = list(check.rows([batch_of(len(pictures), reasons=reasons)]))
    assert all(batch.schema == ROW_SCHEMA for batch in batches)
    return pa.Table.from_batches(batches).to_pylist()


def test_the_columns_are_those_of_the_table_and_a_reason():
    assert ROW_SCHEMA.names == [name for name, _, _ in PRODUCT_COLUMNS] + ["reason"]
    assert ROW_DDL.startswith("product_id string, image binary, image_sha256 string, width int")


def test_a_good_picture_gets_size_channels_hash_and_time():
    colour, grey = rows_of([COLOUR, GREY])
    assert (colour["width"], colour["height"], colour["channels"]) == (30, 20, 3)
    assert (grey["width"], grey["height"], grey["channels"]) == (28, 28, 1)
    assert colour["image"] == COLOUR
    assert colour["image_sha256"] == hashlib.sha256(COLOUR).hexdigest()
    assert (colour["source"], colour["ingested_at"], colour["reason"]) == ("given", NOW, None)
    assert (colour["product_id"], colour["price"], colour["brand"]) == ("p0", 9.5, None)


def test_a_bad_picture_keeps_its_row_its_bytes_and_a_reason():
    large = encode_png(np.zeros((200, 200), np.uint8))
    rows = rows_of([COLOUR[:-40], b"GIF89a", None, b"", large, GREY])
    assert [row["reason"] and row["reason"].split(":")[0] for row in rows] == [
        "damaged",
        "not_an_image",
        "no_picture",
        "empty",
        "too_many_pixels",
        None,
    ]
    assert (rows[0]["image"], rows[2]["image"]) == (COLOUR[:-40], None)
    assert rows[0]["width"] is None


def test_what_the_driver_rejected_stays_rejected_whatever_its_picture():
    rows = rows_of([GREY, b"broken"], reasons=["duplicate_id: Twice.", "no_label: None."])
    assert [row["reason"] for row in rows] == ["duplicate_id: Twice.", "no_label: None."]
    assert rows[0]["image"] == GREY


def test_large_batches_leave_in_small_ones_and_in_order():
    check = PictureCheck(Given((GREY,) * 700), NOW, 10_000)
    batches = list(check.rows([batch_of(700)]))
    assert [batch.num_rows for batch in batches] == [256, 256, 188]
    assert [p for batch in batches for p in batch.column("product_id").to_pylist()] == [f"p{i}" for i in range(700)]
