"""The first look at a source: a few pictures, the columns, the labels, and what is amiss."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from backend.catalogue.fields import NAMES
from backend.catalogue.items import Rejected
from backend.catalogue.loading.quarantine_export import COLUMNS, TABLE, export_quarantine
from backend.catalogue.sources.parquet import table as parquet_table
from backend.catalogue.sources.preview import preview
from backend.catalogue.sources.tables import listing
from backend.errors import CatalogueError, DatasetUnavailable
from backend.imaging.pixels import verify
from tests.support.pictures import encoded, put


@pytest.fixture
def shop(tmp_path):
    put(tmp_path / "shop", *(f"{label}/{number:03d}.jpg" for label in ("bag", "coat") for number in range(50)))
    return tmp_path / "shop"


def test_a_folder_shows_pictures_from_all_over_it(shop):
    seen = preview("folder", shop, limit=5)
    assert (seen.kind, seen.name, seen.total) == ("folder", "shop", 100)
    assert seen.labels == {"bag": 50, "coat": 50}
    assert seen.columns == ()
    assert seen.mapping == {}
    assert seen.notes == ()
    assert [row.product_id for row in seen.rows] == ["bag/000", "bag/025", "coat/000", "coat/024", "coat/049"]
    assert all(verify(row.thumbnail).width == 24 and row.reason is None for row in seen.rows)


def test_no_more_pictures_are_read_than_shown(tmp_path, monkeypatch):
    text = "sku,image\n" + "".join(f"{number},{number}.png\n" for number in range(1000))
    (tmp_path / "t.csv").write_text(text)
    for number in range(1000):
        (tmp_path / f"{number}.png").touch()
    read = []
    monkeypatch.setattr(listing.PictureFolder, "reader", lambda _self: read.append)
    assert preview("csv", tmp_path / "t.csv").total == 1000
    assert len(read) == 12
    assert {row.reason for row in preview("csv", tmp_path / "t.csv", limit=3).rows} == {
        f"no_picture: There is no file {number}.png." for number in (0, 500, 999)
    }


def test_of_a_large_parquet_table_the_first_rows_of_its_row_groups_are_shown(tmp_path, monkeypatch):
    table = pa.table({"sku": [f"{i:02d}" for i in range(60)], "image": [encoded(i) for i in range(60)]})
    (tmp_path / "t").mkdir()
    for name in ("0", "1"):
        part = table.slice(30 * int(name), 30)
        pq.write_table(part, tmp_path / "t" / f"{name}.parquet", row_group_size=20)
    assert [row.product_id for row in preview("parquet", tmp_path / "t", limit=5).rows] == [
        "00",
        "15",
        "30",
        "44",
        "59",
    ]
    monkeypatch.setattr(parquet_table, "_SMALL_BYTES", 0)
    seen = preview("parquet", tmp_path / "t", limit=5)
    assert [row.product_id for row in seen.rows] == ["00", "01", "30", "31", "50"]
    assert [row.thumbnail for row in seen.rows] == [encoded(i) for i in (0, 1, 30, 31, 50)]


def test_a_small_source_is_shown_whole(tmp_path):
    put(tmp_path / "shop", "a.png", "b.png")
    seen = preview("folder", tmp_path / "shop")
    assert [row.product_id for row in seen.rows] == ["a", "b"]
    assert seen.notes == (
        "No labels were found: put the pictures into one subfolder per label, or load the products without labels, for results only.",
    )


def test_what_is_amiss_is_said(shop):
    put(shop, "top.png", "bag/x.psd", "bag/y.bmp", "coat/z.jp2")
    (shop / "bag" / "000.jpg").write_bytes(b"\xff\xd8\xff broken")
    seen = preview("folder", shop, limit=200)
    assert seen.notes == (
        "One product has no label: it appears in results, but Twinset does not learn from it.",
        "3 of 104 products will be rejected: unsupported format.",
    )
    reasons = {row.product_id: row.reason and row.reason.partition(":")[0] for row in seen.rows if row.reason}
    assert reasons == {"bag/000": "damaged", **dict.fromkeys(["bag/x", "bag/y", "coat/z"], "unsupported_format")}


def test_a_table_shows_its_columns_and_the_guess(tmp_path):
    images = pa.array([encoded(i) for i in range(4)], pa.binary())
    table = pa.table({"sku": list("ABCD"), "raw": images, "Name": ["a", "b", "c", "d"], "part": ["val"] * 4})
    pq.write_table(table, tmp_path / "t.parquet")
    write_deltalake(tmp_path / "d", table)
    for kind, name in (("parquet", "t.parquet"), ("delta", "d")):
        seen = preview(kind, tmp_path / name)
        assert seen.columns == ("sku", "raw", "Name", "part")
        assert seen.mapping == {"product_id": "sku", "image": "raw", "title": "Name"}
        assert [(row.product_id, row.title, row.split) for row in seen.rows[:1]] == [("A", "a", None)]
        assert [row.thumbnail for row in seen.rows] == images.to_pylist()
        assert seen.notes == (
            "No labels were found: choose a column for them, or load the products without labels, for results only.",
        )
    by_hand = preview("parquet", tmp_path / "t.parquet", columns={"image": "raw", "split": "part", "label": "sku"})
    assert {row.split for row in by_hand.rows} == {"validation"}
    assert by_hand.labels == dict.fromkeys("ABCD", 1)


def test_a_table_is_shown_while_no_column_is_known_to_have_the_pictures(tmp_path):
    (tmp_path / "t.csv").write_text("sku,what\nA,a.png\nB,b.png\n")
    seen = preview("csv", tmp_path / "t.csv")
    assert (seen.total, seen.columns, seen.mapping) == (2, ("sku", "what"), {"product_id": "sku"})
    assert seen.notes[0] == "No column was recognised as the pictures: choose one."
    assert [row.product_id for row in seen.rows] == ["A", "B"]
    with pytest.raises(CatalogueError, match="no column 'x'"):
        preview("csv", tmp_path / "t.csv", columns={"title": "x"})


def test_an_export_of_the_quarantine_comes_back(tmp_path):
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS)
    writer.writeheader()
    row = dict.fromkeys(COLUMNS, "")
    writer.writerow({**row, "product_id": "A1", "image": "images/00000-A1.png", "label": "bag", "price": "12.5"})
    writer.writerow({**row, "image": "images/00001-.png", "reason": "no_id: It has none.", "source_row": '{"a": "b"}'})
    with zipfile.ZipFile(tmp_path / "quarantine.zip", "w") as archive:
        for number, name in enumerate(("images/00000-A1.png", "images/00001-.png")):
            archive.writestr(name, encoded(number))
        archive.writestr(TABLE, table.getvalue())
    seen = preview("zip", tmp_path / "quarantine.zip")
    wanted = ("product_id", "image", "label", "split", *NAMES)
    assert seen.mapping == {name: name for name in wanted}
    assert [(row.product_id, row.label, row.thumbnail) for row in seen.rows] == [
        ("A1", "bag", encoded(0)),
        (None, None, encoded(1)),
    ]


class Rows:
    """Rejected rows, as a catalogue or a checked load gives them."""

    def __init__(self, *rows):
        self.rows = rows

    def rejected(self, *, limit, offset=0):
        return list(self.rows[offset : offset + limit])


def test_an_export_runs_nothing_in_a_spreadsheet_and_loads_as_it_was(tmp_path):
    said = {"product_id": "=cmd|' /C calc'!A0", "label": "@SUM(1)", "title": "+49", "brand": "'-x", "source": "-s.csv"}
    found = Rejected(**said, reason="bad_row: It is off.", image=encoded(1), split=None, price=-1.0)
    packed = export_quarantine(Rows(found))
    (tmp_path / "quarantine.zip").write_bytes(packed)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        (row,) = csv.DictReader(io.StringIO(archive.read(TABLE).decode()))
    assert [value for name, value in row.items() if name != "price" and value.startswith(tuple("=+-@"))] == []
    assert row["price"] == "-1.0"
    (seen,) = preview("zip", tmp_path / "quarantine.zip").rows
    assert (seen.product_id, seen.label, seen.title) == (said["product_id"], said["label"], said["title"])
    assert seen.thumbnail == encoded(1)


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(DatasetUnavailable):
        preview("folder", tmp_path / "none")


@pytest.mark.slow
def test_a_preview_loads_neither_spark_nor_tensorflow(repository):
    code = (
        "import sys, backend.catalogue.sources.preview\n"
        "print([name for name in ('pyspark', 'delta', 'tensorflow', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
