"""Columns are guessed by names and checked by values: an id is unique, a record's sort is no label."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.catalogue.loading.load_warnings import counted
from backend.catalogue.sources.guessing import guess_mapping
from backend.catalogue.sources.preview import preview
from backend.catalogue.sources.tables.listing import TableSource
from tests.support.pictures import put


def guess(folder, header, *rows):
    (folder / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    return guess_mapping(TableSource(folder / "t.csv", (), "csv"))


def test_of_an_article_and_the_style_it_shares_the_article_is_the_product(tmp_path):
    rows = [f"01087750{n},108775,Made-up {n},{('Bag', 'Hat')[n % 2]},images/{n}.jpg" for n in range(10, 16)]
    mapping, notes = guess(tmp_path, "article_id,product_code,prod_name,product_type_name,image", *rows)
    assert mapping == {"product_id": "article_id", "image": "image", "label": "product_type_name", "title": "prod_name"}
    assert notes == ()


@pytest.mark.parametrize(
    ("values", "found", "why"),
    [
        (["1", "2", "3"], "product_id", ""),
        (["1", "2", "2"], "id", "it contains one value twice, for example “2”"),
        (["1", "2", "2", "4", "1"], "id", "it contains 2 values twice, for example “1”"),
        (["1", "1", "1", "2", "2"], "id", "it contains 2 values more than once, for example “1”"),
        (["1", "", "3"], "id", "1 of its 3 values are missing"),
    ],
)
def test_a_column_whose_values_repeat_or_lack_is_no_id_where_another_is_whole_and_that_is_said(
    tmp_path, values, found, why
):
    rows = [f"{value},{number},{number}.png" for number, value in enumerate(values)]
    mapping, notes = guess(tmp_path, "product_id,id,image", *rows)
    assert mapping["product_id"] == found
    said = (f"“product_id” is not used as the product id because {why}; “id” is used instead.",)
    assert notes == (said if why else ())
    assert preview("csv", tmp_path / "t.csv").notes[: len(notes)] == notes


def test_without_a_unique_column_the_picture_is_the_id_and_that_is_said(tmp_path):
    mapping, notes = guess(tmp_path, "sku,image", "A,1.png", "A,2.png", "B,3.png")
    assert "product_id" not in mapping
    assert notes == (
        (
            "“sku” is not used as the product id because it contains one value twice, for example “A”; "
            "the picture's path or the row number is used instead."
        ),
    )


def test_a_few_gaps_in_the_only_id_are_rows_without_one(tmp_path):
    rows = [f"{'' if number == 7 else number},{number}.png" for number in range(12)]
    assert guess(tmp_path, "sku,image", *rows)[0]["product_id"] == "sku"
    assert "product_id" not in guess(tmp_path, "sku,image", *rows[:6], *[",x.png"] * 6)[0]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8))
@hypothesis_settings(max_examples=60)
def test_a_guessed_id_never_repeats(tmp_path_factory, rows):
    lines = [f"{first},{second},{at}.png" for at, (first, second) in enumerate(rows)]
    mapping, _ = guess(tmp_path_factory.mktemp("t"), "sku,article_id,image", *lines)
    chosen = {"sku": 0, "article_id": 1}.get(mapping.get("product_id"))
    if chosen is None:
        assert all(len({row[at] for row in rows}) < len(rows) for at in (0, 1))
    else:
        assert len({row[chosen] for row in rows}) == len(rows)


@pytest.mark.parametrize("values", [["simple", "variable"], ["simple, virtual", "variation"], ["Product", "SKU"]])
def test_the_sort_of_a_record_is_no_label(tmp_path, values):
    rows = [f'{number},"{value}",{number}.png' for number, value in enumerate(values)]
    assert "label" not in guess(tmp_path, "id,Type,image", *rows)[0]
    assert guess(tmp_path, "id,Type,image", "1,Bag,1.png", "2,simple,2.png")[0]["label"] == "Type"


def test_a_shop_export_with_several_pictures_in_a_cell_is_understood(tmp_path):
    put(tmp_path, "media/w0-0.jpg", "media/w0-1.jpg", "media/w1-0.jpg")
    header = 'ID,Type,SKU,Name,Stock,"Regular price",Categories,Images'
    rows = [
        f'1{n},simple,WS-{n},Shoe {n},5,"39,90","Shoes > Sneakers","media/w{n}-0.jpg, media/w{n}-1.jpg"' for n in (0, 1)
    ]
    (tmp_path / "wc.csv").write_text("\n".join([header, *rows]))
    seen = preview("csv", tmp_path / "wc.csv")
    assert seen.mapping == {
        "product_id": "SKU",
        "image": "Images",
        "label": "Categories",
        "category": "Categories",
        "title": "Name",
        "price": "Regular price",
        "stock": "Stock",
        "group_id": "Product group",
        "colour": "Colour attribute",
        "material": "Material attribute",
        "gender": "Gender attribute",
    }
    assert seen.labels == {"Sneakers": 2}
    assert [row.reason for row in seen.rows] == [None, None]
    source = TableSource(tmp_path / "wc.csv", tuple(seen.mapping.items()), "csv", profile="woocommerce")
    entries = source.entries()
    assert entries["more_pictures"].to_pylist() == [["media/w0-1.jpg"], None]  # there is no media/w1-1.jpg
    assert counted(entries) == {"further_unread": 1}


def test_pictures_that_are_called_as_their_product_are_found_without_a_column(tmp_path):
    put(tmp_path, "images/010/0108775015.jpg", "images/010/0108775022.jpg")
    mapping, notes = guess(tmp_path, "article_id,product_type_name", "0108775015,Bag", "0108775022,Hat")
    assert mapping == {"product_id": "article_id", "image": "article_id", "label": "product_type_name"}
    assert "“article_id”, which is their file name" in notes[0]
    assert "image" not in guess(tmp_path, "article_id,kind", "1,Bag", "2,Hat")[0]


def test_exports_of_two_public_reports(shared_case):
    place = shared_case("21-hm-id-guess")
    for name in ("hm", "hm2"):
        seen = preview("csv", place / name / "articles.csv")
        assert (seen.mapping["product_id"], seen.mapping["label"]) == ("article_id", "product_type_name")
        assert [row.reason for row in seen.rows] == [None] * 6
    seen = preview("csv", shared_case("23-woocommerce-images") / "shop" / "wc-product-export.csv")
    assert seen.mapping["label"] == "Categories"  # and not Type, which says that each is a simple product
    assert all(row.thumbnail for row in seen.rows)
