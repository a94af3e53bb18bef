"""Zips from strangers: bombs of every kind are refused in words, at little cost."""

from __future__ import annotations

import tracemalloc
import zipfile
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.catalogue.sources import zip_bounds
from backend.catalogue.sources.locations import detect, open_source
from backend.catalogue.sources.pictures.listing import ZipSource
from backend.catalogue.sources.preview import preview
from backend.catalogue.sources.tables.choice import tables_in
from backend.errors import CatalogueError
from tests.support import zip_bombs
from tests.support.pictures import codes_of, encoded, pictures_of
from tests.support.zip_bombs import BZIP2, DEFLATED, LZMA, STORED, Member, zeros


@contextmanager
def little_memory(most=30_000_000):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def picture(name, seed=0):
    data = encoded(seed)
    return Member(name, data, STORED, len(data), zip_bombs.zlib.crc32(data))


@pytest.mark.slow
@pytest.mark.parametrize("method", [DEFLATED, BZIP2, LZMA])
@pytest.mark.parametrize("says", [1_000, 20_000_000])
def test_what_unpacks_to_more_than_the_list_says_is_damaged(tmp_path, method, says):
    bomb = zeros("bag/0.png", 100_000_000, says=says, method=method)
    path = zip_bombs.write(tmp_path / "a.zip", [bomb, picture("bag/1.png")])
    source = ZipSource(path)
    entries = source.entries()
    with little_memory(most=2 * says + 30_000_000):
        found = pictures_of(source, entries)
    assert (found["bag/0"].code, found["bag/1"]) == ("damaged", encoded())


@pytest.mark.slow
def test_a_zip_that_unpacks_to_far_more_than_its_size_is_refused_by_its_list(tmp_path):
    path = zip_bombs.write(tmp_path / "a.zip", [zeros(f"{number}.png", 60_000_000) for number in range(5)])
    with little_memory(), pytest.raises(CatalogueError, match=r"has 0\.3 MB and would unpack to 300 MB") as caught:
        preview("zip", path)
    assert caught.value.next_step


def test_files_that_lie_in_one_another_are_refused(tmp_path):
    kernel = zeros("0.png", 1_000_000)
    copies = [Member(f"{number}.png", kernel.packed, size=1_000_000, at=0) for number in range(1, 500)]
    path = zip_bombs.write(tmp_path / "a.zip", [kernel, *copies])
    assert detect(path) == "zip"
    for ask in (lambda: preview("zip", path), lambda: tables_in("zip", path)):
        with pytest.raises(CatalogueError, match="overlap"):
            ask()


def test_the_list_may_not_lie_in_the_files_either(tmp_path):
    path = zip_bombs.write(tmp_path / "a.zip", [picture("0.png"), Member("1.png", b"", STORED, 10, at=30)])
    with pytest.raises(CatalogueError, match="overlap"):
        preview("zip", path)


def test_a_list_that_is_too_long_is_not_read(tmp_path):
    path = zip_bombs.write(tmp_path / "a.zip", [picture("0.png")], list_bytes=3_900_000_000)
    with pytest.raises(CatalogueError, match=r"too many files: their list has 3,900 MB"):
        preview("zip", path)


def test_many_files_are_refused_before_they_are_held_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(zip_bounds, "MAX_LIST_BYTES", 100_000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(2_000):
            archive.writestr(f"{number:06d}.png", b"")
    with pytest.raises(CatalogueError, match="too many files"):
        ZipSource(tmp_path / "a.zip").entries()


def test_zips_in_zips_are_never_unpacked(tmp_path):
    (tmp_path / "42.zip").write_bytes(zip_bombs.nested(4))
    with little_memory(), pytest.raises(CatalogueError, match="contains no picture"):
        preview("zip", tmp_path / "42.zip")


@pytest.mark.slow
def test_a_table_in_a_zip_that_is_none_is_given_up_at_its_first_bytes(tmp_path):
    path = zip_bombs.write(tmp_path / "a.zip", [zeros("products.parquet", 200_000_000)])
    with little_memory(), pytest.raises(CatalogueError, match="not a Parquet file, or it is damaged"):
        open_source("zip", path, columns=None, label_from="folder", version=None)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_tables_in_zips_of_rarer_kinds_are_read(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("products.csv", "sku,image,label\n" + "".join(f"A{n},bag/{n}.png,bag\n" for n in range(3_000)))
        archive.writestr("bag/2999.png", encoded())
        archive.writestr("bag/0", encoded())
    seen = preview("zip", tmp_path / "a.zip")
    assert (seen.total, seen.labels, seen.rows[-1].thumbnail) == (3_000, {"bag": 3_000}, encoded())


def test_honest_zips_of_many_small_files_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(200):
            archive.writestr(f"bag/{number}.png", encoded(number))
        archive.writestr("notes.txt", "a" * 10_000_000)  # shrinks by a thousand, in a small zip
    assert preview("zip", tmp_path / "a.zip").total == 200


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bag/0.png", encoded())
        archive.writestr("täsche/1.png", encoded(1))
        archive.writestr("products.csv", "sku,image\nA,bag/0.png\n")
    return path


@settings(max_examples=60)
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4))
def test_whatever_is_broken_in_a_zip_is_said_in_words(honest, tmp_path_factory, changes):
    data = bytearray(honest.read_bytes())
    for at, piece in changes:
        start = len(data) - 1 - at % len(data)
        data[start : start + len(piece)] = piece
    path = tmp_path_factory.mktemp("broken") / "a.zip"
    path.write_bytes(data)
    with suppress(CatalogueError):
        assert preview(detect(path), path).total > 0


def test_a_picture_that_is_refused_does_not_take_the_others_along(tmp_path):
    path = zip_bombs.write(tmp_path / "a.zip", [zeros("a.png", 70_000_000), picture("b.png")])
    assert codes_of(ZipSource(path).entries()) == {"a": "too_large", "b": None}
