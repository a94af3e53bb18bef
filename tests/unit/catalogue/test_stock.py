"""What stock and availability say is said once: of one product, and of a column of them."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from backend.catalogue.items import Product
from backend.catalogue.stock import in_stock, is_sold_out, sold_out

STATED = st.tuples(
    st.none() | st.integers(-3, 3), st.none() | st.sampled_from(["in stock", "out of stock", "preorder", ""])
)


@given(st.lists(STATED, max_size=12))
def test_a_number_goes_before_a_word_and_what_is_not_known_is_neither(stated):
    columns = zip(*stated, strict=True) if stated else ((), ())
    types = {"stock": pa.int64(), "availability": pa.string()}
    rows = pa.table({name: pa.array(values, types[name]) for name, values in zip(types, columns, strict=True)})
    out, there = sold_out(rows).tolist(), in_stock(rows).tolist()
    products = [Product("p", "bag", "train", b"", stock=stock, availability=said) for stock, said in stated]
    assert out == [is_sold_out(one) for one in products]
    assert out == [(stock or 1) <= 0 or stock == 0 or said == "out of stock" for stock, said in stated]
    assert there == [
        not gone and (stock is not None or said == "in stock") for gone, (stock, said) in zip(out, stated, strict=True)
    ]
