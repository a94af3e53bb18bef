"""Feeds as files: JSON lines, XML, Excel, packed, in any encoding, with quotes that nobody closed; no row is lost uncounted."""

from __future__ import annotations

import gzip
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.catalogue.sources.locations import detect
from backend.catalogue.sources.tables import csv_lines, streams
from backend.catalogue.sources.tables.files import TableFile
from backend.catalogue.sources.tables.opening import opened_table
from backend.errors import CatalogueError
from tests.support.workbooks import workbook

HEADER, ROWS = ["sku", "title", "price"], [["A1", "Möwe – groß", "1,50"], ["B2", 'a "b", c', "2"], ["007", "", "3"]]


def rows_of(path, **file):
    return list(opened_table(TableFile(path, **file), "csv", None).rows(None))


def values_of(path, **file):
    return [[str(row.values.get(name) or "") for name in HEADER] for row in rows_of(path, **file)]


def as_csv(delimiter=",", end="\n"):
    def quoted(cell):
        return '"' + cell.replace('"', '""') + '"'

    return "".join(delimiter.join(map(quoted, row)) + end for row in [HEADER, *ROWS])


def as_json():
    return "".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in ROWS)


def as_xml():
    def cells(row):
        parts = zip(HEADER, row, strict=True)
        return "".join(f"<g:{name}>{value}</g:{name}>" for name, value in parts)

    items = "".join(f"<item>{cells(row)}</item>" for row in ROWS)
    return f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel><title>All</title>{items}</channel></rss>'


FORMS = {
    "tab.tsv": as_csv("\t").encode(),
    "utf16.csv": as_csv(";").encode("utf-16"),
    "mac.csv": as_csv(end="\r").encode(),
    "bom.csv": ("\ufeffsep=;\n" + as_csv(";")).encode(),
    "windows.csv": as_csv(";").encode("cp1252"),
    "twice.csv": as_csv(";").encode().decode("cp1252").encode(),
    "comments.csv": ("# ref_application_id 123\n# another\n" + as_csv()).encode(),
    "lines.jsonl": as_json().encode(),
    "array.json": f"[{','.join(as_json().splitlines())}]".encode(),
    "feed.xml": as_xml().encode(),
    "feed16.xml": ('<?xml version="1.0" encoding="UTF-16"?>' + as_xml()).encode("utf-16"),
    "book.xlsx": workbook([HEADER, *ROWS]),
}


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_feed_gives_the_same_rows(tmp_path, name, packed):
    path = tmp_path / f"{name}{packed}"
    path.write_bytes(gzip.compress(FORMS[name]) if packed else FORMS[name])
    assert detect(path) == "csv"
    assert values_of(path) == ROWS


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_read_out_of_a_zip(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "shop.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"shop/{name}", FORMS[name])
    assert values_of(tmp_path / "shop.zip", member=f"shop/{name}") == ROWS


def test_a_list_is_cut_at_blanks_below_its_count(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("2\nimage_name item_id evaluation_status\nimg/a.jpg   id_1 train\nimg/b.jpg id_2    query\n")
    found = [list(row.values.values()) for row in rows_of(path)]
    assert found == [["img/a.jpg", "id_1", "train"], ["img/b.jpg", "id_2", "query"]]


# ------------------------------------------------------------------------------------------------ open quotes


def test_a_quote_that_never_closes_costs_no_other_row(tmp_path):
    path = tmp_path / "q.csv"
    path.write_text('sku,title,price\n1,Plain,1\n2,"Shelf 14" deep,2\n3,"never closed,3\n4,"two\nlines",4\n5,Plain,5\n')
    rows = rows_of(path)
    assert [row.values["sku"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [bool(row.warnings) for row in rows] == [False, False, True, False, False]
    assert rows[3].values["title"] == "two\nlines"


def test_what_no_row_can_be_made_of_is_one_row_that_says_how_many_lines(tmp_path):
    path = tmp_path / "q.csv"
    path.write_text('sku,title,price\n1,"open\nsome\nmore\n2,Plain,2\n')
    first, second = rows_of(path)
    assert first.problem == "bad_row: A quote in line 2 is never closed; 3 lines up to line 4 cannot be read."
    assert second.values["sku"] == "2"


@given(
    st.lists(st.sampled_from(["plain", 'say ""hi""', "two\nlines", "a,b", ""]), min_size=1, max_size=12),
    st.sets(st.integers(0, 11), max_size=3),
)
@hypothesis_settings(max_examples=80)
def test_whatever_quotes_stay_open_every_row_is_read_or_counted(tmp_path_factory, titles, opened):
    """A row whose quote stays open is one line here, so that every row is one of the answer."""
    lines = [f'{at},"open,{at}' if at in opened else f'{at},"{title}",{at}' for at, title in enumerate(titles)]
    path = tmp_path_factory.mktemp("q") / "q.csv"
    path.write_text("\n".join(["sku,title,price", *lines]) + "\n")
    rows = rows_of(path)
    assert [row.values.get("sku") for row in rows if row.problem is None] == [str(at) for at in range(len(titles))]
    assert sum(bool(row.warnings) for row in rows) == len([at for at in opened if at < len(titles)])


def test_many_open_quotes_are_read_in_linear_time(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_lines, "_MOST_LINES", 200)
    path = tmp_path / "q.csv"
    path.write_text("sku,title,price\n" + "".join(f'{at},"open,{at}\n' for at in range(2_000)))
    taken = []
    monkeypatch.setattr(csv_lines.Lines, "give_back", _counting(taken, csv_lines.Lines.give_back))
    assert len(rows_of(path)) == 2_000
    assert sum(taken) < 2_000 * 30


def _counting(taken, give_back):
    def counted(lines, kept):
        taken.append(len(lines.taken))
        give_back(lines, kept)

    return counted


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<rss><channel>\n<item><title>A & B</title></item></channel></rss>", "line 2, column 17"),
        ("<rss><channel><item><id>1</id></item></channel></rss>\n<b>Warning</b>", "line 2, column 1"),
        ('<!DOCTYPE r [<!ENTITY a "aa">]><r><item><id>&a;</id></item></r>', "defines entities"),
        (
            '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r><item><id>&x;</id></item></r>',
            "defines entities",
        ),
        ("<a>" * 100 + "</a>" * 100, "nested too deeply"),
        ("<shop><name>x</name></shop>", "no products"),
    ],
)
def test_xml_that_does_not_parse_is_said_with_line_and_column(tmp_path, text, words):
    path = tmp_path / "f.xml"
    path.write_text(text)
    with pytest.raises(CatalogueError, match=words) as caught:
        opened_table(TableFile(path), "csv", None).columns()
    assert caught.value.next_step


def test_json_that_is_none_is_counted_line_by_line(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('{"id": 1}\n{"id": \n[2]\n\n{"id": 3}\n')
    assert [row.problem and row.problem[:16] for row in rows_of(path)] == [
        None,
        "bad_row: Line 2 ",
        "bad_row: Line 3 ",
        None,
    ]
    path.write_text('[{"id": 1},\n{"id": }]')
    with pytest.raises(CatalogueError, match="line 2, column 8"):
        rows_of(path)


def test_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "FREE_BYTES", 100_000)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"sku,title\n" + b"1,a\n" * 1_000_000))
    with pytest.raises(CatalogueError, match="unpacks to more than"):
        rows_of(tmp_path / "b.csv.gz")
    (tmp_path / "far.xlsx").write_bytes(workbook([HEADER, *ROWS], far="XFD1048576"))
    with pytest.raises(CatalogueError, match="reaches to row 1,048,576 and column 16,384"):
        rows_of(tmp_path / "far.xlsx")


def test_a_damaged_file_is_said(tmp_path):
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(as_csv().encode() * 1000)[:-40])
    with pytest.raises(CatalogueError, match="damaged"):
        rows_of(tmp_path / "cut.csv.gz")
    (tmp_path / "cut.xlsx").write_bytes(workbook([HEADER, *ROWS])[:-300])
    with pytest.raises(CatalogueError, match="cut"):
        rows_of(tmp_path / "cut.xlsx")


# ------------------------------------------------------------------------------------------------ nested values


def test_of_several_languages_the_known_one_is_taken_and_lists_are_lines(tmp_path):
    path = tmp_path / "l.jsonl"
    row = {
        "item_id": "B1",
        "item_name": [{"language_tag": "de_DE", "value": "Stuhl"}, {"language_tag": "en_US", "value": "Chair"}],
        "node": [{"node_name": "/Furniture/Chairs"}],
        "other_image_id": ["x1", "x2"],
        "price": {"amount": 5, "currency": "EUR"},
    }
    path.write_text(json.dumps(row) + "\n")
    (found,) = rows_of(path)
    assert found.values == {
        "item_id": "B1",
        "item_name": "Chair",
        "node": "/Furniture/Chairs",
        "other_image_id": "x1\nx2",
        "price.amount": 5,
        "price.currency": "EUR",
    }


def test_an_element_without_a_prefix_counts_where_there_is_none_with_it(tmp_path):
    path = tmp_path / "f.xml"
    path.write_text(
        '<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><title>Own</title><g:title>Google</g:title>'
        "<link>L</link><g:img>1</g:img><g:img> 2 </g:img><g:shipping><g:price>6</g:price></g:shipping></item></channel></rss>"
    )
    assert rows_of(path)[0].values == {"title": "Google", "link": "L", "img": "1\n2", "shipping.price": "6"}
    path.write_text('<feed><entry><id>1</id><link rel="alternate" href="https://x"/></entry></feed>')
    assert rows_of(path)[0].values == {"id": "1", "link": "https://x"}
