"""What is decided about substitutes: kept across windows, crashes and later searches, and given away as files and pins."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from backend.errors import CatalogueNotFound, RetrievalError
from backend.files.sheet_text import unguarded
from backend.files.workbook import as_workbook
from backend.merchandising.conflicts import conflicts
from backend.merchandising.substitutes.files import HEADER, as_file, pins
from backend.merchandising.substitutes.kept import SCHEMA, About, Checks, Decision
from tests.support.stored_catalogues import picture_rows, store

ABOUT = About("shop", 3, "m", 1, "2026-11-28T12:00:00+00:00", 5, {"price": 2})


def rows(**twins):
    """A row for each product, with its twins in their order."""
    values = [list(twins), list(twins.values()), [[0.9] * len(one) for one in twins.values()], [None] * len(twins)]
    return pa.table([pa.array(one, field.type) for one, field in zip(values, SCHEMA, strict=True)], schema=SCHEMA)


@pytest.fixture
def checks(tmp_path):
    found = Checks(tmp_path / "substitutes", "shop")
    found.save(ABOUT, rows(a=["x", "y"], b=["x"], c=["z", "y"]))
    return found


def test_a_second_day_goes_on_where_the_first_ended(checks):
    checks.decide([Decision("a", "keep", "y"), Decision("b", "reject", "x"), Decision("c", "keep", "z")])
    checks.save(replace(ABOUT, version=4), rows(c=["y"], b=["w", "x"], a=["y"], d=["x"]))  # z sold out
    check = checks.load()
    assert [(one.product_id, one.decided, one.twin) for one in check.current] == [
        ("c", "", "y"),
        ("b", "reject", "x"),
        ("a", "keep", "y"),
        ("d", "", "x"),
    ]
    assert check.counts == {"": 2, "keep": 1, "reject": 1}
    assert check.about.version == 4


@profile(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["", "keep", "reject"]), st.sampled_from("wxyz")),
        max_size=12,
    )
)
def test_the_last_decision_holds_and_counts_add_up(tmp_path_factory, said):
    found = Checks(tmp_path_factory.mktemp("home"), "shop")
    twins = {"a": ["x", "y"], "b": ["x"], "c": ["z", "y"]}
    found.save(ABOUT, rows(**twins))
    expected = {name: Decision(name, "", ones[0]) for name, ones in twins.items()}
    for one in said:
        found.decide([Decision(*one)])
    last = {one[0]: Decision(*one) for one in said}
    expected |= {name: one for name, one in last.items() if one.twin in twins.get(name, ())}
    check = found.load()
    assert check.current == list(expected.values())
    assert sum(check.counts.values()) == 3
    assert len(check.kept(unchecked=True)) == check.counts["keep"] + check.counts[""]


def test_a_line_that_a_crash_cut_is_passed_over(checks, tmp_path):
    checks.decide([Decision("a", "keep", "x")])
    path = tmp_path / "substitutes/shop/decisions.jsonl"
    path.write_bytes(path.read_bytes() + b'["a","rej')
    assert checks.load().decisions["a"].decided == "keep"


def test_what_is_not_there_or_damaged_is_said(checks, tmp_path):
    with pytest.raises(CatalogueNotFound, match="No substitutes were looked for in other"):
        Checks(tmp_path / "substitutes", "other").load()
    (tmp_path / "substitutes/shop/found.arrow").write_bytes(b"nothing")
    with pytest.raises(RetrievalError, match="cannot be read"):
        checks.load()
    assert checks.readiness() is None
    checks.save_readiness({"sentence": "1 of 2"})
    assert checks.readiness() == {"sentence": "1 of 2"}


# ------------------------------------------------------------------------------------------------ files


@pytest.fixture
def shop(tmp_path):
    """A catalogue of products with prices, one of whose titles is a formula."""
    products = picture_rows(["coat", "coat", "shoe"])
    more = [("=1+1", 20.0, "EUR", 0, "g1"), ("Coat, blue", 22.0, "EUR", 4, None), (None, 9.0, "USD", 1, None)]
    for row, (title, price, currency, stock, group) in zip(products, more, strict=True):
        row |= {"title": title, "price": price, "currency": currency, "stock": stock, "group_id": group}
    return store(tmp_path / "catalogues", products, name="shop")


@pytest.fixture
def check(checks):
    checks.save(ABOUT, rows(p0000=["p0001", "p0002"], p0001=["p0002"]))
    checks.decide([Decision("p0000", "keep", "p0001")])
    return checks.load()


def test_the_table_says_what_was_kept_and_runs_no_formula(check, shop):
    read = list(csv.DictReader(io.StringIO(as_file(check, shop, "csv").decode())))
    assert [row["product_id"] for row in read] == ["p0000"]
    (row,) = read
    assert (row["title"], unguarded(row["title"])) == ("'=1+1", "=1+1")
    assert (row["substitute_id"], row["price_difference_percent"], row["decision"]) == ("p0001", "10.0", "kept")
    assert len(list(csv.reader(io.StringIO(as_file(check, shop, "csv", unchecked=True).decode())))) == 3
    book = CalamineWorkbook.from_filelike(io.BytesIO(as_file(check, shop, "xlsx", unchecked=True)))
    sheet = book.get_sheet_by_index(0).to_python()
    assert tuple(sheet[0]) == HEADER
    assert [line[:3] for line in sheet[1:]] == [["p0000", "p0001", "kept"], ["p0001", "p0002", "not checked"]]
    assert sheet[1][HEADER.index("substitute_price")] == 22.0


def test_shops_import_what_changes(check, shop):
    assert as_file(check, shop, "woocommerce").decode().splitlines() == ["SKU,Upsells", "p0000,p0001"]
    (line,) = list(csv.reader(io.StringIO(as_file(check, shop, "shopify").decode())))[1:]
    assert line == ["g1", "=1+1", "p0001"]


def test_pins_are_rules_without_a_conflict_and_the_same_each_time(check):
    (rule,) = pins(check, owner="Ada")
    assert (rule.action, rule.scope.values, rule.products, rule.slot) == ("pin", ("p0000",), ("p0001",), 1)
    assert pins(check)[0].id == rule.id
    assert not conflicts([rule], now=datetime(2026, 11, 28, tzinfo=UTC), known=None, pictures=frozenset())


@profile(max_examples=12, deadline=None)
@given(
    st.lists(
        st.lists(st.text(max_size=8) | st.integers(-(10**9), 10**9) | st.none(), min_size=1, max_size=30),
        min_size=1,
        max_size=4,
    )
)
def test_a_workbook_holds_every_text_and_number(table):
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(as_workbook([["top"], *table]))).get_sheet_by_index(0)
    read = sheet.to_python(skip_empty_area=False)
    for row, line in zip(table, read[1:], strict=False):
        for cell, found in zip(row, line, strict=False):
            if isinstance(cell, int) or (cell and cell.isprintable()):
                assert found == cell
