"""Sale price, availability and currency limit answers as a reader of the table would; what is not known passes no filter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from backend.progress import NullProgress
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.recommend import Recommender
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.endpoint import (
    ShopSnapshot,
    encoded,
    http_to,
    load_projection,
    picture,
    served,
    shop_rows,
    write_projection_bundle,
)

AVAILABILITY, CURRENCIES = ("in stock", "out of stock", "preorder", "backorder"), ("EUR", "USD", "JPY")
PHOTO = encoded(picture("checks", 3))


def on_sale_rows():
    """Every combination of known and unknown, many times."""
    rng = np.random.default_rng(11)

    def some(values):
        return values[int(rng.integers(len(values)))]

    values = {
        "sale_price": (None, 0.0, 9.99, 12.5, 20.0, 1e6),
        "availability": (None, *AVAILABILITY),
        "currency": (None, *CURRENCIES),
    }
    return [{**row, **{name: some(known) for name, known in values.items()}} for row in shop_rows()]


@pytest.fixture(scope="module")
def rows():
    return on_sale_rows()


@pytest.fixture(scope="module")
def recommender(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "sale"
    build_gallery(ShopSnapshot(rows), write_projection_bundle(folder), folder, progress=NullProgress())
    return Recommender.load(folder, embedder_loader=load_projection)


PRICES = st.sampled_from([-1.0, 0.0, 9.99, 10.0, 12.5, 20.0, 1e6, 1e9])


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "sale_price_min": PRICES,
            "sale_price_max": PRICES,
            "availability": st.lists(st.sampled_from([*AVAILABILITY, "", "sold out"]), min_size=1, max_size=3),
            "currency": st.lists(st.sampled_from([*CURRENCIES, "", "eur"]), min_size=1, max_size=3),
        },
    )
)
@profile(max_examples=80, deadline=None)
def test_what_passes_is_what_a_reader_would_keep_and_nothing_unknown(rows, recommender, filters):
    mask = recommender.gallery.allowed(filters)
    passed = (
        {recommender.gallery.ids[at] for at in np.flatnonzero(mask)} if filters else {r["product_id"] for r in rows}
    )

    def keeps(row):
        price = row["sale_price"]
        return (
            ("sale_price_min" not in filters or (price is not None and price >= filters["sale_price_min"]))
            and ("sale_price_max" not in filters or (price is not None and price <= filters["sale_price_max"]))
            and all(row[name] in filters[name] for name in ("availability", "currency") if name in filters)
        )

    assert passed == {row["product_id"] for row in rows if keeps(row)}


def test_the_endpoint_answers_by_them_alone_and_together(settings, rows, recommender):
    headers = {"Authorization": f"Bearer {ensure_app_token(settings).reveal()}"}
    with http_to(build_app(settings, load=lambda: served(recommender)), headers=headers) as http:

        def asked(query):
            answer = http.post(f"/v1/recommend?k=60&include_images=false&{query}", content=PHOTO)
            assert answer.status_code == 200
            return answer.json()["neighbours"]

        for query, keeps in (
            ("sale_price_max=12.5", lambda r: r["sale_price"] is not None and r["sale_price"] <= 12.5),
            ("sale_price_min=0", lambda r: r["sale_price"] is not None),
            ("availability=in%20stock&availability=preorder", lambda r: r["availability"] in {"in stock", "preorder"}),
            ("currency=EUR", lambda r: r["currency"] == "EUR"),
            (
                "currency=USD&sale_price_min=10&availability=in%20stock",
                lambda r: (r["currency"], r["availability"]) == ("USD", "in stock") and (r["sale_price"] or 0) >= 10,
            ),
        ):
            wanted = {row["product_id"]: row for row in rows if keeps(row)}
            found = asked(query)
            assert {one["product_id"] for one in found} == set(wanted), query
            for one in found:
                row = wanted[one["product_id"]]
                names = ("sale_price", "availability", "currency")
                assert [one[name] for name in names] == [row[name] for name in names]
        refused = http.post("/v1/recommend?sale_price_min=cheap", content=PHOTO)
        assert (refused.status_code, "sale_price_min needs a number" in refused.text) == (422, True)
