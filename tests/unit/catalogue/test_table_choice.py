"""Tables among pictures: the only one is taken, of several somebody has to name one, and what is not read is said."""

from __future__ import annotations

import zipfile

import pytest

from backend.catalogue.sources.locations import open_source
from backend.catalogue.sources.pictures.listing import FolderSource, ZipSource
from backend.catalogue.sources.preview import preview
from backend.catalogue.sources.tables.choice import ONLY_PICTURES, listed, tables_in
from backend.catalogue.sources.tables.listing import TableSource
from backend.errors import CatalogueError
from tests.support.pictures import encoded, pictures_of, put

STYLES = "id,articleType,baseColour,productDisplayName\n1163,Bag,Red,One\n1164,Hat,Red,Two\n"
IMAGES = "filename,link\n1163.jpg,http://img.example.invalid/0.jpg\n1164.jpg,http://img.example.invalid/1.jpg\n"
DATA_SET = {"styles.csv": STYLES, "images.csv": IMAGES, "images/1163.jpg": encoded(1), "images/1164.jpg": encoded(2)}


@pytest.fixture(params=["folder", "zip"])
def packed(request, tmp_path):
    """Write files as a folder or zip; returns its kind and path."""

    def make(files):
        if request.param == "zip":
            with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
                for name, data in files.items():
                    archive.writestr(name, data)
            return "zip", tmp_path / "shop.zip"
        for name, data in files.items():
            path = tmp_path / "shop" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        return "folder", tmp_path / "shop"

    return make


def opened(kind, path, table="", columns=None):
    return open_source(kind, path, columns=columns, label_from="folder", version=None, table=table)


@pytest.mark.parametrize(
    ("names", "top", "usual"),
    [
        (["a.csv", "b.parquet", "x/1.png"], ("a.csv", "b.parquet"), None),
        (["x/y/a.csv", "x/1.png"], (), ONLY_PICTURES),
        (["x/a.csv", "y/1.png"], (), ONLY_PICTURES),
        (["x/a.CSV", "x/1.png"], ("x/a.CSV",), "x/a.CSV"),
        (["a.csv", "x/b.csv", "1.png"], ("a.csv",), "a.csv"),
        (["a.tsv", "__MACOSX/._a.tsv", ".hidden.csv", "x/.~lock.b.csv", "1.png"], ("a.tsv",), "a.tsv"),
        (["1.png", "notes.txt"], (), ONLY_PICTURES),
    ],
)
def test_the_only_table_at_the_top_is_usual(packed, names, top, usual):
    tables = tables_in(*packed(dict.fromkeys(names, b"")))
    assert (tables.top, tables.usual) == (top, usual)


def test_of_two_tables_one_has_to_be_named(packed):
    kind, path = packed(DATA_SET)
    with pytest.raises(CatalogueError, match=r"contains 2 tables: images.csv and styles.csv\.") as caught:
        opened(kind, path)
    assert "--table images.csv" in caught.value.next_step
    assert "--table none" in caught.value.next_step
    with pytest.raises(CatalogueError, match=r"no table x\.csv") as caught:
        opened(kind, path, "x.csv")
    assert "images.csv and styles.csv" in caught.value.next_step


def test_the_table_that_is_named_is_read_with_the_pictures_beside_it(packed):
    kind, path = packed(DATA_SET)
    source = opened(kind, path, "styles.csv")
    assert isinstance(source, TableSource)
    assert source.name == path.name
    assert pictures_of(source) == {"1163": encoded(1), "1164": encoded(2)}
    seen = preview(kind, path, table="styles.csv")
    assert seen.labels == {"Bag": 1, "Hat": 1}
    assert seen.mapping["image"] == seen.mapping["product_id"] == "id"
    assert seen.notes == (
        "One table is not read: images.csv.",
        "No column contains picture paths; pictures are matched by “id”, which is their file name.",
    )
    assert set(pictures_of(opened(kind, path, "images.csv"))) == {"1163", "1164"}


def test_the_pictures_alone_can_be_loaded_and_the_tables_are_said(packed):
    kind, path = packed(DATA_SET)
    source = opened(kind, path, ONLY_PICTURES)
    assert isinstance(source, (FolderSource, ZipSource))
    assert source.remarks() == ("2 tables are not read: images.csv and styles.csv.",)
    assert set(pictures_of(source)) == {"images/1163", "images/1164"}


def test_one_table_at_the_top_describes_the_pictures_of_a_folder_as_of_a_zip(packed):
    kind, path = packed({"t.csv": "sku,image,label\nA,p/1.png,bag\n", "p/1.png": encoded(1), "p/2.png": encoded(2)})
    assert pictures_of(opened(kind, path)) == {"A": encoded(1)}
    assert opened(kind, path).remarks() == ()


def test_a_table_deeper_among_the_pictures_is_mentioned_and_can_be_named(packed):
    table = "file_name,text,label\nbag/0.png,a red bag,bag\n"
    kind, path = packed({"train/metadata.csv": table, "train/bag/0.png": encoded(1), "test/bag/1.png": encoded(2)})
    seen = preview(kind, path)
    assert [row.split for row in seen.rows] == ["test", "train"]
    assert "One table is not read: train/metadata.csv." in seen.notes
    named = opened(kind, path, "train/metadata.csv", {"image": "file_name", "label": "label"})
    assert pictures_of(named) == {"bag/0": encoded(1)}


def test_a_link_to_a_table_elsewhere_is_no_table_of_the_folder(tmp_path):
    put(tmp_path / "shop", "1.png")
    (tmp_path / "secret.csv").write_text("sku,image\nA,1.png\n")
    (tmp_path / "shop" / "t.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "shop" / "own.csv").write_text("sku,image\nA,1.png\n")
    (tmp_path / "shop" / "again.csv").symlink_to(tmp_path / "shop" / "own.csv")
    assert tables_in("folder", tmp_path / "shop").top == ("again.csv", "own.csv")
    with pytest.raises(CatalogueError, match=r"no table t\.csv"):
        opened("folder", tmp_path / "shop", "t.csv")


def test_many_names_are_cut_short():
    assert listed(["a", "b"]) == "a and b"
    assert listed(list("abcdefgh")) == "a, b, c, d, e and 3 more"
    assert listed([]) == ""


def test_a_data_set_as_it_is_downloaded(shared_case):
    path = shared_case("19-two-tables-zip") / "archive.zip"
    with pytest.raises(CatalogueError, match=r"images\.csv and styles\.csv"):
        preview("zip", path)
    seen = preview("zip", path, table="styles.csv")
    assert seen.labels == {"Bag": 2, "Hat": 2, "Shoe": 2}
    assert all(row.thumbnail for row in seen.rows)
