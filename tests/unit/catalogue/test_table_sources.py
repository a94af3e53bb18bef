"""Tables as sources: CSV as people save it, Parquet and Delta, pictures in them and beside them."""

from __future__ import annotations

import base64
import json
import pickle
import re
import zipfile
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from backend.catalogue.delta import delta_log
from backend.catalogue.fields import LATER
from backend.catalogue.loading.load_warnings import counted, sentences
from backend.catalogue.sources.parquet import cells as parquet_cells
from backend.catalogue.sources.sources import ENTRY_SCHEMA, Source
from backend.catalogue.sources.tables import files as table_files
from backend.catalogue.sources.tables import rows as table_rows
from backend.catalogue.sources.tables.choice import tables_in
from backend.catalogue.sources.tables.files import TableFile
from backend.catalogue.sources.tables.listing import TableSource
from backend.catalogue.sources.tables.values import parse_price, parse_split, parse_stock
from backend.errors import CatalogueError, DatasetUnavailable
from tests.support.pictures import by_id, codes_of, encoded, pictures_of, put

PLAIN = (("product_id", "sku"), ("image", "image"))
FULL = (
    *(("product_id", "sku"), ("image", "file"), ("label", "kind"), ("split", "part"), ("title", "name")),
    *(("category", "group"), ("brand", "brand"), ("colour", "colour"), ("price", "price"), ("stock", "stock")),
)


def csv_source(folder, text, columns=PLAIN, *, encoding="utf-8"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "products.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return TableSource(path, columns, "csv")


def parquet_source(path, columns, mapping=PLAIN, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return TableSource(path, mapping, "parquet")


def inline(seed):
    return base64.b64encode(encoded(seed)).decode()


# --------------------------------------------------------------------------------------------------- CSV


def test_a_csv_gives_all_fields_and_the_files_beside_it(tmp_path):
    files = put(tmp_path, "photos/a.jpg", "photos/b.png")
    source = csv_source(
        tmp_path,
        "sku,file,kind,part,name,group,brand,colour,price,stock\n"
        'A1,photos/a.jpg,bag,Training,"Tote, large",Bags,Holm, red ,"1,299.00",7\n'
        "B2,photos\\b.png,coat,dev,,,,,,\n",
        FULL,
    )
    entries = source.entries()
    assert entries.schema == ENTRY_SCHEMA
    first, second = entries.to_pylist()
    source_row = json.loads(first.pop("source_row"))
    assert first == {
        "product_id": "A1",
        "label": "bag",
        "split": "train",
        "title": "Tote, large",
        "category": "Bags",
        "brand": "Holm",
        "colour": "red",
        "price": 1299.0,
        "stock": 7,
        "reason": None,
        "locator": "photos/a.jpg",
        "position": 0,
        "warning": None,
        "more_pictures": None,
        **dict.fromkeys(LATER),
    }
    assert list(source_row) == ["sku", "file", "kind", "part", "name", "group", "brand", "colour", "price", "stock"]
    assert source_row["price"] == "1,299.00"
    assert second["split"] == "validation"
    assert all(second[name] is None for name in ("title", "brand", "price", "stock", "reason"))
    assert pictures_of(source) == {"A1": files["photos/a.jpg"], "B2": files["photos/b.png"]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_any_usual_csv_is_understood(tmp_path, delimiter, encoding, newline):
    rows = [["sku", "image", "Größe"], ["A1", "a.png", 'groß; "sehr", ja | nein'], ["B2", "b.png", "klein"]]
    quoted = [delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    source = csv_source(tmp_path, newline.join(quoted), (*PLAIN, ("title", "Größe")), encoding=encoding)
    assert list(source.available()) == rows[0]
    assert source.entries()["title"].to_pylist() == [rows[1][2], "klein"]
    assert source.entries()["product_id"].to_pylist() == ["A1", "B2"]


def test_a_semicolon_file_with_decimal_commas_is_cut_at_semicolons(tmp_path):
    text = "sku;image;price\nA1;a.png;12,50 €\nB2;b.png;7,00 €\n"
    source = csv_source(tmp_path, text, (*PLAIN, ("price", "price")), encoding="cp1252")
    assert source.entries()["price"].to_pylist() == [12.5, 7.0]


def test_a_separator_line_for_spreadsheets_is_obeyed(tmp_path):
    source = csv_source(tmp_path, "sep=|\r\nsku|image\r\nA,1|a;b.png\r\n")
    assert source.entries()["product_id"].to_pylist() == ["A,1"]


def test_rows_that_are_off_are_listed_with_a_reason(tmp_path):
    put(tmp_path, "a.png", "b.png", "c.png", "d.png")
    text = 'sku,image,name\nA1,a.png\nB2,b.png,x,y,z\n,,\n\nC3,c.png,"two\nlines"\n,d.png,x\n'
    source = csv_source(tmp_path, text)
    rows = source.entries().to_pylist()
    assert [row["product_id"] for row in rows] == ["A1", "B2", None, "C3", None]
    codes = [row["reason"] and row["reason"].partition(":")[0] for row in rows]
    assert codes == ["bad_row", "bad_row", "empty_row", None, None]
    assert "5 values, but there are 3 columns" in rows[1]["reason"]
    assert json.loads(rows[1]["source_row"]) == {"sku": "B2", "image": "b.png", "name": "x", "more values": "y z"}
    assert [row["position"] for row in rows] == [0, 1, 2, 3, 4]


def test_a_line_that_is_no_csv_costs_that_line_only(tmp_path):
    source = csv_source(tmp_path, "sku,image\nA1,a.png\nB\r2,b.png\nC3,c.png\n")
    assert [row["product_id"] for row in source.entries().to_pylist()] == ["A1", None, "C3"]
    assert source.entries()["reason"][1].as_py().startswith("bad_row")


def test_columns_without_a_name_or_with_the_same_get_one(tmp_path):
    source = csv_source(tmp_path, ",sku,image,sku\n0,A1,a.png,x\n")
    assert list(source.available()) == ["column 1", "sku", "image", "sku (2)"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n\n", "is empty"),
        (b"sku,image\n", "has no rows"),
        (b"A1,photos/a.jpg\nB2,photos/b.jpg\n", "does not contain the column names"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path, content, words):
    with pytest.raises(CatalogueError, match=words) as caught:
        csv_source(tmp_path, content).entries()
    assert caught.value.next_step


def test_more_columns_or_rows_than_products_have_are_refused(tmp_path, monkeypatch):
    with pytest.raises(CatalogueError, match="has 2,001 columns; at most 2,000 are allowed"):
        csv_source(tmp_path, ",".join(f"c{number}" for number in range(2_001)) + "\n").available()
    monkeypatch.setattr(table_files, "MAX_ROWS", 10_000)
    with pytest.raises(CatalogueError, match=r"has 16,384 rows or more; at most 10,000 can be loaded at once"):
        csv_source(tmp_path, "sku,image\n" + "A,a.png\n" * 20_000).entries()


def test_a_line_of_millions_of_values_is_a_bad_row(tmp_path):
    source = csv_source(tmp_path, "sku,image\nA1,a.png\n" + "," * 3_000_000 + "\nC3,c.png\n")
    assert [row["product_id"] for row in source.entries().to_pylist()] == ["A1", None, "C3"]
    assert source.entries()["reason"][1].as_py().startswith("bad_row")


def test_cells_of_any_length_take_time_by_their_length_only(tmp_path):
    """What looks back at every blank, or sorts all marks on one letter, takes minutes over these."""
    blanks, marks = "a.png" + " " * 1_000_000 + "b.png", "a" + "\u0316\u0301" * 500_000
    parts = "a.png," * 200_000
    rows = "".join(f'A{number},"{cell}","{marks}"\n' for number, cell in enumerate((blanks, marks, parts)))
    source = csv_source(tmp_path, f"sku,image,name\n{rows}", (*PLAIN, ("title", "name"), ("label", "name")))
    entries = source.entries().to_pylist()
    assert [row["reason"].partition(":")[0] for row in entries] == ["bad_path", "bad_path", "no_picture"]
    assert entries[0]["title"] == marks


def test_a_missing_table_and_a_wrong_mapping_are_refused(tmp_path):
    with pytest.raises(DatasetUnavailable, match="does not exist"):
        TableSource(tmp_path / "none.csv", PLAIN, "csv").entries()
    source = csv_source(tmp_path, "sku,image\nA1,a.png\n", (("image", "picture"),))
    with pytest.raises(CatalogueError, match="no column 'picture'"):
        source.entries()
    with pytest.raises(CatalogueError, match="No column is chosen for the pictures"):
        TableSource(source.path, (("title", "sku"),), "csv").entries()
    assert TableSource(source.path, (("title", "sku"),), "csv").listed().num_rows == 1


def test_paths_may_not_leave_the_folder_and_addresses_are_not_fetched(tmp_path):
    put(tmp_path, "secret/x.png", "shop/a.png", "shop/drawing.psd")
    shop = tmp_path / "shop"
    (shop / "link.png").symlink_to(tmp_path / "secret" / "x.png")
    (shop / "sub").symlink_to(tmp_path / "secret")
    named = {
        "up": "../secret/x.png",
        "round": "a/../../secret/x.png",
        "back": "..\\secret\\x.png",
        "root": str(tmp_path / "secret" / "x.png"),
        "link": "link.png",
        "sub": "sub/x.png",
        "web": "https://example.org/x.png",
        "bucket": "s3://shop/x.png",
        "psd": "drawing.psd",
        "own": str(shop / "a.png"),
        "dots": "./sub/../a.png",
        "lost": "lost.png",
        "blank": "",
    }
    text = "sku,image\n" + "".join(f"{name},{path}\n" for name, path in named.items())
    source = csv_source(shop, text)
    codes = codes_of(source.entries())
    outside = dict.fromkeys(["up", "round", "back", "root", "link", "sub"], "outside")
    assert codes == {
        **outside,
        "web": "address",
        "bucket": "address",
        "psd": "unsupported_format",
        **dict.fromkeys(["own", "dots"]),
        **dict.fromkeys(["lost", "blank"], "no_picture"),
    }
    assert by_id(source.entries())["lost"]["reason"] == "no_picture: There is no file lost.png."
    assert "put the files next to the table" in by_id(source.entries())["web"]["reason"]
    pictures = pictures_of(source)
    assert all(pictures[name] is None for name in (*outside, "web", "bucket", "lost", "blank"))
    assert pictures["own"] == pictures["dots"] == (shop / "a.png").read_bytes()


def test_a_path_replaced_by_a_link_after_listing_is_not_followed(tmp_path):
    put(tmp_path, "secret/x.png", "shop/a.png")
    source = csv_source(tmp_path / "shop", "sku,image\nA1,a.png\n")
    entries = source.entries()
    (tmp_path / "shop" / "a.png").unlink()
    (tmp_path / "shop" / "a.png").symlink_to(tmp_path / "secret" / "x.png")
    assert pictures_of(source, entries)["A1"].code == "outside"


def test_base64_in_a_csv_is_read_by_row_and_stays_out_of_the_list(tmp_path):
    wrapped = "\n".join(inline(4)[at : at + 76] for at in range(0, len(inline(4)), 76))
    cells = {
        "A": inline(1),
        "B": f"data:image/png;base64,{inline(2)}",
        "C": base64.urlsafe_b64encode(encoded(3)).decode().rstrip("="),
        "D": f'"{wrapped}"',
        "E": "data:image/png;base64,%%%",
        "F": "f.png",
    }
    put(tmp_path, "f.png")
    columns = (*PLAIN, ("title", "näme"))
    text = "sku;image;näme\n" + "".join(
        f"{name};{cell if cell.startswith(chr(34)) else chr(34) + cell + chr(34)};ü{name}\n"
        for name, cell in cells.items()
    )
    source = csv_source(tmp_path, text, columns, encoding="cp1252")
    entries = source.entries()
    assert entries["title"].to_pylist() == [f"ü{name}" for name in cells]
    assert json.loads(by_id(entries)["A"]["source_row"]) == {"sku": "A", "näme": "üA"}
    pictures = pictures_of(source, entries.take([4, 3, 5, 0, 2, 1]))
    assert [pictures[name] for name in "ABCD"] == [encoded(1), encoded(2), encoded(3), encoded(4)]
    assert pictures["E"].code == "bad_base64"
    assert pictures["F"] == (tmp_path / "f.png").read_bytes()


def test_large_base64_is_not_cut_at_the_limit_of_the_csv_module(tmp_path):
    large = np.random.default_rng(1).bytes(300_000)
    source = csv_source(tmp_path, f"sku,image\nA,{base64.b64encode(large).decode()}\nB,b.png\n")
    assert pictures_of(source)["A"] == large
    assert source.entries()["product_id"].to_pylist() == ["A", "B"]


def test_a_table_that_shrank_after_listing_has_no_picture(tmp_path):
    source = csv_source(tmp_path, f"sku,image\nA,{inline(1)}\nB,{inline(2)}\n")
    entries = source.entries()
    csv_source(tmp_path, f"sku,image\nA,{inline(1)}\n")
    assert pictures_of(source, entries) == {"A": encoded(1), "B": None}
    csv_source(tmp_path, f"sku,photo\nA,{inline(1)}\n")
    assert pictures_of(source, entries) == {"A": None, "B": None}


def test_ids_are_made_of_paths_or_row_numbers_where_no_column_has_them(tmp_path):
    text = f"image,name\nbag/1.jpg,x\nbag/2.jpg,x\n./bag/2.png,x\n,x\n{inline(1)},x\n"
    source = csv_source(tmp_path, text, (("image", "image"),))
    ids = ["bag/1", "bag/2.jpg", "bag/2.png", "row-0000003", "row-0000004"]
    assert source.entries()["product_id"].to_pylist() == ids


def test_what_is_amiss_in_an_optional_column_empties_it_and_the_product_stays(tmp_path):
    put(tmp_path, "a.png")
    columns = (*PLAIN, ("price", "price"), ("stock", "stock"), ("split", "split"))
    text = (
        "sku,image,price,stock,split\nA,a.png,cheap,3,test\nB,a.png,-1,3,\nC,a.png,5,2.5,tset\nD,a.png,5,-1,\n"
        "E,a.png,5,3.0,dev\nF,none.png,dear,3,\n"
    )
    entries = csv_source(tmp_path, text, columns).entries()
    assert list(codes_of(entries).values()) == [*[None] * 5, "no_picture"]
    assert entries["price"].to_pylist() == [None, None, 5.0, 5.0, 5.0, None]
    assert entries["stock"].to_pylist() == [3, 3, None, None, 3, 3]
    assert entries["split"].to_pylist() == ["test", None, None, None, "validation", None]
    assert counted(entries) == {"bad_price": 2, "bad_stock": 2, "unknown_split": 1}
    assert sentences(entries) == [
        "2 products are loaded without a price: their prices cannot be read, for example “cheap”.",
        "2 products are loaded without a stock figure: their figures are not whole numbers, for example “2.5”.",
        "Twinset chooses what one product is used for: “tset” is not a known use.",
    ]


# ----------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,299.00", 1299.0),
        ("12,50 €", 12.5),
        ("£7", 7.0),
        ("1.299,95 EUR", 1299.95),
        ("1,299", 1299.0),
        ("1.299", 1.299),
        ("1.299.000", 1299000.0),
        ("0,299", 0.299),
        ("Rs. 1,299", 1299.0),
        ("1 299,00 kr", 1299.0),
        ("CHF 1'299.00", 1299.0),
        ("12", 12.0),
        (",5", 0.5),
        ("1e3", 1000.0),
    ],
)
def test_prices_are_read_as_people_write_them(text, value):
    assert parse_price(text) == value


@pytest.mark.parametrize("text", ["abc", "-5", "$ -3", "nan", "inf", "1_000", "12.5.3", "1,2,3", "12 to 14", "€"])
def test_what_is_no_price_is_none(text):
    with pytest.raises(ValueError, match=re.escape(text)):
        parse_price(text)


def test_stock_is_whole_and_fits_the_table():
    assert [parse_stock(text) for text in ("0", "12", "12.0", "1,200")] == [0, 12, 12, 1200]
    for text in ("-1", "2.5", "many", "9999999999"):
        with pytest.raises(ValueError, match=re.escape(text)):
            parse_stock(text)


def test_splits_have_synonyms_and_others_are_none():
    texts = [
        "Train",
        "training",
        "val",
        "VALID",
        "dev",
        "testing",
        "gallery",
        "Gallery Only",
        "gallery_only",
    ]
    assert [parse_split(text) for text in texts] == [
        *("train", "train", "validation", "validation", "validation", "test"),
        *("gallery-only", "gallery-only", "gallery-only"),
    ]
    with pytest.raises(ValueError, match="holdout"):
        parse_split("holdout")


def test_short_words_and_paths_are_no_encoded_pictures():
    for text in ("a.png", "photos/summer/a", "data.png", "/9j/photo.jpg", "x" * 300 + ".jpg"):
        assert not table_rows.is_inline_picture(text)
    assert table_rows.is_inline_picture(inline(1))


# ---------------------------------------------------------------------------------------------- Parquet


def test_parquet_values_are_read_whatever_their_type(tmp_path):
    columns = {
        "sku": pa.array([1.0, 2.0, None, 4.0]),
        "image": pa.array([encoded(i) for i in range(4)], pa.binary()),
        "kind": pa.array(["bag", None, " coat ", "hat"]).dictionary_encode(),
        "price": pa.array([Decimal("12.50"), None, Decimal("-1.00"), Decimal("7.00")]),
        "stock": pa.array([3.0, float("nan"), 2.0, 1.0]),
        "tags": [["a"], [], None, ["b"]],
        "seen": pa.array([0, 1, 2, 3], pa.timestamp("s")),
    }
    mapping = (*PLAIN, ("label", "kind"), ("price", "price"), ("stock", "stock"))
    source = parquet_source(tmp_path / "p.parquet", columns, mapping)
    assert source.available() == {name: name == "image" for name in columns if name != "tags"}
    entries = source.entries()
    assert entries["product_id"].to_pylist() == ["1", "2", None, "4"]
    assert entries["label"].to_pylist() == ["bag", None, "coat", "hat"]
    assert entries["price"].to_pylist() == [12.5, None, None, 7.0]
    assert entries["stock"].to_pylist() == [3, None, 2, 1]
    assert counted(entries) == {"bad_price": 1}
    row = json.loads(entries["source_row"][1].as_py())
    assert row == {"sku": 2.0, "kind": None, "price": None, "stock": None, "seen": "1970-01-01 00:00:01"}


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), "struct", "text"])
def test_pictures_in_parquet_are_read_by_row_in_any_order(tmp_path, kind):
    data = [encoded(i) for i in range(200)]
    cells = {
        "struct": lambda: pa.array([{"bytes": each, "path": None} for each in data]),
        "text": lambda: pa.array([base64.b64encode(each).decode() for each in data]),
    }.get(kind, lambda: pa.array(data, kind))()
    columns = {"sku": [f"p{i:03d}" for i in range(200)], "image": cells}
    source = parquet_source(tmp_path / "p.parquet", columns, row_group_size=70)
    entries = source.entries()
    chosen = entries.take(np.random.default_rng(2).permutation(200)[:90])
    assert pictures_of(source, chosen) == {name: data[int(name[1:])] for name in chosen["product_id"].to_pylist()}
    assert pictures_of(source) == dict(zip(columns["sku"], data, strict=True))
    assert max(map(len, filter(None, entries["source_row"].to_pylist()))) < 100


def test_a_struct_without_bytes_names_a_file(tmp_path):
    files = put(tmp_path, "pics/a.png")
    images = [{"bytes": encoded(1), "path": "one.png"}, {"bytes": None, "path": "pics/a.png"}]
    images += [{"bytes": None, "path": "../x.png"}, None, {"bytes": None, "path": None}]
    source = parquet_source(tmp_path / "p.parquet", {"image": images}, (("image", "image"),))
    assert source.entries()["product_id"].to_pylist() == ["one", "pics/a", "../x", "row-0000003", "row-0000004"]
    pictures = pictures_of(source)
    assert pictures["one"] == encoded(1)
    assert pictures["pics/a"] == files["pics/a.png"]
    assert pictures["../x"].code == "outside"
    assert pictures["row-0000003"] is pictures["row-0000004"] is None


def test_a_table_of_nothing_but_pictures_has_numbered_rows(tmp_path):
    mapping = (("image", "image"),)
    source = parquet_source(tmp_path / "p.parquet", {"image": [encoded(1), encoded(2)]}, mapping)
    assert pictures_of(source) == {"row-0000000": encoded(1), "row-0000001": encoded(2)}
    assert source.entries()["source_row"].to_pylist() == ["{}", "{}"]


def test_paths_in_parquet_lead_to_the_files_beside_it(tmp_path):
    files = put(tmp_path, "pics/a.png")
    source = parquet_source(tmp_path / "p.parquet", {"sku": ["A"], "image": ["pics/a.png"]})
    assert pictures_of(source) == {"A": files["pics/a.png"]}


def test_a_folder_of_parquet_files_is_one_table(tmp_path):
    folder = tmp_path / "parts"
    parquet_source(folder / "label=bag" / "1.parquet", {"sku": ["A"], "image": [encoded(1)], "price": [1.0]})
    parquet_source(folder / "label=coat%20long" / "0.parquet", {"sku": ["B"], "image": [encoded(2)]})
    parquet_source(folder / "label=z" / "2.parquet", {"sku": ["C"]})
    (folder / "_SUCCESS").touch()
    parquet_source(folder / "_temporary" / "9.parquet", {"sku": ["X"]})
    source = TableSource(folder, (*PLAIN, ("label", "label"), ("price", "price")), "parquet")
    entries = by_id(source.entries())
    assert {name: row["label"] for name, row in entries.items()} == {"A": "bag", "B": "coat long", "C": "z"}
    assert [entries[name]["price"] for name in "ABC"] == [1.0, None, None]
    assert pictures_of(source) == {"A": encoded(1), "B": encoded(2), "C": None}
    listed = source.entries()
    (folder / "label=bag" / "1.parquet").unlink()
    assert pictures_of(source, listed)["A"] is None


def test_a_link_to_a_table_elsewhere_is_refused(tmp_path):
    parquet_source(tmp_path / "secret.parquet", {"sku": ["A"], "image": [encoded(1)]})
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "0.parquet").symlink_to(tmp_path / "secret.parquet")
    with pytest.raises(CatalogueError, match="outside its folder"):
        TableSource(tmp_path / "parts", PLAIN, "parquet").entries()


def test_a_damaged_page_costs_its_pictures_only(tmp_path):
    data = [np.random.default_rng(i).bytes(5000) for i in range(40)]
    columns = {"sku": [f"p{i:02d}" for i in range(40)], "image": data}
    options = {"row_group_size": 20, "compression": "none", "use_dictionary": False}
    source = parquet_source(tmp_path / "p.parquet", columns, **options)
    entries = source.entries()
    raw = bytearray(source.path.read_bytes())
    metadata = pq.read_metadata(source.path)
    start = metadata.row_group(1).column(1).data_page_offset
    raw[start : start + 30] = b"\xff" * 30
    source.path.write_bytes(bytes(raw))
    pictures = pictures_of(source, entries)
    assert [pictures[f"p{i:02d}"] for i in range(20)] == data[:20]
    assert {pictures[f"p{i:02d}"].code for i in range(20, 40)} == {"damaged"}


def test_what_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "p.parquet"
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(CatalogueError, match="not a Parquet file"):
        TableSource(path, PLAIN, "parquet").entries()
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogueError, match="no rows"):
        TableSource(tmp_path / "empty", PLAIN, "parquet").entries()


def test_reading_goes_forward_once_and_keeps_little_in_memory(tmp_path, monkeypatch):
    data = [bytes([i % 256]) * 2000 for i in range(1000)]
    columns = {"sku": [f"p{i:04d}" for i in range(1000)], "image": data}
    source = parquet_source(tmp_path / "p.parquet", columns, row_group_size=1000)
    entries = source.entries()
    opened = []
    real = parquet_cells.open_parquet
    monkeypatch.setattr(parquet_cells, "open_parquet", lambda *a, **k: opened.append(1) or real(*a, **k))
    for start in range(0, 1000, 50):
        part = entries.slice(start, 50)
        assert list(pictures_of(source, part).values()) == data[start : start + 50]
    assert len(opened) == 1


def test_table_sources_are_small_when_shipped(tmp_path):
    source = parquet_source(tmp_path / "p.parquet", {"sku": ["A"], "image": [encoded(1)]})
    assert isinstance(source, Source)
    assert source.name == "p.parquet"
    pictures_of(source)
    assert len(pickle.dumps(source)) < 1000
    (tmp_path / "p.parquet").rename(tmp_path / "q.parquet")
    with pytest.raises(DatasetUnavailable):
        pictures_of(source, TableSource(tmp_path / "q.parquet", PLAIN, "parquet").entries())


# ------------------------------------------------------------------------------------------------ Delta


def delta(path, count=6, **options):
    table = pa.table(
        {
            "sku": [f"p{i}" for i in range(count)],
            "image": pa.array([encoded(i) for i in range(count)], pa.binary()),
            "kind": [("bag", "coat & hat")[i % 2] for i in range(count)],
        }
    )
    write_deltalake(path, table, **options)
    return TableSource(path, (*PLAIN, ("label", "kind")), "delta")


def test_a_delta_table_is_read_at_its_newest_version_or_an_older_one(tmp_path):
    source = delta(tmp_path / "t", 3)
    delta(tmp_path / "t", 6, mode="overwrite")
    old = TableSource(source.path, source.columns, "delta", version=0)
    listed = old.entries()
    assert (listed.num_rows, source.entries().num_rows) == (3, 6)
    assert pictures_of(source) == {f"p{i}": encoded(i) for i in range(6)}
    assert pictures_of(old, listed) == {f"p{i}": encoded(i) for i in range(3)}
    with pytest.raises(CatalogueError, match="version 9"):
        TableSource(source.path, source.columns, "delta", version=9).entries()


def test_what_was_listed_is_read_though_the_table_goes_on(tmp_path):
    source = delta(tmp_path / "t", 3)
    listed = source.entries()
    delta(tmp_path / "t", 6, mode="overwrite")
    assert pictures_of(source, listed) == {f"p{i}": encoded(i) for i in range(3)}


def test_a_partitioned_delta_table_has_its_partition_columns(tmp_path):
    source = delta(tmp_path / "t", partition_by=["kind"])
    assert source.available() == {"sku": False, "image": True, "kind": False}
    labels = {name: row["label"] for name, row in by_id(source.entries()).items()}
    assert labels == {f"p{i}": ("bag", "coat & hat")[i % 2] for i in range(6)}
    assert pictures_of(source) == {f"p{i}": encoded(i) for i in range(6)}


def test_deleted_rows_are_passed_over(tmp_path, monkeypatch):
    source = delta(tmp_path / "t")
    (file,) = delta_log.files_of(DeltaTable(source.path))
    mask = np.array([True, False, True, False])
    monkeypatch.setattr(delta_log, "masks_of", lambda _table: {file: mask})
    entries = source.entries()
    assert entries["product_id"].to_pylist() == ["p0", "p2", "p4", "p5"]
    assert pictures_of(source, entries) == {f"p{i}": encoded(i) for i in (0, 2, 4, 5)}


def test_a_delta_table_that_cannot_be_read_rightly_is_refused(tmp_path):
    source = delta(tmp_path / "t")
    log = source.path / "_delta_log" / f"{0:020d}.json"
    text = log.read_text()
    mapped = text.replace('"configuration":{}', '"configuration":{"delta.columnMapping.mode":"name"}')
    assert mapped != text
    log.write_text(mapped)
    with pytest.raises(CatalogueError, match="column mapping"):
        source.entries()
    with pytest.raises(CatalogueError, match="cannot be read"):
        TableSource(tmp_path, PLAIN, "delta").entries()


def test_a_delta_file_that_is_gone_is_said(tmp_path):
    source = delta(tmp_path / "t")
    listed = source.entries()
    (file,) = delta_log.files_of(DeltaTable(source.path))
    file.unlink()
    assert set(pictures_of(source, listed).values()) == {None}
    with pytest.raises(CatalogueError, match="missing from the table"):
        source.entries()


# -------------------------------------------------------------------------------------------------- zips


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("top", ["", "shop/"])
def test_a_csv_in_a_zip_names_pictures_in_the_zip(tmp_path, top):
    table = "sku,image,name\nA,images/a.png,x\nB,./images/../b.png,x\nC,../c.png,x\nD,/etc/passwd,x\nE,no.png,x\nF,,x\n"
    members = {"products.csv": table, "images/a.png": encoded(1), "b.png": encoded(2), "__MACOSX/._x.csv": "x"}
    path = zipped(tmp_path / "shop.zip", {top + name: data for name, data in members.items()} | {"c.png": encoded(3)})
    if top:
        path = zipped(path, {top + name: data for name, data in members.items()})
    member = tables_in("zip", path).usual
    assert member == f"{top}products.csv"
    source = TableSource(path, PLAIN, "csv", member=member)
    assert source.name == "shop.zip"
    assert codes_of(source.entries()) == {
        "A": None,
        "B": None,
        **dict.fromkeys("CD", "outside"),
        **dict.fromkeys("EF", "no_picture"),
    }
    pictures = pictures_of(source)
    assert [pictures["A"], pictures["B"]] == [encoded(1), encoded(2)]
    assert [pictures[name] for name in "CDEF"] == [None] * 4
    unnamed = TableSource(path, (("image", "image"),), "csv", member=member)
    assert unnamed.entries()["product_id"].to_pylist()[:2] == ["images/a", "b"]


def test_parquet_and_base64_in_a_zip_are_read(tmp_path):
    parquet_source(tmp_path / "p.parquet", {"sku": ["A", "B"], "image": [encoded(1), encoded(2)]})
    path = zipped(tmp_path / "x.zip", {"p.parquet": (tmp_path / "p.parquet").read_bytes()})
    source = TableSource(path, PLAIN, "parquet", member=tables_in("zip", path).usual)
    assert pictures_of(source) == {"A": encoded(1), "B": encoded(2)}
    path = zipped(tmp_path / "y.zip", {"p.csv": "sku,image\n" + "".join(f"{i},{inline(i)}\n" for i in range(50))})
    source = TableSource(path, PLAIN, "csv", member=tables_in("zip", path).usual)
    assert pictures_of(source) == {str(i): encoded(i) for i in range(50)}


def test_a_table_in_a_zip_that_cannot_be_read_is_refused(tmp_path, monkeypatch):
    path = zipped(tmp_path / "x.zip", {"p.csv": "sku,image\n" + "A,a.png\n" * 100})
    with pytest.raises(CatalogueError, match="no longer contains q"):
        TableSource(path, PLAIN, "csv", member="q.csv").entries()
    monkeypatch.setattr(table_files, "MAX_MEMBER_BYTES", 100)
    with pytest.raises(CatalogueError, match="too large inside a zip"):
        TableSource(path, PLAIN, "csv", member="p.csv").entries()
    with pytest.raises(CatalogueError, match="too large inside a zip"):
        TableFile(path, "p.csv").parquet()


def test_a_damaged_table_in_a_zip_is_refused(tmp_path):
    path = zipped(tmp_path / "x.zip", {"p.csv": "sku,image\n" + "".join(f"{i},{i * 7919}.png\n" for i in range(999))})
    data = bytearray(path.read_bytes())
    data[200:230] = b"\xff" * 30
    path.write_bytes(bytes(data))
    with pytest.raises(CatalogueError, match="damaged"):
        TableSource(path, PLAIN, "csv", member="p.csv").entries()
