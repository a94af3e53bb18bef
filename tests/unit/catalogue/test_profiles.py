"""One contract for the profiles of shops' exports: what is right of an invented export in each layout, with no mapping by hand."""

from __future__ import annotations

import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.catalogue.loading.ingest import check_source
from backend.catalogue.loading.load_warnings import counted, sentences
from backend.catalogue.sources.locations import detect, open_source, with_saved
from backend.catalogue.sources.mapping import FIELDS
from backend.catalogue.sources.pictures.names import is_address
from backend.catalogue.sources.profiles import cells
from backend.catalogue.sources.profiles.known import PROFILES, recognised
from backend.catalogue.sources.profiles.profile import plain_names
from backend.catalogue.sources.saved_mappings import mappings_for, save_mapping
from backend.catalogue.sources.tables.reading import reading_of
from backend.errors import CatalogueError
from backend.progress import NullProgress
from tests.support.pictures import encoded
from tests.support.shop_exports import EXPORTS, SHOPIFY_HEADER, SHOPIFY_ROWS, WOO_HEADER, table


def opened(path, columns=None):
    return open_source(detect(path), path, columns=columns, label_from="folder", version=None)


def written(folder, export):
    for name, data in export.files.items():
        (folder / name).write_bytes(data)
    return folder / next(iter(export.files))


def with_pictures(folder, export):
    """Put the pictures that are files where the export says they are."""
    names = [name for product in export.products for name in product.get("pictures", ()) if not is_address(name)]
    for number, name in enumerate(dict.fromkeys(names)):
        path = folder / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(number))


def pictures_of(entry):
    return [name for name in (entry["locator"], *(entry["more_pictures"] or ())) if name is not None]


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_right_with_no_mapping_by_hand(tmp_path, name):
    export = EXPORTS[name]
    with_pictures(tmp_path, export)
    entries = opened(written(tmp_path, export)).entries()
    reading = reading_of(entries)
    assert reading.profile == export.profile
    found = [{**entry, "pictures": pictures_of(entry)} for entry in entries.to_pylist()]
    assert len(found) == len(export.products)
    for entry, right in zip(found, export.products, strict=True):
        shown = {
            **right,
            "pictures": [one.lstrip("/") if not is_address(one) else one for one in right.get("pictures", ())],
        }
        shown = shown if "pictures" in right else right
        assert {name: entry[name] for name in shown} == shown
    assert (
        counted(entries.set_column(entries.schema.get_field_index("reason"), "reason", [[None] * len(found)]))
        == export.warnings
    )
    assert (reading.products, reading.variants, reading.pictures) == export.counts
    assert reading.other_rows == export.others


@pytest.mark.parametrize("name", EXPORTS)
def test_no_row_vanishes_and_each_is_kept_as_it_was(tmp_path, name):
    export = EXPORTS[name]
    entries = opened(written(tmp_path, export)).entries()
    reading = reading_of(entries)
    assert reading.rows == entries.num_rows + sum(reading.other_rows.values())
    positions = entries["position"].to_pylist()
    assert len(set(positions)) == len(positions)
    raw = opened(written(tmp_path, export))
    by_position = {row.position: row.values for row in raw.rows()}
    for position, kept in zip(positions, entries["source_row"].to_pylist(), strict=True):
        assert json.loads(kept) == json.loads(json.dumps(by_position[position], default=str))


@pytest.mark.parametrize("name", EXPORTS)
def test_what_is_shown_of_a_mapping_is_enough_to_load_by_it(tmp_path, name):
    """The mapping of a profile may be given by hand, as a saved one is, and every part of it may be changed."""
    path = written(tmp_path, EXPORTS[name])
    source = opened(path)
    columns = dict(source.columns)
    assert set(columns) <= set(FIELDS)
    assert opened(path, columns).entries().equals(source.entries())
    reading = reading_of(source.entries())
    assert {field: one["column"] for field, one in reading.columns.items()} == columns
    assert all(len(one["values"]) <= 3 for one in reading.columns.values())
    assert reading.columns["product_id"]["values"]
    without = {field: column for field, column in columns.items() if field != "title"}
    assert opened(path, without).entries()["title"].null_count == source.entries().num_rows


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_read_out_of_a_zip_with_its_pictures(tmp_path, name):
    export = EXPORTS[name]
    (tmp_path / "shop").mkdir()
    with_pictures(tmp_path / "shop", export)
    path = written(tmp_path / "shop", export)
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        for file in sorted((tmp_path / "shop").rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(tmp_path / "shop").as_posix())
    kind = "zip" if path.suffix != ".txt" else None
    if kind is None:
        return  # a list of pictures is opened by its own name
    source = open_source("zip", tmp_path / "shop.zip", columns=None, label_from="folder", version=None, table=path.name)
    direct = opened(path).entries()
    assert (
        source.entries()
        .drop_columns(["locator", "more_pictures"])
        .equals(direct.drop_columns(["locator", "more_pictures"]))
    )


def test_every_profile_has_an_export_here_and_none_takes_that_of_another(tmp_path):
    assert {export.profile for export in EXPORTS.values()} == {profile.name for profile in PROFILES}
    for number, export in enumerate(EXPORTS.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        header = frozenset(plain_names(opened(written(folder, export)).available()))
        assert [profile.name for profile in PROFILES if profile.score(header)] == [export.profile]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_profile_says_what_it_must(profile):
    assert profile.required
    assert all(
        word == word.lower() and word.strip() == word for word in profile.required | profile.strong | profile.negative
    )
    assert {"product_id", "image"} <= set(profile.columns) <= set(FIELDS)
    assert set(profile.readers) <= set(profile.columns)
    assert profile.title
    assert not profile.required & profile.negative


def test_a_header_of_nothing_known_has_no_profile():
    for header in (["sku", "image", "title"], ["id", "Type", "Name"], ["Artikel-Nr.", "Bild"], []):
        assert recognised(header) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", ""]), st.booleans(), st.booleans(), st.sampled_from(["-2", "5", "x", ""])),
        min_size=1,
        max_size=12,
    )
)
@hypothesis_settings(max_examples=60)
def test_rows_are_products_variants_pictures_or_counted(tmp_path_factory, rows):
    """Of any order of rows in Shopify's layout: rows in are variants, and rows that only have a picture."""
    made = [
        {
            "Handle": handle or ("a" if not at else ""),
            "Image Src": f"https://x/{at}.jpg" if has_picture else "",
            **({"Variant SKU": f"S{at}", "Variant Price": "1", "Variant Inventory Qty": stock} if is_variant else {}),
        }
        for at, (handle, is_variant, has_picture, stock) in enumerate(rows)
    ]
    path = tmp_path_factory.mktemp("s") / "s.csv"
    path.write_bytes(table(SHOPIFY_HEADER, *made))
    entries = opened(path).entries()
    reading = reading_of(entries)
    assert reading.rows == len(made) == entries.num_rows + sum(reading.other_rows.values())
    assert {f"S{at}" for at, row in enumerate(rows) if row[1]} <= set(entries["product_id"].to_pylist())


def test_a_variation_without_its_parent_is_a_product_of_its_own(tmp_path):
    path = tmp_path / "wc.csv"
    path.write_bytes(table(WOO_HEADER, {"ID": "5", "Type": "variation", "Parent": "gone", "Images": "https://x/a.jpg"}))
    (entry,) = opened(path).entries().to_pylist()
    assert (entry["product_id"], entry["group_id"], entry["locator"]) == ("5", "gone", "https://x/a.jpg")


def test_a_picture_at_an_address_is_rejected_with_what_to_do_until_it_is_fetched(tmp_path):
    path = tmp_path / "s.csv"
    path.write_bytes(table(SHOPIFY_HEADER, *SHOPIFY_ROWS))
    entries = opened(path).entries()
    assert {reason.partition(":")[0] for reason in entries["reason"].to_pylist()} == {"address"}
    assert "Fetch" in entries["reason"][0].as_py()
    assert all(is_address(name) for name in entries["locator"].to_pylist())
    assert sentences(entries) == []  # of what is rejected nothing is said twice


def test_paths_of_categories_and_named_values():
    assert cells.leaf("Men > Jackets > Rain") == "Rain"
    assert [cells.leaf(text) for text in ("5598", "", "Bags")] == [None, None, "Bags"]
    assert cells.above("Men > Jackets > Rain") == "Men > Jackets"
    assert cells.first_leaf("Clothes > Jumpers\\, warm, New") == "Jumpers, warm"
    assert cells.named_values('color=Blue,brand="A, B",x=') == {"color": "Blue", "brand": "A, B", "x": ""}


@pytest.mark.spark
def test_a_check_says_what_was_recognised_and_what_becomes_of_every_row(spark, settings, tmp_path):
    export = EXPORTS["woocommerce"]
    source = opened(written(tmp_path, export))
    report = check_source(spark, source, settings, catalogue="shop", progress=NullProgress()).as_dict()
    reading = report["reading"]
    assert (reading["profile"], reading["title"]) == ("woocommerce", "WooCommerce export")
    assert (reading["products"], reading["variants"], reading["pictures"]) == export.counts
    assert reading["columns"]["label"] == {"column": "Categories", "values": ["Mode > Pullis\\, warm, Neu", "Caps"]}
    assert reading["warnings"] == {"bad_stock": 1}
    assert report["rejected"] == {"address": 3}
    assert reading["rows"] == reading["variants"] + sum(reading["other_rows"].values())
    assert report["notes"][0] == "WooCommerce export: 2 products, 3 variants, 5 pictures."


def test_a_mapping_is_saved_by_name_and_used_by_the_next_table_with_the_same_header(tmp_path):
    path, kept = tmp_path / "a.csv", tmp_path / "mappings"
    path.write_text("nr,foto,was\n1,https://x/1.jpg,bag\n")
    source = opened(path)
    assert with_saved(source, kept) == source
    columns = {"product_id": "nr", "image": "foto", "label": "was"}
    save_mapping(kept, "Weekly list", source.available(), {"image": "foto"})
    save_mapping(kept, "Weekly list", source.available(), columns)
    save_mapping(kept, "Another", ["nr", "foto"], {"image": "nr"})
    (tmp_path / "b.csv").write_text("nr,foto,was\n2,https://x/2.jpg,hat\n")
    found = with_saved(opened(tmp_path / "b.csv"), kept)
    assert dict(found.columns) == columns
    assert found.remarks() == ("Its columns are read as saved under the name “Weekly list”.",)
    assert found.entries()["label"].to_pylist() == ["hat"]
    (kept / "Weekly list.json").write_text("{")  # a damaged one is passed over
    assert mappings_for(kept, source.available()) == []
    with pytest.raises(CatalogueError, match="not a valid name"):
        save_mapping(kept, "../x", ["a"], {})
