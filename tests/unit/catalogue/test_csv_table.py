"""Rows of a CSV are found again by the byte that each starts at, whoever wrote the file, as Python's own reader has them."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from backend.catalogue.sources.tables.csv_table import CsvTable
from backend.catalogue.sources.tables.files import TableFile
from backend.errors import CatalogueError

NAMES = ["sku", "image", "title"]
# What makes trouble in a CSV, letters of one, two, three and four bytes, and, for Windows, letters that no UTF-8 begins with.
LETTERS = {
    "utf-8": "ab \"',;\t|\n\r=é€漢😀\u2028\x85\x0b\x0c\x1c",
    "utf-8-sig": "ab \"',;\t|\n\ré€漢😀\ufeff",
    "cp1252": "ab \"',;\t|\n\réüßñ",
}
FIRST = "A"  # a row that begins with it is neither blank nor a line for spreadsheets


def written(rows, delimiter, end, quotes):
    """CSV text; ``quotes`` says of each cell in turn whether it is quoted although it need not be."""
    special = {delimiter, '"', "\r", "\n"}
    choice = iter(quotes)

    def cell(value):
        if next(choice, False) or special & {*value}:
            return '"' + value.replace('"', '""') + '"'
        return value

    return "".join(delimiter.join(map(cell, row)) + end for row in [NAMES, *rows])


@st.composite
def files(draw):
    """The bytes of a file, its text as Python's reader is to see it, and the separator."""
    encoding = draw(st.sampled_from(sorted(LETTERS)))
    cells = st.text(st.sampled_from(LETTERS[encoding]), max_size=6)
    rows = draw(st.lists(st.tuples(cells.map(FIRST.__add__), cells, cells), max_size=6))
    delimiter, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = written(rows, delimiter, end, draw(st.lists(st.booleans(), max_size=21)))
    text = text if draw(st.booleans()) else text.removesuffix(end)
    data = text.encode(encoding)
    if draw(st.booleans()):  # some spreadsheets say the separator first
        said = f"sep={delimiter}{end}"
        data = said.encode(encoding) + text.encode(encoding.removesuffix("-sig"))
    return data, text.replace("\r", "\n") if end == "\r" else text, delimiter


@given(files(), st.randoms(use_true_random=False))
@profile(max_examples=50)
def test_every_row_is_where_it_is_said_to_be_and_is_as_pythons_reader_has_it(tmp_path_factory, file, random):
    data, text, delimiter = file
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    names, *expected = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    table = CsvTable(TableFile(path))
    rows = list(table.rows("image"))
    assert list(table.columns()) == names == NAMES
    assert [(row.problem, list(row.values.values())) for row in rows] == [(None, values) for values in expected]
    locators = [row.locator for row in rows]
    random.shuffle(locators)
    for at, name in enumerate(NAMES):
        found = table.cells(locators, name)
        assert [found[row.locator] for row in rows] == [values[at] for values in expected]
    for row in rows:
        assert data[int(row.locator.removeprefix("/#")) :].lstrip(b'"').startswith(FIRST.encode())


@given(st.binary(max_size=120) | st.text(st.sampled_from("ab,;\"\r\n\t'|=\x00é"), max_size=60).map(str.encode))
@profile(max_examples=50)
def test_any_bytes_are_rows_or_refused_in_a_sentence(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "bytes.csv"
    path.write_bytes(data)
    table = CsvTable(TableFile(path))
    try:
        rows = list(table.rows("image"))
    except CatalogueError:
        return
    name = next(iter(table.columns()))
    found = table.cells([row.locator for row in rows], name)
    assert found == {row.locator: row.values[name] for row in rows if name in row.values}
