"""Substitutes: what comparing every pair in the plainest way gives, whatever the shop and the limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from backend.errors import CatalogueError, RetrievalError
from backend.merchandising.known_products import COLUMNS
from backend.merchandising.similar.near import distances_between
from backend.merchandising.similar.source import Source
from backend.merchandising.substitutes.readiness import readiness, sold_out_readiness
from backend.merchandising.substitutes.shelf import Shelf
from backend.merchandising.substitutes.twins import Comparing, Limits, Seeds, match_line
from backend.progress import NullProgress
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.indexes.further import Further, PicturesIndex
from tests.support.made_galleries import gallery_of, manifest_of, rows_of, unit

QUIET = NullProgress()


def some_stock(rng, count):
    return [None if rng.random() < 0.2 else int(rng.integers(0, 3)) for _ in range(count)]


def a_shop(seed, *, count=None):
    """A gallery with variants, further pictures, equal pictures, and prices and stock that are partly unknown."""
    rng = np.random.default_rng(seed)
    count = count or int(rng.integers(21, 60))
    ids = [f"p{number:03d}" for number in range(count)]
    looks = unit(rng.standard_normal((9, 4)))
    off = 0.08 * rng.standard_normal((count, 4)) * (rng.random((count, 1)) < 0.7)
    vectors = unit(looks[rng.integers(0, 9, count)] + off)
    columns = {
        "group_id": [f"g{rng.integers(5)}" if rng.random() < 0.4 else None for _ in ids],
        "label": [str(rng.choice(["coat", "shoe", ""])) for _ in ids],
        "category": [[None, "a", "b"][rng.integers(3)] for _ in ids],
        "price": [None if rng.random() < 0.1 else float(rng.integers(8, 14)) for _ in ids],
        "sale_price": [float(rng.integers(5, 9)) if rng.random() < 0.2 else None for _ in ids],
        "currency": [str(rng.choice(["EUR", "EUR", "EUR", "USD"])) for _ in ids],
        "stock": some_stock(rng, count),
        "availability": [[None, "in stock", "out of stock", "preorder"][rng.integers(4)] for _ in ids],
    }
    index = ExactIndex(vectors)
    if rng.random() < 0.5:
        owners = np.sort(rng.integers(0, count, 12)).astype(np.int32)
        places, hashes = np.arange(1, 13, dtype=np.int32), np.zeros((12, 32), np.uint8)
        index = PicturesIndex(index, Further(owners, places, hashes, looks[rng.integers(0, 9, 12)]))
    source = Source(manifest_of("made", 4), index, gallery_of(ids, columns))
    return source, Shelf(3, rows_of(ids, columns).select(COLUMNS)), columns


LIMITS = st.builds(
    Limits,
    price=st.sampled_from([None, 0.0, 15.0, 40.0]),
    at_least=st.sampled_from([0.0, 85.0, 100.0]),
    same=st.sampled_from([(), ("label",), ("label", "category")]),
    unknown=st.booleans(),
)


def may_be_bought(columns, at, limits):
    stock, said = columns["stock"][at], columns["availability"][at]
    if stock == 0 or said == "out of stock":
        return False
    return stock is not None or said == "in stock" or limits.unknown


def paid(columns, at):
    return columns["sale_price"][at] or columns["price"][at]


def is_in_reach(columns, own, at, limits):
    if limits.price is None and not limits.at_least:
        return True
    if paid(columns, at) is None or columns["currency"][own] != columns["currency"][at]:
        return False
    share = 100 * paid(columns, at) / paid(columns, own)
    off = 1000 if limits.price is None else limits.price
    return share >= limits.at_least - 1e-6 and abs(share - 100) <= off + 1e-6


def plainly(source, columns, limits, own):
    """The twins of one product, best first, and why there is none: pair by pair, with none of what is tested."""

    def alike(name, at):
        return bool(columns[name][own]) and columns[name][own] == columns[name][at]

    others = np.array([at for at in range(source.gallery.size) if at != own and not alike("group_id", at)])
    similar = np.float32(1) - distances_between(source.index, np.full(len(others), own), others)
    pairs = sorted(zip(others.tolist(), similar.tolist(), strict=True), key=lambda one: (-one[1], one[0]))
    line, has_price = match_line(source.judge), limits.price is None and not limits.at_least
    has_price = has_price or paid(columns, own) is not None
    steps = {
        "no match": lambda at, value: value >= line,
        "none in stock": lambda at, _: may_be_bought(columns, at, limits),
        "of another kind": lambda at, _: all(alike(name, at) for name in limits.same),
        "no price": lambda *_: has_price,
        "price": lambda at, _: is_in_reach(columns, own, at, limits),
    }
    for reason, passes in steps.items():
        pairs = [pair for pair in pairs if passes(*pair)]
        if not pairs:
            return [], reason
    first = {columns["group_id"][at] or at: (at, value) for at, value in reversed(pairs)}
    return sorted(first.values(), key=lambda one: (-one[1], one[0])), ""


@profile(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), limits=LIMITS, k=st.integers(1, 6))
def test_twins_are_the_best_allowed_ones_and_a_missing_one_says_why(seed, limits, k):
    source, shelf, columns = a_shop(seed)
    own = np.arange(source.gallery.size)
    found = Comparing(source, shelf, limits).twins(Seeds.at(source, own), k, QUIET)
    for at in own.tolist():
        expected, reason = plainly(source, columns, limits, at)
        assert found.reasons[at] == reason
        is_found = found.positions[at] >= 0
        shown = list(
            zip(found.positions[at][is_found].tolist(), found.similarities[at][is_found].tolist(), strict=True)
        )
        assert shown == expected[:k]


@profile(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), limits=LIMITS)
def test_readiness_counts_every_product_once_and_names_those_whose_last_twin_went(seed, limits):
    source, shelf, columns = a_shop(seed)
    earlier = {**columns, "stock": some_stock(np.random.default_rng(seed + 1), source.gallery.size)}
    before = Shelf(2, rows_of(source.gallery.ids, earlier).select(COLUMNS))
    found = readiness(source, shelf, QUIET, limits=limits, before=before)
    assert found.sold_out.products == found.sold_out.with_twin + sum(found.reasons.values()) == shelf.is_sold_out.sum()
    assert found.whole.products == source.gallery.size
    for column, shares in found.by.items():
        assert sum(one.products for one in shares.values()) == sum(bool(text) for text in columns[column])
    short = sold_out_readiness(source, shelf, QUIET, limits=limits)
    assert (short.sold_out, short.reasons, short.sentence) == (found.sold_out, found.reasons, found.sentence)
    lost = []
    for at, name in enumerate(source.gallery.ids):
        now, then = (plainly(source, one, limits, at)[0] for one in (columns, earlier))
        if not now and then:
            lost.append(name)
    assert list(found.lost) == lost


def test_a_product_that_the_catalogue_withdrew_is_no_twin_and_is_not_counted():
    source, shelf, _ = a_shop(5)
    gone = shelf.rows.to_pylist()
    gone[3] = {**dict.fromkeys(COLUMNS), "product_id": gone[3]["product_id"]}
    after = Shelf(4, pa.Table.from_pylist(gone, schema=shelf.rows.schema.remove_metadata().empty_table().schema))
    assert not after.is_offered[3]
    found = Comparing(source, after, Limits(price=None, unknown=True)).twins(
        Seeds.at(source, np.arange(source.gallery.size)), 20, QUIET
    )
    assert 3 not in found.positions


def test_where_nobody_says_what_is_in_stock_there_is_no_readiness_and_everything_can_be_bought():
    source, shelf, columns = a_shop(8)
    nothing = {**columns, "stock": [None] * len(columns["stock"]), "availability": [None] * len(columns["stock"])}
    silent = replace(shelf, rows=rows_of(source.gallery.ids, nothing).select(COLUMNS))
    assert silent.can_be_bought().all()
    with pytest.raises(CatalogueError, match="states its stock"):
        readiness(source, silent, QUIET)


@pytest.mark.parametrize(
    "limits", [{"price": -1.0}, {"price": float("nan")}, {"at_least": -5.0}, {"same": ("colour",)}]
)
def test_limits_that_are_none_are_refused(limits):
    with pytest.raises(RetrievalError):
        Limits(**limits)
