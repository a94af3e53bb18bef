"""Parquet files from strangers: judged by their ends and the heads of their pages, before a value is read."""

from __future__ import annotations

import os
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.catalogue.sources.looking import Looking, Question
from backend.catalogue.sources.parquet import bounds
from backend.catalogue.sources.parquet.bounds import rows_at_once, sizes_of
from backend.catalogue.sources.parquet.footer import plain_footer
from backend.catalogue.sources.preview import preview
from backend.catalogue.sources.tables.listing import TableSource
from backend.errors import CatalogueError
from tests.support.pictures import encoded

IMAGE = (("image", "image"),)


def source(path, **columns):
    return TableSource(path, (*IMAGE, *columns.items()), "parquet")


def refused(path, words):
    """Both the preview and the load refuse it, in words and with a next step."""
    for ask in (lambda: preview("parquet", path), source(path).entries):
        with pytest.raises(CatalogueError, match=words) as caught:
            ask()
        assert caught.value.next_step


def repeated(values, indices):
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(values))


def write(path, columns, **options):
    pq.write_table(pa.table(columns), path, compression="zstd", **options)
    return path


def test_more_rows_than_are_loaded_at_once_are_refused(tmp_path):
    path = write(tmp_path / "t.parquet", {"image": pa.nulls(5_000_001, pa.string())}, row_group_size=5_000_001)
    assert path.stat().st_size < 5_000
    refused(path, r"t\.parquet has 5,000,001 rows or more; at most 5,000,000 can be loaded")


def test_rows_that_take_no_space_are_refused(tmp_path):
    path = write(tmp_path / "t.parquet", {"image": pa.nulls(300_000, pa.string())})
    refused(path, r"claims 300,000 rows in [0-9]+ bytes")


def test_a_long_text_that_all_rows_refer_to_is_refused(tmp_path):
    rows = 300_000
    label = repeated(["x" * 100_000], np.zeros(rows, np.int32))
    path = write(tmp_path / "t.parquet", {"image": [str(row) for row in range(rows)], "label": label})
    refused(path, r"The texts in t\.parquet come to 30\.0 GB")


def test_a_long_text_among_short_ones_is_refused_once_it_is_met(tmp_path):
    rows = 2_000
    words = ["x" * 900_000, *map(str, range(20_000))]
    label = repeated(words, np.zeros(rows, np.int32))
    columns = {"image": [str(row) for row in range(rows)], "label": label}
    path = write(tmp_path / "t.parquet", columns)
    with pytest.raises(CatalogueError, match=r"The texts in t\.parquet"):
        source(path, label="label").entries()


def test_texts_of_large_dictionaries_are_read_as_they_are(tmp_path):
    rows = 3_000
    titles = [None if row % 7 == 0 else f"{row} " + "long " * 60 for row in range(rows)]
    kinds = [f"kind {row % 3}" for row in range(rows)]
    columns = {"image": [f"{row}.png" for row in range(rows)], "title": titles, "kind": kinds, "n": list(range(rows))}
    path = write(tmp_path / "t.parquet", columns)
    assert sizes_of(path, pq.read_metadata(path)).longest * 1_024 > bounds.BATCH_BYTES
    entries = source(path, title="title", label="kind", stock="n").entries()
    assert entries["title"].to_pylist() == [title and title.strip() for title in titles]
    assert entries["label"].to_pylist() == kinds
    assert entries["stock"].to_pylist() == list(range(rows))


@pytest.fixture
def inflated(tmp_path, monkeypatch):
    """A file of plain texts that shrink by more than a thousand, and a limit that it exceeds."""
    monkeypatch.setattr(bounds, "FREE_BYTES", 3_000_000)
    texts = ["a" * 100_000] * 40
    return write(tmp_path / "t.parquet", {"image": texts}, use_dictionary=False, data_page_size=1 << 16)


def test_a_file_that_unpacks_to_far_more_than_its_size_is_refused(inflated):
    refused(inflated, r"would unpack to 4 MB from 0\.0 MB, more than 100 times as much")


def test_the_end_may_not_lie_about_what_the_pages_unpack_to(inflated):
    told = pq.read_metadata(inflated).row_group(0).column(0).total_uncompressed_size
    data = inflated.read_bytes()
    truth = varint(2 * told)  # zigzag
    lie = bytes([0x80 | 100, *[0x80] * (len(truth) - 2), 0])  # 50, in as many bytes
    inflated.write_bytes(data.replace(truth, lie))
    assert pq.read_metadata(inflated).row_group(0).column(0).total_uncompressed_size == 50
    refused(inflated, "would unpack to 4 MB")


def varint(value):
    found = []
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


@pytest.mark.slow
def test_a_page_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path):
    texts = ["a" * 1_000_000] * 70
    path = write(tmp_path / "t.parquet", {"image": texts}, use_dictionary=False, data_page_size=1 << 30)
    refused(path, "A page of the Parquet file would unpack to 70 MB")


def test_an_end_that_is_too_long_is_not_read(tmp_path):
    path = tmp_path / "t.parquet"
    with path.open("wb") as file:
        file.write(b"PAR1")
        os.truncate(path, 40_000_000)  # a hole
        file.seek(40_000_000)
        file.write((33_000_000).to_bytes(4, "little") + b"PAR1")
    refused(path, "The footer of the Parquet file has 33 MB")


def test_more_columns_than_products_have_are_refused(tmp_path):
    path = write(tmp_path / "t.parquet", {f"c{number}": [1] for number in range(2_001)})
    refused(path, "has 2,001 columns")


def test_a_large_picture_that_many_rows_refer_to_is_read_in_few_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "BATCH_BYTES", 3_000)
    pictures = [encoded(1) + bytes(900), encoded(2)]
    columns = {"image": pictures * 20, "id": [str(row) for row in range(40)]}
    path = write(tmp_path / "t.parquet", columns, row_group_size=40)
    metadata = pq.read_metadata(path)
    assert rows_at_once(path, metadata, 0, "image", 32) == 2
    found = source(path, product_id="id")
    assert found.read(found.entries().to_batches()[0]) == pictures * 20


@settings(max_examples=200)
@given(data=st.binary(max_size=300))
def test_walking_through_what_is_no_end_and_no_page_ends(data):
    file = pa.BufferReader(b"PAR1" + data + len(data).to_bytes(4, "little") + b"PAR1")
    plain_footer(file)
    with suppress(pa.ArrowInvalid, CatalogueError):
        list(bounds._pages(pa.BufferReader(data), 0, len(data)))


@pytest.mark.parametrize("data", [b"\x1c" * 5_000, b"\x15" + b"\xff" * 300_000, b"\x19\xf3" + b"\xff" * 9 + b"\x01"])
def test_deep_endless_and_enormous_values_are_damage(data):
    with pytest.raises(pa.ArrowInvalid):
        list(bounds._pages(pa.BufferReader(data), 0, len(data)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [("dict_bomb.parquet", r"come to 30\.0 GB"), ("null50M.parquet", "has 50,000,000 rows or more")],
)
def test_the_bombs_of_the_attack_are_refused(security_case, name, words):
    path = security_case(name)
    refused(path, words)
    with Looking(Question("parquet", str(path))) as looking, pytest.raises(CatalogueError, match=words):
        looking.found(60)
