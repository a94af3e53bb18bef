"""Values as exports write them: words for nothing, prices of many countries, rows that end in separators."""

from __future__ import annotations

import base64
import math

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.catalogue.loading.load_warnings import counted
from backend.catalogue.sources.pictures.names import Place
from backend.catalogue.sources.preview import preview
from backend.catalogue.sources.tables.listing import TableSource
from backend.catalogue.sources.tables.rows import LONGEST_LABEL, Row, RowReading
from backend.catalogue.sources.tables.values import parse_price, plain_text, text_of
from tests.support.pictures import encoded, pictures_of, put

NOTHING = ("", "NULL", "null", "nan", "NaN", "N/A", "n/a", "NA", "\\N", "None", "#N/A", "#NV", "<NA>", "-", "undefined")
FIELDS = ("label", "title", "category", "brand", "colour", "price", "stock", "split")


@given(
    st.sampled_from([*NOTHING, "EMPTY", "(null)", "nil", "#VALUE!"]),
    st.text(" \t", max_size=3),
    st.text(" \t", max_size=3),
    st.sampled_from(FIELDS),
)
@hypothesis_settings(max_examples=100)
def test_words_for_nothing_are_nothing_in_any_column(word, before, behind, field):
    reading = RowReading({"product_id": "id", "image": "image", field: "x"}, is_inside=False, locate=Place)
    entry = reading.entry(Row(0, {"id": "A", "image": "a.png", "x": before + word + behind}, "/#0"))
    assert (entry[field], entry["reason"], entry["warning"]) == (None, None, None)


@given(st.text("ab ", min_size=1, max_size=3), st.integers(1, 12_000))
@hypothesis_settings(max_examples=50)
def test_a_label_is_bounded_and_that_is_counted(pattern, length):
    label = (pattern * length)[:length].strip() or "a"
    reading = RowReading({"product_id": "id", "image": "image", "label": "x"}, is_inside=False, locate=Place)
    entry = reading.entry(Row(0, {"id": "A", "image": "a.png", "x": label}, "/#0"))
    assert entry["reason"] is None
    assert entry["label"] == label[:LONGEST_LABEL].rstrip()
    assert (entry["warning"] is None) == (len(label) <= LONGEST_LABEL)


def test_words_that_say_something_stay():
    for word in ("Nancy", "nana", "N", "0", "no", "nothing", "NULL-100", "--x"):
        assert text_of(word) == word


def test_exported_words_for_nothing_are_no_labels_and_cost_no_product(tmp_path):
    put(tmp_path, *(f"{number}.png" for number in range(6)))
    rows = ["bag,12.50,3", "NULL,NULL,NULL", "nan,nan,nan", "hat,N/A,None", "\\N,\\N,\\N", "hat,19.90,2.0"]
    text = "sku,image,label,price,stock\n" + "".join(f"N{at},{at}.png,{row}\n" for at, row in enumerate(rows))
    (tmp_path / "dump.csv").write_text(text)
    seen = preview("csv", tmp_path / "dump.csv")
    assert seen.labels == {"bag": 1, "hat": 2}
    assert [row.reason for row in seen.rows] == [None] * 6
    columns = tuple(seen.mapping.items())
    entries = TableSource(tmp_path / "dump.csv", columns, "csv").entries()
    assert entries["price"].to_pylist() == [12.5, None, None, None, None, 19.9]
    assert entries["stock"].to_pylist() == [3, None, None, None, None, 2]
    assert counted(entries) == {}


def test_null_words_of_a_public_report(shared_case):
    seen = preview("csv", shared_case("25-null-words") / "shop" / "dump.csv")
    assert seen.labels == {"bag": 1, "hat": 2}
    assert [row.reason for row in seen.rows] == [None] * 6


# ------------------------------------------------------------------------------------------------ prices


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,23,456.78", 123456.78),
        ("₹1,23,456", 123456.0),
        ("Rs. 12,34,567.50", 1234567.5),
        ("Rs 99", 99.0),
        ("Rs.1,299/-", 1299.0),
        ("INR 1,00,000", 100000.0),
        ("1'234.50", 1234.5),
        ("CHF 1’234.50", 1234.5),
        ("CHF 12'500.–", 12500.0),
        ("49,- €", 49.0),
        ("12.- CHF", 12.0),
        ("ab 12,90 €", 12.9),
        ("Ab: 12,90 €", 12.9),
        ("from $12", 12.0),
        ("From $1,299.00", 1299.0),
        ("starting at £7.50", 7.5),
        ("à partir de 12,90 €", 12.9),
        ("A PARTIR DE 1 299,00 €", 1299.0),
        ("desde 9,99 €", 9.99),
        ("vanaf € 5", 5.0),
        ("da 19,00 €", 19.0),
        ("US$ 12.50", 12.5),
        ("12.50\u200e USD", 12.5),
    ],
)
def test_prices_of_other_countries_are_read(text, value):
    assert parse_price(text) == value


@pytest.mark.parametrize(
    "text", ["from", "ab", "from 12 to 14", "1,2,34", "1,23,45", "fromage 12", "12,345,67", "about 5 or 6"]
)
def test_what_only_looks_like_a_price_is_none(text):
    with pytest.raises(ValueError):  # noqa: PT011 - without its "from", the text may be empty
        parse_price(text)


def _grouped(whole, mark, *, indian):
    digits, groups = str(whole), []
    while digits:
        size = 2 if indian and groups else 3
        groups.insert(0, digits[-size:])
        digits = digits[:-size]
    return mark.join(groups)


STYLES = [  # marks of thousands and of decimals, and whether India's groups
    *((",", ".", False), (".", ",", False), ("'", ".", False), ("’", ".", False), (" ", ",", False)),
    *(("\u202f", ",", False), (",", ".", True), ("", ".", False), ("", ",", False)),
]


@given(
    st.integers(0, 99_999_999),
    st.integers(0, 99),
    st.sampled_from(STYLES),
    st.sampled_from(["", "€", "$", "₹", "CHF ", "Rs. ", "EUR", "kr "]),
    st.sampled_from(["", " €", "EUR", " zł", "\u00a0kr", " USD"]),
    st.sampled_from(["", "ab ", "From ", "à partir de ", "desde: "]),
)
@hypothesis_settings(max_examples=200)
def test_prices_come_back_from_any_usual_spelling(whole, cents, style, before, behind, start):
    thousands, point, indian = style
    grouped = _grouped(whole, thousands, indian=indian) if thousands else str(whole)
    assert parse_price(f"{start}{before}{grouped}{point}{cents:02d}{behind}") == pytest.approx(whole + cents / 100)


NUMBERS = st.text(st.sampled_from("0123456789.,-+'’eE/_ \u202f\u2212€$₹٣²½abfromNI\x00"), max_size=14)
FOREIGN = NUMBERS | st.text(max_size=12) | st.floats() | st.integers() | st.booleans() | st.none() | st.decimals()


@given(FOREIGN | st.binary(max_size=8) | st.lists(st.integers(), max_size=2), st.sampled_from(["price", "stock"]))
@hypothesis_settings(max_examples=150)
def test_any_value_is_a_number_of_0_or_more_or_emptied_with_its_fault(value, field):
    reading = RowReading({"product_id": "id", "image": "image", field: "x"}, is_inside=False, locate=Place)
    entry = reading.entry(Row(0, {"id": "A", "image": "a.png", "x": value}, "/#0"))
    assert entry["reason"] is None
    if entry["warning"]:
        assert entry["warning"].startswith(f"bad_{field}: ")
        assert entry[field] is None
    elif entry[field] is None:
        assert text_of(value) is None
    else:
        assert entry[field] >= 0
        assert math.isfinite(entry[field])


# --------------------------------------------------------------------------------------------------- CSV

CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8).map(str.strip)


@given(
    st.lists(st.tuples(CELLS, CELLS, st.integers(0, 3)), min_size=1, max_size=6),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.integers(0, 2),
)
@hypothesis_settings(max_examples=120)
def test_rows_survive_surplus_separators_and_any_line_end(tmp_path_factory, rows, delimiter, end, is_ended, in_header):
    def quoted(cell):
        return '"' + cell.replace('"', '""') + '"'

    lines = [delimiter.join(["sku", "image", "title", "note"]) + delimiter * in_header]
    for number, (title, note, surplus) in enumerate(rows):
        lines.append(delimiter.join([f"A{number}", f"{number}.png", quoted(title), quoted(note)]) + delimiter * surplus)
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes((end.join(lines) + (end if is_ended else "")).encode())
    columns = (("product_id", "sku"), ("image", "image"), ("title", "title"), ("brand", "note"))
    entries = TableSource(path, columns, "csv").entries()
    assert entries["product_id"].to_pylist() == [f"A{number}" for number in range(len(rows))]
    assert entries["title"].to_pylist() == [plain_text(text_of(title) or "") or None for title, _, _ in rows]
    assert entries["brand"].to_pylist() == [plain_text(text_of(note) or "") or None for _, note, _ in rows]
    assert {reason.partition(":")[0] for reason in entries["reason"].to_pylist()} == {"no_picture"}


def test_a_row_with_more_to_say_than_the_header_is_still_said(tmp_path):
    put(tmp_path, "0.png")
    (tmp_path / "erp.csv").write_text(
        "sku;image;label;price\nE0;0.png;hat;12,50;\nE1;0.png;hat;12,50;x;\nE2;0.png;hat\n"
    )
    seen = preview("csv", tmp_path / "erp.csv")
    assert [row.reason and row.reason[:25] for row in seen.rows] == [
        None,
        "bad_row: It has 6 values,",
        "bad_row: It has 3 values,",
    ]


def test_a_file_of_an_old_mac_keeps_line_breaks_inside_its_cells(tmp_path):
    put(tmp_path, "0.png", "1.png")
    (tmp_path / "mac.csv").write_bytes(b'sku,image,title\rA,0.png,"two\nlines"\rB,1.png,"two\rlines"\r')
    seen = preview("csv", tmp_path / "mac.csv")
    assert [row.title for row in seen.rows] == ["two\nlines"] * 2
    assert all(row.thumbnail for row in seen.rows)


def test_pictures_inside_a_file_of_an_old_mac_are_found_again(tmp_path):
    cells = [base64.b64encode(encoded(number)).decode() for number in range(3)]
    (tmp_path / "mac.csv").write_bytes(
        b"sku,image\r" + b"".join(f"P{at},{cell}\r".encode() for at, cell in enumerate(cells))
    )
    source = TableSource(tmp_path / "mac.csv", (("product_id", "sku"), ("image", "image")), "csv")
    assert pictures_of(source) == {f"P{number}": encoded(number) for number in range(3)}


def test_trailing_separators_of_a_public_report(shared_case):
    seen = preview("csv", shared_case("27-trailing-separator") / "shop" / "erp.csv")
    assert [row.reason for row in seen.rows] == [None] * 3
