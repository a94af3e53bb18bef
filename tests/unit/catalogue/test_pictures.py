"""What executors do, without Spark: every picture is read to its end, and a bad one keeps its row and reason."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backend.catalogue.items import BYTES_COLUMNS, QUARANTINE_COLUMNS
from backend.catalogue.loading.pictures import FACT_SCHEMA, PictureCheck, to_bytes
from backend.catalogue.sources.sources import entry_table
from backend.errors import ImageRejected
from backend.imaging.pixels import encode_png
from tests.support.hostile_pictures import png

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


def entries_of(count, *, reasons=None, known=None):
    entries = entry_table(
        {
            "product_id": [f"p{i}" for i in range(count)],
            "label": ["bag"] * count,
            "split": ["train"] * count,
            "price": [9.5] * count,
            "position": list(range(count)),
            "reason": reasons or [None] * count,
        }
    )
    return entries.append_column("known_sha256", pa.array(known or [None] * count, pa.string()))


@pytest.fixture
def staged(tmp_path):
    """Check pictures; returns the usable ones, the rejected rows, and the facts of all."""

    def run(pictures, *, max_pixels=10_000, **entries):
        check = PictureCheck(Given(tuple(pictures)), tmp_path, NOW, max_pixels)
        facts = check.stage(entries_of(len(pictures), **entries), tmp_path / "part.parquet")
        assert facts.schema == FACT_SCHEMA
        files = (tmp_path / "part.parquet", tmp_path / "rejected-part.parquet")
        return *(pq.read_table(file).to_pylist() if file.exists() else [] for file in files), facts.to_pylist()

    return run


def test_a_good_picture_gets_size_channels_and_hash(staged):
    (colour, grey), rejected, facts = staged([COLOUR, GREY])
    assert (colour["width"], colour["height"], colour["channels"]) == (30, 20, 3)
    assert (grey["width"], grey["height"], grey["channels"]) == (28, 28, 1)
    assert colour["image"] == COLOUR
    assert colour["image_sha256"] == hashlib.sha256(COLOUR).hexdigest() == facts[0]["image_sha256"]
    assert [tuple(fact[name] for name in ("width", "height", "channels")) for fact in facts] == [
        (30, 20, 3),
        (28, 28, 1),
    ]
    assert (facts[1]["n_bytes"], facts[1]["file"], facts[1]["reason"]) == (len(GREY), "part.parquet", None)
    assert rejected == []


def test_usable_pictures_and_rejected_rows_are_written_as_their_tables_have_them(staged, tmp_path):
    _, (row,), _ = staged([COLOUR, b"none"])
    stored = pq.read_schema(tmp_path / "part.parquet")
    assert [(field.name, field.nullable) for field in stored] == [(name, null) for name, _, null in BYTES_COLUMNS]
    assert list(row) == [name for name, _, _ in QUARANTINE_COLUMNS]
    assert (row["source"], row["ingested_at"], row["product_id"], row["price"]) == ("given", NOW, "p1", 9.5)


def test_a_bad_picture_keeps_its_row_its_bytes_and_a_reason(staged):
    large = encode_png(np.zeros((200, 200), np.uint8))
    refused = ImageRejected("It is encrypted.", code="encrypted")
    usable, rows, facts = staged([COLOUR[:-40], b"BM6 bitmap", None, b"", large, GREY, refused])
    expected = ["damaged", "not_an_image", "no_picture", "empty", "too_many_pixels", "encrypted"]
    assert [row["reason"].split(":")[0] for row in rows] == expected
    assert [fact["reason"] for fact in facts if fact["reason"]] == [row["reason"] for row in rows]
    assert [fact["file"] for fact in facts] == ["rejected-part.parquet"] * 5 + ["part.parquet", "rejected-part.parquet"]
    assert [row["image"] for row in usable] == [GREY]
    assert (rows[0]["image"], rows[2]["image"]) == (COLOUR[:-40], None)
    assert facts[0]["width"] is None


def reasons_of(rows):
    return Counter(row["reason"].split(":")[0] for row in rows)


def test_a_strip_among_good_pictures_is_left_out_with_its_reason(staged):
    usable, rows, _ = staged([GREY, png(6_550, 8), COLOUR], max_pixels=100_000)
    assert [row["image"] for row in usable] == [GREY, COLOUR]
    assert reasons_of(rows) == {"too_narrow": 1}


def test_the_strip_in_a_catalogue_of_an_attack_is_left_out(security_case, staged):
    table = security_case("strip_catalogue.csv").read_text("utf-8").splitlines()
    pictures = [base64.b64decode(row["image"].partition(",")[2]) for row in csv.DictReader(table)]
    usable, rows, _ = staged(pictures, max_pixels=16_000_000)
    assert (len(usable), reasons_of(rows)) == (40, {"too_narrow": 1})


def test_a_picture_that_the_catalogue_holds_is_neither_decoded_nor_staged(staged):
    held = hashlib.sha256(b"not even a picture").hexdigest()
    rows, _, facts = staged([GREY, b"not even a picture"], known=["0" * 64, held])
    assert [row["image"] for row in rows] == [GREY]
    assert (facts[1]["image_sha256"], facts[1]["reason"], facts[1]["file"]) == (held, None, None)


def test_what_the_driver_rejected_stays_rejected_whatever_its_picture(staged):
    reasons = ["duplicate_id: Twice.", "bad_price: None."]
    usable, rows, _ = staged([GREY, b"broken"], reasons=reasons)
    assert [row["reason"] for row in rows] == reasons
    assert (rows[0]["image"], usable) == (GREY, [])


def test_many_pictures_are_written_in_order_and_each_once(staged):
    pictures = [encode_png(np.full((16, 16), number, np.uint8)) for number in range(100)]
    rows, _, facts = staged([*pictures, *pictures[:50], *pictures] * 2)
    assert [row["image"] for row in rows] == pictures
    assert len(facts) == 500
    assert {fact["file"] for fact in facts} == {"part.parquet"}


def test_a_part_travels_as_bytes_there_and_back(tmp_path):
    check = PictureCheck(Given((GREY,)), tmp_path, NOW, 10_000)
    (answer,) = check(3, [to_bytes(entries_of(1))])
    facts = pa.ipc.open_stream(answer).read_all()
    assert facts["file"].to_pylist() == [path.name for path in tmp_path.iterdir()] == ["part-000003-000000000.parquet"]


# ------------------------------------------------------------------------------------------- further pictures


@dataclass(frozen=True)
class Located:
    """A source whose pictures are told by their locators."""

    pictures: dict[str, bytes]
    name: str = "located"

    def entries(self) -> pa.Table:
        raise AssertionError("executors never list")

    def read(self, entries: pa.RecordBatch) -> list[bytes | None]:
        return [self.pictures.get(locator) for locator in entries.column("locator").to_pylist()]


def sha(picture):
    return hashlib.sha256(picture).hexdigest()


def test_further_pictures_are_staged_in_order_and_one_that_cannot_be_read_is_left_out_with_a_warning(tmp_path):
    third = encode_png(np.full((16, 16), 3, np.uint8))
    source = Located(
        {"a": COLOUR, "b": GREY, "c": third, "broken": COLOUR[:-30], "held": b"neither decoded nor staged"}
    )
    columns = {
        "product_id": ["p0", "p1", "p2", "p3"],
        "locator": ["a", "b", "a", "nowhere"],
        "more_pictures": [["b", "broken", "c", "a", "b", "gone"], None, ["held"], ["c"]],
        "position": range(4),
    }
    entries = entry_table({**columns, "label": ["bag"] * 4, "split": ["train"] * 4})
    known = pa.array([None, None, [sha(b"neither decoded nor staged")], None], pa.list_(pa.string()))
    entries = entries.append_column("known_sha256", pa.nulls(4, pa.string())).append_column("known_more", known)
    facts = PictureCheck(source, tmp_path, NOW, 10_000).stage(entries, tmp_path / "part.parquet").to_pylist()
    assert [row["image"] for row in pq.read_table(tmp_path / "part.parquet").to_pylist()] == [COLOUR, GREY, third]
    assert [fact["more_sha256"] for fact in facts] == [
        [sha(GREY), sha(third)],
        None,
        [sha(b"neither decoded nor staged")],
        None,
    ]
    assert [fact["more_file"] for fact in facts] == ["part.parquet", None, None, None]
    assert facts[0]["warning"].splitlines() == ["further_unread: broken", "further_unread: gone"]
    assert [fact["reason"] is None for fact in facts] == [True, True, True, False]


def test_more_pictures_than_are_held_at_once_keep_their_order(tmp_path):
    pictures = {str(at): encode_png(np.full((16, 16), at, np.uint8)) for at in range(200)}
    columns = {"product_id": ["a", "b"], "locator": ["0", "1"], "position": range(2), "label": ["bag"] * 2}
    more = [[str(at) for at in range(2, 200)], [str(at) for at in range(199, 1, -1)]]
    entries = entry_table({**columns, "split": ["train"] * 2, "more_pictures": more})
    entries = entries.append_column("known_sha256", pa.nulls(2, pa.string()))
    facts = PictureCheck(Located(pictures), tmp_path, NOW, 10_000).stage(entries, tmp_path / "part.parquet").to_pylist()
    assert [fact["more_sha256"] for fact in facts] == [[sha(pictures[at]) for at in one] for one in more]
    assert pq.read_metadata(tmp_path / "part.parquet").num_rows == 200
