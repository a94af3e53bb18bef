"""Paths are allowed by a setting, kinds are found by looking, uploads are kept by their content."""

from __future__ import annotations

import errno
import io
import os
import zipfile
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from backend.catalogue.sources import locations
from backend.catalogue.sources.locations import detect, keep_upload, open_source, require_allowed, source_roots
from backend.catalogue.sources.pictures.listing import FolderSource, ZipSource
from backend.catalogue.sources.tables.listing import TableSource
from backend.errors import CatalogueError, DatasetUnavailable, StorageFailed, StorageFull
from tests.support.pictures import encoded, put

TABLE = pa.table({"sku": ["A"], "photo": [b"x"]})


def opened(kind, path, columns=None, label_from="folder", version=None, name=""):
    return open_source(kind, path, columns=columns, label_from=label_from, version=version, name=name)


def zipped(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, encoded() if name.endswith(".png") else "sku,photo\nA,a.png\n")
    return path


# ------------------------------------------------------------------------------------------------ roots


def test_no_roots_allow_the_uploads_only(settings, tmp_path):
    assert source_roots(settings) == []
    inside = settings.uploads_dir / "0123" / "x.csv"
    assert require_allowed(inside, settings) == inside.resolve()
    with pytest.raises(CatalogueError, match="not in a folder from which products may be loaded") as caught:
        require_allowed(tmp_path, settings)
    assert "TWINSET_SOURCE_ROOTS" in caught.value.next_step


def test_paths_below_a_root_are_allowed_and_no_others(settings, tmp_path):
    for name in ("one", "two", "one-more"):
        put(tmp_path / name, "bag/1.png")
    settings = replace(settings, source_roots=os.pathsep.join([str(tmp_path / "one"), f" {tmp_path / 'two'}/ ", ""]))
    assert source_roots(settings) == [tmp_path / "one", tmp_path / "two"]
    for path in (tmp_path / "one", tmp_path / "two" / "bag" / "1.png", tmp_path / "one" / "none"):
        assert require_allowed(path, settings) == path
    (tmp_path / "one" / "out").symlink_to(tmp_path / "one-more")
    (tmp_path / "in").symlink_to(tmp_path / "one")
    assert require_allowed(tmp_path / "in" / "bag", settings) == tmp_path / "one" / "bag"
    for path in (tmp_path, tmp_path / "one-more", tmp_path / "one" / ".." / "one-more", tmp_path / "one" / "out"):
        with pytest.raises(CatalogueError, match="not in a folder"):
            require_allowed(path, settings)


# ------------------------------------------------------------------------------------------------ kinds


def test_kinds_are_found_by_looking(tmp_path):
    put(tmp_path / "photos", "bag/1.png")
    pq.write_table(TABLE, tmp_path / "table.data")
    (tmp_path / "parts").mkdir()
    for name in ("0.parquet", "1.parquet", "_SUCCESS", ".x.crc"):
        pq.write_table(TABLE, tmp_path / "parts" / name)
    put(tmp_path / "mixed", "1.png")
    pq.write_table(TABLE, tmp_path / "mixed" / "0.parquet")
    write_deltalake(tmp_path / "delta", TABLE)
    zipped(tmp_path / "x.dat", "1.png")
    for name in ("a.csv", "b.TSV", "c.txt"):
        (tmp_path / name).write_text("sku\n")
    (tmp_path / "empty").mkdir()
    expected = {
        "photos": "folder",
        "mixed": "folder",
        "empty": "folder",
        "parts": "parquet",
        "delta": "delta",
        "table.data": "parquet",
        "x.dat": "zip",
        "a.csv": "csv",
        "b.TSV": "csv",
        "c.txt": "csv",
    }
    assert {name: detect(tmp_path / name) for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "words", "step"),
    [
        ("sheet.xlsx", "not a xlsx file", "Save"),
        ("sheet.xls", "cannot be loaded from a xls file", "CSV"),
        ("one.jpg", "cannot be loaded from a jpg file", "folder that contains the pictures"),
        ("x.tar.gz", "cannot be loaded from a tar file", "Unpack"),
        ("x.zip", "is not a zip file", "again"),
        ("x.parquet", "is not a parquet file", "again"),
        ("x.bin", "Unsupported file type: x.bin", "Choose a folder"),
    ],
)
def test_what_is_none_gets_a_sentence_and_a_way_out(tmp_path, name, words, step):
    (tmp_path / name).write_bytes(b"\0\1\2\3 nothing")
    with pytest.raises(CatalogueError, match=words) as caught:
        detect(tmp_path / name)
    assert step in caught.value.next_step


def test_nothing_there_and_nothing_readable_are_told_apart(tmp_path, monkeypatch):
    with pytest.raises(DatasetUnavailable, match="does not exist"):
        detect(tmp_path / "none")
    (tmp_path / "x.csv").write_text("x")

    def refusing(*_args):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(locations, "open_plain", refusing)
    with pytest.raises(CatalogueError, match="cannot be read: Permission denied"):
        detect(tmp_path / "x.csv")


# ---------------------------------------------------------------------------------------------- sources


def test_each_kind_opens_its_source(tmp_path):
    put(tmp_path / "photos", "bag/1.png")
    pq.write_table(TABLE, tmp_path / "t.parquet")
    write_deltalake(tmp_path / "delta", TABLE)
    (tmp_path / "t.csv").write_text("sku,photo\nA,a.png\n")
    guessed = (("product_id", "sku"), ("image", "photo"))
    assert opened("folder", tmp_path / "photos", label_from="none") == FolderSource(tmp_path / "photos", "none")
    path = zipped(tmp_path / "x.zip", "bag/1.png")
    assert opened("zip", path, name="mine") == ZipSource(path, "folder", "mine")
    for kind, name in (("csv", "t.csv"), ("parquet", "t.parquet"), ("delta", "delta")):
        path = tmp_path / name
        assert opened(kind, path) == TableSource(path, guessed, kind)
        assert opened(kind, path, columns={"image": "sku"}, version=0).columns == (("image", "sku"),)
    path = zipped(tmp_path / "y.zip", "shop/p.csv", "shop/a.png")
    assert opened("zip", path) == TableSource(path, guessed, "csv", member="shop/p.csv")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(tmp_path / "t.parquet", "p.parquet")
    assert opened("zip", tmp_path / "z.zip", {}).kind == "parquet"


def test_a_table_without_a_known_picture_column_opens_so_that_one_can_be_chosen(tmp_path):
    (tmp_path / "t.csv").write_text("sku,what\nA,a.png\n")
    assert opened("csv", tmp_path / "t.csv").columns == (("product_id", "sku"),)


# ---------------------------------------------------------------------------------------------- uploads


def test_the_same_upload_is_the_same_path(settings):
    first = keep_upload(settings, "Spring 2026.csv", b"sku,image\n")
    again = keep_upload(settings, "Spring 2026.csv", io.BytesIO(b"sku,image\n"))
    other = keep_upload(settings, "Spring 2026.csv", b"sku,photo\n")
    assert first == again != other
    assert first.name == "Spring_2026.csv"
    assert first.read_bytes() == b"sku,image\n"
    assert first.parent.parent == settings.uploads_dir
    assert len(first.parent.name) == 16
    assert sorted(settings.uploads_dir.iterdir()) == sorted([first.parent, other.parent])
    assert require_allowed(first, settings) == first.resolve()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\photos.zip", "photos.zip"),
        (".hidden", "hidden"),
        ("", "upload"),
        ("..", "upload"),
        ("a/", "upload"),
        ("Größe <1>.csv", "Größe_1_.csv"),
        ("a\0b\n.csv", "a_b_.csv"),
        ("x" * 300 + ".parquet", "x" * 52 + ".parquet"),
        ("語" * 300, "語" * 60),
    ],
)
def test_only_what_is_safe_of_a_name_is_kept(settings, name, kept):
    path = keep_upload(settings, name, b"x")
    assert path.name == kept
    assert path.resolve().is_relative_to(settings.uploads_dir.resolve())
    assert path.read_bytes() == b"x"


def test_an_upload_that_is_too_large_leaves_nothing(settings):
    small = replace(settings, max_source_upload_mb=1)
    with pytest.raises(CatalogueError, match="larger than the 1 MB allowed"):
        keep_upload(small, "x.zip", b"x" * 1_000_001)
    assert list(settings.uploads_dir.iterdir()) == []
    assert keep_upload(small, "x.zip", b"x" * 1_000_000).stat().st_size == 1_000_000


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EIO, StorageFailed), (errno.EACCES, CatalogueError)]
)
def test_a_disk_that_fails_leaves_nothing(settings, monkeypatch, number, error):
    def failing(*_args, **_options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locations, "_copied", failing)
    with pytest.raises(error):
        keep_upload(settings, "x.zip", b"x")
    assert list(settings.uploads_dir.iterdir()) == []


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "products.csv")
    with pytest.raises(CatalogueError, match="Not a regular file"):
        detect(tmp_path / "products.csv")
    with pytest.raises(CatalogueError, match="Not a regular file"):
        open_source("folder", tmp_path, columns=None, label_from="folder", version=None)
    os.mkfifo(tmp_path / "products.zip")
    with pytest.raises(CatalogueError):
        open_source("zip", tmp_path / "products.zip", columns=None, label_from="folder", version=None)
